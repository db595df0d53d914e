//! The page of a run, small and large.

use std::fmt::Write as _;

use containerops::{
    model::{ActionId, ActionState, AttemptId, AttemptState, Conclusion, JobId, JobState, RunState, Time, Verdict},
    store::{NewJob, RunRow, Tail, Tx},
};

use super::{RUN, SMALL, holds};
use crate::harness::app::Tester;

/// As many actions of one job each in each of as many stages.
fn flow(stages: usize, actions: usize) -> String {
    let mut flow = "stages:\n".to_owned();
    for stage in 0..stages {
        let _ = writeln!(flow, "  - name: stage-{stage}\n    sequencing: parallel\n    actions:");
        for action in 0..actions {
            let _ = writeln!(flow, "      - {{name: integration-{action}, image: \"rust:1.95\", run: make}}");
        }
    }
    flow
}

/// The pod that it has, or one.
async fn attempt_of(tx: &mut Tx, action: ActionId, now: Time) -> (AttemptId, JobId) {
    if let Some(attempt) = tx.newest_attempt(action).await.expect("rows") {
        return (attempt.id, tx.jobs(attempt.id).await.expect("rows")[0].id);
    }
    let (attempt, job) = (AttemptId::mint(now), JobId::mint(now));
    let new = [NewJob { id: job, token_hash: job.to_string(), service_after: None }];
    tx.insert_attempt(action, attempt, "test", &new, now).await.expect("a row");
    tx.set_action_state(action, &ActionState::Queued, "", now).await.expect("a row");
    (attempt, job)
}

/// Ends all that a run has as a pod of each would have ended it.
async fn end(tx: &mut Tx, run: &RunRow, now: Time, verdict: impl Fn(usize) -> Verdict) {
    for (at, action) in tx.actions(run.id).await.expect("rows").into_iter().enumerate() {
        let (attempt, job) = attempt_of(tx, action.id, now).await;
        tx.set_job_state(job, &JobState::Running, now).await.expect("a row");
        tx.set_action_state(action.id, &ActionState::Running, "", now).await.expect("a row");
        let verdict = verdict(at);
        let conclusion = verdict.conclusion();
        if conclusion != Conclusion::Success {
            let lines = (0..30).map(|n| format!("line {n} of what it said before it failed, at some length")).collect();
            tx.keep_tail(job, &Tail { line: 1, lines }).await.expect("a row");
        }
        let later = now.after(std::time::Duration::from_secs(61));
        tx.set_job_state(job, &JobState::Ended(verdict), later).await.expect("a row");
        tx.set_attempt_state(attempt, &AttemptState::Ended, later).await.expect("a row");
        tx.set_action_state(action.id, &ActionState::Ended(conclusion), "", later).await.expect("a row");
    }
    tx.set_run_state(run.id, &RunState::Running, "", now).await.expect("a row");
    tx.set_run_state(run.id, &RunState::Ended(Conclusion::Failure), "", now).await.expect("a row");
}

async fn ended(flow: &str, verdict: impl Fn(usize) -> Verdict) -> Tester {
    let t = Tester::start().await;
    t.push("main", flow).await;
    let run = t.newest_run().await;
    let mut tx = t.app().engine.store.write().await.expect("the database");
    end(&mut tx, &run, t.clock.now(), verdict).await;
    tx.commit().await.expect("it is kept");
    t
}

#[tokio::test]
async fn a_run_of_three_hundred_jobs_is_a_small_page() {
    let red = |at: usize| if at % 100 == 7 { Verdict::Exit { code: 2 } } else { Verdict::Success { warning: None } };
    let t = ended(&flow(10, 30), red).await;
    let page = t.page(RUN).await;
    assert!(page.len() < 100_000, "{} bytes", page.len());
    assert_eq!(page.matches("name=\"action\" value=").count(), 300, "each can be run again");
    holds(&page, &["id=\"a9-29\"", "line 29 of what it said", "<b class=\"mk failure\">exit code 2</b>", "1 min 1 s"]);
    // and if nothing went well: the logs have what there is no room for
    let t = ended(&flow(10, 30), |_| Verdict::Exit { code: 2 }).await;
    let page = t.page(RUN).await;
    assert!(page.len() < 100_000, "{} bytes", page.len());
    assert!(page.matches("<pre class=\"tail\"").count() > 5, "the first of them say why");
    assert_eq!(page.matches("failure\">exit code 2</b>").count(), 300);
}

#[tokio::test]
async fn the_last_lines_have_no_marks_of_folds() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let said = "::group::Fetch\nfetched\n::endgroup::\ntravis_fold:start:build\r\x1b[0KBuilding\ntravis_time:start:0a1b\r\x1b[0K\n\
                built\ntravis_fold:end:build\r\x1b[0K\n##[group]Deploy <b>\nsection_start:1560896352:my_section\r\x1b[0KHeader\n\
                it broke\nsection_end:1560896353:my_section\r\x1b[0K\n##[endgroup]\n";
    t.claims("test").await.says(said).await.exits(2).await;
    let page = t.page(RUN).await;
    let tail = page.split_once("<pre class=\"tail\"").expect("a tail").1.split_once("</pre>").expect("an end").0;
    insta::assert_snapshot!(tail, @r#"
     tabindex="0" aria-label="Last lines of test">▸ Fetch
    fetched
    Building

    built

    ▸ Deploy &lt;b&gt;
    Header
    it broke
    "#);
}
