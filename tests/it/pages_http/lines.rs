//! Lines that people choose, quote and keep.

use std::time::Duration;

use containerops::agent::protocol::{Cause, Chunk, EndRecord, LogSeal, Piece, Stream};
use reqwest::{Method, StatusCode, header};

use super::{JOB, SMALL, holds};
use crate::harness::app::Tester;

#[tokio::test]
async fn lines_are_chosen_by_address_alone() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let log: String = (1..=3_000).map(|n| format!("\u{1b}[32mline\u{1b}[0m {n}\n")).collect();
    let agent = t.claims("test").await.says(&log).await;
    for (line, first, last) in [("1500", 1_500, 1_500), ("1500-1502", 1_500, 1_502), ("L1502-L1500", 1_500, 1_502)] {
        let page = t.page(&format!("{JOB}?line={line}")).await;
        let marked: Vec<_> = page.split("<li ").filter(|row| row.contains("class=\"out here\"")).collect();
        assert_eq!(marked.len() as u64, last - first + 1, "{line}");
        assert!(marked[0].starts_with(&format!("id=\"L{first}\"")), "{}", marked[0]);
        holds(&page, &[&format!("href=\"?attempt=1&#38;line={first}#L{first}\""), &format!("data-open=\"{first}\"")]);
    }
    holds(
        &t.page(&format!("{JOB}?line=1500-1502")).await,
        &["Lines 1500 to 1502", "log.txt?attempt=1&amp;line=1500-1502"],
    );
    holds(
        &t.page(&format!("{JOB}?line=9999")).await,
        &["There is no line 9999: the last one is 3000.", "id=\"L3000\""],
    );
    holds(&t.page(&format!("{JOB}?end=1")).await, &["id=\"L2401\"", "id=\"L3000\"", "data-stream="]);
    for broken in ["x", "1-", "-1", "1-2-3", "1;2", ""] {
        let answer = t.get(&format!("{JOB}?line={broken}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{broken}");
    }
    // the log grows, and there is another attempt: the link leads to the same
    agent.says("more\n").await.exits(1).await;
    holds(
        &t.page(&format!("{JOB}?attempt=1&line=1500-1502")).await,
        &["Lines 1500 to 1502", "id=\"L1500\" class=\"out here\""],
    );
    let quoted = t.page(&format!("{JOB}/log.txt?attempt=1&line=2999-4000")).await;
    assert_eq!(quoted, "line 2999\nline 3000\nmore\n");
    assert_eq!(t.page(&format!("{JOB}/log.txt?line=4000")).await, "");
}

#[tokio::test]
async fn how_lines_are_shown_can_be_chosen_without_a_script() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.claims("test").await.says("one\ntwo\n").await.exits(1).await;
    let page = t.page(&format!("{JOB}?line=2")).await;
    holds(
        &page,
        &[
            "?attempt=1&#38;times=day&#38;line=2#L2\">Times of day (UTC)",
            "?attempt=1&#38;wrap=no&#38;line=2#L2\">Do not wrap",
        ],
    );
    let page = t.page(&format!("{JOB}?times=day&wrap=no")).await;
    holds(
        &page,
        &[
            "class=\"log unwrapped\" data-times=\"of day\"",
            "?attempt=1&#38;wrap=no&#38;\">Times since the start",
            "name=\"times\" value=\"day\"",
        ],
    );
    let (_, time) = page.split_once("<time datetime=\"").expect("a time");
    let (iso, time) = time.split_once("\">").expect("a tag");
    assert_eq!(time.split_once('<').expect("an end").0, &iso[11..19]);
}

#[tokio::test]
async fn a_log_is_kept_as_a_file_whose_digest_the_page_says() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let agent = t.claims("test").await.says("one\ntwo\n").await;
    let growing = t.get(&format!("{JOB}/log.txt")).await;
    assert!(!growing.headers().contains_key(header::ETAG), "what grows is not the same tomorrow");
    agent.exits(0).await;
    t.drain().await;
    let kept = t.get(&format!("{JOB}/log.txt?download=1")).await;
    let name = "attachment; filename=\"widget-1-test-test-test-1.log\"; filename*=UTF-8''widget-1-test-test-test-1.log";
    assert_eq!(kept.headers()[header::CONTENT_DISPOSITION], name);
    let tag = kept.headers()[header::ETAG].to_str().expect("text").to_owned();
    let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(kept.bytes().await.expect("bytes")));
    assert_eq!(tag, format!("\"{sha256}-0\""));
    holds(&t.page(JOB).await, &[&format!("data-copy=\"{sha256}\""), "download=1\">Download</a>"]);
    for (header, value, range, status) in [
        (header::IF_NONE_MATCH, tag.as_str(), None, StatusCode::NOT_MODIFIED),
        (header::IF_RANGE, tag.as_str(), Some("bytes=0-1"), StatusCode::PARTIAL_CONTENT),
        (header::IF_RANGE, "\"other\"", Some("bytes=0-1"), StatusCode::OK),
        (header::IF_RANGE, "Fri, 27 Nov 2026 00:00:00 GMT", Some("bytes=0-1"), StatusCode::OK),
        (header::ACCEPT, "*/*", Some("bytes=0-1, 3-4"), StatusCode::OK),
    ] {
        let request = t.ask(Method::GET, &format!("{JOB}/log.txt")).header(&header, value);
        let request = range.into_iter().fold(request, |request, range| request.header(header::RANGE, range));
        assert_eq!(request.send().await.expect("an answer").status(), status, "{header}: {value}, {range:?}");
    }
}

#[tokio::test]
async fn what_an_agent_says_in_a_line_alone_has_the_time_that_it_took() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    let begun = t.clock.now();
    let at = |ms: u64| begun.after(Duration::from_millis(ms));
    let said = [
        (1_000, Stream::Agent, "cache deps: missed, there is none yet\n"),
        (3_500, Stream::Out, "it tests\n"),
        (4_000, Stream::Agent, "ready after 500 ms: it listens\n"),
        (9_000, Stream::Out, "it is done\n"),
        (12_250, Stream::Agent, "artifact bin: 1 file, kept in 2 s\n"),
    ];
    let text: String = said.iter().map(|(_, _, text)| *text).collect();
    let piece = |&(ms, stream, text): &(u64, Stream, &str)| Piece { length: text.len() as u64, time: at(ms), stream };
    let chunk = Chunk { pieces: said.iter().map(piece).collect(), text: text.clone().into_bytes() };
    let sent = agent.call(Method::PUT, "log?offset=0").body(chunk.encode().expect("a chunk")).send().await;
    assert_eq!(sent.expect("an answer").status(), StatusCode::OK);
    let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&text));
    let log = LogSeal { length: text.len() as u64, lines: 5, sha256, ..LogSeal::default() };
    let (started, ended) = (Some(at(3_000)), at(10_000));
    agent.reports(&EndRecord { started, ended, log, ..agent.record(Cause::Exit { code: 0 }) }).await;
    t.settle().await;
    let page = t.page(JOB).await;
    let took = |line: u64| {
        let row = page.split(&format!("<li id=\"L{line}\"")).nth(1).and_then(|rest| rest.split("</li>").next());
        let row = row.unwrap_or_else(|| panic!("line {line} is not in\n{page}"));
        row.split_once("<small>").map(|(_, rest)| rest.split('<').next().unwrap_or_default().to_owned())
    };
    assert_eq!(took(5).as_deref(), Some("2.2 s"), "since the process was over, not since it last wrote");
    assert_eq!([took(2), took(3), took(4)], [None, None, None], "what is said meanwhile is no work of the agent's");
    assert_eq!(took(1).as_deref(), Some("1.0 s"), "since the job's turn came");
}
