//! What a job's log says of lines of files, in the margins of those lines: on GitHub, and on the job's page.

use insta::assert_snapshot;
use serde_json::Value;

use super::{ACTION, RUN, SMALL};
use crate::harness::{
    app::{Tester, WIDGET},
    github::How,
};

const RUSTC: &str = "\u{1b}[1m\u{1b}[91merror[E0425]\u{1b}[0m: cannot find value `hight` in this scope
 --> src/lib.rs:3:13
  |
3 |     width * hight
  |             ^^^^^ not found in this scope

";
const ORDERS: &str = "::warning file=/workspace/src/a.rs,line=5,endLine=7,title=Wide::50%25 too wide%0Aand high
::notice::done <b>
/usr/include/stdio.h:27:10: error: not ours
";

#[tokio::test]
async fn what_a_log_says_of_lines_stands_beside_them() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.claims("test").await.says("   Compiling widget\n").await.says(RUSTC).await.says(ORDERS).await.exits(101).await;
    let check = t.check(&sha, ACTION);
    assert_snapshot!(check.margins.join("\n"), @r"
    failure src/lib.rs:3-3 [E0425]
    warning src/a.rs:5-7 [Wide]
    notice .containerops.yml:1-1 [notice in .containerops.yml, line 1]
    ");
    assert_snapshot!(check.annotations.join("\n"), @r"
    cannot find value `hight` in this scope
    50% too wide
    and high
    done <b>
    ");
    let said = check.summary.split("**What the logs say of lines**").nth(1).expect("a list").trim();
    assert_snapshot!(said, @r"
    - ❌ [src/lib.rs:3:13](https://ci.example.com/github/acme/widget/runs/1/test/test/test?line=2#L2): cannot find value \`hight\` in this scope
    - ⚠️ [src/a.rs:5](https://ci.example.com/github/acme/widget/runs/1/test/test/test?line=8#L8): 50% too wide
    - ℹ️ [log, line 9](https://ci.example.com/github/acme/widget/runs/1/test/test/test?line=9#L9): done \<b\>
    ");
    // the run's own check says it in words, and leaves the margin to the action's
    let run = t.check(&sha, RUN);
    assert!(run.annotations.is_empty() && run.summary.contains("[src/lib.rs:3:13]"), "{}", run.summary);

    let path = format!("/github/{WIDGET}/runs/1/test/test/test");
    let page = t.http.get(format!("{}{path}", t.url())).send().await.expect("a page").text().await.expect("text");
    let link = format!(
        r##"<li class="error"><a href="{path}?attempt=1&#38;line=2#L2"><b>error</b> <code>src/lib.rs:3:13</code></a>"##
    );
    assert!(page.contains(&link) && page.contains("done &#60;b&#62;"), "{page}");
    let runs: Value =
        t.http.get(format!("{}/api/v1/runs", t.url())).send().await.expect("runs").json().await.expect("JSON");
    assert!(runs.to_string().contains("\"number\":1"), "{runs}");
}

#[tokio::test]
async fn more_than_fifty_go_in_two_calls_and_a_repetition_takes_the_old_ones_away() {
    let t = Tester::start().await;
    let flow = "title: ci\nstages: [{name: test, actions: [{name: test, jobs: [{name: one, image: a, run: x}, {name: two, image: a, run: x}]}]}]";
    let sha = t.push("main", flow).await;
    let errors = |file: &str| (1..=40).map(|n| format!("{file}:{n}:1: error: e{n}\n")).collect::<String>();
    t.claims("test.test.one").await.says(&errors("a.c")).await.exits(0).await;
    assert!(t.check(&sha, ACTION).annotations.is_empty(), "what is told is not taken back, so all are told together");
    t.claims("test.test.two").await.says(&errors("b.c")).await.exits(1).await;
    let check = t.check(&sha, ACTION);
    assert_eq!((check.how, check.margins.len()), (How::Updated, 80));
    assert_eq!(check.margins[79], "failure b.c:40-40 [error in b.c, line 40, column 1]");

    // GitHub has no word for taking annotations back, but shows only the newest check of a name
    t.runs_again(t.newest_run().await.id).await;
    t.settle().await;
    t.claims("test.test.one").await.exits(0).await;
    assert!(t.check(&sha, ACTION).annotations.is_empty());
    t.claims("test.test.two").await.says("b.c:7:1: warning: still odd\n").await.exits(0).await;
    let check = t.check(&sha, ACTION);
    assert_eq!((check.state.as_str(), check.margins.len()), ("success", 1));
    assert_eq!(t.github.now_shows(sha.as_str(), ACTION).margins, check.margins);
}

#[tokio::test]
async fn what_a_log_says_outlives_a_restart_and_cells_say_it_once() {
    let t = Tester::start().await;
    let flow = "title: ci\nstages: [{name: test, fail-fast: false, actions: [{name: test, image: a, run: x, matrix: {V: [one, two, three]}}]}]";
    let sha = t.push("main", flow).await;
    for (n, cell) in ["one", "two", "three"].iter().enumerate() {
        t.claims(&format!("test.test-{cell}.test"))
            .await
            .says(&format!("a.c:1:1: warning: same\na.c:{}:2: error: own\n", n + 2))
            .await
            .exits(1)
            .await;
        t.restart().await;
        t.settle().await;
    }
    let check = t.check(&sha, ACTION);
    assert_snapshot!(check.margins.join("\n"), @r#"
    failure a.c:2-2 [error in a.c, line 2, column 2]
    failure a.c:3-3 [error in a.c, line 3, column 2]
    failure a.c:4-4 [error in a.c, line 4, column 2]
    warning a.c:1-1 [warning in a.c, line 1, column 1]
    "#);
}

#[tokio::test]
async fn what_a_tool_says_in_a_folder_stands_at_the_commits_file() {
    let t = Tester::start().await;
    let sha = t.github.commit(
        WIDGET,
        "main",
        &[(".containerops.yml", SMALL.as_bytes()), ("web/src/a.ts", b"const a: number = 'x';\n"), ("lib/a.c", b"x")],
    );
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    let log = "src/a.ts(1,7): error TS2322: Type 'string' is not assignable to type 'number'.\n\
               make[1]: Entering directory '/workspace/lib'\na.c:1:1: error: unknown type name 'x'\n\
               make[1]: Leaving directory '/workspace/lib'\ngone.c:1:1: error: nowhere\n";
    t.claims("test").await.says(log).await.exits(2).await;
    assert_snapshot!(t.check(&sha, ACTION).margins.join("\n"), @r"
    failure web/src/a.ts:1-1 [TS2322]
    failure lib/a.c:1-1 [error in lib/a.c, line 1, column 1]
    failure gone.c:1-1 [error in gone.c, line 1, column 1]
    ");
    t.checks(&sha);
}
