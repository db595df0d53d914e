//! What a job's tests came to: counted by its reports, told at its check, in the margins and on its page; and whatever a report
//! is, it decides nothing.

use containerops::{
    agent::{
        bundle::{Bundle, Entry, EntryKind, Part},
        protocol::{NewReports, ReportsAnswer},
    },
    model::{SecretLevel, SecretLimits},
};
use insta::assert_snapshot;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ACTION, RUN, secrets::set};
use crate::harness::{
    agent::Agent,
    app::{Tester, WIDGET},
};

const FLOW: &str = "title: ci\nstages:\n  - name: test\n    image: \"rust:1\"\n    run: make test\n    reports: {junit: [\"**/*.xml\"]}\n";
const REPORT: &str = r#"<testsuites><testsuite name="pytest">
<testcase classname="test_area.TestArea" name="test_square" time="0.5"><failure message="assert 4 == 5">    def test_square(self):
&gt;       assert area(2) == 5
E       assert 4 == 5

test_area.py:7: AssertionError</failure></testcase>
<testcase classname="test_area" name="test_&lt;b&gt;" file="sub/test_area.py" line="4"><error message="no &lt;script&gt; @all"/></testcase>
<testcase classname="test_area" name="test_elsewhere" file="/usr/lib/x.py" line="4"><error/></testcase>
<testcase name="good" time="0.25"/><testcase name="left out"><skipped/></testcase></testsuite></testsuites>"#;

/// Reports as an agent brings them, and their only part.
fn reports(files: &[(&str, &str)], notes: &[&str]) -> (NewReports, Vec<u8>) {
    let (mut tar, mut entries) = (tar::Builder::new(Vec::new()), Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        let at = tar.get_ref().len() as u64 + 512;
        tar.append_data(&mut header, "file", text.as_bytes()).expect("an entry");
        entries.push(Entry {
            path: (*path).to_owned(),
            kind: EntryKind::File { size: text.len() as u64, mode: 0o644, at },
        });
    }
    let tar = tar.into_inner().expect("a tar");
    let data = zstd::bulk::compress(&tar, 3).expect("compressed");
    let bundle = Bundle { length: tar.len() as u64, parts: vec![Part::of(&data)] };
    (NewReports { bundle, entries, notes: notes.iter().map(|&note| note.to_owned()).collect() }, data)
}

async fn says(agent: &Agent<'_>, new: &NewReports) -> Result<Vec<String>, StatusCode> {
    let answer = agent.call(Method::POST, "reports").json(new).send().await.expect("an answer");
    match answer.status() {
        StatusCode::OK => Ok(answer.json::<ReportsAnswer>().await.expect("words").words),
        status => Err(status),
    }
}

/// Brings these files; the words for the log.
async fn brings(agent: &Agent<'_>, files: &[(&str, &str)]) -> String {
    let (new, data) = reports(files, &[]);
    let put = agent.call(Method::PUT, &format!("blobs/{}", new.bundle.parts[0].digest)).body(data).send().await;
    assert_eq!(put.expect("an answer").status(), StatusCode::NO_CONTENT);
    says(agent, &new).await.expect("they are taken").join("\n")
}

async fn page(t: &Tester, number: u64) -> String {
    let url = format!("{}/github/{WIDGET}/runs/{number}", t.url());
    t.http.get(url).send().await.expect("a page").text().await.expect("text")
}

async fn api(t: &Tester, path: &str) -> Value {
    t.http.get(format!("{}/api/v1{path}", t.url())).send().await.expect("an answer").json().await.expect("JSON")
}

#[tokio::test]
async fn failed_tests_stand_at_the_check_in_the_margin_on_the_page_and_in_the_api() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let agent = t.claims("test").await;
    assert_eq!(agent.work.reports, ["**/*.xml"]);
    assert_eq!(
        brings(&agent, &[("report.xml", REPORT)]).await,
        "reports: 1 file: 5 tests, 3 failed, 1 skipped in 750 ms"
    );
    // the log says the same of one of the lines
    let log =
        "=== FAILURES ===\n___ TestArea.test_square ___\nE       assert 4 == 5\n\ntest_area.py:7: AssertionError\n";
    let job = agent.work.job;
    agent.says(log).await.exits(1).await;

    let check = t.check(&sha, ACTION);
    assert_eq!(check.title, "failure: 3 of 5 tests failed, exit code 1");
    assert_snapshot!(check.margins.join("\n"), @"
    failure test_area.py:7-7 [TestArea.test_square failed]
    failure sub/test_area.py:5-5 [test_area › test_<b> failed]
    ");
    let told = check.summary.split("**Tests**").nth(1).expect("a list").split("**What").next();
    assert_snapshot!(told.expect("a list").trim(), @r"
    : 5 tests, 3 failed, 1 skipped in 750 ms

    [test / test / test](https://ci.example.com/github/acme/widget/runs/1/test/test/test):

    - ❌ test\_area.TestArea › test\_square (test\_area.py:7): assert 4 == 5
    - ❌ test\_area › test\_\<b\> (sub/test\_area.py:5): no \<script\> \@all
    - ❌ test\_area › test\_elsewhere
    ");
    let run = t.check(&sha, RUN);
    assert_eq!(run.title, "failure in test/test: 3 of 5 tests failed, exit code 1");
    assert!(run.summary.contains("- ❌ test\\_area.TestArea › test\\_square"), "{}", run.summary);

    let page = page(&t, 1).await;
    assert!(page.contains("5 tests, 3 failed, 1 skipped in 750 ms"), "{page}");
    assert!(page.contains("test_&#60;b&#62;") && page.contains("no &#60;script&#62; @all"), "{page}");
    assert!(!page.contains("<script> @") && page.contains("<code>test_area.py:7</code>"), "{page}");

    let run = t.newest_run().await.id;
    let of_run = api(&t, &format!("/runs/{run}")).await["stages"][0]["actions"][0]["jobs"][0]["tests"].take();
    assert_eq!((&of_run["tests"], &of_run["failures"], &of_run["errors"]), (&json!(5), &json!(1), &json!(2)));
    assert_eq!(of_run["failed"][0]["name"], "test_square");
    let first = api(&t, &format!("/jobs/{job}/tests?limit=2")).await;
    assert_eq!(first["failed"].as_array().map(Vec::len), Some(2));
    let next = first["next"].as_str().expect("there are more");
    let by_cursor = api(&t, &format!("/jobs/{job}/tests?cursor={next}")).await;
    let failed = &first["failed"][0];
    assert_eq!(
        (&failed["file"], &failed["line"], &failed["seconds"]),
        (&json!("test_area.py"), &json!(7), &json!(0.5))
    );
    assert!(failed["details"].as_str().is_some_and(|details| details.contains("assert area(2) == 5")));
    let rest = api(&t, &format!("/jobs/{job}/tests?from=2")).await;
    assert_eq!(by_cursor, rest);
    assert_eq!((&rest["failed"][0]["name"], &rest["next"]), (&json!("test_elsewhere"), &Value::Null));
    assert_eq!(rest["failed"][0]["file"], Value::Null, "it is no file of the repository");
    t.read_writes();
}

#[tokio::test]
async fn a_green_check_says_what_failed_and_a_report_that_is_none_changes_no_end() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let agent = t.claims("test").await;
    let words =
        brings(&agent, &[("a.xml", REPORT), ("b/index.xml", "<html><!-- <b> --></html>"), ("c.xml", "<testsuite")])
            .await;
    assert_snapshot!(words, @"
    reports: 3 files: 5 tests, 3 failed, 1 skipped in 750 ms
    reports: b/index.xml: it is no report in JUnit's XML: it begins with <html>
    reports: c.xml: line 1: syntax error: tag not closed: `>` not found before end of input; what stands before it counts
    ");
    agent.exits(0).await;
    let check = t.check(&sha, ACTION);
    assert_eq!((check.state.as_str(), check.title.as_str()), ("success", "success in 5 s, but 3 of 5 tests failed"));
    assert!(
        check.summary.contains("Reports of test: b/index.xml: it is no report in JUnit's XML"),
        "{}",
        check.summary
    );
    let run = t.check(&sha, RUN);
    assert_eq!((run.state.as_str(), run.title.as_str()), ("success", "1 action in 5 s, but 3 of 5 tests failed"));
    assert!(run.summary.contains("**Tests**: 3 of 5 tests failed"), "{}", run.summary);
    assert!(
        page(&t, 1).await.contains("b/index.xml: it is no report in JUnit&#39;s XML: it begins with &#60;html&#62;")
    );

    // all is well
    let sha = t.push("other", FLOW).await;
    let agent = t.claims("test").await;
    brings(&agent, &[("a.xml", "<testsuite><testcase/><testcase/></testsuite>")]).await;
    agent.exits(0).await;
    assert_eq!(t.check(&sha, ACTION).title, "success in 5 s, 2 tests");

    // there is nothing
    let sha = t.push("third", FLOW).await;
    let agent = t.claims("test").await;
    let nothing = NewReports {
        bundle: Bundle::default(),
        entries: Vec::new(),
        notes: vec!["no file matches **/*.xml".to_owned()],
    };
    assert_eq!(says(&agent, &nothing).await, Ok(vec!["reports: no file matches **/*.xml".to_owned()]));
    agent.exits(0).await;
    let check = t.check(&sha, ACTION);
    assert_eq!(check.title, "success in 5 s, but no report of tests was found");
    assert!(check.summary.contains("Reports of test: no file matches \\*\\*/\\*.xml"), "{}", check.summary);
    t.read_writes();
}

#[tokio::test]
async fn reports_come_once_from_a_job_that_has_some_and_go_with_it_to_a_run_that_repeats_it() {
    let t = Tester::start().await;
    let flow = format!("{FLOW}  - {{name: use, image: \"i:1\", run: x}}\n");
    t.push("main", &flow).await;
    let agent = t.claims("test").await;
    let (new, data) = reports(&[("report.xml", REPORT)], &["pipe.xml was not read: it is no file"]);
    assert_eq!(says(&agent, &new).await, Err(StatusCode::BAD_REQUEST), "its part is not there");
    let put = agent.call(Method::PUT, &format!("blobs/{}", new.bundle.parts[0].digest)).body(data).send().await;
    assert_eq!(put.expect("an answer").status(), StatusCode::NO_CONTENT);
    let mut outside = new.clone();
    outside.entries[0].kind = EntryKind::File { size: u64::MAX, mode: 0, at: 1 };
    assert_eq!(says(&agent, &outside).await, Err(StatusCode::BAD_REQUEST));
    let words = says(&agent, &new).await.expect("they are taken");
    assert_eq!(words[1], "reports: pipe.xml was not read: it is no file");
    t.restart().await;
    assert_eq!(says(&agent, &new).await.as_ref(), Ok(&words), "a call may be repeated");
    let other = NewReports { bundle: Bundle::default(), entries: Vec::new(), notes: Vec::new() };
    assert_eq!(says(&agent, &other).await, Err(StatusCode::BAD_REQUEST), "what is there stays");
    agent.exits(0).await;
    let user = t.claims("use").await;
    assert_eq!(says(&user, &other).await, Err(StatusCode::BAD_REQUEST), "it has no reports");
    user.exits(1).await;
    let whole = api(&t, &format!("/runs/{}", t.newest_run().await.id)).await;
    assert_eq!(whole["stages"][0]["actions"][0]["jobs"][0]["tests"]["tests"], 5, "once");

    let repeated = containerops::model::Wish {
        what: containerops::model::What::Failed,
        flow: containerops::model::FlowChoice::Same,
        by: "ada".to_owned(),
    };
    t.app().engine.rerun(t.newest_run().await.id, &repeated).await.expect("it is repeated");
    t.settle().await;
    t.claims("use").await.exits(0).await;
    assert!(page(&t, 2).await.contains("5 tests, 3 failed, 1 skipped"), "it was carried over");
    let sha = t.newest_run().await.sha.clone();
    let title = t.check(&sha, ACTION).title;
    assert_eq!(title, "carried over from run #1, success in 5 s, but 3 of 5 tests failed");
    t.read_writes();
}

#[tokio::test]
async fn no_secret_stands_in_what_is_kept_of_reports() {
    const CANARY: &str = "canary-7f3Xq/+9&\"end";
    let t = Tester::start().await;
    set(&t, (SecretLevel::Repository, WIDGET), "TOKEN", CANARY, SecretLimits::default()).await;
    let sha = t.push("main", &format!("{FLOW}    secrets: [TOKEN]\n")).await;
    let agent = t.claims("test").await;
    let escaped = CANARY.replace('&', "&amp;").replace('"', "&quot;");
    let report = format!(
        "<testsuite name=\"{escaped}\"><testcase name=\"n {escaped}\" classname=\"{escaped}\" file=\"a.py\" line=\"1\">\
         <failure message=\"{escaped}\">{}{escaped}</failure></testcase></testsuite><{escaped}>",
        "x".repeat(15_990)
    );
    let job = agent.work.job;
    let words = brings(&agent, &[(&format!("{CANARY}.xml"), &report)]).await;
    agent.exits(1).await;
    let check = t.check(&sha, ACTION);
    assert_eq!(check.title, "failure: 1 of 1 test failed, exit code 1");
    let kept = api(&t, &format!("/jobs/{job}/tests")).await.to_string();
    for text in [words, format!("{check:?}"), page(&t, 1).await, kept] {
        assert!(!text.contains("canary") && !text.contains("7f3Xq"), "{text}");
    }
    t.read_writes();
}

#[tokio::test]
async fn the_cells_of_a_matrix_are_counted_together_and_say_of_a_line_the_same_once() {
    let t = Tester::start().await;
    let flow = format!("{FLOW}    fail-fast: false\n    matrix: {{V: [one, two]}}\n");
    let sha = t.push("main", &flow).await;
    for cell in ["one", "two"] {
        let agent = t.claims(&format!("test.test-{cell}.test")).await;
        brings(&agent, &[("report.xml", REPORT)]).await;
        agent.exits(i32::from(cell == "two")).await;
    }
    let check = t.check(&sha, ACTION);
    assert_eq!(check.title, "failure in 1 of 2 cells: 6 of 10 tests failed: two: exit code 1");
    assert_eq!(check.margins.len(), 2, "{:?}", check.margins);
    assert!(check.summary.contains("✅ success, 5 tests, 3 failed, 1 skipped"), "{}", check.summary);
    let run = t.check(&sha, RUN).title;
    assert_eq!(run, "failure in test/test (two): 3 of 5 tests failed, exit code 1");
    t.read_writes();
}
