//! With a token we are no App: what GitHub shows are commit statuses.

use containerops::executor::ExecutorKind;
use insta::assert_snapshot;

use super::{RUN, SMALL};
use crate::harness::{
    app::{Identity, Tester},
    github::How,
};

#[tokio::test]
async fn statuses_say_what_checks_would() {
    let t = Tester::start_as(Identity::Token, ExecutorKind::Process).await;
    let sha = t.push("main", SMALL).await;
    assert_snapshot!(t.checks(&sha), @r"
    pending containerops/ci/push: Waiting to start
    pending containerops/ci/push/test/test: Waiting to start
    ");
    t.claims("test").await.says("no\n").await.exits(1).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: exit code 1
    failure containerops/ci/push/test/test: failure: exit code 1
    ");
    assert_eq!(t.check(&sha, RUN).how, How::Status);
    assert_eq!(t.check(&sha, RUN).url, "https://ci.example.com/github/acme/widget/runs/1");
}
