//! Text that is looked for in a log, as a browser that runs no script does it.

use std::{net::SocketAddr, time::Duration};

use containerops::{
    agent::protocol::Cause,
    web::{Reach, router_within},
};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{JOB, SMALL, holds};
use crate::harness::app::Tester;

const LOG: &str = "make\nerror: one\nfine\n\u{1b}[31mer\u{1b}[0mror: two\nfine\nError: <three>\n";

async fn failed() -> Tester {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.claims("test").await.says(LOG).await.exits(1).await;
    t
}

impl Tester {
    async fn found(&self, path: &str) -> Value {
        self.get(path).await.json().await.expect("JSON")
    }

    async fn led_to(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        answer.headers()[header::LOCATION].to_str().expect("a path").to_owned()
    }
}

#[tokio::test]
async fn a_search_leads_from_one_line_that_has_it_to_the_next() {
    let t = failed().await;
    let first = t.led_to(&format!("{JOB}?attempt=1&q=error")).await;
    assert_eq!(first, format!("{JOB}?attempt=1&q=error&line=2#L2"));
    let page = t.page(&format!("{JOB}?q=error&line=2")).await;
    holds(&page, &["1 of 3 lines", "?attempt=1&#38;q=error&#38;line=4#L4\">Next</a>", "<mark>error</mark>: one"]);
    assert!(!page.contains("Previous"), "{page}");
    let page = t.page(&format!("{JOB}?q=error&line=4")).await;
    let coloured = "<mark><span class=\"f1\">er</span></mark><mark>ror</mark>: two";
    holds(&page, &["2 of 3 lines", "line=2#L2\">Previous</a>", "line=6#L6\">Next</a>", coloured]);
    let page = t.page(&format!("{JOB}?q=error&line=5")).await;
    holds(&page, &[">3 lines</span>", "line=4#L4\">Previous</a>"]);
}

#[tokio::test]
async fn a_regular_expression_is_one_only_if_somebody_says_so() {
    let t = failed().await;
    assert_eq!(
        t.led_to(&format!("{JOB}?q=%5Ef.*e%24&regex=1")).await,
        format!("{JOB}?attempt=1&q=%5Ef.%2Ae%24&regex=1&line=3#L3")
    );
    holds(&t.page(&format!("{JOB}?q=%5Ef.*e%24")).await, &["No line has it"]);
    let broken = t.page(&format!("{JOB}?q=%28&regex=1")).await;
    holds(&broken, &["Nothing was looked for: not a regular expression: unclosed group.", "value=\"(\""]);
    let long = "x".repeat(1_001);
    holds(&t.page(&format!("{JOB}?q={long}")).await, &["Nothing was looked for: it is longer than 1000 bytes."]);
    holds(&t.page(&format!("{JOB}?q=%3Cscript%3E")).await, &["value=\"&#60;script&#62;\"", "No line has it"]);
}

#[tokio::test]
async fn the_next_error_is_found_and_the_last_is_said_to_be_the_last() {
    let t = failed().await;
    holds(&t.page(JOB).await, &["First error: line 2", "error_after=2\">Next error"]);
    assert_eq!(t.led_to(&format!("{JOB}?error_after=2")).await, format!("{JOB}?attempt=1&line=6#L6"));
    holds(&t.page(&format!("{JOB}?error_after=6")).await, &["No line after 6 reads like an error."]);
}

#[tokio::test]
async fn a_program_gets_the_lines_a_page_at_a_time() {
    let t = failed().await;
    let run = t.value("/runs").await["runs"][0]["id"].as_str().expect("an id").to_owned();
    let job = t.value(&format!("/runs/{run}")).await["stages"][0]["actions"][0]["jobs"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let found = t.value(&format!("/jobs/{job}/log/search?q=error&limit=2")).await;
    assert_eq!(found["lines"][1]["text"], "error: two");
    assert_eq!((&found["count"], &found["next"], &found["whole"]), (&3.into(), &4.into(), &true.into()));
    let rest = t.value(&format!("/jobs/{job}/log/search?q=error&after=4")).await;
    assert_eq!((rest["lines"][0]["number"].as_u64(), &rest["next"]), (Some(6), &serde_json::Value::Null));
    let (status, problem) = t.api(reqwest::Method::GET, &format!("/jobs/{job}/log/search?q=(&regex=true")).await;
    assert_eq!(
        (status, problem["detail"].as_str()),
        (StatusCode::BAD_REQUEST, Some("`q` in the query: not a regular expression: unclosed group"))
    );
}

#[tokio::test]
async fn all_logs_of_a_repository_are_looked_through_the_newest_runs_first() {
    let t = Tester::start().await;
    for log in ["before\nthe needle\nafter\n", "nothing\n", "a <Needle>\nneedle two\nneedle three\nneedle four\n"] {
        t.push("main", SMALL).await;
        t.claims("test").await.says(log).await.exits(1).await;
    }
    let (here, api) = ("/github/acme/widget/search", "/api/v1/logs/search?forge=github&repository=acme/widget");
    holds(&t.page(here).await, &["Finds text in what jobs of this repository have written"]);
    let page = t.page(&format!("{here}?q=needle")).await;
    holds(
        &page,
        &["2 logs with it. 3 logs of 3 runs", "a &lt;<mark>Needle</mark>&gt;", "ci #3", "4 lines", "line=2#L2\""],
    );
    assert!(page.find("ci #3") < page.find("ci #1") && !page.contains("ci #2"), "{page}");
    holds(&page, &["href=\"/github/acme/widget/runs/1/test/test/test?attempt=1&#38;q=needle&#38;line=2#L2\""]);
    for (query, runs) in [
        ("q=needle", &[3, 1][..]),
        ("q=Needle", &[3]),
        ("q=needle%20t", &[3]),
        ("q=%5Ethe%20n&regex=true", &[1]),
        ("q=needle&branch=main&state=failure&days=3&flow=ci", &[3, 1]),
        ("q=needle&branch=other", &[]),
        ("q=needle&state=success", &[]),
    ] {
        let found = t.found(&format!("{api}&{query}")).await;
        let numbers: Vec<i64> =
            found["logs"].as_array().expect("logs").iter().filter_map(|log| log["run"].as_i64()).collect();
        assert_eq!(numbers, runs, "{query}: {found}");
    }
    let all = t.found(&format!("{api}&q=needle")).await;
    let newest = &all["logs"][0];
    assert_eq!((&newest["count"], newest["lines"].as_array().map(Vec::len)), (&json!(4), Some(3)), "{all}");
    let line = &all["logs"][1]["lines"][0];
    assert_eq!(
        (&line["number"], &line["before"], &line["after"]),
        (&json!(2), &json!("before"), &json!("after")),
        "{line}"
    );
    assert_eq!((&all["next"], &all["searched"]["runs"]), (&json!(null), &json!(3)));
    // whoever goes on behind a job, or before a run, is not told again what comes before
    for (name, value) in [("past", &newest["job_id"]), ("before", &newest["run_id"])] {
        let older = t
            .found(&format!("{api}&q=needle&{name}={}", value.as_str().map_or(value.to_string(), str::to_owned)))
            .await;
        assert_eq!(
            (older["logs"].as_array().map(Vec::len), &older["logs"][0]["run"]),
            (Some(1), &json!(1)),
            "{name}: {older}"
        );
    }
    // counted as they are written, blanks and all
    let odd = format!("q=x&flow=%C3%A6{}", "%0B".repeat(320));
    let long = format!("q=x&flow=+{}+", "x".repeat(299));
    assert_eq!(t.get(&format!("{api}&q=x&flow=+{}+", "x".repeat(298))).await.status(), StatusCode::OK);
    for (query, words) in [
        ("q=%28&regex=true", "not a regular expression"),
        ("q=x&state=green", "no state"),
        ("q=x&days=0", "`days`"),
        ("q=", "nothing to look for"),
        (odd.as_str(), "nothing that a run could have"),
        (long.as_str(), "nothing that a run could have"),
    ] {
        let answer = t.get(&format!("{api}&{query}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{query}");
        let text = answer.text().await.expect("text");
        assert!(text.contains(words), "{query}: {text}");
    }
    holds(&t.page(&format!("{here}?q=%28&regex=1")).await, &["Nothing was looked for: not a regular expression"]);
}

#[tokio::test]
async fn a_search_stops_after_so_many_logs_and_goes_on_where_it_has_stopped() {
    let t = Tester::start().await;
    for _ in 0..28 {
        t.push("main", SMALL).await;
        t.claims("test").await.says("a needle\n").await.exits(1).await;
    }
    let api = "/api/v1/logs/search?forge=github&repository=acme/widget&q=needle";
    let runs = |found: &Value| -> Vec<i64> {
        found["logs"].as_array().expect("logs").iter().filter_map(|log| log["run"].as_i64()).collect()
    };
    let first = t.found(api).await;
    assert_eq!(runs(&first), (4..=28).rev().collect::<Vec<_>>());
    let next = first["next"]["before"].as_str().expect("there is more");
    let rest = t.found(&format!("{api}&before={next}")).await;
    assert_eq!((runs(&rest), &rest["next"]), (vec![3, 2, 1], &json!(null)));
    let page = t.page("/github/acme/widget/search?q=needle").await;
    holds(&page, &["25 logs with it so far.", "Go on with older logs"]);
    t.read_writes();
}

impl Tester {
    /// The same service at another address, where a search looks no further than that.
    async fn looking(&self, reach: Reach) -> String {
        let app = self.app();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = router_within(app.engine, app.access, reach).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        url
    }
}

/// What a program finds that goes on until there is no more: of each answer the runs and jobs, and how many logs were looked
/// through only in part.
async fn walk(url: &str, query: &str) -> Vec<(Vec<String>, u64)> {
    let mut found = Vec::new();
    let mut next = String::new();
    loop {
        let path = format!("{url}/api/v1/logs/search?forge=github&repository=acme/widget&{query}{next}");
        let answer: Value = reqwest::get(path).await.expect("an answer").json().await.expect("JSON");
        let logs = answer["logs"].as_array().expect("logs").iter();
        let names = logs.map(|log| format!("{} {}", log["run"], log["job"][2])).collect();
        found.push((names, answer["searched"]["partly"].as_u64().unwrap_or_default()));
        assert!(found.len() < 20, "it comes to an end: {answer}");
        let further = &answer["next"];
        if further.is_null() {
            return found;
        }
        let part = |name: &str| {
            let value = Some(&further[name]).filter(|value| !value.is_null())?;
            Some(format!("&{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        };
        next = part("before").unwrap_or_default() + &part("past").unwrap_or_default();
    }
}

#[tokio::test]
async fn a_search_looks_for_so_long_and_through_so_much_and_the_next_goes_on() {
    let t = Tester::start().await;
    for _ in 0..2 {
        t.push(
            "main",
            r#"stages: [{name: test, jobs: [{name: a, image: "i:1", run: a}, {name: b, image: "i:1", run: b}]}]"#,
        )
        .await;
        for job in ["a", "b"] {
            t.claims(&format!("test.test.{job}")).await.says("the needle\n").await.ends(Cause::Exit { code: 0 }).await;
        }
    }
    let all = |found: &[(Vec<String>, u64)]| found.iter().flat_map(|(logs, _)| logs.clone()).collect::<Vec<_>>();
    let whole = walk(&t.url(), "q=needle").await;
    assert_eq!((whole.len(), all(&whole).len()), (1, 4), "{whole:?}");
    let usual = Reach::default();
    // no time at all: each request comes a log further
    let no_time = t.looking(Reach { time: Duration::ZERO, ..usual }).await;
    let found = walk(&no_time, "q=needle").await;
    assert_eq!((found.len(), all(&found)), (4, all(&whole)), "{found:?}");
    let nothing = walk(&no_time, "q=nobody").await;
    assert_eq!((nothing.len(), all(&nothing).len()), (4, 0), "{nothing:?}");
    let page = reqwest::get(format!("{no_time}/github/acme/widget/search?q=nobody")).await.expect("an answer");
    let page = page.text().await.expect("text");
    holds(
        &page,
        &[
            "No log has it so far. 1 log of 1 run (11 bytes) looked through",
            "there are older ones",
            "Go on with older logs",
        ],
    );
    // so many bytes: as many logs as they are in, and the one that is begun
    let few_bytes = t.looking(Reach { bytes: 12, ..usual }).await;
    let found = walk(&few_bytes, "q=needle").await;
    assert_eq!((found.len(), all(&found)), (2, all(&whole)), "{found:?}");
    assert!(found.iter().all(|(_, partly)| *partly == 0), "{found:?}");
    t.read_writes();
}
