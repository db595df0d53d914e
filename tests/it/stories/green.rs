//! A push that goes well.

use insta::assert_snapshot;

use crate::harness::app::Tester;

const FLOW: &str = r#"
stages:
  - name: build
    actions:
      - name: compile
        jobs:
          - {name: cc, image: "cc:1", run: make, outputs: [VERSION]}
  - name: ship
    sequencing: parallel
    actions:
      - name: pack
        jobs:
          - name: tar
            image: "tar:1"
            run: tar
            subscriptions: [{"build.compile.cc[VERSION]": VERSION}]
      - {name: docs, image: "docs:1", run: make docs}
"#;

#[tokio::test]
async fn a_push_becomes_checks_that_go_green() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    assert_snapshot!(t.checks(&sha), @r"
    queued containerops/ci/push: Waiting to start
    queued containerops/ci/push/build/compile: Waiting to start
    queued containerops/ci/push/ship/docs: Waiting for what comes before
    queued containerops/ci/push/ship/pack: Waiting for what comes before
    ");
    t.claims("build.compile.cc")
        .await
        .says("cc -o widget\n")
        .await
        .writes(&[("VERSION", "1.2.3")])
        .await
        .exits(0)
        .await;
    assert_snapshot!(t.checks(&sha), @r"
    in_progress containerops/ci/push: Running: 1 of 3 actions have ended
    success containerops/ci/push/build/compile: success in 5 s
    queued containerops/ci/push/ship/docs: Waiting to start
    queued containerops/ci/push/ship/pack: Waiting to start
    ");
    let tar = t.claims("ship.pack.tar").await;
    assert_eq!(tar.work.environments["VERSION"], "1.2.3");
    tar.exits(0).await;
    t.run_the_job("ship.docs", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 3 actions in 19 s
    success containerops/ci/push/build/compile: success in 5 s
    success containerops/ci/push/ship/docs: success in 5 s
    success containerops/ci/push/ship/pack: success in 5 s
    ");
    assert_snapshot!(t.check(&sha, "containerops/ci/push").summary, @r"
    | Stage | Action | State | Duration |
    | --- | --- | --- | --- |
    | build | [compile](https://ci.example.com/github/acme/widget/runs/1/build/compile/cc) | ✅ success | 5 s |
    | ship | [pack](https://ci.example.com/github/acme/widget/runs/1/ship/pack/tar) | ✅ success | 5 s |
    | ship | [docs](https://ci.example.com/github/acme/widget/runs/1/ship/docs/docs) | ✅ success | 5 s |

    [The whole run](https://ci.example.com/github/acme/widget/runs/1)
    ");
    assert!(t.pods.placed().is_empty(), "the pods were removed");
}
