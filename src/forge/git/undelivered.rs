//! Deliveries on the disk, from before they are sent until they are taken.
//!
//! A hook that finds nobody there has no other try before the next push, which may never come, and what it was of may be
//! the first push of a repository that nobody knows yet. So the server looks for what hooks have left.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use super::delivery::{self, Delivery};
use crate::{
    forge::{Left, Webhook},
    model::{RepositoryName, Time},
};

/// How many are sent by one hook, or found in one repository; the rest is for the next ones.
const MOST: usize = 1_000;
/// What is larger was written by no hook.
const BODY_MOST: u64 = 64 << 10;
/// A repository lies no deeper below the root.
const DEPTH_MOST: usize = 20;

/// What the hooks of all repositories below `root` have left, in the order in which each has. What cannot be read is
/// left to its hook, which says so.
pub(super) fn left(root: &Path) -> Vec<Left> {
    let mut found = Vec::new();
    look(root, Path::new(""), DEPTH_MOST, &mut found);
    found
}

fn look(root: &Path, below: &Path, depth: usize, found: &mut Vec<Left>) {
    let directory = root.join(below);
    if directory.join("HEAD").is_file() {
        let listed = Undelivered::of(&directory).list().unwrap_or_default();
        found.extend(listed.into_iter().filter_map(|file| one(below, file)));
        return;
    }
    if depth == 0 {
        return;
    }
    let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
    // a link leads to what has another name
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        look(root, &below.join(entry.file_name()), depth - 1, found);
    }
}

/// One that is about the repository in which it lies, and about no other.
fn one(below: &Path, file: PathBuf) -> Option<Left> {
    let mut body = Vec::new();
    fs::File::open(&file).ok()?.take(BODY_MOST + 1).read_to_end(&mut body).ok()?;
    let told: Delivery = (body.len() as u64 <= BODY_MOST).then(|| serde_json::from_slice(&body).ok()).flatten()?;
    let below = below.to_str()?;
    let name: RepositoryName = below.strip_suffix(".git").unwrap_or(below).parse().ok()?;
    if told.directory != below || told.repository != name {
        return None;
    }
    let webhook = Webhook { event: "push".to_owned(), happened: Some(told.time), body };
    Some(Left { repository: name, delivery: delivery::id(&webhook.body), webhook, file })
}

/// The directory of a repository's deliveries, one file each.
pub(crate) struct Undelivered {
    directory: PathBuf,
}

impl Undelivered {
    pub(crate) fn of(repository: &Path) -> Self {
        Self { directory: repository.join("containerops-undelivered") }
    }

    /// Keeps the `n`th delivery of a push. It survives a power cut from here on.
    pub(crate) fn add(&self, time: Time, n: usize, body: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let name = format!("{:015}-{n:06}-{}.json", time.as_millis(), delivery::id(body));
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        file.write_all(body)?;
        file.as_file().sync_all()?;
        file.persist(self.directory.join(name))?;
        fs::File::open(&self.directory)?.sync_all()
    }

    /// The oldest, in the order in which they happened.
    pub(crate) fn list(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            entries => entries?,
        };
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort_unstable();
        paths.truncate(MOST);
        Ok(paths)
    }

    /// Forgets one that was taken; another hook may have been faster.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Keeps one for people, but sends it no more. Returns where.
    pub(crate) fn set_aside(&self, path: &Path) -> io::Result<PathBuf> {
        let aside = path.with_extension("refused");
        fs::rename(path, &aside)?;
        Ok(aside)
    }
}
