//! Every death by its name: what the forge shows, whose it is, and whether it is tried again.

use std::time::Duration;

use containerops::{
    agent::protocol::{Cause, HeartbeatAnswer},
    executor::{ContainerEnd, Hopeless, Outside, Why},
    model::{Infrastructure, JobState, Verdict},
};
use insta::assert_snapshot;

use super::{ACTION, RUN, SMALL};
use crate::harness::{
    app::{Tester, WIDGET},
    pods::Fault,
};

/// The engine's patience with an agent that was never heard, and a little more.
const NEVER_CAME: Duration = Duration::from_secs(5 * 60 + 5);
/// The engine's pause before the last attempt.
const RETRY_PAUSE: Duration = Duration::from_secs(30);

/// One action of two jobs.
const PAIR: &str = r#"
stages:
  - name: test
    jobs:
      - {name: a, image: "cc:1", run: make}
      - {name: b, image: "tar:1", run: tar}
"#;

/// How a pod dies for nobody's fault. No kind is without its story.
async fn dies(t: &Tester, kind: Infrastructure) {
    let pods = &t.pods;
    let words = || format!("the words for {kind:?}");
    match kind {
        Infrastructure::ImagePull
        | Infrastructure::Unschedulable
        | Infrastructure::NotStarted
        | Infrastructure::AgentImage => {
            let why = Why::Infrastructure(kind, words());
            pods.waits("test.test", "", Some(Hopeless::all(why)));
        }
        Infrastructure::Evicted
        | Infrastructure::NodeMemory
        | Infrastructure::NodeDisk
        | Infrastructure::Preempted
        | Infrastructure::NodeLost
        | Infrastructure::Executor => {
            t.claims("test").await;
            pods.dies("test.test", kind, &words());
        }
        Infrastructure::Quota => {}
        Infrastructure::AgentAbsent => t.passes(NEVER_CAME).await,
        Infrastructure::AgentKilled => pods.ends_silently("test.test", 137),
        Infrastructure::AgentLost => pods.ends_silently("test.test", 0),
        Infrastructure::Deleted => pods.vanishes("test.test"),
        Infrastructure::Source => {
            t.claims("test").await.ends(Cause::NotPrepared { message: words() }).await;
        }
    }
    t.settle().await;
}

#[tokio::test]
async fn nobodys_death_is_tried_again_by_its_name() {
    let mut told = String::new();
    for kind in Infrastructure::ALL.into_iter().filter(|kind| *kind != Infrastructure::Quota) {
        let t = Tester::start().await;
        let sha = t.push("main", SMALL).await;
        dies(&t, kind).await;
        let attempts = t.attempts().await;
        let first = attempts.lines().next().expect("an attempt");
        assert!(first.contains(&format!("infrastructure: {}: ", kind.as_str())), "{first}");
        told += &format!("{}\n", first.trim_start_matches("test/test 1: infrastructure: "));
        t.run_the_job("test", 0).await;
        assert!(t.checks(&sha).lines().all(|line| line.starts_with("success ")), "{kind:?}: {}", t.checks(&sha));
    }
    assert_snapshot!(told, @r"
    not scheduled: the words for Unschedulable (0 bytes)
    image not pulled: the words for ImagePull (0 bytes)
    pod not started: the words for NotStarted (0 bytes)
    agent not installed: the words for AgentImage (0 bytes)
    agent never came: its container runs, and no agent has asked for work within 5 min 0 s (0 bytes)
    agent killed: signal 9 ended it from outside, with all that it had started (0 bytes)
    agent lost: the container ended with code 0 (Error) without the agent's end record (0 bytes)
    source not prepared: the words for Source (0 bytes)
    evicted: the words for Evicted (0 bytes)
    node out of memory: the words for NodeMemory (0 bytes)
    node out of disk: the words for NodeDisk (0 bytes)
    preempted: the words for Preempted (0 bytes)
    node lost: the words for NodeLost (0 bytes)
    pod deleted: nothing is left of it on the executor (0 bytes)
    executor failed: the words for Executor (0 bytes)
    ");
}

#[tokio::test]
async fn the_authors_deaths_are_final_and_say_what_to_do() {
    let (image, message) = ("cc:1".to_owned(), "the registry's words".to_owned());
    let hopeless = [
        Why::ImageNotFound { image: image.clone(), message: message.clone() },
        Why::ImageDenied { image: image.clone(), message: message.clone() },
        Why::ImageInvalid { image, message },
        Why::CannotStart { message: "no such user".to_owned() },
    ];
    let mut told = String::new();
    for why in hopeless {
        let t = Tester::start().await;
        let sha = t.push("main", SMALL).await;
        t.pods.waits("test.test", "", Some(Hopeless::all(why)));
        told += &final_check(&t, &sha).await;
    }
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.pods.is_taken("test.test", Outside::OutOfDisk("Usage of EmptyDir volume exceeds the limit".to_owned()));
    told += &final_check(&t, &sha).await;
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let limited = |end| ContainerEnd { oom_killed: true, memory_limit: Some(64 << 20), exit_code: Some(137), ..end };
    t.pods.ends_as("test.test", limited);
    told += &final_check(&t, &sha).await;
    assert_snapshot!(told, @r"
    failure failure in test/test: image cc:1 not found: the registry's words
        What to do: check the image's name and tag.
    failure failure in test/test: image cc:1 denied: the registry's words
        What to do: check the image's name; if it is private, set the secret `DOCKER_AUTH_CONFIG` of the repository or its owner: a Docker configuration with credentials for its registry.
    failure failure in test/test: image cc:1 invalid: the registry's words
        What to do: write the image as `registry/repository:tag`, in lower case.
    failure failure in test/test: cannot start: no such user
        -
    failure failure in test/test: out of disk: Usage of EmptyDir volume exceeds the limit
        What to do: write less, or ask the operator for a larger workspace.
    failure failure in test/test: out of memory (limit 64 MiB)
        What to do: raise the job's `resources: {limits: {memory: …}}`, or let it need less.
    ");
}

/// What a run's check shows once it is over after its only attempt: its title, and what to do.
async fn final_check(t: &Tester, sha: &containerops::model::Sha) -> String {
    t.settle().await;
    t.later(RETRY_PAUSE).await;
    assert_eq!(t.attempts().await.lines().count(), 1, "it is not tried again");
    let check = t.check(sha, RUN);
    let advice = check.summary.lines().find(|line| line.starts_with("What to do")).unwrap_or("-").to_owned();
    format!("{} {}\n    {advice}\n", check.state, check.title)
}

#[tokio::test]
async fn while_it_is_tried_again_the_check_says_so_and_each_attempt_stays() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await.says("half of it\n").await;
    drop(agent);
    t.pods.dies("test.test", Infrastructure::Evicted, "low on memory");
    t.settle().await;
    t.pods.waits("test.test", "pulling image \"cc:1\"", None);
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @r#"
    in_progress containerops/ci/push: Running: 0 of 1 actions have ended; test/test: infrastructure, attempt 2 of 3
    queued containerops/ci/push/test/test: Waiting: infrastructure, attempt 2 of 3: pulling image "cc:1"
    "#);
    t.pods.runs("test.test");
    let _agent = t.claims("test").await.says("again\n").await;
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @r"
    in_progress containerops/ci/push: Running: 0 of 1 actions have ended; test/test: infrastructure, attempt 2 of 3
    in_progress containerops/ci/push/test/test: Running: infrastructure, attempt 2 of 3
    ");
    t.pods.dies("test.test", Infrastructure::NodeLost, "node-1 is gone");
    t.settle().await;
    t.later(RETRY_PAUSE).await;
    t.claims("test").await.says("at last\n").await.exits(0).await;
    assert_snapshot!(t.check(&sha, ACTION).summary, @r"
    | Job | State | Duration |
    | --- | --- | --- |
    | [test](https://ci.example.com/github/acme/widget/runs/1/test/test/test) | success | 5 s |

    Attempt 1: infrastructure: evicted: low on memory ([log](https://ci.example.com/github/acme/widget/runs/1/test/test/test?attempt=1))

    Attempt 2: infrastructure: node lost: node-1 is gone ([log](https://ci.example.com/github/acme/widget/runs/1/test/test/test?attempt=2))
    ");
    let page = t.page("/github/acme/widget/runs/1").await;
    assert!(page.contains(">1</a> (infrastructure: evicted: low on memory)"), "{page}");
    let run = t.newest_run().await.id;
    let api: serde_json::Value = serde_json::from_str(&t.page(&format!("/api/v1/runs/{run}")).await).expect("JSON");
    let attempts = api["stages"][0]["actions"][0]["attempts"].as_array().expect("all attempts").clone();
    let words: Vec<_> = attempts.iter().map(|attempt| attempt["jobs"][0]["words"].as_str().unwrap_or("-")).collect();
    let lost = "infrastructure: node lost: node-1 is gone";
    assert_eq!(words, ["infrastructure: evicted: low on memory", lost, "success"]);
    assert_snapshot!(t.logs().await, @r"
    half of it
    again
    at last
    ");
}

#[tokio::test]
async fn a_quota_is_waited_for_and_then_named() {
    let t = Tester::start().await;
    (0..3).for_each(|_| t.pods.fail_next(Fault::NoRoom));
    let sha = t.commit("main", SMALL);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.drain().await;
    assert_snapshot!(t.checks(&sha), @r"
    queued containerops/ci/push: Waiting: exceeded quota: mine
    queued containerops/ci/push/test/test: Waiting: exceeded quota: mine
    ");
    t.later(Duration::from_secs(3601)).await;
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: quota exceeded: exceeded quota: mine (0 bytes)
    test/test 2: waiting (0 bytes)
    ");
    t.settle().await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
}

#[tokio::test]
async fn an_agent_that_never_comes_is_missed_but_not_because_we_were_away() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.clock.advance(NEVER_CAME);
    t.restart().await;
    t.settle().await;
    assert_snapshot!(t.attempts().await, @"test/test 1: waiting (0 bytes)");
    for _ in 0..3 {
        t.settle().await;
        t.passes(NEVER_CAME).await;
        t.later(RETRY_PAUSE).await;
    }
    let check = t.check(&sha, RUN);
    assert_snapshot!(check.title, @"infrastructure: test/test: all 3 attempts failed: agent never came: its container runs, and no agent has asked for work within 5 min 0 s");
    assert!(check.summary.contains("CONTAINEROPS_AGENT_URL"), "{}", check.summary);
}

#[tokio::test]
async fn an_agent_is_missed_only_when_it_is_its_turn() {
    let t = Tester::start().await;
    t.push("main", PAIR).await;
    let first = t.claims("test.test.a").await;
    t.passes(NEVER_CAME).await;
    first.exits(0).await;
    t.passes(NEVER_CAME).await;
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: success (0 bytes) infrastructure: agent never came: its container runs, and no agent has asked for work within 5 min 0 s (0 bytes)
    test/test 2: waiting (0 bytes) waiting (0 bytes)
    ");
    t.read_writes();
}

#[tokio::test]
async fn a_container_that_is_killed_beside_others_is_seen_at_once() {
    let t = Tester::start().await;
    t.push("main", PAIR).await;
    let _killed = t.claims("test.test.a").await.says("working\n").await;
    t.pods.loses("test.test", 0, 137);
    t.settle().await;
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: agent killed: signal 9 ended it from outside, with all that it had started (8 bytes) skipped: job `a`: infrastructure: agent killed: signal 9 ended it from outside, with all that it had started (0 bytes)
    test/test 2: waiting (0 bytes) waiting (0 bytes)
    ");
    t.read_writes();
}

#[tokio::test]
async fn what_an_action_waited_for_is_not_said_once_it_is_there() {
    let t = Tester::start().await;
    let sha = t.push("main", PAIR).await;
    let _first = t.claims("test.test.a").await;
    t.pods.waits("test.test", "pulling image \"tar:1\"", None);
    t.settle().await;
    assert_eq!(t.check(&sha, ACTION).title, "Running: pulling image \"tar:1\"");
    t.pods.runs("test.test");
    t.settle().await;
    assert_eq!(t.check(&sha, ACTION).title, "Running");
}

#[tokio::test]
async fn a_job_is_not_called_by_another_jobs_mistake() {
    let t = Tester::start().await;
    let sha = t.push("main", PAIR).await;
    let _first = t.claims("test.test.a").await;
    let why = Why::ImageNotFound { image: "tar:1".to_owned(), message: "manifest unknown".to_owned() };
    t.pods.waits("test.test", "", Some(Hopeless { job: Some(t.pods.job("test.test", 1)), why }));
    t.settle().await;
    assert_snapshot!(t.attempts().await, @"test/test 1: cancelled by another job of the action: image tar:1 not found: manifest unknown (0 bytes) image tar:1 not found: manifest unknown (0 bytes)");
    assert_eq!(t.check(&sha, RUN).title, "failure in test/test: job `b`: image tar:1 not found: manifest unknown");
}

#[tokio::test]
async fn who_ended_a_pod_is_told_by_the_cluster_and_not_by_its_agent() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    agent.ends(Cause::Terminated).await;
    let run = t.newest_run().await.id;
    let mut tx = t.app().engine.store.read().await.expect("the database is there");
    let action = tx.actions(run).await.expect("actions").remove(0);
    let attempt = tx.newest_attempt(action.id).await.expect("the database is there").expect("an attempt");
    let job = tx.jobs(attempt.id).await.expect("jobs").remove(0);
    assert_eq!(job.state.0, JobState::Running, "the cluster has the word");
    drop(tx);
    t.pods.dies("test.test", Infrastructure::Preempted, "for a more important pod");
    t.settle().await;
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: preempted: for a more important pod (0 bytes)
    test/test 2: waiting (0 bytes)
    ");
    assert_eq!(t.check(&sha, RUN).state, "in_progress");
}

#[tokio::test]
async fn a_run_that_another_supersedes_says_which() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    t.cancel("run #2, which supersedes it").await;
    let HeartbeatAnswer::Cancel { by } = agent.hears().await else { panic!("it is to stop") };
    agent.ends(Cause::Cancelled { by }).await;
    assert_snapshot!(t.checks(&sha), @r"
    cancelled containerops/ci/push: cancelled by run #2, which supersedes it
    cancelled containerops/ci/push/test/test: cancelled by run #2, which supersedes it
    ");
}

#[test]
fn no_two_deaths_have_one_name() {
    let names = Infrastructure::ALL.map(Infrastructure::as_str);
    let distinct: std::collections::BTreeSet<_> = names.into_iter().collect();
    assert_eq!(distinct.len(), names.len());
    for kind in Infrastructure::ALL {
        let words = Verdict::Infrastructure { kind, message: "words".to_owned() }.to_string();
        assert_eq!(words, format!("infrastructure: {}: words", kind.as_str()));
    }
}
