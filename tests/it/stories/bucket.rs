//! The whole service with its blobs in a bucket, and the bucket away for a while: everybody waits, and nothing is lost.

use containerops::agent::protocol::Cause;
use reqwest::StatusCode;

use crate::harness::{app::Tester, bucket::Bucket};

const FLOW: &str = "stages:
  - {name: build, image: i:1, run: make}
  - {name: test, image: i:1, run: make test}
";
const LOG: &str = "/github/acme/widget/runs/1/build/build/build/log.txt";

#[tokio::test]
async fn a_bucket_that_is_away_for_a_while_costs_nothing_but_time() {
    let Some(bucket) = Bucket::start().await else { return };
    let t = Tester::start().await;
    t.set_up(&bucket.settings()).await;
    t.push("main", FLOW).await;
    let agent = t.claims("build").await;
    assert_eq!(agent.fetches_source().await, StatusCode::OK);

    bucket.refuse();
    assert_eq!(agent.fetches_source().await, StatusCode::SERVICE_UNAVAILABLE, "it asks again");
    let agent = agent.says("while nobody keeps blobs\n").await;
    agent.reports(&agent.record(Cause::Exit { code: 0 })).await;
    let error = t.app().engine.seal_logs().await.expect_err("the log stays where it is");
    assert!(error.to_string().contains("blobs cannot be read or written"), "{error}");
    let log = t.http.get(format!("{}{LOG}", t.url())).send().await.expect("an answer");
    assert_eq!(log.text().await.expect("text"), "while nobody keeps blobs\n", "it is read all the same");

    bucket.mend();
    t.settle().await;
    let log = t.http.get(format!("{}{LOG}", t.url())).send().await.expect("an answer");
    assert_eq!(log.text().await.expect("text"), "while nobody keeps blobs\n", "from the bucket");
    let agent = t.claims("test").await;
    assert_eq!(agent.fetches_source().await, StatusCode::OK);
    agent.exits(0).await;
    t.settle().await;
    t.read_writes();
}
