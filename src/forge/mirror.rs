//! Sources without credentials: a bare mirror per repository on the server's disk, and from it the snapshot of one
//! commit that pods unpack.
//!
//! What is promised: a repository is fetched by one caller at a time; what is fetched once is not fetched again; a
//! forge's credentials are on no disk, in no command line and in no message; nothing that a repository contains is
//! executed or followed; and every step has a limit of time and size.

mod address;
mod archive;
mod checkout;
mod fetch;
mod lfs;
mod submodules;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{GitCommand, GitCommandError, Source};
use crate::model::{CheckoutOptions, Reference, Repository, Sha, Submodules};
use checkout::Write;
use fetch::{Fetch, History};
use lfs::Lfs;
use submodules::{Modules, Parent};

/// So many bytes of names are looked through: those of some 300,000 files.
const NAMES: usize = 16 << 20;
/// A mirror that does not answer in that time is left alone.
const NAMES_TIME: Duration = Duration::from_secs(10);

/// The mirrors under one directory.
#[derive(Debug)]
pub struct Mirrors {
    directory: PathBuf,
    limits: Limits,
    /// One lock for each mirror that was used, by its path.
    fetching: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

/// What a snapshot may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most bytes that the files of a commit may have together, and that its archive may have before it is
    /// compressed. 4 GiB.
    pub bytes: u64,
    /// The most files that a commit may have. A million.
    pub files: u64,
    /// The most time for a fetch. 10 minutes.
    pub time: Duration,
}

/// A snapshot that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What was checked out.
    pub checkout: Checkout,
    /// The archive's bytes before compression.
    pub unpacked: u64,
    /// The archive's bytes as written.
    pub packed: u64,
}

/// Which commit a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkout {
    /// The event's own.
    Commit(Sha),
    /// The forge's merge of the event's commit into its base.
    Merge(Sha),
    /// What was named instead of it.
    Named(Sha),
}

/// A snapshot could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The forge does not have the commit (any more): a branch was pushed over, or its pull request's fork deleted.
    #[error("commit {sha} is not in the repository (any more)")]
    Missing {
        /// Which.
        sha: Sha,
    },
    /// There is no branch or tag of this name.
    #[error("the repository has no branch or tag `{name}`")]
    NoSuchRef {
        /// As the flow file has it.
        name: String,
    },
    /// A submodule that cannot be checked out: the author's to change.
    #[error("submodule `{path}` cannot be checked out: {message}")]
    Submodule {
        /// Where it is.
        path: String,
        /// Why not.
        message: String,
    },
    /// A file that LFS keeps, and does not give: the author's to change.
    #[error("a file kept by LFS is not there: {message}")]
    Lfs {
        /// Which, and why not.
        message: String,
    },
    /// The forge cannot be reached: try again later.
    #[error("the repository cannot be fetched now: {message}")]
    Away {
        /// What git said.
        message: String,
    },
    /// The commit is larger than a snapshot may be: the author's to change, or the operator's.
    #[error("the commit's files are more than a snapshot may have: {limit}")]
    TooLarge {
        /// Which limit.
        limit: String,
    },
    /// The forge says no, and will say so again; or the repository is one that we do not fetch.
    #[error("the repository cannot be fetched: {message}")]
    Refused {
        /// What git said.
        message: String,
    },
    /// Git failed on what it had fetched.
    #[error("`git {command}` failed: {stderr}")]
    Git {
        /// Which command.
        command: String,
        /// What it said.
        stderr: String,
    },
    /// The server's disk.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 4 << 30, files: 1_000_000, time: Duration::from_secs(600) }
    }
}

impl Checkout {
    /// The commit, whichever it is.
    pub const fn sha(&self) -> &Sha {
        match self {
            Self::Commit(sha) | Self::Merge(sha) | Self::Named(sha) => sha,
        }
    }
}

impl Mirrors {
    /// Mirrors in `directory`, which is made when it is needed.
    pub fn new(directory: PathBuf) -> Self {
        Self::with_limits(directory, Limits::default())
    }

    /// The same with other limits.
    pub fn with_limits(directory: PathBuf, limits: Limits) -> Self {
        Self { directory, limits, fetching: Mutex::default() }
    }

    /// Writes a commit's files to `into`, as a tar compressed by zstd, with a `.git` of that one commit: its `origin`
    /// is the repository's clone URL, and there are no credentials in it. If the source has a merge ref whose second
    /// parent is the commit, that merge is taken instead; and `options` may want another one, and more of it.
    ///
    /// The same commit gives the same bytes as long as the mirror packs its objects in the same way, which it does
    /// until it is repacked; so a digest of the bytes is a good name, but not a promise.
    ///
    /// # Errors
    /// Each of [`MirrorError`]. A file at `into` is of no use then.
    pub async fn snapshot(
        &self,
        repository: &Repository,
        event_sha: &Sha,
        source: &Source,
        options: &CheckoutOptions,
        into: &Path,
    ) -> Result<Snapshot, MirrorError> {
        let directory = made(&self.directory)?;
        let mirror = mirror(&directory, repository);
        let checkout = self.fetch(&mirror, event_sha, source, options).await?;
        let place = workplace(&directory.join("checkouts"))?;
        let (sha, origin) = (checkout.sha(), repository.clone_url.as_str());
        let write = Write { mirror: &mirror, sha, origin, place: place.path(), depth: options.depth };
        let written = write.all(self.limits).await?;
        let mut left = Limits {
            bytes: self.limits.bytes.saturating_sub(written.bytes),
            files: self.limits.files.saturating_sub(written.files),
            time: self.limits.time,
        };
        if options.lfs {
            let lfs = Lfs { source, sha, place: place.path(), left };
            left.bytes -= in_time(self.limits.time, lfs.all()).await?;
        }
        let wanted = options.submodules;
        if wanted != Submodules::None {
            let modules = Modules { mirrors: self, directory: &directory, source, place: place.path(), wanted, left };
            let base = source.url.clone();
            let top = Parent { mirror: mirror.clone(), sha: sha.clone(), base, at: PathBuf::new(), depth: 0 };
            in_time(self.limits.time, modules.all(top)).await?;
        }
        let (unpacked, packed) = archive::write(place, into.to_owned(), written.time, self.limits.bytes).await?;
        Ok(Snapshot { checkout, unpacked, packed })
    }

    /// The names of a commit's files, each with a zero byte behind it; `None`: the mirror does not have it, or they are
    /// more than anybody wants to look through. Nothing is fetched.
    pub async fn names(&self, repository: &Repository, sha: &Sha) -> Option<Vec<u8>> {
        let list = GitCommand::new("ls-tree").git_dir(&mirror(&self.directory, repository));
        list.args(["-r", "-z", "--name-only", sha.as_str()]).limit(NAMES_TIME).run(NAMES).await.ok()
    }

    /// Brings the commit into the mirror, with the mirror's lock. Reading from a mirror needs none.
    async fn fetch(
        &self,
        mirror: &Path,
        event_sha: &Sha,
        source: &Source,
        options: &CheckoutOptions,
    ) -> Result<Checkout, MirrorError> {
        let lock = self.lock(mirror);
        let _alone = lock.lock().await;
        let fetch = Fetch { mirror, source, time: self.limits.time, history: History::All, pin: None };
        let checkout = match &options.reference {
            Reference::Named(name) => Checkout::Named(fetch.named(name, event_sha).await?),
            Reference::Head => {
                fetch.commit(event_sha).await?;
                Checkout::Commit(event_sha.clone())
            }
            Reference::Event => {
                fetch.commit(event_sha).await?;
                match fetch.merge(event_sha).await? {
                    Some(merge) => Checkout::Merge(merge),
                    None => Checkout::Commit(event_sha.clone()),
                }
            }
        };
        if options.depth == 0 {
            fetch.tags().await?;
        }
        Ok(checkout)
    }

    fn lock(&self, mirror: &Path) -> Arc<tokio::sync::Mutex<()>> {
        // a map of locks is never half-changed, so a panic elsewhere does not make it useless
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(fetching.entry(mirror.to_owned()).or_default())
    }
}

/// All of many steps, each of which has a limit of its own.
async fn in_time<T>(limit: Duration, steps: impl Future<Output = Result<T, MirrorError>>) -> Result<T, MirrorError> {
    let done = tokio::time::timeout(limit, steps).await;
    done.unwrap_or_else(|_| Err(MirrorError::Away { message: format!("it took longer than {} s", limit.as_secs()) }))
}

/// A directory that is there after the call, by its real path.
fn made(directory: &Path) -> Result<PathBuf, MirrorError> {
    std::fs::create_dir_all(directory).and_then(|()| directory.canonicalize()).map_err(disk(directory))
}

/// A new directory in `directory`. Those that a crash has left there are removed.
fn workplace(directory: &Path) -> Result<tempfile::TempDir, MirrorError> {
    made(directory)?;
    for entry in std::fs::read_dir(directory).map_err(disk(directory))?.flatten() {
        if is_forgotten(&entry.path()) {
            // another process may remove it at the same time; what stays is tried again with the next snapshot
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    tempfile::TempDir::new_in(directory).map_err(disk(directory))
}

/// Whether something is so old that whoever made it is gone: far beyond every limit of time.
fn is_forgotten(path: &Path) -> bool {
    const AGE: Duration = Duration::from_secs(2 * 3600);
    let changed = path.symlink_metadata().and_then(|about| about.modified());
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > AGE))
}

/// Where a repository's mirror lies. `+` is in no name, so that no mirror lies within another.
fn mirror(directory: &Path, repository: &Repository) -> PathBuf {
    let name = repository.name.as_str().replace('/', "+");
    directory.join(repository.forge.as_str()).join(format!("{name}.git"))
}

fn failed(error: GitCommandError) -> MirrorError {
    match error {
        GitCommandError::Failed { command, stderr } => MirrorError::Git { command, stderr },
        GitCommandError::TooMuch { .. } | GitCommandError::TimedOut { .. } | GitCommandError::Io { .. } => {
            MirrorError::Away { message: error.to_string() }
        }
    }
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> MirrorError {
    let path = path.to_owned();
    |source| MirrorError::Disk { path, source }
}
