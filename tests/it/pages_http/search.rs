//! Text that is looked for in a log, as a browser that runs no script does it.

use reqwest::{StatusCode, header};
use serde_json::{Value, json};

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
    for (query, words) in [
        ("q=%28&regex=true", "not a regular expression"),
        ("q=x&state=green", "no state"),
        ("q=x&days=0", "`days`"),
        ("q=", "nothing to look for"),
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
