//! The pages, the logs and the JSON API as a browser or a program gets them, through the real router.

mod api;
mod deliveries;
mod lines;
mod lists;
mod logs;
mod openapi;
mod plain_git;
mod queue;
mod run;
mod schema;
mod search;
mod shape;
mod statements;
mod timeline;
mod trust;
mod whole;

use containerops::executor::ExecutorKind;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};

use crate::harness::app::{Identity, Tester};

const SMALL: &str = r#"stages: [{name: test, image: "rust:1", run: cargo test}]"#;
const TWO_JOBS: &str = r#"
stages:
  - {name: build, image: "cc:1", run: make, outputs: [VERSION]}
  - {name: ship, image: "tar:1", run: tar}
"#;
const RUN: &str = "/github/acme/widget/runs/1";
const JOB: &str = "/github/acme/widget/runs/1/test/test/test";

impl Tester {
    /// Asks for a path as a browser does, but follows no redirect.
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        // what the forge hears is for other stories to tell
        self.read_writes();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        client.expect("a client").request(method, format!("{}{path}", self.url()))
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.expect("an answer")
    }

    /// A page that is there, as text.
    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.expect("text")
    }
}

/// Each of `wanted` is in the page.
#[track_caller]
fn holds(page: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(page.contains(text), "{text:?} is not in\n{page}");
    }
}

#[tokio::test]
async fn a_green_run_from_the_list_to_the_log() {
    let t = Tester::start().await;
    t.push("main", TWO_JOBS).await;
    let build = t.claims("build").await.says("cc -o widget\n").await.writes(&[("VERSION", "1.2.3")]).await;
    build.exits(0).await;
    t.run_the_job("ship", 0).await;
    for list in ["/", "/github/acme/widget"] {
        holds(
            &t.page(list).await,
            &["<span class=\"mark success\"", "href=\"/github/acme/widget/runs/1\"", "push to main"],
        );
    }
    let run = t.page(RUN).await;
    holds(
        &run,
        &[
            "<span class=\"word\">success</span>",
            "<dt>VERSION</dt><dd>1.2.3</dd>",
            "action=\"/github/acme/widget/runs/1/rerun\"",
        ],
    );
    holds(&run, &["href=\"https://github.com/acme/widget/commit/", "/build/build/build\">build</a>"]);
    assert!(!run.contains("/cancel"), "there is nothing to cancel");
    assert!(!run.contains("data-live"), "nothing will change");
    let log = t.page("/github/acme/widget/runs/1/build/build/build").await;
    holds(&log, &["<li id=\"L1\" class=\"out\">", "cc -o widget</span>", "complete, 1 line, sha256 ", ", 13 bytes"]);
    assert!(!log.contains("data-stream"), "nothing will come");
}

#[tokio::test]
async fn a_failed_job_shows_its_last_lines_and_its_log_opens_at_the_first_error() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let before: String = (1..=2_000).map(|n| format!("fine {n}\n")).collect();
    let after: String = (2_001..=4_000).map(|n| format!("fine {n}\n")).collect();
    let log = format!("{before}error: it broke\n{after}");
    t.claims("test").await.says(&log).await.exits(2).await;
    let run = t.page(RUN).await;
    holds(&run, &["<b class=\"mk failure\">exit code 2</b>", "fine 3999\nfine 4000\n</pre>"]);
    assert!(!run.contains("fine 3900"), "the last lines alone");
    let page = t.page(JOB).await;
    holds(&page, &["First error: line 2001", "data-open=\"2001\"", "id=\"L2001\"", "error: it broke"]);
    assert_eq!(page.matches("<li id=").count(), 600);
    holds(
        &t.page(&format!("{JOB}?from=3002")).await,
        &["id=\"L3002\"", "id=\"L3601\"", "?attempt=1&#38;from=2402\">Earlier lines"],
    );
    holds(
        &t.page(&format!("{JOB}?line=1")).await,
        &["id=\"L1\"", "id=\"L600\"", "?attempt=1&#38;from=601\">Later lines"],
    );
}

#[tokio::test]
async fn a_run_that_waits_has_no_log_yet_and_can_be_cancelled() {
    let t = Tester::start().await;
    t.push("main", TWO_JOBS).await;
    let run = t.page(RUN).await;
    holds(&run, &["<main id=\"main\" data-live", "action=\"/github/acme/widget/runs/1/cancel\""]);
    let ship = t.get("/github/acme/widget/runs/1/ship/ship/ship").await;
    assert_eq!(ship.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(ship.headers()[header::LOCATION], RUN);
    let cancel = t.ask(Method::POST, &format!("{RUN}/cancel")).send().await.expect("an answer");
    assert_eq!(
        (cancel.status(), &cancel.headers()[header::LOCATION]),
        (StatusCode::SEE_OTHER, &RUN.parse().expect("a value"))
    );
    t.settle().await;
    holds(&t.page(RUN).await, &["<span class=\"mark cancelled\"", "someone on the run&#39;s page"]);
    let again = t.ask(Method::POST, &format!("{RUN}/rerun")).send().await.expect("an answer");
    assert_eq!(again.headers()[header::LOCATION], "/github/acme/widget/runs/2");
    assert_eq!(t.runs().await, "#1 push cancelled: cancelled by someone on the run's page\n#2 push queued\n");
}

#[tokio::test]
async fn a_broken_flow_file_is_shown_with_every_mistake_in_its_place() {
    let t = Tester::start().await;
    t.push("main", "stages:\n  - name: test\n    imag: <rust>\n    run: cargo test\n").await;
    let page = t.page(RUN).await;
    holds(
        &page,
        &["unknown key `imag`", "did you mean `image`?", "<mark>imag</mark>: &#60;rust&#62;", "line 3, column 5"],
    );
}

#[tokio::test]
async fn an_earlier_attempt_keeps_its_page() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.claims("test").await.says("the first\n").await;
    t.pods.dies("test.test", containerops::model::Infrastructure::NodeLost, "node-1 is gone");
    t.later(std::time::Duration::from_secs(120)).await;
    t.claims("test").await.says("the second\n").await.exits(0).await;
    let newest = t.page(JOB).await;
    holds(&newest, &["the second", "<a href=\"/github/acme/widget/runs/1/test/test/test?attempt=1\">1</a>"]);
    assert!(!newest.contains("the first"));
    holds(&t.page(&format!("{JOB}?attempt=1")).await, &["the first", "<strong aria-current=\"page\">1</strong>"]);
    assert_eq!(t.page(&format!("{JOB}/log.txt?attempt=1")).await, "the first\n");
    assert_eq!(t.get(&format!("{JOB}?attempt=3")).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_not_there_is_a_page_too() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    for path in [
        "/github/acme/nothing",
        "/gitlab/acme/widget",
        "/github/acme/widget/runs/2",
        "/github/acme/widget/runs/99999999999999999999",
        "/github/acme/widget/runs/1/test/test/other",
        "/github/acme/widget/runs/1/test/test/test/log.html",
        "/deliveries/00000000-0000-0000-0000-000000000000",
        "/deliveries/x",
        "/nonsense/%ff",
    ] {
        let answer = t.get(path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        let page = answer.text().await.expect("text");
        holds(&page, &["There is nothing here", "All runs"]);
        assert!(!page.contains("acme"), "{page}");
    }
    assert_eq!(t.get("/?before=x").await.status(), StatusCode::BAD_REQUEST);
    let wrong = t.ask(Method::DELETE, RUN).send().await.expect("an answer");
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
    let wrong = t.get("/deliveries/0000000000007/replay").await;
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
    holds(&wrong.text().await.expect("text"), &["This cannot be asked in this way"]);
}

#[tokio::test]
async fn the_banner_is_on_every_page_where_nothing_isolates_jobs_and_on_none_elsewhere() {
    for (kind, count) in [(ExecutorKind::Process, 1), (ExecutorKind::Kubernetes, 0)] {
        let t = Tester::start_as(Identity::App, kind).await;
        t.push("main", "stages: no").await;
        for path in ["/", "/deliveries", "/github/acme/widget", RUN, "/none"] {
            let page = t.get(path).await.text().await.expect("text");
            assert_eq!(page.matches("No isolation.").count(), count, "{kind:?} {path}");
        }
    }
}
