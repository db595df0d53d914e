//! Sources without credentials: a bare mirror per repository on the server's disk, and from it the snapshot of one
//! commit that pods unpack.
//!
//! What is promised: a repository is fetched by one caller at a time; what is fetched once is not fetched again; a
//! forge's credentials are on no disk, in no command line and in no message; nothing that a repository contains is
//! executed or followed; and every step has a limit of time and size.

mod archive;
mod checkout;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{GitCommand, GitCommandError, Source};
use crate::model::{Repository, Sha};

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
            Self::Commit(sha) | Self::Merge(sha) => sha,
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
    /// parent is the commit, that merge is taken instead.
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
        into: &Path,
    ) -> Result<Snapshot, MirrorError> {
        let directory = made(&self.directory)?;
        let mirror = mirror(&directory, repository);
        let lock = self.lock(&mirror);
        let _alone = lock.lock().await;
        let fetch = Fetch { mirror: &mirror, source, time: self.limits.time };
        fetch.commit(event_sha).await?;
        let checkout = match fetch.merge(event_sha).await? {
            Some(merge) => Checkout::Merge(merge),
            None => Checkout::Commit(event_sha.clone()),
        };
        let place = tempfile::TempDir::new_in(&directory).map_err(disk(&directory))?;
        let time = checkout::write(&mirror, checkout.sha(), &repository.clone_url, place.path(), self.limits).await?;
        let (unpacked, packed) = archive::write(place, into.to_owned(), time, self.limits.bytes).await?;
        Ok(Snapshot { checkout, unpacked, packed })
    }

    fn lock(&self, mirror: &Path) -> Arc<tokio::sync::Mutex<()>> {
        // a map of locks is never half-changed, so a panic elsewhere does not make it useless
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(fetching.entry(mirror.to_owned()).or_default())
    }
}

/// A directory that is there after the call, by its real path.
fn made(directory: &Path) -> Result<PathBuf, MirrorError> {
    std::fs::create_dir_all(directory).and_then(|()| directory.canonicalize()).map_err(disk(directory))
}

/// Where a repository's mirror lies. `+` is in no name, so that no mirror lies within another.
fn mirror(directory: &Path, repository: &Repository) -> PathBuf {
    let name = repository.name.as_str().replace('/', "+");
    directory.join(repository.forge.as_str()).join(format!("{name}.git"))
}

/// Fetching into one mirror, while its lock is held.
struct Fetch<'a> {
    mirror: &'a Path,
    source: &'a Source,
    time: Duration,
}

#[derive(PartialEq, Eq)]
enum Fetched {
    Yes,
    /// The forge can be reached, but does not have what was asked for.
    NotThere,
}

impl Fetch<'_> {
    /// Makes sure that the mirror has the commit, kept by a ref of its own.
    async fn commit(&self, sha: &Sha) -> Result<(), MirrorError> {
        self.make(sha).await?;
        let kept = format!("refs/containerops/commits/{sha}");
        // the ref, not the object, says that we have it all: git writes it last
        if self.resolve(&kept).await?.is_some() || self.fetch(sha.as_str(), &kept).await? == Fetched::Yes {
            return Ok(());
        }
        for reference in self.source.refs.iter().filter(|reference| is_plain(reference)) {
            if self.fetch(reference, "refs/containerops/tip").await? == Fetched::Yes && self.tip_has(sha).await? {
                let update = GitCommand::new("update-ref").git_dir(self.mirror).args([kept.as_str(), sha.as_str()]);
                return update.run(0).await.map(drop).map_err(failed);
            }
        }
        Err(MirrorError::Missing { sha: sha.clone() })
    }

    /// The source's merge, if it is a merge of this commit: the ref may be older or newer than the event.
    async fn merge(&self, sha: &Sha) -> Result<Option<Sha>, MirrorError> {
        let Some(reference) = self.source.merge_ref.as_deref().filter(|reference| is_plain(reference)) else {
            return Ok(None);
        };
        let kept = format!("refs/containerops/merges/{sha}");
        if self.fetch(reference, &kept).await? == Fetched::NotThere {
            return Ok(None);
        }
        let second_parent = self.resolve(&format!("{kept}^2")).await?;
        if second_parent.as_ref() == Some(sha) { self.resolve(&kept).await } else { Ok(None) }
    }

    async fn make(&self, sha: &Sha) -> Result<(), MirrorError> {
        if self.mirror.join("HEAD").is_file() {
            return Ok(());
        }
        let new = GitCommand::new("init").args(["--quiet", "--bare", "--template="]).arg(checkout::object_format(sha));
        new.arg("--").arg(self.mirror).run(0).await.map(drop).map_err(failed)
    }

    async fn fetch(&self, what: &str, kept: &str) -> Result<Fetched, MirrorError> {
        let url = self.source.url.as_str();
        let protocol = protocol(url).ok_or_else(|| MirrorError::Refused {
            message: format!("`{url}` is neither an https, http, ssh or file URL nor an absolute path"),
        })?;
        let mut fetch = GitCommand::new("fetch")
            .git_dir(self.mirror)
            .args(["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"])
            .config("protocol.allow", "never")
            .config(&format!("protocol.{protocol}.allow"), "always")
            // `transfer.fsckObjects` stays off: it refuses honest old repositories for the shape of their dates and
            // modes, and what it guards against (`.git` as a path, submodules) is refused or unused at the checkout
            .config("gc.autoDetach", "false")
            .config("http.lowSpeedLimit", "1000")
            .config("http.lowSpeedTime", "60")
            .limit(self.time);
        if protocol == "file" {
            fetch = fetch.args(["--upload-pack", checkout::UPLOAD_PACK]);
        }
        if let Some(header) = &self.source.header {
            // a redirect would take the header to wherever it leads
            fetch =
                fetch.secret_config(&format!("http.{url}.extraHeader"), header).config("http.followRedirects", "false");
        }
        match fetch.args(["--", url, &format!("+{what}:{kept}")]).run(64 << 10).await {
            Ok(_) => Ok(Fetched::Yes),
            Err(error) => not_fetched(error),
        }
    }

    async fn resolve(&self, revision: &str) -> Result<Option<Sha>, MirrorError> {
        let parse = GitCommand::new("rev-parse").git_dir(self.mirror).args(["--verify", "--quiet", revision]);
        match parse.run(1000).await {
            Ok(printed) => Ok(String::from_utf8_lossy(&printed).trim().parse().ok()),
            Err(GitCommandError::Failed { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    async fn tip_has(&self, sha: &Sha) -> Result<bool, MirrorError> {
        let ask = GitCommand::new("merge-base").git_dir(self.mirror);
        match ask.args(["--is-ancestor", sha.as_str(), "refs/containerops/tip"]).run(1000).await {
            Ok(_) => Ok(true),
            Err(GitCommandError::Failed { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}

/// What git calls the way that a URL goes; none for those that we do not go, among them `ext::`, which runs commands.
fn protocol(url: &str) -> Option<&'static str> {
    match url.split_once("://") {
        Some(("https", _)) => Some("https"),
        Some(("http", _)) => Some("http"),
        Some(("ssh", _)) => Some("ssh"),
        Some(("file", _)) => Some("file"),
        Some(_) => None,
        None => url.starts_with('/').then_some("file"),
    }
}

/// Whether a ref from outside means one ref, and nothing that git would take for a pattern or a pair.
fn is_plain(reference: &str) -> bool {
    reference.starts_with("refs/") && !reference.contains([':', '*', '^', '~', '?', '[', '\\', ' '])
}

/// What it means that a fetch failed. Git has one exit code for everything, but its words in English stand still.
fn not_fetched(error: GitCommandError) -> Result<Fetched, MirrorError> {
    const NOT_THERE: [&str; 4] =
        ["not our ref", "unadvertised object", "couldn't find remote ref", "no such remote ref"];
    const REFUSED: [&str; 7] = [
        "Authentication failed",
        "could not read Username",
        "could not read Password",
        "not found",
        "does not appear to be a git repository",
        "error: 403",
        "Permission denied",
    ];
    let GitCommandError::Failed { command: _, stderr: message } = error else { return Err(failed(error)) };
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if says(&NOT_THERE) {
        Ok(Fetched::NotThere)
    } else if says(&REFUSED) {
        Err(MirrorError::Refused { message })
    } else {
        Err(MirrorError::Away { message })
    }
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
