//! What the author of a red build reads on the forge's own page.

use containerops::{
    agent::protocol::Cause,
    executor::{Hopeless, Why},
};
use insta::assert_snapshot;

use super::{ACTION, RUN, SMALL};
use crate::harness::app::{Tester, WIDGET};

#[tokio::test]
async fn a_failed_job_shows_its_last_lines_and_where_they_stand() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let log: String = (1..=40).map(|n| format!("line {n}\n")).collect();
    t.claims("test").await.says(&log).await.says("\u{1b}[31merror:\u{1b}[0m 1 test failed\n").await.exits(3).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: exit code 3
    failure containerops/ci/push/test/test: failure: exit code 3
    ");
    assert_snapshot!(t.check(&sha, RUN).summary, @r"
    | Stage | Action | State | Duration |
    | --- | --- | --- | --- |
    | test | [test](https://ci.example.com/github/acme/widget/runs/1/test/test/test) | ❌ failure | 5 s |

    **test / test / test**: exit code 3

    ```text
    line 12
    line 13
    line 14
    line 15
    line 16
    line 17
    line 18
    line 19
    line 20
    line 21
    line 22
    line 23
    line 24
    line 25
    line 26
    line 27
    line 28
    line 29
    line 30
    line 31
    line 32
    line 33
    line 34
    line 35
    line 36
    line 37
    line 38
    line 39
    line 40
    error: 1 test failed
    ```

    [The log at line 41](https://ci.example.com/github/acme/widget/runs/1/test/test/test?line=41#L41)

    [The whole run](https://ci.example.com/github/acme/widget/runs/1)
    ");
    assert_eq!(t.check(&sha, RUN).url, "https://ci.example.com/github/acme/widget/runs/1");
    assert_eq!(t.check(&sha, ACTION).url, "https://ci.example.com/github/acme/widget/runs/1/test/test/test");
}

#[tokio::test]
async fn an_exit_code_of_zero_is_not_enough_if_the_job_says_otherwise() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.claims("test").await.results_in("false").exits(0).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: CO_RESULT = false
    failure containerops/ci/push/test/test: failure: CO_RESULT = false
    ");
}

#[tokio::test]
async fn a_broken_flow_file_is_a_failed_check_with_all_its_errors() {
    let t = Tester::start().await;
    let flow = "stages:\n  - name: test\n    imag: rust:1\n    run: cargo test\n  - {name: test, needs: nothing}\n";
    let sha = t.push("main", flow).await;
    assert_snapshot!(t.checks(&sha), @"failure containerops/ci/push: .containerops.yml has 5 errors");
    assert_snapshot!(t.check(&sha, RUN).summary, @r"
    **5 errors in the flow file**

    ```text
    error: a job needs an `image`
      --> .containerops.yml:2:5
      |
    2 |   - name: test
      |     ^^^^

    error: unknown key `imag` in a stage
      --> .containerops.yml:3:5
      |
    3 |     imag: rust:1
      |     ^^^^
      = hint: did you mean `image`?

    error: stage `test` has nothing to run
      --> .containerops.yml:5:5
      |
    5 |   - {name: test, needs: nothing}
      |     ^^^^
      = hint: give it `actions`, `jobs`, or an `image`

    error: `test` is already the name of another stage (line 2)
      --> .containerops.yml:5:12
      |
    5 |   - {name: test, needs: nothing}
      |            ^^^^

    error: no stage is named `nothing`
      --> .containerops.yml:5:25
      |
    5 |   - {name: test, needs: nothing}
      |                         ^^^^^^^
    ```


    [The whole run](https://ci.example.com/github/acme/widget/runs/1)
    ");
    assert!(t.pods.placed().is_empty());
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_by_its_size() {
    let t = Tester::start().await;
    let sha = t.push("main", &format!("# {}\n{SMALL}", "x".repeat(1 << 20))).await;
    assert_snapshot!(t.checks(&sha), @"failure containerops/ci/push: .containerops.yml has 1 error");
}

#[tokio::test]
async fn two_files_of_one_name_do_not_speak_over_each_other() {
    let t = Tester::start().await;
    let flow = format!("uri: acme/widget/ci\n{SMALL}");
    let (a, b) = ((".containerops/a.yml", flow.as_bytes()), (".containerops/b.yml", flow.as_bytes()));
    let sha = t.github.commit(WIDGET, "main", &[a, b]);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci-b/push: .containerops/b.yml has 1 error
    queued containerops/ci/push: Waiting to start
    queued containerops/ci/push/test/test: Waiting to start
    ");
}

#[tokio::test]
async fn an_output_that_was_not_written_fails_its_subscriber_by_name() {
    let t = Tester::start().await;
    let flow = r#"
stages:
  - {name: build, image: "cc:1", run: make, outputs: [VERSION]}
  - name: ship
    image: "tar:1"
    run: tar
    subscriptions: [{"build.build.build[VERSION]": VERSION}]
"#;
    let sha = t.push("main", flow).await;
    t.run_the_job("build", 0).await;
    assert_snapshot!(t.leaves("ship").await, @"build.build.build did not write VERSION, which it subscribes to; with `optional: true` it would run without");
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in ship/ship: cannot start: build.build.build did not write VERSION, which it subscribes to; with `optional: true` it would run wit…
    success containerops/ci/push/build/build: success in 5 s
    failure containerops/ci/push/ship/ship: failure: cannot start: build.build.build did not write VERSION, which it subscribes to; with `optional: true` it would run without
    ");
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_the_authors_and_not_tried_again() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let (image, message) = ("rust:1".to_owned(), "manifest unknown".to_owned());
    t.pods.waits("test.test", "ImagePullBackOff", Some(Hopeless::all(Why::ImageNotFound { image, message })));
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: image rust:1 not found: manifest unknown
    failure containerops/ci/push/test/test: failure: image rust:1 not found: manifest unknown
    ");
    assert_snapshot!(t.attempts().await, @"test/test 1: image rust:1 not found: manifest unknown (0 bytes)");
}

#[tokio::test]
async fn every_other_end_has_its_own_name() {
    let cannot = Cause::CannotStart { message: "make: no such file".to_owned() };
    for (cause, title) in [
        (Cause::Signal { signal: 11 }, "failure in test/test: killed by signal 11 (SIGSEGV)"),
        (Cause::Exit { code: 75 }, "failure in test/test: exit code 75 (temporary failure)"),
        (cannot, "failure in test/test: cannot start: make: no such file"),
        (Cause::TimedOut, "timed out in test/test: after 1 h 0 min"),
    ] {
        let t = Tester::start().await;
        let sha = t.push("main", SMALL).await;
        t.claims("test").await.ends(cause).await;
        assert_eq!(t.check(&sha, RUN).title, title);
    }
}

#[tokio::test]
async fn memory_is_named_with_its_limit_and_peak() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    let mut record = agent.record(Cause::Signal { signal: 9 });
    (record.oom_kills, record.memory_limit, record.memory_peak) = (1, Some(64 << 20), Some(63 << 20));
    agent.reports(&record).await;
    t.settle().await;
    assert_eq!(t.check(&sha, RUN).title, "failure in test/test: out of memory (peak 63 of 64 MiB)");
}

#[tokio::test]
async fn a_hostile_log_stays_within_its_fence() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let log = "```\n</details><img src=x>\n````` @everyone | x |\n\u{1b}]0;title\u{7}\u{0}beep\u{7}\n";
    t.claims("test").await.says(log).await.results_in("no | `x` <b> @all").exits(0).await;
    assert_snapshot!(t.check(&sha, RUN).summary, @r"
    | Stage | Action | State | Duration |
    | --- | --- | --- | --- |
    | test | [test](https://ci.example.com/github/acme/widget/runs/1/test/test/test) | ❌ failure | 5 s |

    **test / test / test**: CO\_RESULT = no \| \`x\` \<b\> \@all

    ``````text
    ```
    </details><img src=x>
    ````` @everyone | x |
    beep
    ``````

    [The log at line 4](https://ci.example.com/github/acme/widget/runs/1/test/test/test?line=4#L4)

    [The whole run](https://ci.example.com/github/acme/widget/runs/1)
    ");
}
