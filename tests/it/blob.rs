//! Blobs: there wholly or not at all, under the name of what they are; on a disk, and in a bucket.

mod disk;
mod s3;

use bytes::Bytes;
use containerops::blob::{BlobError, Blobs, Digest, away};
use futures::{TryStreamExt, stream};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::harness::bucket::Bucket;

/// Blobs in a directory that goes away with the test.
fn blobs() -> (TempDir, Blobs) {
    let directory = TempDir::new().expect("a directory for tests can be made");
    let blobs = Blobs::open(&format!("file://{}", directory.path().display())).expect("it is writable");
    (directory, blobs)
}

/// A place for blobs, and what it stands on.
enum Place {
    Disk(TempDir),
    Bucket(#[expect(dead_code, reason = "it is held, not read")] Bucket),
}

/// Every place that there is here, empty.
async fn places() -> Vec<(Place, Blobs)> {
    let (directory, blobs) = blobs();
    let bucket = Bucket::start().await.map(|bucket| (bucket.blobs(), bucket));
    let bucket = bucket.map(|(blobs, bucket)| (Place::Bucket(bucket), blobs));
    [Some((Place::Disk(directory), blobs)), bucket].into_iter().flatten().collect()
}

/// Everything that lies at a place, its names in order.
async fn lies(blobs: &Blobs) -> Vec<Digest> {
    let mut all: Vec<Digest> = blobs.all().map_ok(|found| found.digest).try_collect().await.expect("it is listed");
    all.sort();
    all
}

async fn put(blobs: &Blobs, content: &[u8]) -> Digest {
    let chunks: Vec<_> = content.chunks(1_000_003).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    blobs.put_stream(stream::iter(chunks)).await.expect("it can be stored")
}

async fn get(blobs: &Blobs, digest: Digest) -> Result<Vec<u8>, BlobError> {
    let blob = blobs.get(digest).await?.ok_or(BlobError::Missing(digest))?;
    let read: Vec<Bytes> = blob.bytes.try_collect().await?;
    let read = read.concat();
    assert_eq!(blob.length, read.len() as u64);
    Ok(read)
}

/// Every file below a directory.
fn files(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).expect("it is there").map(|entry| entry.expect("it is readable").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// One bucket for all of it, because a server takes a second to start.
#[tokio::test]
async fn every_place_does_what_is_promised() {
    for (place, blobs) in places().await {
        blobs.look().await.expect("it will have us");
        what_was_stored_is_read_again(&blobs).await;
        a_range_is_cut_at_the_end(&blobs).await;
        what_is_not_there_is_missing(&blobs).await;
        a_stream_that_breaks_leaves_nothing(&blobs).await;
        if let Place::Disk(directory) = place {
            let left = files(directory.path());
            assert!(left.iter().all(|file| file.starts_with(directory.path().join("sha256"))), "{left:?}");
        }
    }
}

async fn what_was_stored_is_read_again(blobs: &Blobs) {
    let mut all = Vec::new();
    for content in [Vec::new(), b"one line\n".to_vec(), (0..20_000_000_u32).map(|n| (n >> 7) as u8).collect()] {
        let digest = put(blobs, &content).await;
        assert_eq!(digest, Digest::of(&content));
        assert!(blobs.has(digest).await.expect("asking works"));
        assert_eq!(get(blobs, digest).await.expect("it is there"), content);
        assert_eq!(put(blobs, &content).await, digest, "storing again changes nothing");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &content).expect("written");
        assert_eq!(blobs.put_file(file.path()).await.expect("it is stored"), digest);
        all.push(digest);
    }
    all.sort();
    assert_eq!(lies(blobs).await, all, "nothing else is left over");
    let mut some = blobs.some(1000).await.expect("it is listed");
    some.sort();
    assert_eq!(some, all);
}

#[tokio::test]
async fn a_blob_lies_where_its_digest_says_and_survives_a_restart() {
    let (directory, blobs) = blobs();
    let source = directory.path().join("source");
    std::fs::write(&source, "hello").expect("it is writable");
    let digest = blobs.put_file(&source).await.expect("it can be stored");
    let text = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(digest.to_string(), text);
    assert!(directory.path().join(format!("sha256/{}/{}", &text[..2], &text[2..])).is_file());
    let again = Blobs::open(&directory.path().display().to_string()).expect("a path is an address too");
    assert_eq!(get(&again, digest).await.expect("it is there"), b"hello");
}

async fn a_stream_that_breaks_leaves_nothing(blobs: &Blobs) {
    let before = lies(blobs).await;
    for length in [3, 6 << 20, 12 << 20] {
        let chunks = stream::iter([Ok(Bytes::from(vec![7; length])), Err(away("the wire was cut"))]);
        let error = blobs.put_stream(chunks).await.expect_err("the stream breaks");
        assert_eq!(error.to_string(), "blobs cannot be read or written: the wire was cut");
    }
    assert_eq!(lies(blobs).await, before);
}

async fn a_range_is_cut_at_the_end(blobs: &Blobs) {
    let digest = put(blobs, b"0123456789").await;
    for (range, expected) in [(0..4, "0123"), (8..99, "89"), (10..12, ""), (50..60, ""), (4..4, "")] {
        assert_eq!(blobs.range(digest, range.clone()).await.expect("it is there"), expected, "{range:?}");
    }
}

async fn what_is_not_there_is_missing(blobs: &Blobs) {
    let digest = Digest::of(b"never stored");
    assert!(blobs.get(digest).await.expect("asking works").is_none());
    assert!(!blobs.has(digest).await.expect("asking works"));
    assert!(matches!(blobs.range(digest, 0..1).await, Err(BlobError::Missing(missing)) if missing == digest));
    blobs.delete(digest).await.expect("nothing to delete is a success");
    let digest = put(blobs, b"stored").await;
    blobs.delete(digest).await.expect("it can be deleted");
    assert!(blobs.get(digest).await.expect("asking works").is_none());
}

#[tokio::test]
async fn damage_is_seen_and_healed_by_storing_again() {
    let (directory, blobs) = blobs();
    let digest = put(&blobs, b"precious").await;
    std::fs::write(&files(directory.path())[0], "precioux").expect("it is writable");
    assert!(matches!(get(&blobs, digest).await, Err(BlobError::Damaged(damaged)) if damaged == digest));
    put(&blobs, b"precious").await;
    assert_eq!(get(&blobs, digest).await.expect("it is healed"), b"precious");
}

#[tokio::test]
async fn what_a_crash_has_left_is_removed_in_time() {
    let (directory, _) = blobs();
    let incoming = directory.path().join("incoming");
    std::fs::create_dir(&incoming).expect("ours");
    for (name, hours) in [("old#1", 25), ("young#1", 1)] {
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(hours * 3600);
        std::fs::File::create(incoming.join(name)).and_then(|file| file.set_modified(then)).expect("ours");
    }
    Blobs::open(&directory.path().display().to_string()).expect("it is writable");
    assert_eq!(files(directory.path()), [incoming.join("young#1")]);
}

#[test]
fn other_places_are_refused_by_name() {
    let error = Blobs::open("gopher://hole").expect_err("nobody keeps blobs there");
    insta::assert_snapshot!(error, @"`gopher://hole` is no place for blobs: `file:///path`, a path, or `s3://bucket` or `s3://bucket/prefix` is expected");
    for wrong in ["s3://", "s3:///prefix", "s3://UPPER/x", "https://host/bucket", "file://relative"] {
        assert!(matches!(Blobs::open(wrong), Err(BlobError::Address { .. })), "{wrong}");
    }
}

proptest! {
    #[test]
    fn a_digest_is_written_as_it_is_read(text in "[0-9a-f]{64}") {
        prop_assert_eq!(text.parse::<Digest>().expect("it is a digest").to_string(), text);
    }

    #[test]
    fn nothing_else_is_a_digest(text in "[0-9a-f]{0,63}|[0-9a-f]{65,70}|[0-9A-F]{63}[A-F]|\\PC{64}") {
        if let Ok(digest) = text.parse::<Digest>() {
            prop_assert_eq!(digest.to_string(), text);
        }
    }
}
