//! Ends that are the author's.

use serde_json::json;

use super::final_words;
use crate::harness::{image::Image, server::Server};

#[tokio::test]
async fn a_signal_a_time_limit_and_a_missing_program_have_their_names() {
    let Some(server) = Server::start("own-ends").await else { return };
    let flow = r#"
stages:
  - name: check
    sequencing: parallel
    fail-fast: false
    actions:
      - {name: signal, image: busybox, run: "kill -SEGV $$"}
      - {name: late, image: busybox, run: "exec sleep 600", timeout: 2s}
      - {name: missing, image: busybox, command: [no-such-program]}
"#;
    let story = server.end(server.push(flow).await).await;
    insta::assert_snapshot!(story.told(), @r"
    run: failure
    check/signal: failure (killed by signal 11 (SIGSEGV))
      signal: killed by signal 11 (SIGSEGV)
    check/late: timed_out (timed out after 2 s)
      late: timed out after 2 s
    check/missing: failure (cannot start: `no-such-program`: the image has no such program in its PATH: check the name and the image (No such file or directory (os error 2)))
      missing: cannot start: `no-such-program`: the image has no such program in its PATH: check the name and the image (No such file or directory (os error 2))
    ");
}

#[tokio::test]
async fn a_run_over_its_time_is_named_in_its_jobs_too() {
    let Some(server) = Server::start("run-time").await else { return };
    let flow = r#"
timeout: 2s
stages:
  - {name: long, image: busybox, run: "exec sleep 600"}
  - {name: after, image: busybox, run: "true"}
"#;
    let story = server.end(server.push(flow).await).await;
    insta::assert_snapshot!(story.told(), @r"
    run: timed_out (over the run's time limit)
    long/long: timed_out (timed out: its run was over its time limit)
      long: timed out: its run was over its time limit
    after/after: timed_out (over the run's time limit)
    ");
}

#[tokio::test]
async fn an_image_whose_user_or_directory_cannot_be_is_the_authors() {
    let Some(server) = Server::start("user").await else { return };
    let user =
        Image::with_shell().file("etc/passwd", 0o644, b"root:x:0:0::/:/bin/sh\n").set("User", json!("nobody-here"));
    let (user, _) = user.push("test/no-such-user").await;
    let (dir, _) = Image::with_shell().set("WorkingDir", json!("/bin/sh")).push("test/no-such-dir").await;
    for (image, words) in [(user, "no users found"), (dir, "/bin/sh")] {
        let said = final_words(&server, &format!("stages: [{{name: go, image: \"{image}\", run: \"true\"}}]")).await;
        assert!(said.starts_with("cannot start: ") && said.contains(words), "{said}");
    }
}
