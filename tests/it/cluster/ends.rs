//! How runs end.

use containerops::model::{ActionState, Conclusion};

use crate::harness::{image::Image, server::Server, story::Story};

#[tokio::test]
async fn a_push_becomes_a_green_run_with_its_log_and_its_note() {
    let Some(server) = Server::start("green").await else { return };
    let run = server
        .push("stages:\n  - {name: test, image: busybox, run: \"cat README; pwd; echo branch $CO_BRANCH\"}\n")
        .await;
    let story = server.end(run).await;
    insta::assert_snapshot!(story.told(), @r"
    run: success
    test/test: success
      test: success
    ");
    insta::assert_snapshot!(server.text(&story, "test/test/test").await, @r"
    a file of the repository
    /workspace
    branch main
    ");
    let note = server.notes(&story).await.replace(&server.url(), "…");
    insta::assert_snapshot!(stable(&note), @r"
    success  containerops/ci/push  N action in N s  …/git/acme/shop/runs/1
    success  containerops/ci/push/test/test  success in N s  …/git/acme/shop/runs/1/test/test/test
    ");
    server.until_nothing_is_left().await;
}

/// Durations are not the same every time.
fn stable(note: &str) -> String {
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let words = note.split(' ').map(|word| if is_number(word) { "N" } else { word });
    words.collect::<Vec<_>>().join(" ").replace("N ms", "N s")
}

#[tokio::test]
async fn an_exit_code_is_the_verdict_and_what_follows_is_skipped() {
    let Some(server) = Server::start("exit3").await else { return };
    let flow = r#"
stages:
  - name: check
    jobs:
      - {name: one, image: busybox, run: "echo about to fail; exit 3"}
      - {name: two, image: busybox, run: "echo never"}
  - {name: ship, image: busybox, run: "echo never"}
"#;
    let story = server.end(server.push(flow).await).await;
    insta::assert_snapshot!(story.told(), @r"
    run: failure
    check/check: failure (job `one`: exit code 3)
      one: exit code 3
      two: skipped: job `one`: exit code 3
    ship/ship: skipped (stage `check` ended: failure)
    ");
    assert_eq!(server.log(&story, "check/check/two").await, b"");
    let note = server.notes(&story).await;
    assert!(note.contains("failure  containerops/ci/push  failure in check/check: job `one`: exit code 3"), "{note}");
}

#[tokio::test]
async fn a_component_may_fail_by_its_result_alone() {
    let Some(server) = Server::start("result").await else { return };
    let flow = r#"
stages:
  - {name: scan, image: busybox, run: "echo '[COUT] CO_RESULT = false'; exit 0"}
"#;
    let story = server.end(server.push(flow).await).await;
    insta::assert_snapshot!(story.told(), @r"
    run: failure
    scan/scan: failure (CO_RESULT = false)
      scan: CO_RESULT = false
    ");
}

#[tokio::test]
async fn outputs_reach_jobs_of_later_stages() {
    let Some(server) = Server::start("outputs").await else { return };
    let flow = r#"
stages:
  - name: build
    image: busybox
    run: |
      echo "[COUT] VERSION = 1.2=3"
      echo "NOTES=two words" >> "$CO_OUTPUT"
    outputs: [VERSION, NOTES]
  - name: ship
    image: busybox
    run: echo "$V / $N"
    outputs: [NOTHING]
    subscriptions: [{"build.build.build[VERSION]": V}, {"build.build.build[NOTES]": N}]
  - name: wants
    image: busybox
    run: echo never
    subscriptions: [{"ship.ship.ship[NOTHING]": X}]
"#;
    let story = server.end(server.push(flow).await).await;
    insta::assert_snapshot!(story.told(), @r"
    run: failure
    build/build: success
      build: success
    ship/ship: success
      ship: success
    wants/wants: failure (cannot start: ship.ship.ship did not write NOTHING, which it subscribes to; with `optional: true` it would run without)
      wants: cannot start: ship.ship.ship did not write NOTHING, which it subscribes to; with `optional: true` it would run without
    ");
    assert_eq!(server.text(&story, "ship/ship/ship").await, "1.2=3 / two words\n");
}

#[tokio::test]
async fn jobs_of_three_images_and_users_share_one_workspace() {
    let Some(server) = Server::start("share").await else { return };
    let other = Image::with_shell().set("User", "1234:1234".into());
    let (other, _) = other.push("test/other-user").await;
    let flow = r#"
stages:
  - name: make
    jobs:
      - {name: one, image: busybox, run: "mkdir out; echo from busybox > out/list"}
      - {name: two, image: OTHER, run: "echo by $(id -u) > mine; cat out/list mine >> README"}
      - name: three
        image: debian:bookworm
        run: |
          cat README
          git log --format=%s
          HOME=/tmp setpriv --reuid=1234 --regid=1234 --clear-groups git status --short
"#;
    let story = server.end(server.push(&flow.replace("OTHER", &other)).await).await;
    insta::assert_snapshot!(story.told(), @r"
    run: success
    make/make: success
      one: success
      two: success
      three: success
    ");
    insta::assert_snapshot!(server.text(&story, "make/make/three").await, @r"
    a file of the repository
    from busybox
    by 1234
    Change the flow
     M README
    ?? mine
    ?? out/
    ");
}

#[tokio::test]
async fn parallel_actions_run_at_the_same_time() {
    let Some(server) = Server::start("parallel").await else { return };
    let flow = r#"
stages:
  - name: check
    sequencing: parallel
    actions:
      - {name: a, image: busybox, run: "exec sleep 600"}
      - {name: b, image: busybox, run: "exec sleep 600"}
      - {name: c, image: busybox, run: "exec sleep 600"}
"#;
    let run = server.push(flow).await;
    let all_run = |story: &Story| story.actions.iter().all(|action| action.row.state.0 == ActionState::Running);
    server.until("all run at once", run, all_run).await;
    server.app().engine.cancel(run, "ada").await.expect("it can be cancelled");
    assert_eq!(server.end(run).await.run.state.0.conclusion(), Some(Conclusion::Cancelled));
}
