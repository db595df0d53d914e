//! What comes from outside stays text, and other sites' pages have no say.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{JOB, RUN, SMALL, holds};
use crate::harness::app::{Tester, WIDGET};

const SCRIPT: &str = "<script>alert(1)</script>";

#[tokio::test]
async fn titles_branches_people_outputs_and_logs_are_text() {
    let t = Tester::start().await;
    let branch = "<script>alert(1)</script>";
    t.commit(branch, &SMALL.replace("}]", ", outputs: [OUT]}]"));
    let mut push: serde_json::Value = serde_json::from_slice(&t.github.push(WIDGET, branch).body).expect("JSON");
    push["head_commit"]["message"] = json!(format!("{SCRIPT} \" onclick=\"x"));
    push["sender"]["login"] = json!(SCRIPT);
    t.deliver(t.github.signed("push", &push)).await;
    t.settle().await;
    let agent = t.claims("test").await.says("</li></ol><script>alert(1)</script>\na\u{202e}b\n").await;
    agent.writes(&[("OUT", SCRIPT)]).await.results_in("<b>false</b>").exits(0).await;
    let list = t.page("/deliveries").await;
    let (_, rest) = list.split_once("href=\"/deliveries/").expect("a link");
    let delivery = format!("/deliveries/{}", rest.split('"').next().expect("an id"));
    for path in ["/", "/github/acme/widget", RUN, JOB, "/deliveries", &delivery] {
        let page = t.page(path).await;
        assert_eq!(page.matches("<script").count(), 1, "our own alone: {path}\n{page}");
        assert!(
            !page.contains("\" onclick=\"") && !page.contains("<b>") && !page.contains('\u{202e}'),
            "{path}\n{page}"
        );
    }
    holds(&t.page(RUN).await, &["U+202E", "push to &#60;script&#62;"]);
    holds(&t.page(JOB).await, &["U+202E", "&lt;/li&gt;&lt;/ol&gt;&lt;script&gt;"]);
}

#[tokio::test]
async fn every_page_forbids_what_is_not_ours() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.claims("test").await.says("hello\n").await.exits(0).await;
    let text = format!("{JOB}/log.txt");
    for path in ["/", "/github/acme/widget", RUN, JOB, &text, "/deliveries", "/nothing", "/api/v1/runs"] {
        let answer = t.get(path).await;
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        let policy = header("content-security-policy");
        for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        assert!(header("cache-control").contains("no-cache"), "{path}");
        let page = answer.text().await.expect("text");
        assert!(!page.contains(" style=") && !page.contains("<style") && !page.contains(" onload="), "{path}");
    }
}

#[tokio::test]
async fn style_and_script_are_kept_by_their_digest() {
    let t = Tester::start().await;
    let page = t.page("/").await;
    for kind in ["href=\"/static/", "src=\"/static/"] {
        let (_, rest) = page.split_once(kind).expect("an asset");
        let name = rest.split('"').next().expect("a path");
        let answer = t.get(&format!("/static/{name}")).await;
        assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable");
        let (_, file) = name.split_once('/').expect("a file");
        let other = t.get(&format!("/static/000000000000/{file}")).await;
        assert_eq!(other.headers()["cache-control"], "no-store", "another release may be running");
    }
    assert_eq!(t.get("/static/x/../../Cargo.toml").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn another_site_cannot_press_our_buttons() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let run = t.newest_run().await;
    let (id, delivery) = (run.id, run.delivery_id.expect("a delivery"));
    let buttons = [
        format!("{RUN}/cancel"),
        format!("{RUN}/rerun"),
        format!("/api/v1/runs/{id}/cancel"),
        format!("/api/v1/runs/{id}/rerun"),
        format!("/deliveries/{delivery}/replay"),
        format!("/deliveries/{delivery}/dry-run"),
        format!("/api/v1/deliveries/{delivery}/replay"),
        format!("/api/v1/deliveries/{delivery}/dry-run"),
    ];
    for path in &buttons {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
        ] {
            let answer = t.ask(Method::POST, path).header(name, value).send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path} {name}: {value}");
        }
        let read = t.get(path).await;
        assert_eq!(read.status(), StatusCode::METHOD_NOT_ALLOWED, "a link does nothing: {path}");
    }
    t.settle().await;
    assert_eq!((t.runs().await.as_str(), t.deliveries().await.lines().count()), ("#1 push queued\n", 1));
    let own = t.ask(Method::POST, &buttons[0]).header("origin", t.url()).send().await.expect("an answer");
    assert_eq!(own.status(), StatusCode::SEE_OTHER);
}
