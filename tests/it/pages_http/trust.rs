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

/// Turns what comes after it, hides, or joins: one of each kind.
const HIDDEN: [char; 7] = ['\u{202e}', '\u{2066}', '\u{200b}', '\u{200f}', '\u{feff}', '\u{61c}', '\u{7}'];

/// Without what a form gives back as it is, which no browser shows as a part of the page's text.
fn seen(page: &str) -> String {
    let parts = page.split(" value=\"").enumerate();
    parts.map(|(at, part)| if at == 0 { part } else { part.split_once('"').expect("an end").1 }).collect()
}

#[tokio::test]
async fn what_is_not_seen_turns_no_page_and_is_said() {
    let t = Tester::start().await;
    let hidden: String = HIDDEN.iter().collect();
    let branch = "moc\u{202e}niam\u{200b}";
    t.commit(branch, &SMALL.replace("}]", ", outputs: [OUT]}]"));
    let mut push: serde_json::Value = serde_json::from_slice(&t.github.push(WIDGET, branch).body).expect("JSON");
    push["head_commit"]["message"] = json!(format!("evil{hidden}title"));
    push["sender"]["login"] = json!(format!("ad{hidden}a"));
    t.deliver(t.github.signed("push", &push)).await;
    t.settle().await;
    let agent = t.claims("test").await.says(&format!("a{hidden}b\nneedle{hidden}\n")).await;
    agent.writes(&[("OUT", &hidden)]).await.results_in(&hidden).exits(1).await;
    let list = t.page("/deliveries").await;
    let (_, rest) = list.split_once("href=\"/deliveries/").expect("a link");
    let delivery = format!("/deliveries/{}", rest.split('"').next().expect("an id"));
    let search = "/github/acme/widget/search?q=needle";
    let named = "/?branch=moc%E2%80%AEniam%E2%80%8B";
    let (table, timeline) = (format!("{RUN}?view=table"), format!("{RUN}/timeline"));
    let odd = format!("{JOB}?q=%E2%80%AE&from=1");
    for path in [
        "/",
        named,
        "/github/acme/widget",
        "/repositories",
        RUN,
        &table,
        &timeline,
        JOB,
        &odd,
        "/deliveries",
        &delivery,
        search,
    ] {
        let page = seen(&t.page(path).await);
        for c in HIDDEN {
            assert!(!page.contains(c), "U+{:04X} is in {path}:\n{page}", u32::from(c));
        }
    }
    holds(&t.page(RUN).await, &["push to moc[U+202E]niam[U+200B]", "evil[U+202E][U+2066]", "ad[U+202E]"]);
    // what is looked for is given back as it was
    holds(&t.page(named).await, &["value=\"moc\u{202e}niam\u{200b}\"", "evil[U+202E]"]);
    holds(&t.page(&odd).await, &["value=\"\u{202e}\""]);
    holds(&t.page(JOB).await, &["a<span class=\"hidden\">U+202E</span>"]);
    // names that are written from the right are nobody's fault, and turn nothing but themselves
    let css = include_str!("../../../static/app.css");
    let isolated = css
        .lines()
        .find(|line| line.ends_with("{ unicode-bidi: isolate; }") && line.starts_with("h1,"))
        .expect("a rule");
    for tag in ["h1", "dd", "a", "b", "code", "small", "time", ".title"] {
        assert!(isolated.split([',', '{']).any(|one| one.trim() == tag), "{tag}: {isolated}");
    }
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
async fn a_page_that_says_the_same_is_not_sent_again() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let job = t.claims("test").await.says("hello\n").await;
    let asked = async |path: &str, known: &str| {
        let answer = t.ask(Method::GET, path).header("if-none-match", known).send().await.expect("an answer");
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(header("cache-control"), "private, no-cache", "{path}");
        assert_eq!(header("vary"), "Authorization, Cookie", "{path}");
        assert!(header("content-security-policy").contains("default-src 'none'"), "{path}");
        (answer.status().as_u16(), header("etag"), answer.text().await.expect("text"))
    };
    let (_, running, _) = asked(RUN, "").await;
    assert_eq!(asked(RUN, &running).await.0, 304, "the clock stands");
    t.clock.advance(std::time::Duration::from_secs(2));
    let (status, later, page) = asked(RUN, &running).await;
    assert!(status == 200 && later != running && page.contains("</html>"), "it says another time");
    job.exits(0).await;
    t.drain().await;
    for path in [RUN, JOB, "/github/acme/widget/runs/1/timeline", "/github/acme/widget", "/"] {
        let (status, tag, page) = asked(path, "\"other\"").await;
        assert!(status == 200 && page.contains("</html>"), "{path}");
        t.clock.advance(std::time::Duration::from_secs(3600));
        assert_eq!(asked(path, &format!("\"x\", W/{tag}")).await, (304, tag.clone(), String::new()), "{path}");
        let head = t.ask(Method::HEAD, path).send().await.expect("an answer");
        assert_eq!(head.headers()["etag"].to_str().expect("text"), tag, "{path}");
    }
    let (_, before, _) = asked("/", "").await;
    t.runs_again(t.newest_run().await.id).await;
    assert_eq!(asked("/", &before).await.0, 200, "there is another run");
    assert!(!t.get("/nothing").await.headers().contains_key("etag"), "what is not there has no tag");
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
