//! Caches: what an action finds again of what an earlier run of it has left. A cache that is not there, does not come, or
//! cannot be kept is a line in the log, and never the end of a job.
//!
//! What lies in the workspace is restored before the first job of the action that runs, and is there for the others. What
//! lies outside of it is a container's own, so it is restored before each job. Both are kept at the end of the last job that
//! runs, as it finds them; the server takes them only if the whole action ends well.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use sha2::{Digest as _, Sha256};

use super::{
    bundle::{
        fetch::fetch,
        find,
        send::{Add, Sent, send},
        unpack::Links,
    },
    client::{CallError, Client},
    protocol::{CacheRequest, Cached, Hit, NO_KEY, NewCache, Work},
};
use crate::model::{Size, Span};

/// The most files whose bytes make a key.
const KEY_FILES_MAX: u64 = 10_000;

/// Restores and keeps an action's caches.
pub(super) struct Caches<'a> {
    pub(super) client: &'a Client,
    pub(super) work: &'a Work,
    pub(super) workspace: &'a Path,
}

/// Where a path of a cache is.
struct Root {
    path: PathBuf,
    is_shared: bool,
}

impl Caches<'_> {
    /// Restores all that there are; what is said of each goes to `say`.
    ///
    /// # Errors
    /// Only if the server does not want this agent any more.
    pub(super) async fn restore(&self, say: impl Fn(&str)) -> Result<(), CallError> {
        for cache in &self.work.caches {
            let key = match cache.is_first.then(|| key(cache, self.workspace)).transpose() {
                Ok(key) => {
                    if key.as_deref() == Some(NO_KEY) && !cache.key_files.is_empty() {
                        let patterns = cache.key_files.join(", ");
                        say(&format!("cache {}: no file matches {patterns}, so it has no key", cache.name));
                    }
                    key
                }
                Err(error) => {
                    say(&format!("cache {}: its key files cannot be read, so there is none: {error}", cache.name));
                    continue;
                }
            };
            let request = CacheRequest { name: cache.name.clone(), key };
            match self.client.ask_cache(&request).await {
                Ok(answer) => match answer.hit {
                    Some(hit) => say(&self.unpack(cache, hit).await),
                    None => say(&format!("cache {}: missed, there is none yet", cache.name)),
                },
                Err(error @ CallError::Gone(_)) => return Err(error),
                Err(error) => say(&format!("cache {}: {error}", cache.name)),
            }
        }
        Ok(())
    }

    async fn unpack(&self, cache: &Cached, hit: Hit) -> String {
        let begun = Instant::now();
        let roots = self.roots(cache);
        let is_first = cache.is_first;
        let place = move |name: &Path| {
            let number: usize = name.components().next()?.as_os_str().to_str()?.parse().ok()?;
            let root = roots.get(number).filter(|root| is_first || !root.is_shared)?;
            Some((root.path.clone(), 1))
        };
        let (name, how) = (&cache.name, &hit.words);
        match fetch(self.client, hit.bundle, Links::Any, place).await {
            Ok(all) => {
                let (size, took) = (Size(all.bytes), Span(begun.elapsed()));
                format!("cache {name}: {how}, {size} in {} files and directories restored in {took}", all.entries)
            }
            Err(error) => format!("cache {name}: {how}, but it is not restored, or not all of it: {error}"),
        }
    }

    /// Keeps all that this job is the last to have.
    pub(super) async fn keep(&self, say: impl Fn(&str)) {
        for cache in self.work.caches.iter().filter(|cache| cache.is_last) {
            match self.client.wants_cache(&cache.name).await {
                Ok(wish) if wish.keep => say(&self.pack(cache).await),
                Ok(wish) => say(&format!("cache {}: {}", cache.name, wish.why)),
                Err(error) => say(&format!("cache {}: {error}", cache.name)),
            }
        }
    }

    async fn pack(&self, cache: &Cached) -> String {
        let begun = Instant::now();
        let (name, roots) = (&cache.name, self.roots(cache));
        let list = move |add: &mut Add<'_>| {
            for (number, root) in roots.iter().enumerate() {
                find::below(Path::new(&number.to_string()), &root.path, &mut |found| add(found))?;
            }
            Ok(())
        };
        let Sent { bundle, entries } = match send(self.client, self.work.cache_limit, list).await {
            Ok(sent) => sent,
            Err(error) => return format!("cache {name}: not kept: {error}"),
        };
        if entries.is_empty() {
            return format!("cache {name}: nothing is at its paths, so there is none");
        }
        let (length, size) = (Size(bundle.length), Size(bundle.size()));
        let new = NewCache { name: name.clone(), bundle, files: entries.len() as u64 };
        match self.client.post_cache(&new).await {
            Ok(()) => format!("cache {name}: {length} ({size} compressed) kept in {}", Span(begun.elapsed())),
            Err(error) => format!("cache {name}: not kept: {error}"),
        }
    }

    fn roots(&self, cache: &Cached) -> Vec<Root> {
        let home =
            self.work.environments.get("HOME").map(PathBuf::from).or_else(|| env::var_os("HOME").map(Into::into));
        let home = home.unwrap_or_else(|| PathBuf::from("/"));
        let root = |path: &String| {
            let path = match path.strip_prefix("~/") {
                Some(below) => home.join(below),
                None => self.workspace.join(path),
            };
            Root { is_shared: path.starts_with(self.workspace), path }
        };
        cache.paths.iter().map(root).collect()
    }
}

/// What its key files say: their paths and bytes, as they are in the workspace that nobody has touched yet.
fn key(cache: &Cached, workspace: &Path) -> io::Result<String> {
    let mut key = Sha256::new();
    for found in find::matching(workspace, &cache.key_files, KEY_FILES_MAX)? {
        if found.metadata.is_file() {
            let mut file = fs::File::open(&found.path)?;
            let mut of_file = Sha256::new();
            io::copy(&mut file, &mut Hashing(&mut of_file))?;
            key.update(found.name.as_os_str().as_encoded_bytes());
            key.update([0]);
            key.update(of_file.finalize());
        }
    }
    Ok(hex::encode(key.finalize()))
}

struct Hashing<'a>(&'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
