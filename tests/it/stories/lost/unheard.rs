//! Hooks of plain Git that find nobody: what they leave on the disk is found.

use containerops::model::Conclusion;

use crate::harness::{place::Machine, server::Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_push_of_a_repository_that_found_nobody_runs_once_and_without_another_push() {
    let server = Server::at(Machine).await;
    let run = server.push_unheard("stages: [{name: late, image: busybox, run: \"true\"}]\n").await;
    let story = server.end(run).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    server.app().engine.recover().await.expect("the database answers");
    assert_eq!(server.deliveries().await, 1, "it is taken once");
}
