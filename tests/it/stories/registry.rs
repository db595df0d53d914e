//! A registry that is away: waited for where its answer is needed, done without where it is not, and never red.

use std::time::Duration;

use containerops::executor::ExecutorKind;
use insta::assert_snapshot;

use crate::harness::app::{Identity, Tester};

/// A flow with this image, which nobody serves: the port was bound and dropped at once.
fn flow(keys: &str) -> (String, String) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let image = format!("{free}/team/tool:1");
    (format!("stages: [{{name: test, image: \"{image}\"{keys}}}]"), image)
}

#[tokio::test]
async fn an_image_whose_entrypoint_nobody_knows_waits() {
    let t = Tester::start_as(Identity::App, ExecutorKind::Kubernetes).await;
    let (flow, image) = flow("");
    let sha = t.push("main", &flow).await;
    t.later(Duration::from_secs(3600)).await;
    assert_snapshot!(t.checks(&sha).replace(&image, "IMAGE"), @r"
    queued containerops/ci/push: Waiting: the registry of IMAGE cannot be asked: error sending request: client error (Connect): tcp connect error: Con…
    queued containerops/ci/push/test/test: Waiting: the registry of IMAGE cannot be asked: error sending request: client error (Connect): tcp connect error: Con…
    ");
    assert!(t.pods.placed().is_empty());
}

#[tokio::test]
async fn an_image_with_a_script_does_not_wait() {
    let t = Tester::start_as(Identity::App, ExecutorKind::Kubernetes).await;
    let (flow, image) = flow(", run: make");
    t.push("main", &flow).await;
    let pod = t.pods.newest("test.test").expect("a pod");
    assert_eq!(pod.containers[0].image, image, "as the file names it");
    t.run_the_job("test", 0).await;
    assert_eq!(t.runs().await, "#1 push success\n");
    t.read_writes();
}
