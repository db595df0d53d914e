//! What an executor cannot do it refuses by name, when the run is planned.

use containerops::model::Conclusion;

use crate::harness::{place::Machine, server::Server};

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
