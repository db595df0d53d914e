//! Logs as bytes and as they come.

use containerops::agent::protocol::{Cause, Heartbeat, Held};
use reqwest::{Method, Response, StatusCode, header};
use serde_json::Value;

use super::{JOB, SMALL};
use crate::harness::app::Tester;

/// An event of a stream: its id, its name if it is no message, and its data.
type Event = (String, String, Value);

#[tokio::test]
async fn a_log_is_served_in_ranges_while_it_grows_and_after_it_is_sealed() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let agent = t.claims("test").await.says("0123456789\n").await;
    ranges(&t, 11).await;
    let agent = agent.says("abc\n").await;
    ranges(&t, 15).await;
    agent.exits(0).await;
    ranges(&t, 15).await;
}

async fn ranges(t: &Tester, length: usize) {
    let (whole, part) = (StatusCode::OK, StatusCode::PARTIAL_CONTENT);
    for (range, status, text) in [
        (None, whole, &"0123456789\nabc\n"[..length]),
        (Some("bytes=2-4"), part, "234"),
        (Some("bytes=9-11"), part, &"9\na"[..3.min(length - 9)]),
        (Some("bytes=0-0"), part, "0"),
        (Some("lines=1-2"), whole, &"0123456789\nabc\n"[..length]),
    ] {
        let answer = ask(t, Method::GET, range).await;
        assert_eq!(answer.status(), status, "{range:?}");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(answer.text().await.expect("text"), text, "{range:?}");
    }
    let last = ask(t, Method::GET, Some("bytes=-3")).await;
    let place = format!("bytes {}-{}/{length}", length - 3, length - 1);
    assert_eq!(last.headers()[header::CONTENT_RANGE], place);
    let beyond = ask(t, Method::GET, Some("bytes=100-")).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.headers()[header::CONTENT_RANGE], format!("bytes */{length}"));
    let head = ask(t, Method::HEAD, None).await;
    assert_eq!((head.status(), &head.headers()[header::CONTENT_LENGTH]), (whole, &length.into()));
    assert_eq!(head.text().await.expect("nothing"), "");
}

async fn ask(t: &Tester, method: Method, range: Option<&str>) -> Response {
    let request = t.ask(method, &format!("{JOB}/log.txt"));
    let request = range.into_iter().fold(request, |request, range| request.header(header::RANGE, range));
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn a_stream_goes_on_from_the_last_event_and_ends_with_the_log() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let agent = t.claims("test").await.says("one\ntw").await;
    let mut stream = Stream::of(&t, "as=html&offset=0", None).await;
    let (id, name, data) = stream.next().await.expect("an event");
    assert_eq!((id.as_str(), name.as_str()), ("4", ""), "whole lines alone count");
    assert!(data["html"].as_str().expect("rows").contains("<li id=\"L1\""), "{data}");
    let agent = agent.says("o\n<three>").await;
    let (id, _, data) = stream.next().await.expect("an event");
    assert_eq!(id, "8");
    assert!(data["html"].as_str().expect("rows").contains("id=\"L2\""), "{data}");
    agent.ends(Cause::Exit { code: 0 }).await;
    let (id, name, data) = stream.next().await.expect("an event");
    assert_eq!((id.as_str(), name.as_str()), ("15", "end"));
    assert!(data["html"].as_str().expect("rows").contains("&lt;three&gt;"), "{data}");
    assert_eq!(stream.next().await, None, "nothing comes after the end");
    let mut again = Stream::of(&t, "offset=0", Some("8")).await;
    assert_eq!(again.next().await.expect("an event").2["text"], "<three>");
    assert_eq!(again.next().await.expect("an event").1, "end");
}

#[tokio::test]
async fn a_stream_says_what_is_held_back_of_a_log_that_no_line_tells_of() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let agent = t.claims("test").await.says("head\n").await;
    let mut stream = Stream::of(&t, "as=html&offset=0", None).await;
    assert_eq!(stream.next().await.expect("an event").0, "5");
    for bytes in [1_000, 2_000] {
        let said = Heartbeat { log: Some(Held { bytes, lines: 10 }) };
        agent.call(Method::POST, "heartbeat?wait=0").json(&said).send().await.expect("an answer");
        let (id, name, data) = stream.next().await.expect("an event");
        assert_eq!((id.as_str(), name.as_str()), ("5", "seal"));
        let words = format!("1 line so far; 10 lines ({} kB) more are held back in the pod", bytes / 1_000);
        assert!(data["seal"].as_str().is_some_and(|seal| seal.starts_with(&words)), "{data}");
    }
    agent.says("tail\n").await.exits(0).await;
    assert!(stream.next().await.expect("an event").2["html"].as_str().is_some_and(|html| html.contains("tail")));
    t.read_writes();
}

/// What a terminal would show of a stream's rows at the end.
fn shown(rows: &mut Vec<(String, String)>, html: &str) {
    for row in html.split("<li ").skip(1) {
        let id = row.split('"').nth(1).expect("an id").to_owned();
        match rows.iter_mut().find(|(known, _)| *known == id) {
            Some(known) => row.clone_into(&mut known.1),
            None => rows.push((id, row.to_owned())),
        }
    }
}

#[tokio::test]
async fn whoever_watches_bars_sees_them_as_a_terminal_shows_them_and_as_the_page_does_later() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let agent = t.claims("test").await.says("Pulling needle\na: 1%\nb: 1%\n").await;
    let offset = "Pulling needle\na: 1%\nb: 1%\n".len();
    let page = t.page(&format!("{JOB}?q=NEEDLE&attempt=1&end=1")).await;
    assert!(page.contains(&format!("as=html&amp;offset={offset}\"")), "{page}");
    // they come to the page when there are three lines, and one of these changes
    let mut stream = Stream::of(&t, &format!("attempt=1&q=needle&as=html&offset={offset}"), None).await;
    let mut rows = Vec::new();
    let said = [
        "\x1b[2A\x1b[2Ka: needle 99%\r\x1b[2B\x1b[1A\x1b[2Kb: 50%\r\x1b[1Bmore\n",
        "\x1b[2A\x1b[2Kb: done\nagain\nneedle\n",
    ];
    let agent = agent.says(said[0]).await;
    shown(&mut rows, stream.next().await.expect("an event").2["html"].as_str().expect("rows"));
    let agent = agent.says(said[1]).await;
    shown(&mut rows, stream.next().await.expect("an event").2["html"].as_str().expect("rows"));
    let found: Vec<_> = rows.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(found, ["L2", "L3", "L4", "L5", "L6", "L7"]);
    let row = |id: &str| rows.iter().find(|(known, _)| known == id).map(|(_, row)| row.as_str()).expect("a row");
    for (id, wanted) in [
        ("L2", ">a: <mark>needle</mark> 99%</span>"),
        ("L3", ">b: done<"),
        ("L4", ">again<"),
        ("L5", "<mark>needle</mark>"),
    ] {
        assert!(row(id).contains(wanted), "{}", row(id));
    }
    assert!(row("L7").contains("<mark>needle</mark>") && row("L7").contains("q=needle"), "{}", row("L7"));
    // the last two lines were written over what the two before them had left
    for (id, is_over) in [("L4", false), ("L5", false), ("L6", true), ("L7", true)] {
        assert_eq!(row(id).contains("class=\"out over\""), is_over, "{}", row(id));
    }
    agent.exits(0).await;
    let page = t.page(&format!("{JOB}?q=needle&attempt=1&from=1")).await;
    for (id, row) in &rows {
        let text =
            |row: &str| row.split_once("class=\"t\"").map(|(_, text)| text.split("</li>").next().map(str::to_owned));
        let (_, later) = page.split_once(&format!("<li id=\"{id}\"")).expect("a row");
        assert_eq!(text(row), text(later), "{id}");
    }
    t.read_writes();
}

#[tokio::test]
async fn a_program_keeps_a_log_that_has_ended_and_continues_what_is_the_same() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let agent = t.claims("test").await.says("0123456789\n").await;
    let run: Value = t.get(&format!("/api/v1/runs/{}", t.newest_run().await.id)).await.json().await.expect("JSON");
    let id = run["stages"][0]["actions"][0]["jobs"][0]["id"].as_str().expect("an id");
    let api = format!("/api/v1/jobs/{id}/log");
    for path in [api.as_str(), &format!("{JOB}/log.txt")] {
        assert!(!t.get(path).await.headers().contains_key(header::ETAG), "what grows has no name yet");
    }
    agent.exits(0).await;
    t.settle().await;
    for path in [api.as_str(), &format!("{JOB}/log.txt")] {
        let ask = |headers: &[(&str, &str)]| {
            let asked =
                headers.iter().fold(t.ask(Method::GET, path), |asked, (name, value)| asked.header(*name, *value));
            async { asked.send().await.expect("an answer") }
        };
        let tag = ask(&[]).await.headers()[header::ETAG].to_str().expect("text").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let same = ask(&[("if-none-match", &known)]).await;
            assert_eq!(same.status(), StatusCode::NOT_MODIFIED, "{path} {known}");
            assert_eq!(
                (
                    same.headers()[header::ETAG].to_str().expect("text").to_owned(),
                    same.bytes().await.expect("none").len()
                ),
                (tag.clone(), 0)
            );
        }
        assert_eq!(ask(&[("if-none-match", "\"x\"")]).await.status(), StatusCode::OK);
        for (condition, status, wanted) in [
            (&*tag, StatusCode::PARTIAL_CONTENT, "34"),
            ("\"x\"", StatusCode::OK, "0123456789\n"),
            // what is only as good as the same is not continued
            (&*format!("W/{tag}"), StatusCode::OK, "0123456789\n"),
            ("Sun, 01 Mar 2026 12:00:00 GMT", StatusCode::OK, "0123456789\n"),
        ] {
            let part = ask(&[("range", "bytes=3-4"), ("if-range", condition)]).await;
            assert_eq!(part.status(), status, "{path} {condition}");
            assert_eq!(part.text().await.expect("text"), wanted, "{path} {condition}");
        }
    }
}

/// A stream of server-sent events.
struct Stream {
    answer: Response,
    text: String,
}

impl Stream {
    async fn of(t: &Tester, query: &str, last: Option<&str>) -> Self {
        let request = t.ask(Method::GET, &format!("{JOB}/log/stream?{query}"));
        let request = last.into_iter().fold(request, |request, id| request.header("last-event-id", id));
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream");
        Self { answer, text: String::new() }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    line.unwrap_or_default().to_owned()
                };
                let (id, name, data) = (field("id"), field("event"), field("data"));
                self.text = rest.to_owned();
                return Some((id, name, serde_json::from_str(&data).expect("JSON")));
            }
            let chunk = self.answer.chunk().await.expect("no trouble")?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }
}

#[tokio::test]
async fn what_belongs_together_in_a_log_that_has_ended_is_folded_until_somebody_comes_for_a_line_of_it() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let agent = t.claims("test").await.says("start\n::group::Fetch <things>\none\ntwo\n::endgroup::\nend\n").await;
    let live = t.page(JOB).await;
    assert!(live.contains("class=\"opened\"") && live.contains(">one<"), "nothing is folded while it comes: {live}");
    agent.exits(0).await;
    let page = t.page(JOB).await;
    let folded =
        "class=\"unfold\" href=\"?attempt=1&#38;open=2&amp;from=2#L2\">Fetch &lt;things&gt;</a> <small>4 lines, ";
    assert!(page.contains(folded) && page.contains(">end<") && !page.contains(">one<"), "{page}");
    for path in ["?open=2&from=2", "?from=3", "?open=4&from=1", "?line=3", "?q=two&line=4", "?folds=no"] {
        let page = t.page(&format!("{JOB}{path}")).await;
        assert!(page.contains("id=\"L4\"") && !page.contains("unfold"), "{path}: {page}");
    }
    assert!(
        t.page(&format!("{JOB}?from=2")).await.contains("unfold"),
        "a page that begins with it is no wish to read it"
    );
}
