//! Where an attempt's time went, from what three clocks tell of it.

use std::{fmt::Write as _, time::Duration};

use containerops::{
    agent::protocol::{Chores, Stretch},
    engine::timeline::{Facts, JobFacts, Timeline, now_words, plain_image, timeline, words},
    model::{JobId, Moments, Phase, PhaseKind, Pull, Ran, Time, fitted, partition},
};
use insta::assert_snapshot;
use proptest::{collection::vec, option, prelude::*};

const JOB: JobId = JobId::from_i64(1);
const OTHER: JobId = JobId::from_i64(2);
/// When the attempts of the tables were queued.
const QUEUED: i64 = 1_772_366_400_000;

fn at(ms: i64) -> Time {
    Time::from_millis(QUEUED + ms)
}

fn ran(container: &str, job: Option<JobId>, started: i64, ended: Option<i64>) -> Ran {
    Ran { container: container.to_owned(), job, started: at(started), ended: ended.map(at) }
}

fn pull(container: &str, job: Option<JobId>, image: &str, started: i64, ended: Option<i64>) -> Pull {
    let (container, image) = (container.to_owned(), image.to_owned());
    Pull { container, job, image, started: at(started), ended: ended.map(at), bytes: Some(500_000_000) }
}

fn job(id: JobId, started: i64, ended: Option<i64>, process: Option<(i64, i64)>) -> JobFacts {
    JobFacts {
        id,
        place: id.as_i64() - 1,
        is_service: false,
        started: Some(at(started)),
        ended: ended.map(at),
        ready: None,
        process: process.map(|(started, ended)| (Some(at(started)), at(ended))),
        chores: Chores::default(),
    }
}

/// What an agent did that had all to do, by a clock that is so far ahead.
fn chores(by: i64) -> Chores {
    let stretch = |started: i64, ended: i64| Some(Stretch(at(started + by), at(ended + by)));
    Chores {
        source: stretch(50_100, 51_000),
        restore: stretch(51_000, 51_500),
        download: stretch(51_500, 52_900),
        report: stretch(178_100, 178_300),
        upload: stretch(178_300, 179_000),
        save: stretch(179_000, 179_900),
    }
}

/// An attempt that was queued at 0, decided at 0.1 s, placed at 1 s, started at 50 s and ended at 180 s.
fn facts(moments: &Moments) -> Facts<'_> {
    Facts {
        queued: Some(at(0)),
        created: at(100),
        placed: Some(at(1000)),
        started: Some(at(50_000)),
        ended: Some(at(180_000)),
        executor: "kubernetes",
        moments,
    }
}

/// What a cluster tells of it whose clock is right.
fn of_cluster() -> Moments {
    Moments {
        node: Some("node-1".to_owned()),
        made: Some(at(0)),
        scheduled: Some(at(13_000)),
        pulls: vec![pull("job-0", Some(JOB), "docker.io/library/rust:1.95@sha256:0", 14_000, Some(48_000))],
        containers: vec![ran("install", None, 13_500, Some(14_000)), ran("job-0", Some(JOB), 49_000, Some(180_000))],
    }
}

fn shown(timeline: &Timeline) -> String {
    let mut text = String::new();
    let mut line = |name: &str, phases: &[Phase]| {
        write!(text, "{name}:").expect("a text takes everything");
        for phase in phases {
            let ms = |time: Time| (time.as_millis() - QUEUED) as f64 / 1000.0;
            write!(text, " {} {}-{}", phase.kind.as_str(), ms(phase.started), ms(phase.ended)).expect("as above");
        }
        text.push('\n');
    };
    line("attempt", &timeline.phases);
    for job in &timeline.jobs {
        line(&format!("job {}", job.place), &job.phases);
    }
    text
}

#[test]
fn each_phase_of_a_pod_has_its_time() {
    let moments = of_cluster();
    let jobs = [job(JOB, 50_000, Some(180_000), Some((53_000, 178_000)))];
    let timeline = timeline(&facts(&moments), &jobs, at(999_000));
    assert_snapshot!(shown(&timeline), @r"
    attempt: queue 0-1 schedule 1-13 init 13-14 pull 14-48 init 48-49 wait 49-50 fetch 50-53 run 53-178 keep 178-180
    job 0: pull 14-48 init 48-49 wait 49-50 fetch 50-53 run 53-178 keep 178-180
    ");
    assert_snapshot!(words(&timeline.phases), @"waited 12 s for a node, pulled images for 34 s, ran 2 min 5 s");
    assert_eq!((timeline.node.as_deref(), now_words(&timeline, "", at(999_000))), (Some("node-1"), None));
}

#[test]
fn jobs_one_after_another_have_their_own_and_the_attempt_runs_while_one_of_them_does() {
    let mut moments = of_cluster();
    moments.containers.push(ran("job-1", Some(OTHER), 60_000, None));
    moments.pulls.push(pull("job-1", Some(OTHER), "postgres:17", 49_000, Some(59_000)));
    let jobs = [job(JOB, 50_000, Some(90_000), Some((50_000, 90_000))), job(OTHER, 100_000, Some(180_000), None)];
    assert_snapshot!(shown(&timeline(&facts(&moments), &jobs, at(0))), @r"
    attempt: queue 0-1 schedule 1-13 init 13-14 pull 14-48 init 48-49 pull 49-50 run 50-90 wait 90-100 run 100-180
    job 0: pull 14-48 init 48-49 wait 49-50 run 50-90
    job 1: pull 49-59 init 59-60 wait 60-100 run 100-180
    ");
}

#[test]
fn a_service_counts_until_it_is_ready() {
    let moments = of_cluster();
    let db = JobFacts { is_service: true, ready: Some(at(70_000)), ..job(OTHER, 50_000, Some(180_000), None) };
    let jobs = [job(JOB, 70_000, Some(170_000), Some((70_000, 170_000))), db];
    assert_snapshot!(shown(&timeline(&facts(&moments), &jobs, at(0))), @r"
    attempt: queue 0-1 schedule 1-13 init 13-14 pull 14-48 init 48-49 wait 49-50 init 50-70 run 70-170 wait 170-180
    job 0: pull 14-48 init 48-49 wait 49-70 run 70-170
    job 1: init 50-70 run 70-180
    ");
}

#[test]
fn clocks_that_differ_move_nothing_out_of_its_place() {
    let right = of_cluster();
    let off = |by: i64| {
        let moved = |time: Time| Time::from_millis(time.as_millis() + by);
        let mut moments = right.clone();
        moments.made = moments.made.map(moved);
        moments.scheduled = moments.scheduled.map(moved);
        for ran in &mut moments.containers {
            (ran.started, ran.ended) = (moved(ran.started), ran.ended.map(moved));
        }
        for pull in &mut moments.pulls {
            (pull.started, pull.ended) = (moved(pull.started), pull.ended.map(moved));
        }
        let process = Some((53_000 + by, 178_000 + by));
        shown(&timeline(&facts(&moments), &[job(JOB, 50_000, Some(180_000), process)], at(0)))
    };
    assert_snapshot!(off(3_600_000), @r"
    attempt: queue 0-1 schedule 1-14 init 14-15 pull 15-49 init 49-50 fetch 50-55 run 55-180
    job 0: pull 15-49 init 49-50 fetch 50-55 run 55-180
    ");
    assert_snapshot!(off(-3_600_000), @r"
    attempt: queue 0-1 schedule 1-12.1 init 12.1-13.1 pull 13.1-47.1 init 47.1-48.1 wait 48.1-50 run 50-175 keep 175-180
    job 0: pull 13.1-47.1 init 47.1-48.1 wait 48.1-50 run 50-175 keep 175-180
    ");
}

#[test]
fn what_an_agent_does_besides_its_job_has_its_time_by_whatever_clock() {
    let moments = of_cluster();
    let of = |by: i64, process: Option<(Option<i64>, i64)>, chores: Chores| {
        let process = process.map(|(started, ended)| (started.map(|ms| at(ms + by)), at(ended + by)));
        let job = JobFacts { process, chores, ..job(JOB, 50_000, Some(180_000), None) };
        let timeline = timeline(&facts(&moments), &[job], at(0));
        (shown(&timeline), words(&timeline.phases))
    };
    let (text, sentence) = of(0, Some((Some(53_000), 178_000)), chores(0));
    assert_snapshot!(text, @r"
    attempt: queue 0-1 schedule 1-13 init 13-14 pull 14-48 init 48-49 wait 49-50 fetch 50-50.1 source 50.1-51 restore 51-51.5 download 51.5-52.9 fetch 52.9-53 run 53-178 keep 178-178.1 report 178.1-178.3 upload 178.3-179 save 179-179.9 keep 179.9-180
    job 0: pull 14-48 init 48-49 wait 49-50 fetch 50-50.1 source 50.1-51 restore 51-51.5 download 51.5-52.9 fetch 52.9-53 run 53-178 keep 178-178.1 report 178.1-178.3 upload 178.3-179 save 179-179.9 keep 179.9-180
    ");
    assert_snapshot!(sentence, @"waited 12 s for a node, pulled images for 34 s, ran 2 min 5 s");
    // an agent's clock that is an hour ahead: as near as there is room
    let (text, _) = of(3_600_000, Some((Some(53_000), 178_000)), chores(3_600_000));
    assert_snapshot!(text, @r"
    attempt: queue 0-1 schedule 1-13 init 13-14 pull 14-48 init 48-49 wait 49-50 fetch 50-52.1 source 52.1-53 restore 53-53.5 download 53.5-54.9 fetch 54.9-55 run 55-180
    job 0: pull 14-48 init 48-49 wait 49-50 fetch 50-52.1 source 52.1-53 restore 53-53.5 download 53.5-54.9 fetch 54.9-55 run 55-180
    ");
    // the source did not come, so that there was never a process
    let failed = Chores { source: Some(Stretch(at(50_100), at(60_000))), ..Chores::default() };
    assert_snapshot!(of(0, Some((None, 60_100)), failed).0, @r"
    attempt: queue 0-1 schedule 1-13 init 13-14 pull 14-48 init 48-49 wait 49-50 fetch 50-50.1 source 50.1-60 fetch 60-180
    job 0: pull 14-48 init 48-49 wait 49-50 fetch 50-50.1 source 50.1-60 fetch 60-180
    ");
}

#[test]
fn what_goes_on_says_for_how_long_and_what_it_waits_for() {
    let moments = Moments::default();
    let open = Facts { started: None, ended: None, ..facts(&moments) };
    let now = |facts: &Facts<'_>, reason: &str| {
        now_words(&timeline(facts, &[], at(41_000)), reason, at(41_000)).expect("it goes on")
    };
    assert_snapshot!(now(&Facts { placed: None, ..open }, "exceeded quota: mine"), @"not placed for 41 s: exceeded quota: mine");
    let pulls = "pulling image rust:1 (12 of 500 MB)";
    assert_snapshot!(now(&Facts { placed: None, ..open }, pulls), @"not placed for 41 s: pulling image rust:1 (12 of 500 MB)");
    let room = "0/3 nodes are available: 3 Insufficient cpu.";
    assert_snapshot!(now(&open, room), @"waiting for a node for 40 s: 0/3 nodes are available: 3 Insufficient cpu.");
    let scheduled = Moments { made: Some(at(1000)), scheduled: Some(at(2000)), ..Moments::default() };
    assert_snapshot!(now(&Facts { moments: &scheduled, ..open }, ""), @"starting containers for 39 s");
    let image = "docker.io/library/rust:1.95@sha256:00";
    let pulling = Moments { pulls: vec![pull("job-0", Some(JOB), image, 3000, None)], ..scheduled };
    let pulling = Facts { moments: &pulling, ..open };
    assert_snapshot!(now(&pulling, "pulling image \"rust:1.95\""), @"pulling rust:1.95 (500 MB) for 38 s");
    assert_snapshot!(now(&pulling, "job-0: registry is down"), @"pulling rust:1.95 (500 MB) for 38 s: job-0: registry is down");
}

#[test]
fn images_are_called_as_people_call_them() {
    for (image, plain) in [
        ("busybox", "busybox"),
        ("docker.io/library/busybox:1.36@sha256:00", "busybox:1.36"),
        ("docker.io/acme/app:2", "acme/app:2"),
        ("localhost:5000/a@sha256:0123456789abcdef0123", "localhost:5000/a@sha256:0123456789ab"),
    ] {
        assert_eq!(plain_image(image), plain);
    }
}

#[test]
fn what_was_told_once_stays() {
    let (mut known, all) = (Moments::default(), of_cluster());
    let early =
        Moments { pulls: vec![pull("job-0", Some(JOB), "rust", 14_000, None)], containers: Vec::new(), ..all.clone() };
    assert!(known.learn(&early) && known.learn(&all));
    assert!(!known.learn(&all) && !known.learn(&early) && !known.learn(&Moments::default()), "nothing of it is new");
    assert_eq!(known.pulls[0].ended, all.pulls[0].ended);
    assert_eq!(known.containers, all.containers);
}

fn moment() -> impl Strategy<Value = Time> {
    (-200_000_i64..400_000).prop_map(at)
}

fn any_moments() -> impl Strategy<Value = Moments> {
    let jobs = || prop_oneof![Just(None), Just(Some(JOB)), Just(Some(OTHER))];
    let pulls = vec((jobs(), moment(), option::of(moment())), 0..4).prop_map(|pulls| {
        let pull = |(n, (job, started, ended))| Pull {
            container: format!("job-{n}"),
            job,
            image: "busybox".to_owned(),
            started,
            ended,
            bytes: None,
        };
        pulls.into_iter().enumerate().map(pull).collect()
    });
    let containers = vec((jobs(), moment(), option::of(moment())), 0..4).prop_map(|all| {
        let ran = |(n, (job, started, ended))| Ran { container: format!("job-{n}"), job, started, ended };
        all.into_iter().enumerate().map(ran).collect()
    });
    (option::of(moment()), option::of(moment()), pulls, containers)
        .prop_map(|(made, scheduled, pulls, containers)| Moments { node: None, made, scheduled, pulls, containers })
}

fn any_chores() -> impl Strategy<Value = Chores> {
    let stretch = || option::of((moment(), moment()).prop_map(|(a, b)| Stretch(a, b)));
    (stretch(), stretch(), stretch(), stretch(), stretch(), stretch()).prop_map(
        |(source, restore, download, report, upload, save)| Chores { source, restore, download, report, upload, save },
    )
}

fn any_job(id: JobId) -> impl Strategy<Value = JobFacts> {
    let process = option::of((option::of(moment()), moment()));
    let moments = (option::of(moment()), option::of(moment()), option::of(moment()));
    (any::<bool>(), moments, process, any_chores()).prop_map(
        move |(is_service, (started, ended, ready), process, chores)| JobFacts {
            id,
            place: id.as_i64() - 1,
            is_service,
            started,
            ended,
            ready,
            process,
            chores,
        },
    )
}

/// Whether phases follow each other without a gap, and none of them is empty or upside down.
fn is_line(phases: &[Phase]) -> bool {
    phases.iter().all(|phase| phase.started < phase.ended)
        && phases.windows(2).all(|two| two[0].ended == two[1].started && two[0].kind != two[1].kind)
}

proptest! {
    #[test]
    fn phases_are_in_order_and_add_up_whatever_the_clocks_say(
        moments in any_moments(),
        (queued, created, placed) in (option::of(moment()), moment(), option::of(moment())),
        (started, ended, now) in (option::of(moment()), option::of(moment()), moment()),
        jobs in (any_job(JOB), any_job(OTHER)),
        executor in prop_oneof![Just("kubernetes"), Just("docker"), Just("process")],
    ) {
        let facts = Facts { queued, created, placed, started, ended, executor, moments: &moments };
        let times = timeline(&facts, &[jobs.0, jobs.1], now);
        let from = queued.map_or(created, |queued| queued.min(created));
        let whole = ended.unwrap_or(now).since(from);
        prop_assert!(is_line(&times.phases), "{:?}", times.phases);
        prop_assert_eq!(times.phases.iter().map(Phase::span).sum::<Duration>(), whole);
        let to = from.after(whole);
        for phase in times.jobs.iter().flat_map(|job| &job.phases) {
            prop_assert!(from <= phase.started && phase.ended <= to);
        }
        prop_assert!(times.jobs.iter().all(|job| is_line(&job.phases)));
        prop_assert!(times.pulls.iter().all(|pull| from <= pull.started && pull.ended.is_none_or(|end| pull.started <= end && end <= to)));
    }

    #[test]
    fn moments_are_learnt_in_any_order_to_the_same_end(all in vec(any_moments(), 0..4)) {
        let mut known = Moments::default();
        all.iter().for_each(|told| {
            known.learn(told);
        });
        let before = known.clone();
        prop_assert!(all.iter().all(|told| !known.learn(told)), "told again, it is nothing new");
        prop_assert_eq!(before, known);
    }

    #[test]
    fn a_part_of_time_goes_into_what_is_furthest(
        known in vec((0..PhaseKind::ALL.len(), 0_i64..100, 0_i64..100), 0..12),
        (from, to) in (0_i64..100, 0_i64..100),
    ) {
        let phase = |&(kind, a, b): &(usize, i64, i64)| Phase::new(PhaseKind::ALL[kind], at(a), at(b));
        let known: Vec<Phase> = known.iter().map(phase).collect();
        let phases = partition(at(from), at(to), PhaseKind::Queue, &known);
        prop_assert!(is_line(&phases));
        prop_assert_eq!(phases.iter().map(Phase::span).sum::<Duration>(), at(to).since(at(from)));
        for ms in from..to {
            let covers = |phase: &&Phase| phase.started <= at(ms) && at(ms) < phase.ended;
            let expected = known.iter().filter(covers).map(|phase| phase.kind).max().unwrap_or(PhaseKind::Queue);
            prop_assert_eq!(phases.iter().find(covers).map(|phase| phase.kind), Some(expected));
        }
    }

    #[test]
    fn what_another_clock_measured_stays_as_long_as_there_is_room(
        (a, b) in (moment(), moment()), (x, y) in (moment(), moment()),
    ) {
        let (lowest, highest) = (x.min(y), x.max(y));
        let (started, ended) = fitted((a, b), lowest, highest);
        prop_assert!(lowest <= started && started <= ended && ended <= highest);
        prop_assert_eq!(ended.since(started), b.since(a).min(highest.since(lowest)));
    }
}
