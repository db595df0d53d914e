//! One commit of a mirror as files, with a `.git` that has no history, no credentials and no traces of this machine.

use std::{fs, ops::ControlFlow, path::Path};

use super::{Limits, MirrorError, disk, failed, fetch::TAGS};
use crate::{forge::GitCommand, model::Sha};

/// How git serves a repository of this machine: any commit may be asked for by its name, the owner does not matter
/// (settings that we give git itself do not reach this process), and one thread packs, so that the same objects give
/// the same pack.
pub(super) const UPLOAD_PACK: &str =
    "git -c safe.directory='*' -c uploadpack.allowAnySHA1InWant=true -c pack.threads=1 upload-pack";

/// The argument for `git init` by which a repository can hold this commit.
pub(super) fn object_format(sha: &Sha) -> &'static str {
    if sha.as_str().len() == 64 { "--object-format=sha256" } else { "--object-format=sha1" }
}

/// A commit, and where it goes.
pub(super) struct Write<'a> {
    pub(super) mirror: &'a Path,
    pub(super) sha: &'a Sha,
    /// What the new repository calls its `origin`.
    pub(super) origin: &'a str,
    /// An empty directory.
    pub(super) place: &'a Path,
    /// How many commits of history; 0: all, with the mirror's tags.
    pub(super) depth: u32,
}

/// What was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    /// The commit's time in Unix seconds.
    pub(super) time: u64,
    /// Of its files.
    pub(super) bytes: u64,
    pub(super) files: u64,
}

impl Write<'_> {
    /// Checks the commit out.
    ///
    /// Submodules are empty directories, and files kept by LFS are their pointers: filters are settings, and there are
    /// none.
    pub(super) async fn all(&self, limits: Limits) -> Result<Written, MirrorError> {
        let Self { mirror, sha, origin, place, depth } = *self;
        let (bytes, files) = measure(mirror, sha, limits).await?;
        let git_dir = place.join(".git");
        let run = |command: GitCommand| async { command.limit(limits.time).run(64 << 10).await.map_err(failed) };
        let new = GitCommand::new("init").args(["--quiet", "--template=", "--initial-branch=main", object_format(sha)]);
        run(new.arg("--").arg(place)).await?;
        let fetch = GitCommand::new("fetch").git_dir(&git_dir).config("fetch.unpackLimit", "1");
        let fetch = fetch.args(["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]);
        let fetch = if depth == 0 { fetch } else { fetch.arg(format!("--depth={depth}")) };
        let fetch = fetch.args(["--upload-pack", UPLOAD_PACK, "--"]).arg(mirror).arg(sha.as_str());
        run(if depth == 0 { fetch.arg(format!("+{TAGS}/*:refs/tags/*")) } else { fetch }).await?;
        let checkout = GitCommand::new("checkout").git_dir(&git_dir).work_tree(place);
        run(checkout.config("core.logAllRefUpdates", "false").args(["--quiet", "--detach", sha.as_str()])).await?;
        for (key, value) in
            [("remote.origin.url", origin), ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")]
        {
            run(GitCommand::new("config").arg("--file").arg(git_dir.join("config")).args([key, value])).await?;
        }
        // an index without times and inode numbers is right wherever it is unpacked: git compares the files themselves
        fs::remove_file(git_dir.join("index")).map_err(disk(&git_dir))?;
        run(GitCommand::new("read-tree").git_dir(&git_dir).arg(sha.as_str())).await?;
        let time = commit_time(&git_dir, sha).await?;
        Ok(Written { time, bytes, files })
    }
}

/// How much is kept of an entry of a tree: what stands before its path, which may be of any length.
const ENTRY_MOST: usize = 200;

/// Adds up a commit's files before any is written: a small pack can hold very much.
async fn measure(mirror: &Path, sha: &Sha, limits: Limits) -> Result<(u64, u64), MirrorError> {
    let (mut bytes, mut files, mut entry) = (0_u64, 0_u64, Vec::new());
    let list = GitCommand::new("ls-tree").git_dir(mirror).args(["-r", "-l", "-z", sha.as_str()]);
    let count = |chunk: &[u8]| {
        for &byte in chunk {
            if byte == 0 {
                bytes += size(&entry);
                files += 1;
                entry.clear();
            } else if entry.len() < ENTRY_MOST {
                entry.push(byte);
            }
        }
        if bytes > limits.bytes || files > limits.files { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    list.limit(limits.time).run_each(count).await.map_err(failed)?;
    if bytes > limits.bytes {
        return Err(MirrorError::TooLarge { limit: format!("{} MiB", limits.bytes >> 20) });
    }
    if files > limits.files {
        return Err(MirrorError::TooLarge { limit: format!("{} files", limits.files) });
    }
    Ok((bytes, files))
}

/// The size in `100644 blob <sha> <size>\t<path>`; a submodule has none.
fn size(entry: &[u8]) -> u64 {
    let about = entry.split(|&byte| byte == b'\t').next().unwrap_or_default();
    let size = about.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    std::str::from_utf8(size).ok().and_then(|size| size.parse().ok()).unwrap_or(0)
}

async fn commit_time(git_dir: &Path, sha: &Sha) -> Result<u64, MirrorError> {
    let show = GitCommand::new("log").git_dir(git_dir).args(["-1", "--format=%ct", sha.as_str()]);
    let printed = show.run(1000).await.map_err(failed)?;
    // a commit may claim a time before 1970, which no archive can hold
    Ok(String::from_utf8_lossy(&printed).trim().parse().unwrap_or(0))
}
