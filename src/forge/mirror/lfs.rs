//! Files that LFS keeps: git has small pointers to them, and the forge the bytes. The server asks for them by LFS's own
//! API, so that no image needs a program for it; what comes must have the pointer's length and digest.
//!
//! `.lfsconfig` is not looked at: whoever may push may write any address there.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    ops::ControlFlow,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use reqwest::{StatusCode, header, redirect::Policy};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Limits, MirrorError, disk, failed};
use crate::{
    forge::{GitCommand, Realm, Source},
    model::Sha,
};

/// A pointer is smaller: LFS itself looks no further.
const POINTER_MAX: u64 = 1024;
/// What stands before a path in a tree's list, and the longest path.
const ENTRY_MAX: usize = 4096 + 100;
/// The most files that LFS may keep of a commit.
const FILES_MAX: usize = 20_000;
/// How many objects are asked for in one call, as LFS's own program does it.
const BATCH: usize = 100;
/// How many come at once.
const AT_ONCE: usize = 4;
/// The answer to a call for a hundred objects.
const ANSWER_MAX: usize = 4 << 20;
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const TYPE: &str = "application/vnd.git-lfs+json";

/// Brings the files of a checkout that LFS keeps.
pub(super) struct Lfs<'a> {
    pub(super) source: &'a Source,
    pub(super) sha: &'a Sha,
    /// The checkout.
    pub(super) place: &'a Path,
    pub(super) left: Limits,
}

/// What a pointer says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    oid: String,
    size: u64,
}

#[derive(Deserialize)]
struct Batch {
    objects: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    oid: String,
    actions: Option<Actions>,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Actions {
    download: Option<Download>,
}

#[derive(Deserialize)]
struct Download {
    href: String,
    #[serde(default)]
    header: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Fault {
    code: i64,
    #[serde(default)]
    message: String,
}

impl Lfs<'_> {
    /// All of them. How many bytes that were.
    pub(super) async fn all(&self) -> Result<u64, MirrorError> {
        let files = self.files().await?;
        let objects: BTreeSet<Object> = files.values().cloned().collect();
        let bytes = files.values().try_fold(0_u64, |sum, object| sum.checked_add(object.size));
        let Some(bytes) = bytes.filter(|bytes| *bytes <= self.left.bytes) else {
            return Err(MirrorError::TooLarge { limit: format!("{} MiB with those of LFS", self.left.bytes >> 20) });
        };
        if files.is_empty() {
            return Ok(0);
        }
        let store = tempfile::TempDir::new_in(self.place.join(".git")).map_err(disk(self.place))?;
        match self.folder().await {
            Some(folder) => self.copy(&folder, &objects, store.path())?,
            None => self.download(&objects, store.path()).await?,
        }
        for (path, object) in &files {
            put(&store.path().join(&object.oid), &self.place.join(path)).map_err(disk(path))?;
        }
        self.note(listed(files.keys())).await?;
        Ok(bytes)
    }

    /// The files that are pointers, and are meant to be.
    async fn files(&self) -> Result<BTreeMap<PathBuf, Object>, MirrorError> {
        let small = self.small().await?;
        let place = self.place.to_owned();
        let read = move || small.into_iter().filter_map(|path| Some((pointer(&place.join(&path))?, path))).collect();
        let found: Vec<(Object, PathBuf)> = tokio::task::spawn_blocking(read).await.map_err(broken)?;
        if found.len() > FILES_MAX {
            return Err(MirrorError::TooLarge { limit: format!("{FILES_MAX} files kept by LFS") });
        }
        if found.is_empty() {
            return Ok(BTreeMap::new());
        }
        let meant = self.meant(listed(found.iter().map(|(_, path)| path))).await?;
        Ok(found.into_iter().filter(|(_, path)| meant.contains(path)).map(|(object, path)| (path, object)).collect())
    }

    fn git(&self, command: &str) -> GitCommand {
        GitCommand::new(command).git_dir(&self.place.join(".git")).work_tree(self.place).limit(self.left.time)
    }

    /// The files that are small enough to be pointers.
    async fn small(&self) -> Result<Vec<PathBuf>, MirrorError> {
        let (mut found, mut entry) = (Vec::new(), Vec::new());
        let look = |chunk: &[u8]| {
            for &byte in chunk {
                if byte == 0 {
                    found.extend(small(&entry));
                    entry.clear();
                } else if entry.len() < ENTRY_MAX {
                    entry.push(byte);
                }
            }
            ControlFlow::Continue(())
        };
        self.git("ls-tree").args(["-r", "-l", "-z", self.sha.as_str()]).run_each(look).await.map_err(failed)?;
        Ok(found)
    }

    /// Those of which `.gitattributes` say that LFS keeps them.
    async fn meant(&self, paths: Vec<u8>) -> Result<BTreeSet<PathBuf>, MirrorError> {
        let ask = self.git("check-attr").args(["-z", "--stdin", "filter"]).input(paths);
        let printed = ask.run(FILES_MAX * ENTRY_MAX).await.map_err(failed)?;
        let words: Vec<&[u8]> = printed.split(|&byte| byte == 0).collect();
        let said = words.chunks_exact(3).filter(|said| said[2] == b"lfs");
        Ok(said.map(|said| PathBuf::from(OsStr::from_bytes(said[0]))).collect())
    }

    /// Says to git that these files are what they should be: without LFS's own program they would look changed.
    async fn note(&self, paths: Vec<u8>) -> Result<(), MirrorError> {
        let note = self.git("update-index").args(["--assume-unchanged", "-z", "--stdin"]).input(paths);
        note.run(0).await.map(drop).map_err(failed)
    }

    /// Where a repository on this machine keeps them.
    async fn folder(&self) -> Option<PathBuf> {
        let repository = match &self.source.realm {
            Realm::Tree(tree) => tree.as_path(),
            Realm::Below(_) => Path::new(self.source.url.trim_start_matches("file://")),
            Realm::Host { .. } => return None,
        };
        let ask =
            GitCommand::new("rev-parse").work_tree(repository).args(["--path-format=absolute", "--git-common-dir"]);
        let printed = ask.run(4096).await.ok()?;
        Some(PathBuf::from(String::from_utf8_lossy(&printed).trim()).join("lfs/objects"))
    }

    fn copy(&self, folder: &Path, objects: &BTreeSet<Object>, store: &Path) -> Result<(), MirrorError> {
        for object in objects {
            let from = folder.join(&object.oid[..2]).join(&object.oid[2..4]).join(&object.oid);
            let missing = |_| missing(object, "it is not in the repository's LFS objects");
            let mut file = File::open(&from).map_err(missing)?.take(object.size + 1);
            let mut new = New::at(store, object)?;
            io::copy(&mut file, &mut new).map_err(disk(&from))?;
            new.check()?;
        }
        Ok(())
    }

    async fn download(&self, objects: &BTreeSet<Object>, store: &Path) -> Result<(), MirrorError> {
        let http = reqwest::Client::builder().redirect(Policy::none()).read_timeout(ANSWER_WITHIN);
        let http = http.connect_timeout(Duration::from_secs(10)).user_agent("containerops git-lfs/3").build();
        let http = http.map_err(|error| away(&error))?;
        let objects: Vec<&Object> = objects.iter().collect();
        for some in objects.chunks(BATCH) {
            let wanted = self.ask(&http, some).await?;
            let mut fetches = Vec::new();
            for (object, download) in wanted {
                fetches.push(self.fetch(&http, object, download, store).boxed());
            }
            stream::iter(fetches).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        }
        Ok(())
    }

    /// Where the forge says that these are.
    async fn ask<'o>(
        &self,
        http: &reqwest::Client,
        objects: &[&'o Object],
    ) -> Result<Vec<(&'o Object, Download)>, MirrorError> {
        let url = self.source.url.trim_end_matches('/');
        let url = format!("{}.git/info/lfs/objects/batch", url.strip_suffix(".git").unwrap_or(url));
        let wanted: Vec<_> = objects.iter().map(|object| json!({"oid": object.oid, "size": object.size})).collect();
        let body = json!({"operation": "download", "transfers": ["basic"], "objects": wanted}).to_string();
        let call =
            http.post(&url).timeout(ANSWER_WITHIN).header(header::ACCEPT, TYPE).header(header::CONTENT_TYPE, TYPE);
        let answer = self.sign(call).body(body).send().await.map_err(|error| away(&error))?;
        refused(answer.status(), &url)?;
        let mut text = Vec::new();
        let mut bytes = answer.bytes_stream();
        while let Some(some) = bytes.try_next().await.map_err(|error| away(&error))? {
            text.extend_from_slice(&some);
            if text.len() > ANSWER_MAX {
                return Err(MirrorError::Lfs { message: format!("{url} answers with too much") });
            }
        }
        let odd =
            |error: serde_json::Error| MirrorError::Lfs { message: format!("{url} does not answer as LFS: {error}") };
        let answer: Batch = serde_json::from_slice(&text).map_err(odd)?;
        let mut by_oid: BTreeMap<String, Answer> = answer.objects.into_iter().map(|a| (a.oid.clone(), a)).collect();
        objects.iter().map(|object| Ok((*object, found(object, by_oid.remove(&object.oid))?))).collect()
    }

    fn sign(&self, call: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self.source.header.as_ref().and_then(|header| header.expose_secret().split_once(':')) {
            Some((name, value)) => call.header(name.trim(), value.trim()),
            None => call,
        }
    }

    async fn fetch(
        &self,
        http: &reqwest::Client,
        object: &Object,
        from: Download,
        store: &Path,
    ) -> Result<(), MirrorError> {
        let own = Url::parse(&self.source.url).ok();
        let url = Url::parse(&from.href).map_err(|_| missing(object, "its address is none"))?;
        let is_own = own.is_some_and(|own| own.origin() == url.origin());
        if url.scheme() != "https" && !is_own {
            return Err(missing(object, "its address is not encrypted"));
        }
        let call = http.get(url);
        // what the answer says goes there; ours does not leave its host
        let call = match from.header.is_empty() && is_own {
            true => self.sign(call),
            false => from.header.iter().fold(call, |call, (name, value)| call.header(name, value)),
        };
        let answer = call.send().await.map_err(|error| away(&error.without_url()))?;
        refused(answer.status(), &format!("object {}", object.oid))?;
        let mut new = New::at(store, object)?;
        let mut bytes = answer.bytes_stream();
        while let Some(some) = bytes.try_next().await.map_err(|error| away(&error.without_url()))? {
            new.write_all(&some).map_err(|error| missing(object, &error.to_string()))?;
        }
        new.check()
    }
}

/// An object that comes: never more bytes than it should have, and none other than it should be.
struct New<'o> {
    object: &'o Object,
    file: File,
    length: u64,
    sha256: Sha256,
}

impl<'o> New<'o> {
    fn at(store: &Path, object: &'o Object) -> Result<Self, MirrorError> {
        let file = File::create(store.join(&object.oid)).map_err(disk(store))?;
        Ok(Self { object, file, length: 0, sha256: Sha256::new() })
    }

    fn check(self) -> Result<(), MirrorError> {
        if self.length != self.object.size {
            return Err(missing(self.object, "it does not have the length that its pointer says"));
        }
        match hex::encode(self.sha256.finalize()) == self.object.oid {
            true => Ok(()),
            false => Err(missing(self.object, "its bytes are others")),
        }
    }
}

impl io::Write for New<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.length += bytes.len() as u64;
        if self.length > self.object.size {
            return Err(io::Error::other("it is longer than its pointer says"));
        }
        self.sha256.update(bytes);
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Puts a file where its pointer is, with the pointer's mode.
fn put(from: &Path, to: &Path) -> io::Result<()> {
    let mode = to.symlink_metadata()?.permissions();
    fs::remove_file(to)?;
    // several paths may have one content
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))?;
    fs::set_permissions(to, mode)
}

/// The path in `100644 blob <sha> <size>\t<path>`, if it may be a pointer.
fn small(entry: &[u8]) -> Option<PathBuf> {
    let at = entry.iter().position(|&byte| byte == b'\t')?;
    let about = std::str::from_utf8(&entry[..at]).ok()?;
    let size: u64 = about.rsplit(' ').next()?.parse().ok()?;
    let may = about.starts_with("100") && size < POINTER_MAX;
    may.then(|| PathBuf::from(OsStr::from_bytes(&entry[at + 1..])))
}

fn pointer(path: &Path) -> Option<Object> {
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    File::open(path).ok()?.take(POINTER_MAX).read_to_string(&mut text).ok()?;
    parse(&text)
}

fn parse(text: &str) -> Option<Object> {
    let mut lines = text.lines();
    let version = lines.next()?.strip_prefix("version ")?;
    if !version.contains("git-lfs") && !version.contains("hawser") {
        return None;
    }
    let (mut oid, mut size) = (None, None);
    for line in lines {
        match line.split_once(' ') {
            Some(("oid", value)) => oid = value.strip_prefix("sha256:"),
            Some(("size", value)) => size = value.parse().ok(),
            Some(_) | None => {}
        }
    }
    let is_hex = |oid: &&str| oid.len() == 64 && oid.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    Some(Object { oid: oid.filter(is_hex)?.to_owned(), size: size? })
}

fn listed<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> Vec<u8> {
    paths.flat_map(|path| path.as_os_str().as_bytes().iter().copied().chain([0])).collect()
}

fn found(object: &Object, answer: Option<Answer>) -> Result<Download, MirrorError> {
    let answer = answer.ok_or_else(|| missing(object, "the forge does not speak of it"))?;
    if let Some(Fault { code, message }) = answer.error {
        let message: String = message.chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(missing(object, &format!("the forge says {code} {message}")));
    }
    answer.actions.and_then(|actions| actions.download).ok_or_else(|| missing(object, "the forge does not have it"))
}

fn missing(object: &Object, why: &str) -> MirrorError {
    MirrorError::Lfs { message: format!("object {} of {} bytes: {why}", object.oid, object.size) }
}

fn refused(status: StatusCode, what: &str) -> Result<(), MirrorError> {
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            Err(MirrorError::Away { message: format!("LFS: {what} answered {status}") })
        }
        _ if status.is_server_error() => Err(MirrorError::Away { message: format!("LFS: {what} answered {status}") }),
        _ => Err(MirrorError::Lfs { message: format!("{what} answered {status}") }),
    }
}

fn away(error: &reqwest::Error) -> MirrorError {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let why = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    MirrorError::Away { message: format!("LFS: {why}") }
}

fn broken(error: tokio::task::JoinError) -> MirrorError {
    disk(Path::new("."))(io::Error::other(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_read_and_nothing_else_is_one() {
        let oid = "a".repeat(64);
        let good = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12345\n");
        assert_eq!(parse(&good), Some(Object { oid: oid.clone(), size: 12345 }));
        for bad in [
            "".to_owned(),
            "text\n".to_owned(),
            good.replace("sha256:", "md5:"),
            good.replace(&oid, "../../etc/passwd"),
            good.replace(&oid, &"A".repeat(64)),
            good.replace("12345", "-1"),
            good.replace("git-lfs", "else"),
        ] {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }
}
