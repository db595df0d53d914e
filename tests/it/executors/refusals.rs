//! What an executor cannot do it refuses by name, when the run is planned.

use containerops::model::Conclusion;

use crate::harness::{
    place::{Engine, Machine},
    server::Server,
};

#[tokio::test]
async fn a_machine_starts_no_entrypoint_and_limits_no_memory() {
    let server = Server::at(Machine).await;
    let flow = r#"
stages:
  - name: check
    jobs:
      - {name: component, image: "acme/python-flake8:1"}
      - {name: tight, image: busybox, run: "true", resources: {limits: {memory: 64Mi}}}
"#;
    let story = server.end(server.push(flow).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Failure));
    insta::assert_snapshot!(story.run.reason, @"the process executor cannot do this: job check.check.component: processes are in no image, so the entrypoint of acme/python-flake8:1 cannot be started (and 1 more)");
    assert!(story.actions.is_empty(), "nothing was begun: {}", story.told());
}

#[tokio::test]
async fn a_machine_runs_nothing_beside_a_job_and_is_no_choice() {
    let server = Server::at(Machine).await;
    let base = "stages:\n  - {name: check, image: busybox, run: \"true\"";
    let mut told = Vec::new();
    for part in ["services: [{name: db, image: postgres}]", "runtime: gvisor", "node: {arch: arm64, zone: a}"] {
        let story = server.end(server.push(&format!("{base}, {part}}}\n")).await).await;
        assert!(story.actions.is_empty(), "nothing was begun: {}", story.told());
        told.push(story.run.reason.clone());
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    the process executor cannot do this: action check.check: processes share one machine, so the service db cannot run
    the process executor cannot do this: action check.check: processes are not isolated at all, and not by the runtime gvisor
    the process executor cannot do this: action check.check: there is one machine, and no node to choose by arch=arm64, zone=a
    ");
}

#[tokio::test]
async fn an_engine_has_no_nodes_to_choose_from() {
    let Some(engine) = Engine::get() else { return };
    let server = Server::at(engine).await;
    let flow = "stages:\n  - {name: check, image: busybox, run: \"true\", node: {arch: arm64}}\n";
    let story = server.end(server.push(flow).await).await;
    insta::assert_snapshot!(story.run.reason, @"the docker executor cannot do this: action check.check: there is one machine, and no node to choose by arch=arm64");
}

#[tokio::test]
async fn an_engine_says_that_it_has_no_such_runtime() {
    let Some(engine) = Engine::get() else { return };
    let server = Server::at(engine).await;
    let flow = "stages:\n  - {name: check, image: busybox, run: \"true\", runtime: no-such-thing}\n";
    let story = server.end(server.push(flow).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Failure), "{}", story.told());
    assert!(story.action("check/check").row.reason.contains("no-such-thing"), "{}", story.told());
    server.until_no_attempt_is_left().await;
}
