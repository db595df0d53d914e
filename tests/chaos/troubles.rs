//! What befalls not the servers but what they stand on: for a while, once in the storm, nobody keeps their blobs, or
//! their disk is full.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{harness::bucket::Bucket, service::Setup};

/// What the disk of the servers holds in all, if it is one that can be full.
const DISK: &str = "size=512m";

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
        let disk = asked.disk_full.map(|full| (SmallDisk::mount(&setup.data), full));
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
            let ballast = disk.fill().await;
            tokio::time::sleep(*full).await;
            ballast.iter().for_each(|file| std::fs::remove_file(file).expect("a file"));
            say(&format!("the disk was full for {} s", full.as_secs()));
        };
        tokio::join!(blobs, disk);
        self
    }
}

fn say(words: &str) {
    println!("  {words}");
}

/// A disk that is small enough to be filled at once, until this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Self {
        std::fs::create_dir_all(at).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(at).status();
        assert!(
            mounted.is_ok_and(|mounted| mounted.success()),
            "a full disk needs root, and a tmpfs that can be mounted"
        );
        Self(at.to_owned())
    }

    /// Leaves no byte free. The files that do so.
    async fn fill(&self) -> [PathBuf; 2] {
        let files = ["ballast", "ballast-2"].map(|name| self.0.join(name));
        let [large, small] = files.clone();
        let filled = tokio::task::spawn_blocking(move || {
            for (path, block) in [(large, 64 << 10), (small, 1)] {
                let (mut file, block) = (File::create(path).expect("a file"), vec![b'x'; block]);
                while file.write_all(&block).is_ok() {}
            }
        });
        filled.await.expect("it is filled");
        files
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // agents that are left still have it open
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
