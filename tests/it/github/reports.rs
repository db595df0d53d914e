use containerops::{
    forge::{Forge as _, ForgeError, Told, Wanted, github::Github},
    model::{Annotation, Conclusion, Context, Level, Progress, Report, Repository, Sha, Time},
};
use insta::assert_snapshot;

use super::{app, widget};
use crate::harness::github::{ModelGithub, story};

const CONCLUSIONS: [Conclusion; 7] = [
    Conclusion::Success,
    Conclusion::Warning,
    Conclusion::Failure,
    Conclusion::TimedOut,
    Conclusion::Cancelled,
    Conclusion::Skipped,
    Conclusion::Error,
];

/// A context on a commit, told to a forge again and again.
struct Place<'a> {
    github: &'a Github,
    repository: Repository,
    sha: Sha,
    context: Context,
    known: Option<String>,
}

impl<'a> Place<'a> {
    fn new(github: &'a Github, (repository, sha): (Repository, Sha)) -> Self {
        Self { github, repository, sha, context: Context::of_run("ci", "push"), known: None }
    }

    async fn tell(&mut self, report: &Report) -> Result<(), ForgeError> {
        let wanted =
            Wanted { repository: &self.repository, sha: &self.sha, event: None, context: &self.context, report };
        match self.github.report(&wanted, self.known.as_deref()).await? {
            Told::Whole { known } => self.known = known,
            part @ (Told::Part { .. } | Told::Full { .. }) => panic!("it was to be told as a whole: {part:?}"),
        }
        Ok(())
    }
}

fn report(progress: Progress, title: &str) -> Report {
    Report {
        progress,
        title: title.to_owned(),
        summary: "| stage | state |".to_owned(),
        url: "https://ci.example.com/github/acme/widget/runs/1".to_owned(),
        external_id: "01kabcdefghjk".to_owned(),
        buttons: Vec::new(),
        started: Some(Time::from_millis(1_772_357_400_999)),
        ended: Some(Time::from_millis(1_772_357_460_000)),
        annotations: Vec::new(),
    }
}

#[tokio::test]
async fn one_check_goes_through_its_states_and_back() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let mut told = Place::new(&github, widget(&github, &model, &[("a", b"1")]));
    for (progress, title) in [
        (Progress::Queued, "waiting for a node"),
        (Progress::Running, "test: 1 of 3"),
        (Progress::Done(Conclusion::Failure), "unit: exit code 101"),
        (Progress::Running, "again: 1 of 3"),
        (Progress::Done(Conclusion::Success), "3 of 3"),
    ] {
        told.tell(&report(progress, title)).await.expect("it is taken");
    }
    assert_snapshot!(story(&model.writes()), @r"
    created containerops/ci/push queued: waiting for a node
    updated containerops/ci/push in_progress: test: 1 of 3
    updated containerops/ci/push failure: unit: exit code 101
    updated containerops/ci/push in_progress: again: 1 of 3
    updated containerops/ci/push success: 3 of 3
    ");
}

#[tokio::test]
async fn a_check_says_everything_that_a_report_has() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let mut told = Place::new(&github, widget(&github, &model, &[("a", b"1")]));
    told.tell(&report(Progress::Running, "test")).await.expect("it is taken");
    told.tell(&report(Progress::Done(Conclusion::Success), "3 of 3")).await.expect("it is taken");
    let check = model.concluded("containerops/ci/push").await;
    assert_eq!(check.sha, told.sha.as_str());
    assert_eq!(check.summary, "| stage | state |");
    assert_eq!(check.url, "https://ci.example.com/github/acme/widget/runs/1");
    assert_eq!(check.external_id, "01kabcdefghjk");
    let (started, ended) = check.times;
    assert_eq!((started.as_deref(), ended.as_deref()), (Some("2026-03-01T09:30:00Z"), Some("2026-03-01T09:31:00Z")));

    let rerequested = model.rerequested(super::WIDGET, "containerops/ci/push");
    let Ok(containerops::forge::Reading::Rerun(rerun)) = github.read("check_run", &rerequested.body) else {
        panic!("a re-run was asked for")
    };
    assert_eq!((rerun.sha, rerun.external_id.as_deref()), (told.sha, Some("01kabcdefghjk")));
}

#[tokio::test]
async fn every_conclusion_has_its_word_as_a_check() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let mut told = Place::new(&github, widget(&github, &model, &[("a", b"1")]));
    for conclusion in CONCLUSIONS {
        told.tell(&report(Progress::Done(conclusion), "lint and test")).await.expect("it is taken");
    }
    told.tell(&report(Progress::Done(Conclusion::Error), "unit: infrastructure: evicted")).await.expect("it is taken");
    assert_snapshot!(story(&model.writes()), @r"
    created containerops/ci/push success: lint and test
    updated containerops/ci/push neutral: warning: lint and test
    updated containerops/ci/push failure: lint and test
    updated containerops/ci/push timed_out: timed out: lint and test
    updated containerops/ci/push cancelled: cancelled: lint and test
    updated containerops/ci/push skipped: skipped: lint and test
    updated containerops/ci/push failure: infrastructure: lint and test
    updated containerops/ci/push failure: unit: infrastructure: evicted
    ");
}

#[tokio::test]
async fn every_progress_has_its_word_as_a_status() {
    let model = ModelGithub::start().await;
    let github = Github::new(model.settings_with_token()).expect("good settings");
    let mut told = Place::new(&github, widget(&github, &model, &[("a", b"1")]));
    for progress in [Progress::Queued, Progress::Running].into_iter().chain(CONCLUSIONS.map(Progress::Done)) {
        told.tell(&report(progress, "lint and test")).await.expect("it is taken");
    }
    assert_eq!(told.known, None);
    assert_snapshot!(story(&model.writes()), @r"
    status containerops/ci/push pending: lint and test
    status containerops/ci/push pending: lint and test
    status containerops/ci/push success: lint and test
    status containerops/ci/push success: warning: lint and test
    status containerops/ci/push failure: lint and test
    status containerops/ci/push failure: timed out: lint and test
    status containerops/ci/push error: cancelled: lint and test
    status containerops/ci/push success: skipped: lint and test
    status containerops/ci/push error: infrastructure: lint and test
    ");
}

#[tokio::test]
async fn a_status_is_cut_at_140_characters() {
    let model = ModelGithub::start().await;
    let github = Github::new(model.settings_with_token()).expect("good settings");
    let mut told = Place::new(&github, widget(&github, &model, &[("a", b"1")]));
    told.tell(&report(Progress::Done(Conclusion::Skipped), &"ä".repeat(140))).await.expect("it is taken");
    let status = model.concluded("containerops/ci/push").await;
    assert_eq!(status.title, format!("skipped: {}…", "ä".repeat(130)));
}

#[tokio::test]
async fn a_long_summary_is_cut_where_a_line_ends() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let mut told = Place::new(&github, widget(&github, &model, &[("a", b"1")]));
    let mut long = report(Progress::Done(Conclusion::Failure), "unit: exit code 101");
    long.summary = format!("The end of the log:\n````text\n{}````\n", "ä line of the log\n".repeat(5000));
    told.tell(&long).await.expect("it is taken");
    let summary = model.concluded("containerops/ci/push").await.summary;
    assert!((65_000..=65_535).contains(&summary.len()), "{} bytes", summary.len());
    assert_snapshot!(&summary[summary.len() - 140..], @r"
     log
    ä line of the log
    ä line of the log
    ````

    This was cut; [the whole of it is here](https://ci.example.com/github/acme/widget/runs/1).
    ");
}

#[tokio::test]
async fn an_empty_summary_becomes_the_title() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let mut told = Place::new(&github, widget(&github, &model, &[("a", b"1")]));
    told.tell(&Report { summary: String::new(), ..report(Progress::Queued, "waiting") }).await.expect("it is taken");
    assert_eq!(model.writes()[0].summary, "waiting");
}

#[tokio::test]
async fn a_check_that_is_gone_is_made_anew() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let mut told = Place::new(&github, widget(&github, &model, &[("a", b"1")]));
    told.tell(&report(Progress::Running, "test")).await.expect("it is taken");
    model.remove_checks();
    told.tell(&report(Progress::Done(Conclusion::Success), "3 of 3")).await.expect("it is taken");
    assert_snapshot!(story(&model.writes()), @r"
    created containerops/ci/push in_progress: test
    created containerops/ci/push success: 3 of 3
    ");
}

fn annotations(count: usize) -> Vec<Annotation> {
    let one = |line| Annotation {
        path: ".containerops.yml".to_owned(),
        line,
        end_line: 0,
        column: 3,
        length: 4,
        severity: Level::Error,
        title: String::new(),
        message: format!("wrong {line}"),
    };
    (1..=count).map(one).collect()
}

#[tokio::test]
async fn annotations_go_in_calls_of_fifty_and_none_goes_twice() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let (repository, sha) = widget(&github, &model, &[("a", b"1")]);
    for (count, calls) in [(0, 1), (50, 1), (51, 2), (120, 3), (2000, 4)] {
        let context = Context::of_run(&count.to_string(), "push");
        let broken =
            Report { annotations: annotations(count), ..report(Progress::Done(Conclusion::Failure), "broken") };
        let wanted = Wanted { repository: &repository, sha: &sha, event: None, context: &context, report: &broken };
        let (mut known, mut parts) = (None, 0);
        loop {
            parts += 1;
            match github.report(&wanted, known.as_deref()).await.expect("it is taken") {
                Told::Part { known: more } => known = Some(more),
                Told::Whole { known: whole } => break known = whole,
                Told::Full { reason } => panic!("{reason}"),
            }
        }
        assert_eq!(parts, calls, "{count}");
        // told again, and told something else: what GitHub has is not appended again
        github.report(&wanted, known.as_deref()).await.expect("it is taken");
        let check = model.writes().pop().expect("a write");
        let all: Vec<String> = annotations(count.min(200)).into_iter().map(|annotation| annotation.message).collect();
        assert_eq!(check.annotations, all, "{count}");
        let shown = github.shown(&repository, &sha, &[]).await.expect("it is shown").expect("it can be read");
        let shown = shown.into_iter().find(|shown| shown.context == context).expect("it is shown");
        assert!(shown.is(&github.expected(&wanted)), "{shown:?}");
        // GitHub tells how many there are, but not which
        let (known, shown) = (known.expect("it is known"), shown.known.expect("it is known"));
        assert!(known.starts_with(&format!("{shown}/")), "{known} {shown}");
    }
}

#[tokio::test]
async fn what_is_shown_is_what_was_expected_over_more_than_one_page() {
    let model = ModelGithub::start().await;
    for settings in [model.settings(), model.settings_with_token()] {
        let github = Github::new(settings).expect("good settings");
        let (repository, sha) = widget(&github, &model, &[("a", b"1")]);
        let mut expected = Vec::new();
        for n in 0..101 {
            let context = Context::of_action("ci", "push", "test", &format!("{n:03}"));
            let progress = Progress::Done(CONCLUSIONS[n % CONCLUSIONS.len()]);
            let long = Report { summary: "ä line\n".repeat(10_000), ..report(progress, &"long ".repeat(40)) };
            let wanted = Wanted { repository: &repository, sha: &sha, event: None, context: &context, report: &long };
            github.report(&wanted, None).await.expect("it is taken");
            expected.push(github.expected(&wanted));
        }
        let shown = github.shown(&repository, &sha, &[]).await.expect("it is shown").expect("it can be read");
        assert_eq!(shown.len(), 101);
        assert!(shown.iter().zip(&expected).all(|(shown, expected)| shown.is(expected)));
    }
    assert_eq!(model.writes().len(), 202);
}

#[tokio::test]
async fn a_context_that_is_full_says_so_and_is_no_error() {
    let model = ModelGithub::start().await;
    let github = Github::new(model.settings_with_token()).expect("good settings");
    let mut told = Place::new(&github, widget(&github, &model, &[("a", b"1")]));
    let last = report(Progress::Done(Conclusion::Success), "3 of 3");
    told.tell(&last).await.expect("it is taken");
    model.has_statuses(&told.sha, &told.context.0, 1000);
    let wanted =
        Wanted { repository: &told.repository, sha: &told.sha, event: None, context: &told.context, report: &last };
    let answer = github.report(&wanted, None).await.expect("an answer");
    assert!(matches!(&answer, Told::Full { reason } if reason.contains("maximum number")), "{answer:?}");
    model.writes();
}

#[tokio::test]
async fn nobody_reports_nothing() {
    let model = ModelGithub::start().await;
    let mut settings = model.settings();
    settings.credentials = containerops::forge::github::Credentials::None;
    let github = Github::new(settings).expect("good settings");
    let mut told = Place::new(&github, widget(&github, &model, &[("a", b"1")]));
    let error = told.tell(&report(Progress::Queued, "waiting")).await.expect_err("nobody may");
    assert_snapshot!(error, @r"
    github refused (0): reports need an App (CONTAINEROPS_GITHUB_APP_ID and _PRIVATE_KEY_FILE) or CONTAINEROPS_GITHUB_TOKEN
    ");
    assert_eq!(model.calls("").len(), 0);
}
