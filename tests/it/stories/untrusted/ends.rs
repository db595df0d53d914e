//! What waits for approval does not wait for ever.

use std::time::Duration;

use insta::assert_snapshot;

use super::{DONE, EVIL, FORK, RUN};
use crate::{
    harness::app::{Tester, WIDGET},
    stories::SMALL,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Tester {
    async fn pull_request_is(&self, number: u64, action: &str) -> String {
        self.deliver(self.github.pull_request(WIDGET, number, action)).await;
        self.settle().await;
        self.last().await.replace(&format!("#{number} "), "#N ")
    }
}

#[tokio::test]
async fn what_waits_ends_with_its_pull_request_and_what_was_approved_goes_on() {
    let t = Tester::start().await;
    let (number, sha) = t.fork_opens(SMALL).await;
    assert_eq!(
        t.pull_request_is(number, "closed").await,
        "pull_request: obeyed: pull request #N was closed: #1 waits no longer"
    );
    let reason = t.newest_run().await.reason;
    assert_eq!(reason, format!("cancelled by mallory, who closed pull request #{number}"));
    assert!(
        t.checks(&sha).starts_with("cancelled containerops/ci/pr: cancelled by mallory, who closed"),
        "{}",
        t.checks(&sha)
    );
    let late = t.says(number, "ada", &format!("/approve {sha}")).await;
    assert!(late.contains("nothing of this run waits for approval"), "{late}");
    assert!(
        t.pull_request_is(number, "closed").await.ends_with("pull request #N was closed, and nothing of it waited")
    );

    // opened again it waits anew, whoever merges it ends that, and what was approved is left alone
    assert_eq!(t.pull_request_is(number, "reopened").await, "pull_request: started 1");
    assert!(t.newest_run().await.reason.starts_with("waits for approval"));
    assert!(t.pull_request_is(number, "merged").await.contains("pull request #N was merged: #2 waits no longer"));
    t.pull_request_is(number, "reopened").await;
    assert!(t.pods.placed().is_empty(), "nothing was ever placed");
    assert_eq!(t.says(number, "ada", &format!("/approve {sha}")).await.lines().last(), DONE.first().copied());
    assert!(t.pull_request_is(number, "merged").await.ends_with("and nothing of it waited"));
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.runs().await.replace(&format!("#{number}\n"), "#N\n"), @r"
    #1 pull_request cancelled: cancelled by mallory, who closed pull request #N
    #2 pull_request cancelled: cancelled by mallory, who merged pull request #N
    #3 pull_request success
    ");
    t.checks(&sha);
}

#[tokio::test]
async fn what_is_told_of_after_the_end_of_its_pull_request_does_not_wait() {
    let t = Tester::start().await;
    t.commit("main", SMALL);
    let sha = t.github.commit(FORK, "fix", &[(".containerops.yml", EVIL.as_bytes())]);
    let number = t.github.open_pull_request(WIDGET, "main", FORK, "fix");
    t.push("main", &format!("{SMALL}\n")).await;
    // GitHub is away when it is asked about the new one, and there again when it is closed
    t.github.fail_next(1, 502);
    t.deliver(t.github.pull_request(WIDGET, number, "opened")).await;
    t.drain().await;
    assert!(t.last().await.contains("github is away"), "{}", t.last().await);
    t.deliver(t.github.pull_request(WIDGET, number, "closed")).await;
    t.passes(Duration::from_secs(60)).await;
    let reason = t.newest_run().await.reason;
    assert_eq!(reason, "cancelled by the end of its pull request, which was told of before");
    assert!(!t.pods.placed().iter().any(|placed| placed.contains("mine")), "nothing of it was placed");
    t.checks(&sha);
}

#[tokio::test]
async fn what_nobody_has_approved_for_a_month_ends_and_a_re_run_of_it_waits_anew() {
    let t = Tester::start().await;
    let (number, sha) = t.fork_opens(SMALL).await;
    let until = "2026-03-31 12:00 UTC";
    assert!(t.check(&sha, RUN).summary.contains("It waits until 2026-03-31 12:00"), "{}", t.check(&sha, RUN).summary);
    assert!(t.page_of(1).await.contains(until), "{}", t.page_of(1).await);
    t.later(DAY * 29).await;
    assert!(t.newest_run().await.reason.starts_with("waits for approval"));
    t.restart().await;
    t.later(DAY).await;
    assert_eq!(t.newest_run().await.reason, "cancelled by the server: nobody has approved it within 30 days");
    assert!(t.check(&sha, RUN).title.contains("nobody has approved it within 30 days"), "{}", t.check(&sha, RUN).title);
    t.runs_again(t.newest_run().await.id).await;
    t.settle().await;
    assert!(t.newest_run().await.reason.starts_with("waits for approval"), "{}", t.runs().await);
    let approved = t.says(number, "ada", &format!("/approve {sha}")).await;
    assert_eq!(approved, DONE.join("\n"));
    t.run_the_job("test", 0).await;
    t.checks(&sha);
}

#[tokio::test]
async fn a_re_run_goes_by_the_rule_that_holds_now() {
    let t = Tester::with_rule("always").await;
    let (number, sha) = t.fork_opens(SMALL).await;
    t.run_the_job("test", 0).await;
    t.set_up("untrusted = \"approval\"\n").await;
    t.runs_again(t.newest_run().await.id).await;
    t.settle().await;
    assert!(t.newest_run().await.reason.starts_with("waits for approval"), "what the rule let go does no longer");
    assert_eq!(t.says(number, "ada", &format!("/approve {sha}")).await, DONE.join("\n"));
    t.run_the_job("test", 0).await;
    t.set_up("untrusted = \"never\"\n").await;
    t.runs_again(t.newest_run().await.id).await;
    t.settle().await;
    let refused = t.says(number, "ada", &format!("/approve {sha}")).await;
    assert!(refused.contains("the rule here is that such code is never run"), "{refused}");
    assert!(t.pods.placed().is_empty() && t.newest_run().await.number == 3);
    t.checks(&sha);
}
