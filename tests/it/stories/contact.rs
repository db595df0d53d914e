//! Agents that fall silent: told, waited for, and given up only when there is nobody left to wait for.

use std::time::Duration;

use containerops::{
    agent::protocol::{Cause, HeartbeatAnswer},
    model::Infrastructure,
};
use insta::assert_snapshot;

use super::{ACTION, SMALL};
use crate::harness::{agent::Agent, app::Tester};

/// Longer than silence may last unmentioned.
const TWO_MINUTES: Duration = Duration::from_secs(120);
/// Longer than an agent may be silent by the stories' settings.
const TOO_LONG: Duration = Duration::from_secs(16 * 60);

#[tokio::test]
async fn silence_is_told_and_what_was_told_goes_when_the_agent_speaks() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await.says("half\n").await;
    t.passes(TWO_MINUTES).await;
    let lost = t.checks(&sha);
    assert_snapshot!(lost, @r"
    in_progress containerops/ci/push: Running: 0 of 1 actions have ended; test/test: no contact with the agent since 2026-03-01 12:00 UTC; its pod still runs, by the executor's …
    in_progress containerops/ci/push/test/test: Running: no contact with the agent since 2026-03-01 12:00 UTC; its pod still runs, by the executor's account
    ");
    t.read_writes();
    t.passes(TWO_MINUTES).await;
    assert_eq!((t.checks(&sha), t.read_writes()), (lost, 0), "the same for as long as it is true");
    let agent = agent.says("all of it\n").await;
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @r"
    in_progress containerops/ci/push: Running: 0 of 1 actions have ended
    in_progress containerops/ci/push/test/test: Running
    ");
    agent.exits(0).await;
    assert_snapshot!(t.check(&sha, ACTION).title, @"success in 4 min 7 s");
    let page = t.page("/github/acme/widget/runs/1/test/test/test").await;
    let told = page.lines().find(|line| line.contains("Contact")).expect("the attempt's page keeps it");
    assert_snapshot!(told, @r#"<p class="sub silence">Contact with the agent was lost from <time datetime="2026-03-01T12:00:03.000Z" title="2026-03-01 12:00 UTC">2026-03-01 12:00 UTC</time> to <time datetime="2026-03-01T12:04:03.000Z" title="2026-03-01 12:04 UTC">2026-03-01 12:04 UTC</time>.</p>"#);
}

#[tokio::test]
async fn an_agent_that_speaks_is_never_silent_however_long_it_takes() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    for _ in 0..20 {
        assert_eq!(agent.hears().await, HeartbeatAnswer::GoOn);
        t.passes(Duration::from_secs(60)).await;
    }
    assert_eq!(t.check(&sha, ACTION).title, "Running");
}

#[tokio::test]
async fn an_agent_that_stays_silent_is_given_up_and_its_later_words_change_nothing() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let first = t.claims("test").await.says("half, \n").await;
    t.passes(TOO_LONG).await;
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: agent lost: no word since 2026-03-01 12:00 UTC though its pod runs: it hangs, or is cut off (7 bytes)
    test/test 2: waiting (0 bytes)
    ");
    let second = t.claims("test").await.says("again\n").await;
    let by = "the server: the job is over".to_owned();
    assert_eq!(first.hears().await, HeartbeatAnswer::Cancel { by: by.clone() });
    let first = first.says("and half\n").await.writes(&[("VERSION", "from a lost attempt")]).await;
    first.reports(&first.record(Cause::Exit { code: 0 })).await;
    t.settle().await;
    assert_eq!(t.check(&sha, ACTION).state, "in_progress", "{}", t.attempts().await);
    second.exits(0).await;
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: agent lost: no word since 2026-03-01 12:00 UTC though its pod runs: it hangs, or is cut off (7 bytes)
    test/test 2: success (6 bytes)
    ");
    assert_eq!(t.pods.most_placed(), 1);
    t.read_writes();
}

#[tokio::test]
async fn nobody_is_judged_by_the_time_in_which_we_were_away() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    for away in [Duration::from_secs(1800), Duration::from_secs(3600)] {
        t.clock.advance(away);
        t.restart().await;
        t.passes(Duration::from_secs(60)).await;
        assert_eq!(t.check(&t.newest_run().await.sha, ACTION).title, "Running", "it had no time to speak yet");
        assert_eq!(agent.hears().await, HeartbeatAnswer::GoOn);
    }
    // the whole machine slept, and the process with it
    t.later(Duration::from_secs(3600)).await;
    assert_eq!(t.check(&t.newest_run().await.sha, ACTION).title, "Running");
    agent.exits(0).await;
    t.read_writes();
}

#[tokio::test]
async fn silence_alone_ends_nothing_while_the_cluster_cannot_be_asked() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    t.pods.away();
    t.passes(TOO_LONG).await;
    assert_eq!(t.check(&sha, ACTION).title, "Running", "{}", t.attempts().await);
    t.pods.back();
    agent.exits(0).await;
    assert_snapshot!(t.attempts().await, @"test/test 1: success (0 bytes)");
    t.read_writes();
}

#[tokio::test]
async fn an_agent_that_waits_for_its_turn_and_is_gone_when_it_comes_is_missed() {
    let t = Tester::start().await;
    let flow = r#"
stages:
  - name: test
    actions:
      - name: test
        jobs: [{name: one, image: "cc:1", run: one}, {name: two, image: "cc:1", run: two}]
"#;
    t.push("main", flow).await;
    let one = t.claims("test.test.one").await;
    assert!(Agent::waits(&t, "test.test.two").await, "its turn has not come");
    one.exits(0).await;
    t.passes(TOO_LONG).await;
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: success (0 bytes) infrastructure: agent lost: no word since 2026-03-01 12:00 UTC though its pod runs: it hangs, or is cut off (0 bytes)
    test/test 2: waiting (0 bytes) waiting (0 bytes)
    ");
    t.read_writes();
}

#[tokio::test]
async fn a_pod_that_died_is_not_called_silent() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let _silent = t.claims("test").await;
    t.passes(TWO_MINUTES).await;
    t.pods.dies("test.test", Infrastructure::NodeLost, "node-1 is gone");
    t.settle().await;
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: node lost: node-1 is gone (0 bytes)
    test/test 2: waiting (0 bytes)
    ");
    t.read_writes();
}

#[tokio::test]
async fn the_next_attempt_begins_when_nothing_is_left_of_the_one_before() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let _silent = t.claims("test").await;
    t.pods.hold();
    t.pods.dies("test.test", Infrastructure::NodeLost, "node-1 is gone");
    t.settle().await;
    assert_eq!(t.pods.placed(), ["test.test"], "the one before may still run");
    t.pods.release();
    t.settle().await;
    assert_eq!(t.pods.placed(), ["test.test"]);
    let _second = t.claims("test").await;
    t.pods.hold();
    t.pods.dies("test.test", Infrastructure::NodeLost, "node-1 is gone again");
    t.settle().await;
    t.later(Duration::from_secs(40)).await;
    assert_eq!(t.pods.placed(), ["test.test", "test.test"], "nobody can confirm it, and the run must end");
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: node lost: node-1 is gone (0 bytes)
    test/test 2: infrastructure: node lost: node-1 is gone again (0 bytes)
    test/test 3: waiting (0 bytes)
    ");
    t.read_writes();
}

#[tokio::test]
async fn eight_days_with_five_restarts_are_one_run_with_one_attempt() {
    const HOUR: Duration = Duration::from_secs(3600);
    let t = Tester::start().await;
    t.set_up("job_timeout = 240\nrun_timeout = 480").await;
    let sha = t.push("main", &SMALL.replace("}]", ", timeout: 9d}]")).await;
    let mut agent = t.claims("test").await;
    assert_eq!(agent.work.timeout, 9 * 24 * HOUR);
    for day in 0..8 {
        for hour in 0..23 {
            t.later(HOUR).await;
            agent = agent.says(&format!("day {day}, hour {hour}\n")).await;
            assert_eq!(agent.hears().await, HeartbeatAnswer::GoOn);
        }
        if day % 2 == 1 || day == 4 {
            t.clock.advance(HOUR);
            t.restart().await;
            agent.claims_again().await;
        } else {
            t.later(HOUR).await;
        }
    }
    agent.exits(0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 192 h 0 min
    success containerops/ci/push/test/test: success in 192 h 0 min
    ");
    assert_snapshot!(t.attempts().await, @"test/test 1: success (2680 bytes)");
    assert_eq!(t.logs().await.lines().count(), 8 * 23);
    assert_eq!(t.pods.most_placed(), 1);
    t.read_writes();
}
