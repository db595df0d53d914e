//! What nobody needs any more goes by itself, and what somebody may need does not.

use std::{
    fs::File,
    time::{Duration, SystemTime},
};

use containerops::blob::Digest;
use reqwest::StatusCode;
use serde_json::json;

use super::SMALL;
use crate::harness::app::Tester;

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Tester {
    /// So much time passes, and the janitor looks at all there is.
    async fn tidies_after(&self, span: Duration) {
        self.clock.advance(span);
        self.app().engine.tidy().await.expect("no trouble");
    }

    async fn has_blob(&self, digest: &str) -> bool {
        let digest: Digest = digest.parse().expect("a digest");
        self.app().engine.blobs.has(digest).await.expect("the disk is there")
    }

    async fn source(&self) -> Option<String> {
        self.newest_run().await.source
    }

    /// Puts a blob that no row names.
    async fn puts(&self, text: &'static [u8]) -> String {
        let bytes = futures::stream::iter([Ok(bytes::Bytes::from_static(text))]);
        self.app().engine.blobs.put_stream(bytes).await.expect("the disk is there").to_string()
    }
}

#[tokio::test]
async fn a_snapshot_outlives_its_last_run_by_a_week_and_a_later_rerun_makes_it_again() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let source = t.source().await.expect("a snapshot");
    t.tidies_after(30 * DAY).await;
    assert_eq!(t.source().await.as_ref(), Some(&source), "the run is open");
    t.run_the_job("test", 1).await;
    t.tidies_after(6 * DAY).await;
    assert_eq!(t.source().await.as_ref(), Some(&source));
    t.tidies_after(2 * DAY).await;
    assert_eq!(t.source().await, None);
    t.tidies_after(6 * DAY).await;
    assert!(t.has_blob(&source).await, "a backup may still name it");
    t.tidies_after(2 * DAY).await;
    assert!(!t.has_blob(&source).await);
    let run = t.newest_run().await.id;
    let again = t.http.post(format!("{}/api/v1/runs/{run}/rerun", t.url())).body(json!({}).to_string()).send().await;
    assert_eq!(again.expect("an answer").status(), StatusCode::CREATED);
    t.settle().await;
    assert_eq!(t.source().await.as_ref(), Some(&source), "the same bytes, made again");
    assert!(t.has_blob(&source).await);
    t.run_the_job("test", 0).await;
    t.read_writes();
}

#[tokio::test]
async fn a_snapshot_that_is_lost_is_made_again_when_an_agent_asks_for_it() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let source = t.source().await.expect("a snapshot");
    let agent = t.claims("test").await;
    t.app().engine.blobs.delete(source.parse().expect("a digest")).await.expect("the disk is there");
    assert_eq!(agent.fetches_source().await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(agent.fetches_source().await, StatusCode::SERVICE_UNAVAILABLE, "it asks again, and is not refused");
    t.settle().await;
    assert_eq!(agent.fetches_source().await, StatusCode::OK);
    agent.exits(0).await;
    t.read_writes();
}

#[tokio::test]
async fn a_log_is_needed_for_as_long_as_its_job_and_nobodys_blob_for_a_week() {
    let t = Tester::start().await;
    let orphan = t.puts(b"of a run that no backup knows").await;
    t.push("main", SMALL).await;
    t.claims("test").await.says("hello\n").await.exits(0).await;
    t.tidies_after(Duration::ZERO).await;
    t.tidies_after(6 * DAY).await;
    assert!(t.has_blob(&orphan).await);
    t.restart().await;
    t.tidies_after(2 * DAY).await;
    assert!(!t.has_blob(&orphan).await);
    t.tidies_after(400 * DAY).await;
    t.tidies_after(400 * DAY).await;
    assert_eq!(t.logs().await, "hello\n");
    t.read_writes();
}

#[tokio::test]
async fn a_blob_that_is_needed_again_begins_its_week_anew() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let source = t.source().await.expect("a snapshot");
    t.run_the_job("test", 0).await;
    t.tidies_after(8 * DAY).await;
    t.tidies_after(6 * DAY).await;
    let run = t.newest_run().await.id;
    let _ = t.http.post(format!("{}/api/v1/runs/{run}/rerun", t.url())).send().await.expect("an answer");
    t.settle().await;
    t.tidies_after(30 * DAY).await;
    assert!(t.has_blob(&source).await, "an open run needs it");
    t.run_the_job("test", 0).await;
    t.tidies_after(8 * DAY).await;
    t.tidies_after(6 * DAY).await;
    assert!(t.has_blob(&source).await, "the week counts from its new end");
    t.read_writes();
}

#[tokio::test]
async fn scratch_files_of_a_crash_go_and_those_of_today_stay() {
    let t = Tester::start().await;
    let scratch = t.app().engine.settings.scratch.clone();
    let make = |name: &str, age: Duration| {
        let file = File::create(scratch.join(name)).expect("a file");
        file.set_modified(SystemTime::now() - age).expect("a time");
    };
    make("old.tar.zst", 2 * DAY);
    make("new.tar.zst", Duration::from_secs(3600));
    t.tidies_after(Duration::ZERO).await;
    assert!(!scratch.join("old.tar.zst").exists() && scratch.join("new.tar.zst").exists());
}
