//! What befalls not the servers but what they stand on: for a while, once in the storm, nobody keeps their blobs, or
//! their disk is full.

use std::time::Duration;

use super::{
    harness::{bucket::Bucket, small_disk::SmallDisk},
    service::Setup,
};

/// What the disk of the servers holds in all, if it is one that can be full.
const MEGABYTES: u32 = 512;

/// What is to happen, and for how long.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) blobs_away: Option<Duration>,
    pub(crate) disk_full: Option<Duration>,
}

/// What will happen. Both begin when a quarter, and three quarters, of the storm are over.
pub(crate) struct Troubles {
    bucket: Option<(Bucket, Duration)>,
    disk: Option<(SmallDisk, Duration)>,
}

impl Troubles {
    /// Makes what can fail, and lets the servers of this setup stand on it.
    pub(crate) async fn of(asked: Asked, setup: &mut Setup) -> Self {
        let bucket = match asked.blobs_away {
            Some(away) => Some((Bucket::start().await.expect("CONTAINEROPS_TEST_S3 names a server"), away)),
            None => None,
        };
        if let Some((bucket, _)) = &bucket {
            setup.settings.extend(bucket.variables());
        }
        let disk = asked.disk_full.map(|full| {
            (
                SmallDisk::mount(&setup.data, MEGABYTES)
                    .expect("a full disk needs root, and a tmpfs that can be mounted"),
                full,
            )
        });
        Self { bucket, disk }
    }

    /// Lets it happen in a storm that lasts so long. Itself, when all is well again.
    pub(crate) async fn happen(self, lasts: Duration) -> Self {
        let blobs = async {
            let Some((bucket, away)) = &self.bucket else { return };
            tokio::time::sleep(lasts / 4).await;
            bucket.cut();
            tokio::time::sleep(*away).await;
            bucket.mend();
            say(&format!("the blobs were away for {} s", away.as_secs()));
        };
        let disk = async {
            let Some((disk, full)) = &self.disk else { return };
            tokio::time::sleep(lasts * 3 / 4).await;
            tokio::task::block_in_place(|| disk.fill());
            tokio::time::sleep(*full).await;
            disk.empty();
            say(&format!("the disk was full for {} s", full.as_secs()));
        };
        tokio::join!(blobs, disk);
        self
    }
}

fn say(words: &str) {
    println!("  {words}");
}
