//! Blobs on a disk that is full: said in clear words, nothing is broken, and it goes on when there is room again.

use std::process::Command;

use containerops::blob::{BlobError, Blobs};
use tempfile::TempDir;

use super::{files, get, put};
use crate::harness::say_skipped;

/// A file system of two megabytes, until it is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let directory = TempDir::new().expect("a folder");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(directory.path()).output();
        if mounted.is_ok_and(|done| done.status.success()) {
            return Some(Self(directory));
        }
        say_skipped("a small disk", "tests that run as root make one");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_breaks_nothing() {
    let Some(disk) = SmallDisk::new() else { return };
    let blobs = Blobs::open(&disk.0.path().display().to_string()).expect("there is room");
    let precious = put(&blobs, &vec![1; 900_000]).await;
    let large = bytes::Bytes::from(vec![2; 3_000_000]);
    let error = blobs.put_stream(futures::stream::iter([Ok(large)])).await.expect_err("there is no room");
    assert!(matches!(error, BlobError::Away(_)) && error.to_string().contains("No space left"), "{error}");
    assert_eq!(get(&blobs, precious).await.expect("it is there").len(), 900_000);
    assert_eq!(files(disk.0.path()).len(), 1, "what did not fit is gone");
    blobs.delete(precious).await.expect("it can be deleted");
    put(&blobs, &vec![3; 1_500_000]).await;
}
