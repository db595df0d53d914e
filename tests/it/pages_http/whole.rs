//! Whether a log is complete: the page, the API and the raw text say so, or what is missing and where.

use containerops::agent::protocol::{Cause, EndRecord, Heartbeat, Held, LeftOut};
use insta::assert_snapshot;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{JOB, SMALL};
use crate::harness::{agent::Agent, app::Tester};

const ZERO: Cause = Cause::Exit { code: 0 };

impl Tester {
    /// What is said of the log below its last line; the API and the raw text must say the same.
    async fn seal(&self) -> String {
        let page = self.page(JOB).await;
        let (_, rest) = page.split_once("<p class=\"seal ").expect("a seal");
        let (_, rest) = rest.split_once('>').expect("a tag");
        let words = rest.split_once('<').expect("an end").0.trim_end().replace("&#39;", "'");
        let log = self.log_value().await;
        assert_eq!(log["words"], words.as_str());
        let raw = self.get(&format!("{JOB}/log.txt")).await;
        assert_eq!(raw.headers()["containerops-log"], words.as_str());
        words
    }

    /// What the API says of the log.
    async fn log_value(&self) -> Value {
        let run = self.newest_run().await.id;
        let run: Value = self.get(&format!("/api/v1/runs/{run}")).await.json().await.expect("JSON");
        run["stages"][0]["actions"][0]["jobs"][0]["log"].clone()
    }

    async fn raw(&self) -> String {
        self.page(&format!("{JOB}/log.txt")).await
    }

    /// Does to the database what no code of ours does.
    pub(super) async fn damage(&self, statement: &str) {
        self.database().sql(statement).await;
    }
}

/// A job that has claimed and said nothing.
async fn claimed(t: &Tester) -> Agent<'_> {
    t.push("main", SMALL).await;
    t.claims("test").await
}

#[tokio::test]
async fn a_log_is_complete_when_its_digest_is_compared_and_not_before() {
    let t = Tester::start().await;
    let agent = claimed(&t).await;
    let agent = agent.says("one\n").await.says("two\n").await;
    assert_snapshot!(t.seal().await, @"2 lines so far");
    agent.reports(&agent.record(ZERO)).await;
    assert_snapshot!(t.seal().await, @"arrived, not verified yet: 2 lines, 8 bytes");
    assert!(t.page(JOB).await.contains(" data-pending"), "the page asks again");
    t.settle().await;
    assert_eq!(
        t.seal().await,
        format!("complete, 2 lines, sha256 {}, 8 bytes", hex::encode(Sha256::digest("one\ntwo\n")))
    );
    assert_eq!(t.log_value().await["state"], "complete");
    assert_eq!(t.raw().await, "one\ntwo\n");
}

#[tokio::test]
async fn a_job_that_says_nothing_has_a_complete_log() {
    let t = Tester::start().await;
    claimed(&t).await.exits(0).await;
    assert!(t.seal().await.starts_with("complete, 0 lines, sha256 e3b0c44298fc"));
}

#[tokio::test]
async fn an_end_that_never_arrived_is_named_where_it_is_missing() {
    let t = Tester::start().await;
    let agent = claimed(&t).await.says("one\ntwo").await;
    let mut record = agent.record(ZERO);
    (record.log.length, record.log.lines) = (4103, 33);
    t.pods.ends_with("test.test", &record);
    t.settle().await;
    assert_snapshot!(t.seal().await, @"the last 4,096 bytes (about 31 lines) never arrived; 2 lines did");
    assert_eq!(t.log_value().await["state"], "incomplete");
    assert_snapshot!(t.raw().await, @r"
    one
    two
    [containerops: the last 4,096 bytes (about 31 lines) never arrived; 2 lines did]
    ");
    let end = t.ask(Method::GET, &format!("{JOB}/log.txt")).header("range", "bytes=5-22").send().await;
    let end = end.expect("an answer");
    assert_eq!(end.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(end.text().await.expect("text"), "wo\n[containerops: ", "ranges know the last line, too");
    assert_snapshot!(t.attempts().await, @"test/test 1: success, but the last 4096 bytes of its log are missing (7 bytes)");
}

#[tokio::test]
async fn of_a_lost_agents_log_nobody_knows() {
    let t = Tester::start().await;
    let _lost = claimed(&t).await.says("one\n").await;
    t.pods.ends_silently("test.test", 137);
    t.settle().await;
    t.claims("test").await.exits(0).await;
    let first = t.page(&format!("{JOB}?attempt=1")).await;
    assert!(first.contains("no end record, so nobody knows whether lines are missing; 1 line arrived"), "{first}");
    let raw = t.get(&format!("{JOB}/log.txt?attempt=1")).await;
    let words = raw.headers()["containerops-log"].to_str().expect("text");
    assert!(words.starts_with("no end record, so nobody knows"), "{words}");
    assert_eq!(raw.text().await.expect("text"), "one\n");
}

#[tokio::test]
async fn what_an_agent_says_after_its_jobs_end_is_kept_until_it_is_gone() {
    let t = Tester::start().await;
    let agent = claimed(&t).await.says("one\n").await;
    t.cancel("ada").await;
    // silent for so long that it is taken away; but it was only slow
    t.clock.advance(std::time::Duration::from_secs(61));
    t.app().engine.drive().await.expect("the database is there");
    assert_snapshot!(t.attempts().await, @"test/test 1: cancelled by ada (4 bytes)");
    let agent = agent.says("cleaned up\n").await;
    agent.reports(&agent.record(Cause::Cancelled { by: "ada".to_owned() })).await;
    t.settle().await;
    assert_eq!(t.raw().await, "one\ncleaned up\n");
    assert!(t.seal().await.starts_with("complete, 2 lines, "));
}

#[tokio::test]
async fn a_log_that_is_not_what_its_agent_wrote_is_our_fault() {
    let t = Tester::start().await;
    let agent = claimed(&t).await.says("one\n").await;
    let mut record = agent.record(ZERO);
    record.log.sha256 = hex::encode(Sha256::digest("two\n"));
    agent.reports(&record).await;
    t.settle().await;
    assert_snapshot!(t.seal().await, @"the stored log does not match its digest: our fault; 1 line, 4 bytes");
}

#[tokio::test]
async fn bytes_that_the_store_has_lost_are_said_at_their_place() {
    let t = Tester::start().await;
    let agent = claimed(&t).await;
    let middle = format!("{}\n", "x".repeat(99)).repeat(40);
    let agent = agent.says("first\n").await.says(&middle).await.says("last\n").await;
    t.damage("DELETE FROM log_chunks WHERE start = 6").await;
    agent.exits(1).await;
    assert_snapshot!(t.seal().await, @"bytes 6 to 4,005 are missing: our fault; 42 lines, 4,011 bytes");
    let raw = t.raw().await;
    assert_eq!(raw.len(), 4011, "offsets stay right");
    let lines: Vec<&str> = raw.lines().collect();
    assert_eq!(
        (lines.len(), lines[0], lines[1].trim_end(), lines[41]),
        (42, "first", "[bytes 6 to 4,005 are missing]", "last")
    );
    let page = t.page(JOB).await;
    super::holds(
        &page,
        &["<li id=\"L2\" class=\"agent\">", "[bytes 6 to 4,005 are missing]", "<li id=\"L42\" class=\"out here\">"],
    );
    let late = t.page(&format!("{JOB}?from=20")).await;
    super::holds(&late, &["<li id=\"L42\" class=\"out here\">"]);
}

#[tokio::test]
async fn a_damaged_part_does_not_take_the_page_with_it() {
    let t = Tester::start().await;
    let agent = claimed(&t).await.says("first\n").await;
    let agent = agent.says(&"middle of the log, which is lost\n".repeat(2)).await.says("last\n").await;
    let damage = if t.database().is_shared() { r"'\x00'" } else { "x'00'" };
    t.damage(&format!("UPDATE log_chunks SET data = {damage} WHERE start = 6")).await;
    agent.exits(0).await;
    assert_snapshot!(t.seal().await, @"bytes 6 to 71 are missing: our fault; 4 lines, 77 bytes");
    super::holds(&t.page(JOB).await, &["[bytes 6 to 71 are missing]", "<li id=\"L4\" class=\"out\">"]);
    assert!(t.raw().await.ends_with("\nlast\n"));
}

#[tokio::test]
async fn a_log_whose_blob_is_gone_says_so_line_by_line() {
    let t = Tester::start().await;
    claimed(&t).await.says("one\ntwo\nthree, which is longer than its hole's words\n").await.exits(0).await;
    std::fs::remove_dir_all(t.data().join("blobs")).expect("it was there");
    std::fs::create_dir(t.data().join("blobs")).expect("it can be made");
    assert!(t.raw().await.starts_with("[bytes 0 to 52 are missing]"));
    assert_eq!(t.raw().await.lines().count(), 3);
    t.page(JOB).await;
}

#[tokio::test]
async fn an_agent_that_keeps_to_no_limit_loses_its_logs_end_and_not_its_job() {
    let t = Tester::start().await;
    t.set_up("log_limit = 2000").await;
    let agent = claimed(&t).await;
    assert_eq!(agent.work.log_limit, 2000);
    // what is over the limit by less is what an honest agent says of its limit
    let agent = agent.says(&"x".repeat(60_000)).await.says("\n").await;
    let agent = agent.says(&"y".repeat(10_000)).await.says("z\n").await;
    assert_snapshot!(t.seal().await, @"the log is over its limit, and its agent went on: the first 60,001 bytes (1 line) are kept, what comes after them is not");
    agent.exits(0).await;
    assert_snapshot!(t.seal().await, @"the log is over its limit, and its agent went on: the first 60,001 bytes (1 line) are kept, 10,002 bytes after them are not");
    assert_eq!(t.log_value().await["state"], "over_limit");
    assert!(t.raw().await.ends_with("10,002 bytes after them are not]\n"));
}

#[tokio::test]
async fn a_limit_holds_for_a_job_as_it_was_when_it_began() {
    let t = Tester::start().await;
    let agent = claimed(&t).await;
    t.set_up("log_limit = 1000").await;
    agent.claims_again().await;
    let agent = agent.says(&"x".repeat(80_000)).await;
    agent.exits(0).await;
    assert!(t.seal().await.starts_with("complete, 1 line, "));
}

#[tokio::test]
async fn what_was_left_out_and_what_is_held_back_is_said() {
    let t = Tester::start().await;
    t.set_up("log_limit = \"2 MB\"").await;
    let agent = claimed(&t).await.says("head\n").await;
    let said = Heartbeat { log: Some(Held { bytes: 5_300_000, lines: 70_000 }) };
    let answer = agent.call(Method::POST, "heartbeat?wait=0").json(&said).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_snapshot!(t.seal().await, @"1 line so far; 70,000 lines (5.3 MB) more are held back in the pod: the end of them will come when the job has ended, and what is over its limit of 2 MB is left out");
    let agent = agent.says("... left out ...\ntail\n").await;
    let mut record: EndRecord = agent.record(ZERO);
    record.log.left_out = Some(LeftOut { line: 2, bytes: 4_300_000, lines: 60_000 });
    agent.reports(&record).await;
    t.settle().await;
    let sha256 = &record.log.sha256;
    assert_eq!(
        t.seal().await,
        format!(
            "complete but for its middle, 3 lines, sha256 {sha256}, 27 bytes; 60,000 lines (4.3 MB of 4.3 MB) were left \
             out at line 2, because the log is over its limit"
        )
    );
    assert!(t.page(JOB).await.contains("?attempt=1&#38;line=2#L2\">Show the place</a>"));
}
