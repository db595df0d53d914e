//! Bringing a commit into a mirror.

use std::{fs, io, path::Path, time::Duration};

use super::{MirrorError, checkout, disk, failed, is_forgotten};
use crate::{
    forge::{GitCommand, GitCommandError, Source},
    model::Sha,
};

/// Fetching into one mirror, while its lock is held.
pub(super) struct Fetch<'a> {
    pub(super) mirror: &'a Path,
    pub(super) source: &'a Source,
    pub(super) time: Duration,
    pub(super) history: History,
    /// Where the URL's host is, if it was looked at.
    pub(super) pin: Option<&'a str>,
}

/// How much of the history comes with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum History {
    All,
    /// The commit alone.
    One,
}

/// Where a mirror keeps the repository's tags.
pub(super) const TAGS: &str = "refs/containerops/tags";

#[derive(PartialEq, Eq)]
enum Fetched {
    Yes,
    /// The forge can be reached, but does not have what was asked for.
    NotThere,
}

impl Fetch<'_> {
    /// Makes sure that the mirror has the commit, kept by a ref of its own.
    pub(super) async fn commit(&self, sha: &Sha) -> Result<(), MirrorError> {
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

    /// Makes sure that the mirror has what a name stands for: a branch, else a tag, or a commit.
    pub(super) async fn named(&self, name: &str, like: &Sha) -> Result<Sha, MirrorError> {
        if let Ok(sha) = name.parse::<Sha>() {
            self.commit(&sha).await?;
            return Ok(sha);
        }
        self.make(like).await?;
        let whole = |kind: &str| format!("refs/{kind}/{name}");
        let candidates =
            if name.starts_with("refs/") { vec![name.to_owned()] } else { vec![whole("heads"), whole("tags")] };
        for reference in candidates.iter().filter(|reference| is_plain(reference)) {
            if self.fetch(reference, "refs/containerops/named").await? == Fetched::NotThere {
                continue;
            }
            let Some(sha) = self.resolve("refs/containerops/named^{commit}").await? else { continue };
            let kept = format!("refs/containerops/commits/{sha}");
            let update = GitCommand::new("update-ref").git_dir(self.mirror).args([kept.as_str(), sha.as_str()]);
            update.run(0).await.map_err(failed)?;
            return Ok(sha);
        }
        Err(MirrorError::NoSuchRef { name: name.to_owned() })
    }

    /// Brings all tags as they are now.
    pub(super) async fn tags(&self) -> Result<(), MirrorError> {
        let there = GitCommand::new("for-each-ref").git_dir(self.mirror).args(["--format=%(refname)", TAGS]);
        let old = there.run(16 << 20).await.map_err(failed)?;
        let delete: String = String::from_utf8_lossy(&old).lines().map(|name| format!("delete {name}\n")).collect();
        let update = GitCommand::new("update-ref").git_dir(self.mirror).arg("--stdin").input(delete);
        update.run(0).await.map_err(failed)?;
        self.fetch("refs/tags/*", &format!("{TAGS}/*")).await.map(drop)
    }

    /// The source's merge, if it is a merge of this commit: the ref may be older or newer than the event.
    pub(super) async fn merge(&self, sha: &Sha) -> Result<Option<Sha>, MirrorError> {
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

    /// Makes the mirror, or mends what a crash has left of it.
    async fn make(&self, sha: &Sha) -> Result<(), MirrorError> {
        for directory in ["", "refs/containerops", "refs/containerops/commits", "refs/containerops/merges"] {
            unlock(&self.mirror.join(directory)).map_err(disk(self.mirror))?;
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
        if self.history == History::One {
            fetch = fetch.arg("--depth=1");
        }
        if let Some(pin) = self.pin {
            fetch = fetch.config("http.curloptResolve", pin).config("http.followRedirects", "false");
        }
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

/// Removes the locks of git processes that were killed with the machine, which nobody else would ever remove.
fn unlock(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries.flatten() {
        if entry.file_name().as_encoded_bytes().ends_with(b".lock") && is_forgotten(&entry.path()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
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
