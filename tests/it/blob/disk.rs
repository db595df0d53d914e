//! Blobs on a disk that is full: said in clear words, nothing is broken, and it goes on when there is room again.

use containerops::blob::{BlobError, Blobs};

use super::{files, get, put};
use crate::harness::small_disk::SmallDisk;

#[tokio::test]
async fn a_full_disk_is_said_and_breaks_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(folder.path(), 2) else { return };
    let blobs = Blobs::open(&disk.path().display().to_string()).expect("there is room");
    let precious = put(&blobs, &vec![1; 900_000]).await;
    let large = bytes::Bytes::from(vec![2; 3_000_000]);
    let error = blobs.put_stream(futures::stream::iter([Ok(large)])).await.expect_err("there is no room");
    assert!(matches!(error, BlobError::Away(_)) && error.to_string().contains("No space left"), "{error}");
    assert_eq!(get(&blobs, precious).await.expect("it is there").len(), 900_000);
    assert_eq!(files(disk.path()).len(), 1, "what did not fit is gone");
    blobs.delete(precious).await.expect("it can be deleted");
    put(&blobs, &vec![3; 1_500_000]).await;
}
