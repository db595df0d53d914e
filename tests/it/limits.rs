//! What is bounded, row by row of `docs/limits.md`.

use std::{fs, time::Duration};

use containerops::{
    model::{DeliveryState, Scope},
    store::DeliveryFilter,
};
use reqwest::{Method, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    access::{SIGNED_IN, Shows},
    docs,
    harness::{
        app::{Tester, WIDGET},
        service::Service,
    },
};

const FLOW: &str = "stages: [{name: test, image: alpine, run: ./test.sh}]";
/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(10);

/// What is answered to these bytes, or to none.
async fn said(stream: &mut TcpStream, request: &[u8]) -> String {
    // a server that has said enough may have closed it
    let _ = stream.write_all(request).await;
    let mut answer = vec![0; 4096];
    let length = timeout(SOON, stream.read(&mut answer)).await.expect("in time").unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn connections_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [("CONTAINEROPS_SOURCE_CONNECTIONS", "3".to_owned())];
    let service = Service::start_with(&folder.path().join("a"), &settings).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(service.address()).await.expect("a connection");
        assert!(said(&mut stream, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.contains(" 200 "));
        open.push(stream);
    }
    let mut fourth = TcpStream::connect(service.address()).await.expect("a connection");
    let refused = said(&mut fourth, b"").await;
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("retry-after: 5"), "{refused}");
    open.pop();
    // it may take a moment until the other side has seen the end
    let again = async {
        loop {
            let mut next = TcpStream::connect(service.address()).await.expect("a connection");
            if said(&mut next, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.contains(" 200 ") {
                return;
            }
        }
    };
    timeout(SOON, again).await.expect("there is room again");
    drop(service);
    let settings = [("CONTAINEROPS_CONNECTIONS", "1".to_owned())];
    let service = Service::start_with(&folder.path().join("b"), &settings).await;
    let _first = TcpStream::connect(service.address()).await.expect("a connection");
    let mut second = TcpStream::connect(service.address()).await.expect("a connection");
    let refused = said(&mut second, b"").await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 5"), "{refused}");
}

#[tokio::test]
async fn streams_of_http2_are_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = Service::start_with(folder.path(), &[]).await;
    let mut stream = TcpStream::connect(service.address()).await.expect("a connection");
    // the preface, and settings without a word (RFC 9113, 3.4 and 6.5)
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("it reads");
    let mut head = [0; 9];
    timeout(SOON, stream.read_exact(&mut head)).await.expect("in time").expect("a frame");
    assert_eq!(head[3], 4, "settings come first");
    let mut settings = vec![0; usize::from(head[2])];
    stream.read_exact(&mut settings).await.expect("settings");
    let most = settings.chunks(6).find(|setting| setting[..2] == [0, 3]).expect("how many streams");
    assert_eq!(most[2..], [0, 0, 0, 128]);
}

#[tokio::test]
async fn of_a_webhook_so_many_headers_are_kept() {
    let t = Tester::start().await;
    t.commit("main", FLOW);
    let mut delivery = t.github.push(WIDGET, "main");
    for number in 0..80 {
        let name = reqwest::header::HeaderName::try_from(format!("x-more-{number}")).expect("a name");
        delivery.headers.insert(name, "more".parse().expect("a value"));
    }
    let (status, answer) = t.send("github", delivery).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let mut tx = t.app().engine.store.read().await.expect("the database is there");
    let kept = tx.deliveries(&DeliveryFilter { limit: 1, ..DeliveryFilter::default() }).await.expect("deliveries");
    let kept = tx.delivery_shown(kept[0].id, 0).await.expect("a delivery").expect("it is there");
    assert_eq!(kept.headers.0.len(), 64);
}

#[tokio::test]
async fn heads_are_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = Service::start(&folder.path().join("data")).await;
    let head = |headers: &str| format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    let many = |count: usize| (0..count).map(|at| format!("x-{at}: 1\r\n")).collect::<String>();
    for (headers, status) in [
        (many(90), " 200 "),
        (many(110), " 431 "),
        (format!("x-long: {}\r\n", "a".repeat(30 << 10)), " 200 "),
        (format!("x-long: {}\r\n", "a".repeat(80 << 10)), " 431 "),
    ] {
        let mut stream = TcpStream::connect(service.address()).await.expect("a connection");
        let answer = said(&mut stream, head(&headers).as_bytes()).await;
        assert!(answer.lines().next().is_some_and(|line| line.contains(status)), "{status}: {answer}");
    }
}

#[tokio::test]
async fn who_asks_too_often_waits() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.set_up(&format!("{SIGNED_IN}source_rate = 2\ntoken_rate = 0\n")).await;
    let (mut let_in, mut refused) = (0, Vec::new());
    for _ in 0..40 {
        let answer = t.http.get(format!("{}/api/v1/runs", t.url())).send().await.expect("an answer");
        if answer.status() == StatusCode::TOO_MANY_REQUESTS { refused.push(answer) } else { let_in += 1 }
    }
    assert!((20..30).contains(&let_in), "{let_in} were let in");
    let refused = refused.pop().expect("some were refused");
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert!(refused.text().await.expect("text").contains("urn:containerops:problem:rate"));
    // probes and webhooks are answered all the same
    for path in ["/healthz", "/readyz"] {
        assert_eq!(t.http.get(format!("{}{path}", t.url())).send().await.expect("an answer").status(), 200);
    }
    t.commit("main", FLOW);
    t.deliver(t.github.push(WIDGET, "main")).await;

    t.set_up(&format!("{SIGNED_IN}token_rate = 2\n")).await;
    let (busy, calm) = (t.token(None, &[Scope::Read]).await, t.token(None, &[Scope::Run]).await);
    let mut last = 200;
    for _ in 0..40 {
        last = t.asked(&busy, Method::GET, "/api/v1/runs").await.status().as_u16();
    }
    assert_eq!(last, 429);
    assert_eq!(t.asked(&calm, Method::GET, "/api/v1/runs").await.status(), 200);
}

#[tokio::test]
async fn a_proxys_word_counts_if_it_is_trusted() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    let last = async |client: &str| {
        let mut last = StatusCode::OK;
        for _ in 0..15 {
            let request = t.http.get(format!("{}/api/v1/runs", t.url())).header("x-forwarded-for", client);
            last = request.send().await.expect("an answer").status();
        }
        last.as_u16()
    };
    for proxies in ["", "trusted_proxies = \"10.0.0.0/8 127.0.0.1\"\n"] {
        t.set_up(&format!("source_rate = 1\n{proxies}")).await;
        // what somebody writes before the proxy's own word changes nothing
        assert_eq!([last("8.8.8.8").await, last("1.1.1.1, 8.8.8.8").await], [429, 429]);
        let other = t.http.get(format!("{}/api/v1/runs", t.url())).header("x-forwarded-for", "9.9.9.9");
        assert_eq!(other.send().await.expect("an answer").status(), 200);
    }
    t.set_up("source_rate = 1\ntrusted_proxies = \"10.0.0.1\"\n").await;
    assert_eq!(last("8.8.8.8").await, 429);
    assert_eq!(last("9.9.9.9").await, 429, "nobody here is a proxy");
}

#[tokio::test]
async fn live_streams_are_counted() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    for (run, settings, limit) in
        [(1, "source_watchers = 1\n", "watchers_of_source"), (2, "watchers = 1\n", "watchers")]
    {
        let stream = &format!("/github/acme/widget/runs/{run}/test/test/test/log/stream");
        t.set_up(settings).await;
        t.push("main", FLOW).await;
        let agent = t.claims("test").await.says("a line\n").await;
        let first = t.asked(&Shows::Nothing, Method::GET, stream).await;
        assert_eq!(first.status(), 200);
        let second = t.asked(&Shows::Nothing, Method::GET, stream).await;
        assert_eq!((second.status().as_u16(), second.headers()["retry-after"].to_str().ok()), (429, Some("10")));
        let text = String::from_utf8(t.app().engine.store.meters().text(&[], &[])).expect("text");
        assert!(text.contains(&format!("containerops_limited_total{{limit=\"{limit}\"}} 1")), "{text}");
        assert!(text.contains("containerops_watchers{what=\"log\"} 1"), "{text}");
        agent.exits(0).await;
        drop(first);
    }
}

#[tokio::test]
async fn bodies_are_bounded_on_every_route() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.push("main", FLOW).await;
    let agent = t.claims("test").await;
    let address = t.url().trim_start_matches("http://").to_owned();
    let changes = |method: &Method| matches!(*method, Method::POST | Method::PUT | Method::DELETE);
    let routes = containerops::web::needs().into_iter().map(|route| (route.method, route.path));
    let calls = containerops::web::agent_calls().into_iter().map(|(method, path)| (method, format!("/agent/v1{path}")));
    let hooks = [(Method::POST, "/hooks/github".to_owned())];
    let mut tried = 0;
    for (method, path) in routes.chain(calls).chain(hooks).filter(|(method, _)| changes(method)) {
        let path = path.replace("{id}", "0000000000000").replace("{name}", "x").replace("{digest}", &"0".repeat(64));
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        let bearer = if path.ends_with("/claim") { agent.token() } else { agent.session() };
        let shows =
            if path.starts_with("/agent") { format!("authorization: Bearer {bearer}\r\n") } else { String::new() };
        let head = format!(
            "{method} {path}?offset=0&forge=github&repository={WIDGET} HTTP/1.1\r\nhost: localhost\r\n{shows}\
             content-type: application/json\r\ncontent-length: 10000000000\r\n\r\n"
        );
        let answer = said(&mut stream, head.as_bytes()).await;
        let status: u16 = answer.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or_default();
        // answered at once: too large, or not looked at
        assert!((300..500).contains(&status), "{method} {path}: {answer}");
        tried += 1;
    }
    assert!(tried > 25, "{tried} routes were tried");
}

#[tokio::test]
async fn a_repository_with_too_many_runs_loses_nothing() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.set_up("queue_limit = 1\n").await;
    t.push("main", FLOW).await;
    t.push("main", &FLOW.replace("test.sh", "more.sh")).await;
    assert_eq!(t.runs().await, "#1 push queued\n");
    let mut tx = t.app().engine.store.read().await.expect("the database is there");
    let newest = tx.deliveries(&DeliveryFilter { limit: 1, ..DeliveryFilter::default() }).await.expect("deliveries");
    drop(tx);
    assert_eq!(newest[0].state.0, DeliveryState::Pending);
    assert_eq!(newest[0].trouble, "acme/widget has 1 runs that have not ended, and may have 1");
    t.run_the_job("test", 0).await;
    t.later(Duration::from_secs(31)).await;
    assert_eq!(t.runs().await, "#1 push success\n#2 push queued\n");
}

#[test]
fn every_row_names_what_there_is() {
    let document = fs::read_to_string("docs/limits.md").expect("a document");
    let sources: String = docs::modules("src").into_iter().map(|(_, text)| text).collect();
    let tests: Vec<_> = docs::modules("tests/it").into_iter().chain(docs::modules("src")).collect();
    let rows = document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row[1..row.len() - 1].split('|').map(str::trim).collect()).collect();
    let (heads, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row[0] == "what");
    assert!(heads.len() == 4 && rows.len() > 30, "{} rows in {} tables", rows.len(), heads.len());
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    for row in rows {
        let [_, _, place, counted, by] = row[..] else { panic!("{row:?} has other columns") };
        for place in quoted(place) {
            let is_setting = place
                .strip_prefix("CONTAINEROPS_")
                .is_some_and(|name| sources.contains(&format!("    \"{}\",\n", name.to_lowercase())));
            let is_file = place.ends_with(".rs")
                && fs::exists(if place.starts_with("src") { place.clone() } else { format!("src/{place}") })
                    .unwrap_or(false);
            let is_constant = sources.contains(&format!("const {place}: ")) || place == "DefaultBodyLimit";
            assert!(is_setting || is_file || is_constant, "{place}, of {row:?}, is not there");
        }
        for limit in quoted(counted) {
            assert!(sources.contains(&format!("\"{limit}\"")), "nothing is counted as {limit}");
        }
        let tested = quoted(by);
        assert!(!tested.is_empty(), "{row:?} has no test");
        for test in tested {
            assert!(docs::is_tested(&tests, &test), "{test}, of {row:?}, is not there");
        }
    }
}
