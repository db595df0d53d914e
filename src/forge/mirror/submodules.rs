//! The submodules of a checkout, each with a repository of its own at its place. Which there are, and where, is the
//! author's word: their number, their depth, their sizes and their time have limits.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Component, Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::{
    Limits, MirrorError, Mirrors,
    address::{Address, address, at},
    checkout::Write,
    failed,
    fetch::{Fetch, History},
    made,
};
use crate::{
    forge::{GitCommand, GitCommandError, Realm, Source},
    model::{Sha, Submodules},
};

/// More than any repository that we know of has.
const COUNT_MAX: usize = 100;
/// How deep submodules may have submodules.
const DEPTH_MAX: usize = 8;
/// The most bytes of `.gitmodules`.
const FILE_MAX: usize = 1 << 20;
/// What stands before a path in a tree's list, and the longest path.
const ENTRY_MAX: usize = 4096 + 100;

/// Checks out submodules.
pub(super) struct Modules<'a> {
    pub(super) mirrors: &'a Mirrors,
    /// Where mirrors are.
    pub(super) directory: &'a Path,
    /// What the repository itself was fetched from.
    pub(super) source: &'a Source,
    /// The root of the checkout.
    pub(super) place: &'a Path,
    pub(super) wanted: Submodules,
    /// What is left of what a snapshot may have.
    pub(super) left: Limits,
}

/// A repository that is checked out, whose submodules are not.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) mirror: PathBuf,
    pub(super) sha: Sha,
    /// What its submodules' addresses are relative to.
    pub(super) base: String,
    /// Where it is, from the root of the checkout.
    pub(super) at: PathBuf,
    pub(super) depth: usize,
}

/// One submodule.
#[derive(Debug)]
struct Module {
    sha: Sha,
    /// From its parent.
    path: PathBuf,
    name: String,
    url: String,
}

impl Modules<'_> {
    /// All of them. How many there were.
    pub(super) async fn all(mut self, top: Parent) -> Result<usize, MirrorError> {
        let (mut waiting, mut count) = (vec![top], 0);
        while let Some(parent) = waiting.pop() {
            let found = modules(&parent).await?;
            count += found.len();
            if count > COUNT_MAX || (parent.depth == DEPTH_MAX && !found.is_empty()) {
                let limit = format!("{COUNT_MAX} submodules, {DEPTH_MAX} deep");
                return Err(MirrorError::TooLarge { limit });
            }
            for module in found {
                let new = self.one(&parent, &module).await?;
                match self.wanted {
                    Submodules::Recursive => waiting.push(new),
                    Submodules::Own | Submodules::None => {}
                }
            }
        }
        Ok(count)
    }

    async fn one(&mut self, parent: &Parent, module: &Module) -> Result<Parent, MirrorError> {
        let at = parent.at.join(&module.path);
        let trouble = |message: String| MirrorError::Submodule { path: at.display().to_string(), message };
        let address = match self.in_the_tree(&at) {
            Some(address) => address,
            None => address(self.source, &parent.base, &module.url).await.map_err(trouble)?,
        };
        let url = address.source.url.clone();
        // what somebody's header has fetched is not there for those who have none
        let whose = if address.source.header.is_some() { "ours" } else { "everybody's" };
        let name = name_of(&format!("{whose} {url}"));
        let mirror = made(&self.directory.join("submodules"))?.join(format!("{name}.git"));
        self.fetch(&mirror, &address, &module.sha).await.map_err(|error| match error {
            MirrorError::Missing { sha } => trouble(format!("{url} does not have its commit {sha}")),
            MirrorError::Refused { message } => trouble(format!("{url} cannot be fetched: {message}")),
            other @ (MirrorError::NoSuchRef { .. }
            | MirrorError::Submodule { .. }
            | MirrorError::Lfs { .. }
            | MirrorError::Away { .. }
            | MirrorError::TooLarge { .. }
            | MirrorError::Git { .. }
            | MirrorError::Disk { .. }) => other,
        })?;
        let place = place_of(self.place, &at).map_err(trouble)?;
        let write = Write { mirror: &mirror, sha: &module.sha, origin: &url, place: &place, depth: 1 };
        let written = write.all(self.left).await?;
        self.left.bytes = self.left.bytes.saturating_sub(written.bytes);
        self.left.files = self.left.files.saturating_sub(written.files);
        let config = self.place.join(&parent.at).join(".git/config");
        let key = format!("submodule.{}.url", module.name);
        let set = GitCommand::new("config").arg("--file").arg(config).args([key.as_str(), &module.url]);
        set.run(0).await.map_err(failed)?;
        Ok(Parent { mirror, sha: module.sha.clone(), base: url, at, depth: parent.depth + 1 })
    }

    async fn fetch(&self, mirror: &Path, address: &Address, sha: &Sha) -> Result<(), MirrorError> {
        let lock = self.mirrors.lock(mirror);
        let _alone = lock.lock().await;
        let (source, pin) = (&address.source, address.pin.as_deref());
        Fetch { mirror, source, time: self.left.time, history: History::One, pin }.commit(sha).await
    }

    /// A submodule of a working tree is at its place there.
    fn in_the_tree(&self, path: &Path) -> Option<Address> {
        let Realm::Tree(tree) = &self.source.realm else { return None };
        let there = tree.join(path);
        there
            .join(".git")
            .exists()
            .then(|| Address { source: at(&self.source.realm, there.display().to_string()), pin: None })
    }
}

/// A name for a directory, which no address can be.
fn name_of(url: &str) -> String {
    hex::encode(Sha256::digest(url))
}

/// The empty directory that git has made for a submodule: nothing but directories lead there.
fn place_of(root: &Path, at: &Path) -> Result<PathBuf, String> {
    let mut place = root.to_owned();
    for part in at.components() {
        let Component::Normal(name) = part else { return Err("its path is none".to_owned()) };
        if name.eq_ignore_ascii_case(".git") {
            return Err("its path is none".to_owned());
        }
        place.push(name);
        if !place.symlink_metadata().is_ok_and(|about| about.is_dir()) {
            return Err("something else is at its place".to_owned());
        }
    }
    Ok(place)
}

async fn modules(parent: &Parent) -> Result<Vec<Module>, MirrorError> {
    let links = links(parent).await?;
    if links.is_empty() {
        return Ok(Vec::new());
    }
    let named = names(parent).await?;
    let module = |(path, sha): (PathBuf, Sha)| {
        let known = named.iter().find(|(_, about)| about.path.as_deref() == Some(&path));
        match known.and_then(|(name, about)| Some((name, about.url.as_ref()?))) {
            Some((name, url)) => Ok(Module { sha, path, name: name.clone(), url: url.clone() }),
            None => Err(MirrorError::Submodule {
                path: parent.at.join(&path).display().to_string(),
                message: "`.gitmodules` has no `path` and `url` for it".to_owned(),
            }),
        }
    };
    links.into_iter().map(module).collect()
}

/// The commits that a commit's tree names: where, and which.
async fn links(parent: &Parent) -> Result<Vec<(PathBuf, Sha)>, MirrorError> {
    let (mut found, mut entry) = (Vec::new(), Vec::new());
    let list = GitCommand::new("ls-tree").git_dir(&parent.mirror).args(["-r", "-z", parent.sha.as_str()]);
    let look = |chunk: &[u8]| {
        for &byte in chunk {
            if byte == 0 {
                found.extend(link(&entry));
                entry.clear();
            } else if entry.len() < ENTRY_MAX {
                entry.push(byte);
            }
        }
        // one more than there may be is enough to know
        if found.len() > COUNT_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    list.run_each(look).await.map_err(failed)?;
    Ok(found)
}

/// `160000 commit <sha>\t<path>`.
fn link(entry: &[u8]) -> Option<(PathBuf, Sha)> {
    let (sha, path) = std::str::from_utf8(entry).ok()?.strip_prefix("160000 commit ")?.split_once('\t')?;
    Some((path.into(), sha.parse().ok()?))
}

#[derive(Debug, Default)]
struct About {
    path: Option<PathBuf>,
    url: Option<String>,
}

/// What `.gitmodules` says, by the submodules' names; nothing, if there is none.
async fn names(parent: &Parent) -> Result<BTreeMap<String, About>, MirrorError> {
    let blob = format!("{}:.gitmodules", parent.sha);
    let list = GitCommand::new("config").git_dir(&parent.mirror).args(["--blob", &blob, "-z", "--list"]);
    let printed = match list.run(FILE_MAX).await {
        Ok(printed) => printed,
        Err(GitCommandError::Failed { .. }) => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut named = BTreeMap::<String, About>::new();
    for item in String::from_utf8_lossy(&printed).split('\0') {
        let Some((key, value)) = item.split_once('\n') else { continue };
        let Some((name, key)) = key.strip_prefix("submodule.").and_then(|rest| rest.rsplit_once('.')) else { continue };
        let about = named.entry(name.to_owned()).or_default();
        match key {
            "path" => about.path = Some(Path::new(value).components().collect()),
            "url" => about.url = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_through_a_link_or_into_a_repository() {
        let root = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(root.path().join("libs/lib")).expect("a directory");
        std::fs::create_dir_all(root.path().join(".git/x")).expect("a directory");
        std::os::unix::fs::symlink("/tmp", root.path().join("out")).expect("a link");
        assert!(place_of(root.path(), Path::new("libs/lib")).is_ok());
        for bad in ["out", "out/x", "absent", "../x", "/tmp", ".git/x", "libs/.GIT"] {
            assert!(place_of(root.path(), Path::new(bad)).is_err(), "{bad}");
        }
    }
}
