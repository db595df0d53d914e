//! How long logs and artifacts are kept: by age and count, for each kind of events, and never from under somebody.

use std::{process::Command, time::Duration};

use containerops::{
    blob::Digest,
    engine::collect::{Collected, Collector},
};
use insta::assert_snapshot;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::harness::app::Tester;

const DAY: Duration = Duration::from_secs(24 * 3600);
const FLOW: &str = "stages:
  - {name: build, image: i:1, run: make}
  - {name: test, image: i:1, run: make test}
";

impl Tester {
    async fn a_push_that_says(&self, text: &str) {
        self.push("main", FLOW).await;
        self.claims("build").await.says(text).await.exits(0).await;
        self.claims("test").await.says("tested\n").await.exits(1).await;
        self.settle().await;
    }

    async fn a_day_later(&self, days: u32) {
        self.clock.advance(days * DAY);
        self.app().engine.tidy().await.expect("no trouble");
    }

    async fn answers(&self, path: &str) -> (StatusCode, String) {
        let answer = self.http.get(format!("{}{path}", self.url())).send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("text"))
    }

    async fn kept(&self, number: u32) -> Value {
        let path = format!("/api/v1/repository/runs/{number}?forge=github&repository=acme/widget");
        let (_, text) = self.answers(&path).await;
        serde_json::from_str::<Value>(&text).expect("JSON")["kept"].clone()
    }

    async fn log_blob(&self) -> Digest {
        let engine = self.app().engine;
        let names = engine.store.read().await.expect("there").needed_blobs("", 100).await.expect("names");
        let mut tx = engine.store.read().await.expect("there");
        for name in names {
            if tx.why_needed(&name).await.expect("an answer").as_deref() == Some("a log") {
                return name.parse().expect("a digest");
            }
        }
        panic!("no log is sealed")
    }
}

#[tokio::test]
async fn what_is_over_a_limit_goes_and_its_page_says_so_kindly() {
    let t = Tester::start().await;
    t.set_up("retention = \"30d+2runs, *@tag=forever\"\n").await;
    t.a_push_that_says("the first\n").await;
    let blob = t.log_blob().await;
    let run = "/github/acme/widget/runs/1";
    assert_snapshot!(t.kept(1).await["words"], @r#""kept for 30 days, of the newest 2 runs""#);
    t.a_day_later(29).await;
    assert_eq!(t.answers(&format!("{run}/build/build/build")).await.0, StatusCode::OK);
    t.a_day_later(2).await;

    for path in ["build/build/build", "build/build/build/log.txt", "build/build/build/log/stream"] {
        let (status, text) = t.answers(&format!("{run}/{path}")).await;
        assert_eq!(status, StatusCode::GONE, "{path}");
        assert!(text.contains("it ended more than 30 days ago"), "{text}");
    }
    let (status, page) = t.answers(run).await;
    assert_eq!(status, StatusCode::OK, "what happened is still told");
    assert!(page.contains("removed on 2026-04-01"), "{page}");
    assert!(t.kept(1).await["removed"].is_string());

    let blobs = t.app().engine.blobs.clone();
    assert!(blobs.has(blob).await.expect("an answer"), "a backup may still name it");
    t.a_day_later(1).await;
    t.a_day_later(8).await;
    assert!(!blobs.has(blob).await.expect("an answer"));
    t.read_writes();
}

#[tokio::test]
async fn what_an_open_run_needs_stays_whatever_the_limit() {
    let t = Tester::start().await;
    t.set_up("retention = \"1d\"\n").await;
    t.a_push_that_says("needed\n").await;
    let first = t.newest_run().await.id;
    let url = format!("{}/api/v1/runs/{first}/rerun", t.url());
    let again = t.http.post(url).body("{\"what\":\"failed\"}").header("content-type", "application/json").send().await;
    assert_eq!(again.expect("an answer").status(), StatusCode::CREATED);
    t.settle().await;
    t.a_day_later(3).await;
    let log = "/github/acme/widget/runs/1/build/build/build/log.txt";
    assert_eq!(t.answers(log).await, (StatusCode::OK, "needed\n".to_owned()), "its re-run took it over");
    t.claims("test").await.exits(0).await;
    t.settle().await;
    t.a_day_later(3).await;
    assert_eq!(t.answers(log).await.0, StatusCode::GONE);
    t.read_writes();
}

/// Replicas do it all at once, and nobody minds.
#[tokio::test]
async fn several_may_remove_the_same_at_once() {
    let t = Tester::start().await;
    t.a_push_that_says("gone\n").await;
    let engine = t.app().engine;
    t.clock.advance(2 * DAY);
    let collector = Collector { store: &engine.store, blobs: &engine.blobs, now: t.clock.now() };
    let rules = ["1d".parse().expect("a rule")];
    let over = collector.over_limits(&rules).await.expect("the database is there");
    assert_eq!(over.len(), 1);
    let pruned = futures::future::try_join_all((0..4).map(|_| collector.prune(&over[0]))).await.expect("no trouble");
    assert_eq!(pruned.iter().filter(|done| **done).count(), 1);
    assert!(collector.over_limits(&rules).await.expect("the database is there").is_empty());

    let blob = engine.blobs.put_stream(futures::stream::iter([Ok(bytes::Bytes::from_static(b"nobody's"))])).await;
    let blob = blob.expect("it is stored");
    let first = collector.collect(blob, DAY).await.expect("no trouble");
    assert_eq!(first, Collected::Waits(collector.now));
    let later = Collector { now: collector.now.after(2 * DAY), ..collector };
    let all = futures::future::try_join_all((0..4).map(|_| later.collect(blob, DAY))).await.expect("no trouble");
    assert_eq!(all.iter().filter(|done| **done == Collected::Removed).count(), 1, "{all:?}");
    assert!(!engine.blobs.has(blob).await.expect("an answer"));
    t.read_writes();
}

/// Another process is about to remove just the bytes that are put.
#[tokio::test]
async fn whoever_puts_what_somebody_is_removing_is_told_to_do_so_again() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.push("main", FLOW).await;
    let (agent, engine) = (t.claims("build").await, t.app().engine);
    let data: &[u8] = b"bytes of a part";
    let name = Digest::of(data).to_string();
    let put = async || {
        let call = agent.call(Method::PUT, &format!("blobs/{name}")).body(data);
        call.send().await.expect("an answer").status()
    };
    let mut tx = engine.store.write().await.expect("there");
    tx.unneeded_since(&name, t.clock.now()).await.expect("noted");
    tx.blob_leaves(&name, t.clock.now().after(DAY)).await.expect("noted");
    tx.commit().await.expect("committed");
    assert_eq!(put().await, StatusCode::SERVICE_UNAVAILABLE);
    t.clock.advance(2 * DAY);
    assert_eq!(put().await, StatusCode::NO_CONTENT, "that one has died meanwhile");
    assert!(engine.blobs.has(Digest::of(data)).await.expect("an answer"));
}

/// `containerops gc` beside a server that runs: its exit code, and what it says.
fn gc(t: &Tester, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_containerops"));
    command.arg("gc").args(words).current_dir(t.data()).env("CONTAINEROPS_DATA", t.data());
    command.env("CONTAINEROPS_DATABASE_URL", &t.database().url);
    let done = command.output().expect("it starts");
    (done.status.code(), String::from_utf8([done.stdout, done.stderr].concat()).expect("text"))
}

/// The stories' clock stands in a past that is long ago for the command's, so everything is over its age.
#[tokio::test]
async fn the_command_says_what_goes_and_why_and_then_does_it() {
    let t = Tester::start().await;
    t.set_up("retention = \"30d\"\n").await;
    t.a_push_that_says("old\n").await;
    let blob = t.log_blob().await;
    let (code, said) = gc(&t, &["--dry-run"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("would remove: logs and artifacts of 1 run ("), "{said}");
    assert!(said.contains("  github/acme/widget #1 (push, "), "{said}");
    assert!(said.contains("it ended more than 30 days ago"), "{said}");
    assert!(said.contains("would remove: 1 snapshot of an old commit"), "{said}");
    let log = "/github/acme/widget/runs/1/build/build/build/log.txt";
    assert_eq!(t.answers(log).await.0, StatusCode::OK, "nothing has changed");

    let (code, said) = gc(&t, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("removed: logs and artifacts of 1 run ("), "{said}");
    assert!(said.contains("that no row names (") && said.contains("until that is 7 days so"), "{said}");
    assert_eq!(t.answers(log).await.0, StatusCode::GONE);
    assert!(t.app().engine.blobs.has(blob).await.expect("an answer"));
    let (code, said) = gc(&t, &["--dry-run"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("would remove: logs and artifacts of 0 runs"), "{said}");

    t.a_push_that_says("lost\n").await;
    t.app().engine.blobs.delete(t.log_blob().await).await.expect("the disk is there");
    let (code, said) = gc(&t, &["--dry-run"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("LOST: blob ") && said.contains(", a log"), "{said}");
    t.read_writes();
}
