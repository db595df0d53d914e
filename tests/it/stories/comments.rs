//! People tell us to do something in comments: who may, what comes of it, and what is said back.

use std::time::Duration;

use containerops::model::Sha;
use insta::assert_snapshot;

use super::SMALL;
use crate::harness::app::{Tester, WIDGET};

const SHIP: &str = "
stages:
  - {name: test, image: alpine, run: ./test.sh}
  - {name: approve, type: pause, approval: {by: [maintainers, grace], note: Ship it?}}
  - {name: ship, image: alpine, run: ./ship.sh}
";
/// What a comment of the fixture is answered with if all went well.
const DONE: [&str; 1] = ["comment 2740031874: +1"];
const NOTHING: [&str; 0] = [];

impl Tester {
    /// A pull request with this flow.
    async fn opens(&self, flow: &str) -> (u64, Sha) {
        self.commit("main", SMALL);
        let sha = self.commit("fix", flow);
        let number = self.github.open_pull_request(WIDGET, "main", WIDGET, "fix");
        self.deliver(self.github.pull_request(WIDGET, number, "opened")).await;
        self.settle().await;
        (number, sha)
    }

    /// Someone writes a comment below it. What we say back.
    async fn comment(&self, number: u64, login: &str, text: &str) -> Vec<String> {
        self.deliver(self.github.comment_on_pull(WIDGET, number, login, text)).await;
        self.settle().await;
        self.github.answers()
    }

    /// A test that is about comments looks at the checks once.
    fn looks_at_the_checks(&self, sha: &Sha) {
        assert!(!self.checks(sha).is_empty());
    }

    async fn last_delivery(&self) -> String {
        self.deliveries().await.lines().last().unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn a_maintainer_approves_what_waits_by_a_comment() {
    let t = Tester::start().await;
    t.github.allows("ada", "maintain");
    let (number, sha) = t.opens(SHIP).await;
    t.run_the_job("test", 0).await;
    assert_eq!(t.comment(number, "ada", "Fine!\r\n\r\n/approve ships today\r\n").await, DONE);
    assert_snapshot!(t.last_delivery().await, @"issue_comment: obeyed: ada approved `approve` of #1");
    t.run_the_job("ship", 0).await;
    let summary = t.check(&sha, "containerops/ci/pr").summary;
    assert!(summary.contains("approved by ada (by a comment)") && summary.contains("ships today"), "{summary}");
    assert_snapshot!(t.runs().await, @"#1 pull_request success");

    // the same once more changes nothing, and the other way round is too late
    assert_eq!(t.comment(number, "ada", "/approve").await, DONE);
    let late = t.comment(number, "ada", "/reject").await;
    assert_snapshot!(late.join("\n"), @"3: `/reject`: stage `approve` was approved by ada (by a comment) already");
    t.looks_at_the_checks(&sha);
}

#[tokio::test]
async fn only_whom_the_flow_names_may_answer_and_strangers_are_not_even_answered() {
    let t = Tester::start().await;
    for (login, role) in [("bob", "write"), ("eve", "read"), ("Grace", "read")] {
        t.github.allows(login, role);
    }
    let (number, sha) = t.opens(SHIP).await;
    t.run_the_job("test", 0).await;
    let told = t.comment(number, "bob", "/approve").await;
    assert_snapshot!(told.join("\n"), @"3: `/approve`: bob is not among those who may answer: maintainers or grace");
    for stranger in ["eve", "mallory"] {
        assert_eq!(t.comment(number, stranger, "/approve\n/cancel\n/retest").await, NOTHING);
    }
    assert_snapshot!(t.last_delivery().await, @"issue_comment: nothing: `/approve`: mallory is not among those who may answer: maintainers or grace; `/cancel`: mallory may not write to this repository; `/retest`: mallory may not write to this repository");
    assert!(t.runs().await.starts_with("#1 pull_request running: waits for approval"), "{}", t.runs().await);
    // the case of a login means nothing on GitHub
    assert_eq!(t.comment(number, "Grace", "/reject approve not on a Friday").await, DONE);
    assert_snapshot!(t.runs().await, @"#1 pull_request failure: rejected by Grace (by a comment): not on a Friday");
    t.looks_at_the_checks(&sha);
}

#[tokio::test]
async fn an_approval_may_name_the_code_that_was_looked_at() {
    let t = Tester::start().await;
    t.github.allows("ada", "admin");
    let (number, sha) = t.opens(SHIP).await;
    t.run_the_job("test", 0).await;
    let told = t.comment(number, "ada", "/approve 0123456789abcdef").await;
    assert_eq!(
        told,
        [format!("3: `/approve`: the newest code here is {}, not 0123456789abcdef: look at it first", sha.short())]
    );
    assert_eq!(t.comment(number, "ada", &format!("/approve {} looks good", sha.short())).await, DONE);
    t.run_the_job("ship", 0).await;
    t.looks_at_the_checks(&sha);
}

#[tokio::test]
async fn quotes_code_and_other_peoples_words_are_no_orders() {
    let t = Tester::start().await;
    t.github.allows("ada", "admin");
    t.github.allows("helper[bot]", "admin");
    let (number, sha) = t.opens(SHIP).await;
    t.run_the_job("test", 0).await;
    for text in [
        "> /approve",
        "```\n/approve\n```",
        "~~~~ text\n```\n/approve\n~~~\n/approve\n~~~~",
        "    /approve",
        "\t/approve",
        "say /approve",
        "/approved",
        "/approve-all",
        "/etc/passwd",
        "",
    ] {
        assert_eq!(t.comment(number, "ada", text).await, NOTHING, "{text:?}");
        let told = t.last_delivery().await;
        assert_eq!(told, "issue_comment: nothing: the comment does not tell us to do anything", "{text:?}");
    }
    assert_eq!(t.comment(number, "helper[bot]", "/approve").await, NOTHING);
    assert_eq!(t.last_delivery().await, "issue_comment: nothing: the comment is a program's");
    assert_eq!(t.comment(number, "ada", "```\ncode\n```\n  /approve").await, DONE);
    t.run_the_job("ship", 0).await;
    t.looks_at_the_checks(&sha);
}

#[tokio::test]
async fn what_failed_runs_again_and_what_runs_is_stopped_by_a_comment() {
    let t = Tester::start().await;
    t.github.allows("bob", "write");
    let sha = t.push("main", SMALL).await;
    let comment = async |text: &str| {
        t.deliver(t.github.comment_on_commit(WIDGET, sha.as_str(), "bob", text)).await;
        t.settle().await;
        t.github.answers()
    };
    let told = comment("/retest").await;
    assert_eq!(told, [format!("{sha}: `/retest`: run #1 still runs: a part of it can run again when it has ended")]);
    t.run_the_job("test", 1).await;
    assert_eq!(comment("/retest").await, ["comment 152883214: +1"]);
    assert_snapshot!(t.last_delivery().await, @"commit_comment: obeyed: what failed in #1 runs again");
    assert_eq!(comment("/cancel\n/cancel").await, [format!("{sha}: `/cancel`: nothing runs here")]);
    assert_snapshot!(t.last_delivery().await, @"commit_comment: obeyed: #2 was cancelled; `/cancel`: nothing runs here");
    assert_snapshot!(t.runs().await, @r"
    #1 push failure
    #2 push cancelled: cancelled by bob (by a comment)
    ");
    t.looks_at_the_checks(&sha);
}

#[tokio::test]
async fn a_comment_is_obeyed_once_and_answered_once_whatever_the_forge_does() {
    let t = Tester::start().await;
    t.github.allows("bob", "write");
    let (number, sha) = t.opens(SHIP).await;
    t.run_the_job("test", 0).await;
    // the role cannot be asked for at first, and the answer's own answer is lost
    let delivery = t.github.comment_on_pull(WIDGET, number, "bob", "/approve");
    t.github.fail_next(1, 502);
    t.deliver(delivery.clone()).await;
    assert!(t.last_delivery().await.starts_with("issue_comment: waits: "), "{}", t.last_delivery().await);
    t.restart().await;
    t.later(Duration::from_secs(60)).await;
    t.deliver(delivery).await;
    t.later(Duration::from_secs(60)).await;
    let told = t.github.answers();
    assert_snapshot!(told.join("\n"), @"3: `/approve`: bob is not among those who may answer: maintainers or grace");
    t.github.allows("bob", "maintain");
    assert_eq!(t.comment(number, "bob", "/approve").await, DONE);
    t.run_the_job("ship", 0).await;
    t.looks_at_the_checks(&sha);
}

#[tokio::test]
async fn an_answer_whose_own_answer_is_lost_is_not_given_twice() {
    let t = Tester::start().await;
    t.github.allows("bob", "write");
    let (number, sha) = t.opens(SHIP).await;
    t.run_the_job("test", 0).await;
    let delivery = t.github.comment_on_pull(WIDGET, number, "bob", "/approve");
    t.send("github", delivery).await;
    let engine = t.app().engine;
    engine.intake().await.expect("the database is there");
    t.github.cut_next();
    engine.reply_to_comments().await.expect("the database is there");
    t.later(Duration::from_secs(60)).await;
    assert_eq!(t.github.answers().len(), 1);
    t.looks_at_the_checks(&sha);
}

const STAGES: &str = "
stages:
  - {name: unit, image: alpine, run: ./unit.sh}
  - {name: ship, image: alpine, run: ./ship.sh}
";

#[tokio::test]
async fn everything_or_a_stage_runs_again_by_a_comment() {
    let t = Tester::start().await;
    t.github.allows("bob", "write");
    let (number, sha) = t.opens(STAGES).await;
    let told = t.comment(number, "bob", "/test").await;
    assert_snapshot!(told.join("\n"), @"3: `/test`: run #1 still runs: `/cancel` it first");
    t.run_the_job("unit", 0).await;
    t.run_the_job("ship", 1).await;
    let told = t.comment(number, "bob", "/test deploy").await;
    assert_snapshot!(told.join("\n"), @"3: `/test`: no stage here is named `deploy`; there are: ship, unit");
    // what is asked for runs again though it went well, and what comes after it stays as it ended
    assert_eq!(t.comment(number, "bob", "thanks!\n/test unit").await, DONE);
    assert_snapshot!(t.last_delivery().await, @"issue_comment: obeyed: stage `unit` in #1 runs again");
    t.run_the_job("unit", 0).await;
    assert_snapshot!(t.runs().await, @r#"
    #1 pull_request failure
    #2 pull_request failure
    "#);
    assert_eq!(t.comment(number, "bob", "/test").await, DONE);
    t.run_the_job("unit", 0).await;
    t.run_the_job("ship", 0).await;
    assert_snapshot!(t.runs().await, @r#"
    #1 pull_request failure
    #2 pull_request failure
    #3 pull_request success
    "#);
    t.looks_at_the_checks(&sha);
}

#[tokio::test]
async fn what_a_maintainer_skips_is_green_and_says_who_did() {
    let t = Tester::start().await;
    t.github.allows("bob", "write");
    t.github.allows("ada", "maintain");
    let (number, sha) = t.opens(STAGES).await;
    t.run_the_job("unit", 1).await;
    let told = t.comment(number, "bob", "/skip").await;
    assert_snapshot!(told.join("\n"), @"3: `/skip`: bob does not maintain this repository");
    assert_eq!(t.comment(number, "ada", "/skip the tests are broken on main").await, DONE);
    assert_snapshot!(t.checks(&sha), @r#"
    skipped containerops/ci/pr: skipped by ada (by a comment): the tests are broken on main
    skipped containerops/ci/pr/ship/ship: skipped by ada (by a comment): the tests are broken on main
    skipped containerops/ci/pr/unit/unit: skipped by ada (by a comment): the tests are broken on main
    "#);
    assert_snapshot!(t.runs().await, @r#"
    #1 pull_request failure
    #2 pull_request skipped: skipped by ada (by a comment): the tests are broken on main
    "#);
    let told = t.comment(number, "ada", "/skip\n/retest").await;
    assert_snapshot!(told.join("\n"), @r#"
    3: `/skip`: nothing is left to skip here
    `/retest`: nothing has failed here
    "#);
    // and it is no end of it: who wants to know runs all of it
    assert_eq!(t.comment(number, "bob", "/test").await, DONE);
    t.run_the_job("unit", 0).await;
    assert_eq!(t.comment(number, "ada", "/skip").await, DONE);
    assert_snapshot!(t.runs().await, @r"
    #1 pull_request failure
    #2 pull_request skipped: skipped by ada (by a comment): the tests are broken on main
    #3 pull_request cancelled: cancelled by ada (by a comment)
    #4 pull_request skipped: skipped by ada (by a comment)
    ");
    t.looks_at_the_checks(&sha);
}

#[tokio::test]
async fn beside_a_line_and_in_a_review_orders_are_obeyed_as_below_the_pull_request() {
    let t = Tester::start().await;
    t.github.allows("bob", "write");
    let (number, sha) = t.opens(STAGES).await;
    t.run_the_job("unit", 1).await;
    let says = async |delivery| {
        t.deliver(delivery).await;
        t.settle().await;
        t.github.answers().join("\n")
    };
    let beside = |login, text: &str| t.github.comment_on_line(WIDGET, number, login, text);
    let review = |login, text: &str| t.github.review(WIDGET, number, login, text);
    assert_eq!(says(beside("bob", "A typo.\n\n/retest")).await, "comment 1977005511: +1");
    assert_snapshot!(t.last_delivery().await, @"pull_request_review_comment: obeyed: what failed in #1 runs again");
    assert_eq!(says(review("bob", "/cancel")).await, format!("{number}: 👍"), "nobody can react to a review");
    assert_snapshot!(t.last_delivery().await, @"pull_request_review: obeyed: #2 was cancelled");
    let refused = says(review("bob", "/skip")).await;
    assert_eq!(refused, format!("{number}: `/skip`: bob does not maintain this repository"));
    for stranger in ["eve", "mallory"] {
        assert_eq!(says(beside(stranger, "/test")).await, "");
        assert_eq!(says(review(stranger, "/test")).await, "");
    }
    assert_eq!(says(review("bob", "")).await, "");
    assert_snapshot!(t.last_delivery().await, @"pull_request_review: nothing: the comment does not tell us to do anything");
    // an answer to a review whose own answer is lost is not given twice
    t.send("github", review("bob", "/test nothing")).await;
    let engine = t.app().engine;
    engine.intake().await.expect("the database is there");
    t.github.cut_next();
    engine.reply_to_comments().await.expect("the database is there");
    t.later(Duration::from_secs(60)).await;
    assert_eq!(t.github.answers().len(), 1);
    t.looks_at_the_checks(&sha);
}

#[tokio::test]
async fn whatever_is_asked_for_on_the_forge_is_in_the_audit_log_with_who_and_how() {
    let t = Tester::start().await;
    t.github.allows("bob", "write");
    t.github.allows("ada", "maintain");
    let (number, sha) = t.opens(STAGES).await;
    let press = async |button: &str| {
        t.deliver(t.github.pressed(WIDGET, "containerops/ci/pr", button)).await;
        t.settle().await;
    };
    press("cancel").await;
    for button in ["rerun-failed", "rerun-newest"] {
        press(button).await;
        t.run_the_job("unit", 1).await;
    }
    t.deliver(t.github.rerequested(WIDGET, "containerops/ci/pr/unit/unit")).await;
    t.settle().await;
    t.run_the_job("unit", 1).await;
    t.deliver(t.github.suite_rerequested(WIDGET, &sha)).await;
    t.settle().await;
    for (login, text) in [
        ("bob", "/cancel\n/retest"),
        ("bob", "/test unit"),
        ("bob", "/skip"),
        ("ada", "/skip flaky"),
        ("eve", "/cancel"),
        ("ada", "/approve\n/reject"),
    ] {
        t.comment(number, login, text).await;
    }
    t.deliver(t.github.review(WIDGET, number, "ada", "/test")).await;
    t.settle().await;
    assert_snapshot!(t.audited().await.replace(sha.short(), "SHA"), @r"
    github/ada (button of a GitHub check) cancel: SHA of acme/widget: #1 was cancelled
    github/ada (button of a GitHub check) run what failed again: SHA of acme/widget: 1 run began
    github/ada (button of a GitHub check) run again by the newest flow file: SHA of acme/widget: 1 run began
    github/ada (re-run of a GitHub check) run again: SHA of acme/widget: 1 run began
    github/ada (re-run of all GitHub checks) run again: SHA of acme/widget: 1 run began
    github/bob (GitHub comment) cancel: a comment on acme/widget: #5 was cancelled
    github/bob (GitHub comment) retest: a comment on acme/widget: refused: run #5 still runs: a part of it can run again when it has ended
    github/bob (GitHub comment) test: a comment on acme/widget: stage `unit` in #5 runs again
    github/bob (GitHub comment) skip: a comment on acme/widget: refused: bob does not maintain this repository
    github/ada (GitHub comment) skip: a comment on acme/widget: #6 was skipped
    github/ada (GitHub comment) approve: a comment on acme/widget: refused: nothing of this run waits for approval
    github/ada (GitHub comment) reject: a comment on acme/widget: refused: nothing of this run waits for approval
    github/ada (GitHub comment) test: a comment on acme/widget: everything in #7 runs again
    ");
    t.looks_at_the_checks(&sha);
}
