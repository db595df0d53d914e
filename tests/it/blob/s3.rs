//! Blobs in a bucket: who is refused hears why, and a store that is away for a while comes back.

use axum::{Router, http::StatusCode};
use containerops::blob::{BlobError, Blobs, Digest, Keys, S3};
use insta::assert_snapshot;
use tokio::net::TcpListener;

use super::{get, put};
use crate::harness::bucket::Bucket;

#[tokio::test]
async fn damage_is_seen_and_what_is_away_is_no_loss() {
    let Some(bucket) = Bucket::start().await else { return };
    let blobs = bucket.blobs();
    let digest = put(&blobs, b"precious").await;
    bucket.overwrites(digest, "precioux").await;
    assert!(matches!(get(&blobs, digest).await, Err(BlobError::Damaged(damaged)) if damaged == digest));
    put(&blobs, b"precious").await;
    assert_eq!(get(&blobs, digest).await.expect("it is healed"), b"precious");

    let error = bucket.blobs_of("nobodys").look().await.expect_err("there is none");
    assert!(matches!(&error, BlobError::Refused { why, .. } if why.contains("no such bucket")), "{error}");

    bucket.cut();
    let (asking, mended) = (blobs.clone(), async {
        bucket.was_missed().await;
        bucket.mend();
    });
    let (read, ()) = tokio::join!(async { get(&asking, digest).await }, mended);
    assert_eq!(read.expect("a call is made again when the wire is mended"), b"precious");
}

/// A store that answers all calls with this.
async fn answering(status: StatusCode, code: &'static str) -> Blobs {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    let router = Router::new().fallback(async move || (status, answer.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let keys = Keys { id: "AKIA".to_owned(), secret: "swordfish".into() };
    let s3 = S3 { endpoint: Some(endpoint), keys: Some(keys), ..S3::default() };
    assert!(!format!("{s3:?}").contains("swordfish"));
    Blobs::open_with("s3://bucket", &s3).expect("a bucket")
}

#[tokio::test]
async fn who_is_refused_hears_what_to_do() {
    for (status, code) in [
        (StatusCode::FORBIDDEN, "InvalidAccessKeyId"),
        (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
        (StatusCode::NOT_FOUND, "NoSuchBucket"),
    ] {
        let error = answering(status, code).await.look().await.expect_err("refused").to_string();
        assert!(error.contains(code) && !error.contains("swordfish"), "{error}");
    }
    let error = answering(StatusCode::FORBIDDEN, "SignatureDoesNotMatch").await.look().await.expect_err("refused");
    assert_snapshot!(error.to_string().split_once("refuses: ").map_or("", |(_, why)| why), @"the secret access key is not that of the access key id: see CONTAINEROPS_S3_SECRET_ACCESS_KEY (SignatureDoesNotMatch)");
    let digest = Digest::of(b"anything");
    let error = answering(StatusCode::FORBIDDEN, "AccessDenied").await.get(digest).await.err().expect("refused");
    assert!(matches!(error, BlobError::Away(_)), "what may be mended meanwhile is asked for again: {error}");
}
