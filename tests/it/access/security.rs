//! What protects people's browsers, on every route that there is: what a page may load, who may send a form, and that
//! what is refused or broken says nothing of what is inside.

use std::collections::BTreeSet;

use regex::Regex;
use reqwest::{Method, header};

use super::{
    ORIGIN, RUN, SIGNED_IN, Shows, form,
    matrix::{Ids, pages},
    service,
};
use crate::harness::app::Tester;

const JOB: &str = "/github/acme/widget/runs/1/test/test/test";

/// What a page must not have: script, style or handlers of its own, and files of others.
fn unsafe_parts(page: &str) -> Vec<String> {
    let bad = [
        r"(?i)<style[\s>]",
        r#"(?i)<[^>]*\sstyle\s*="#,
        r#"(?i)<[^>]*\son[a-z]+\s*="#,
        r"(?i)<(iframe|object|embed|base)[\s>]",
        r#"(?i)(href|src|action)\s*=\s*["']?\s*(javascript|vbscript|data:text)"#,
        r"(?i)<script[^>]*>[^<]",
        r#"(?i)<(script|link|img)[^>]*\s(src|href)\s*=\s*"(https?:)?//"#,
    ];
    let find = |bad: &str| Regex::new(bad).expect("a pattern").find(page).map(|found| found.as_str().to_owned());
    let own = page.matches("<script").count() == page.matches("<script src=\"/static/").count();
    let foreign = (!own).then(|| "a script that is not ours".to_owned());
    bad.into_iter().filter_map(find).chain(foreign).collect()
}

#[tokio::test]
async fn no_route_lets_a_browser_run_or_load_anything_that_is_not_ours() {
    let oauth = "github_oauth_id = \"id\"\ngithub_oauth_secret = \"secret\"\n";
    let t = service(&format!("{SIGNED_IN}{oauth}"), false).await;
    let (there, root) = (Ids::there(&t).await, t.session("github/root").await);
    let routes =
        containerops::web::needs().into_iter().map(|route| (route.method, there.fill(&route.path, route.need)));
    let below = pages().into_iter().map(|(method, path, _)| (method, path));
    let more = ["/nothing", "/github/acme/nothing", "/?before=x", "/github/acme/widget?before=0000000000000"];
    let more = more.into_iter().map(|path| (Method::GET, path.to_owned()));
    let (mut html, mut seen) = (0, BTreeSet::new());
    // what is sent changes nothing: it has no form
    for (method, path) in routes.chain(below).chain(more).filter(|(_, path)| !path.ends_with("/log/stream")) {
        for shows in [&Shows::Nothing, &root] {
            let answer = t.asked(shows, method.clone(), &path).await;
            let case = format!("{method} {path}: {}", answer.status());
            let text = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
            let policy = text("content-security-policy").to_owned();
            assert!(policy.contains("default-src 'none'"), "{case}: {policy:?}");
            assert!(
                !policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"),
                "{case}: {policy}"
            );
            assert_eq!(text("x-content-type-options"), "nosniff", "{case}");
            assert_eq!(text("referrer-policy"), "same-origin", "{case}");
            let kind = text("content-type").to_owned();
            for cookie in answer.headers().get_all(header::SET_COOKIE) {
                let cookie = cookie.to_str().expect("text");
                assert!(cookie.starts_with("__Host-"), "{case}: {cookie}");
                for rule in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
                    assert!(cookie.contains(rule), "{case}: {cookie}");
                }
            }
            if kind.starts_with("text/html") {
                assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{case}");
                let page = answer.text().await.expect("text");
                assert_eq!(unsafe_parts(&page), [""; 0], "{case}");
                html += 1;
            }
        }
        seen.insert(path);
    }
    assert!(html > 40 && seen.len() > 50, "{html} pages, {} routes", seen.len());
}

#[test]
fn the_templates_have_neither_script_nor_style_of_their_own() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
    let mut count = 0;
    for file in std::fs::read_dir(folder).expect("templates") {
        let path = file.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("text");
        // a picture by itself brings its style, which its policy allows by its digest
        let text = if path.ends_with("picture.svg") { text.replace("<style>", "") } else { text };
        let text = text.replace("<script src=\"{{ chrome.script }}\"", "<script src=\"/static/\"");
        assert_eq!(unsafe_parts(&text), [""; 0], "{}", path.display());
        count += 1;
    }
    assert!(count > 10, "{count}");
}

/// What other sites' pages make browsers send.
const FOREIGN: [&[(&str, &str)]; 5] = [
    &[],
    &[("origin", "https://evil.example")],
    &[("origin", "null")],
    &[("sec-fetch-site", "cross-site"), ("origin", ORIGIN)],
    &[("sec-fetch-site", "same-site"), ("origin", "https://other.example.com")],
];

#[tokio::test]
async fn no_route_changes_anything_for_another_sites_page() {
    let t = service(SIGNED_IN, false).await;
    let there = Ids::there(&t).await;
    let Shows::Session(session) = t.session("github/root").await else { panic!("a session") };
    let routes =
        containerops::web::needs().into_iter().map(|route| (route.method, there.fill(&route.path, route.need)));
    let below = pages().into_iter().map(|(method, path, _)| (method, path));
    let before = t.audited().await;
    let mut count = 0;
    for (method, path) in routes.chain(below).filter(|(method, _)| *method != Method::GET) {
        for headers in FOREIGN {
            let request = t.straight.request(method.clone(), format!("{}{path}", t.url()));
            let mut request = form(request, &[("name", "x"), ("value", "hunter22"), ("days", "1"), ("run", "always")]);
            request = request.header("cookie", format!("__Host-containerops={session}"));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let status = request.send().await.expect("an answer").status().as_u16();
            assert_eq!(status, 403, "{method} {path} with {headers:?}");
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
    assert_eq!(t.audited().await, before, "nothing was done");
    let still = t.text(&Shows::Session(session), "/").await;
    assert!(still.contains("Sign out"), "and nobody was signed out");
}

#[tokio::test]
async fn whatever_markup_a_log_has_no_browser_reads_it_as_such() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.push("main", r#"stages: [{name: test, image: "rust:1", run: cargo test}]"#).await;
    let evil = [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "</li></ol></main><svg onload=alert(1)>",
        "\x1b]8;;javascript:alert(1)\x07error: link\x1b]8;;\x07",
        "\x1b]8;;https://x.example/\"onclick=\"alert(1)\x07quoted\x1b]8;;\x07",
        "::group::<b onmouseover=alert(1)>title</b>",
        "within",
        "::endgroup::",
        "error: <style>*{}</style> &lt;b&gt; \" ' `",
        "src/<b>.rs:1:1: error: <i style=x>",
    ];
    let log = evil.join("\n") + "\n";
    t.claims("test").await.says(&log).await.exits(1).await;
    let of_run = "/github/acme/widget/runs/1";
    let searched = format!("{JOB}?q=%3Cscript%3Ealert%281%29%3C%2Fscript%3E");
    let stream = format!("{JOB}/log/stream?as=html&offset=0");
    for path in [of_run, JOB, &format!("{JOB}?folds=no"), &searched, &format!("{JOB}?q=%3Cimg%20src%3Dx"), &stream] {
        let answer = t.http.get(format!("{}{path}", t.url())).send().await.expect("an answer");
        let body = answer.text().await.expect("text").replace("\\\"", "\"");
        assert!(body.contains("alert(1)"), "{path}: it is shown, as text");
        assert_eq!(unsafe_parts(&body), [""; 0], "{path}");
        for element in ["<img", "<b onm", "<b>.rs", "<i style", "<svg onload"] {
            assert!(!body.contains(element), "{path}: {element}: {body}");
        }
    }
    let runs = t.asked(&Shows::Nothing, Method::GET, "/api/v1/runs").await;
    assert_eq!(runs.headers()[header::CONTENT_TYPE], "application/json");
}

#[tokio::test]
async fn what_is_refused_says_nothing_of_what_is_inside() {
    let t = service(SIGNED_IN, true).await;
    let inside = ["/work", "/tmp", "src/", ".rs", "SELECT", "sqlx", "sqlite", "panicked", "Error(", "widget"];
    for path in [RUN, JOB, "/github/acme/widget", "/deliveries", "/audit", "/tokens", "/nothing", "/?before=x", "/%ff"]
    {
        for (accept, prefix) in [("text/html", ""), ("application/json", "/api/v1")] {
            let request = t.straight.get(format!("{}{prefix}{path}", t.url())).header("accept", accept);
            let answer = request.send().await.expect("an answer");
            assert!(answer.status().is_client_error(), "{prefix}{path}: {}", answer.status());
            let kind = answer.headers()[header::CONTENT_TYPE].to_str().expect("text").to_owned();
            let wanted = if prefix.is_empty() { "text/html" } else { "application/problem+json" };
            assert!(kind.starts_with(wanted), "{prefix}{path}: {kind}");
            let words = answer.text().await.expect("text");
            for word in inside {
                assert!(!words.contains(word), "{prefix}{path}: {word}: {words}");
            }
        }
    }
    // our own trouble: the database is away
    t.app().engine.store.close().await;
    for (path, kind) in [("/", "text/html"), ("/api/v1/runs", "application/problem+json")] {
        let answer = t.asked(&Shows::Nothing, Method::GET, path).await;
        assert_eq!(answer.status().as_u16(), 500, "{path}");
        assert!(answer.headers()[header::CONTENT_TYPE].to_str().expect("text").starts_with(kind), "{path}");
        let words = answer.text().await.expect("text");
        assert!(words.contains("omething went wrong on our side"), "{path}: {words}");
        for word in inside {
            assert!(!words.contains(word), "{path}: {word}: {words}");
        }
    }
}
