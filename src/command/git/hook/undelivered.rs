//! Deliveries on the disk, from before they are sent until they are taken.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use crate::{forge::git::delivery, model::Time};

/// How many are sent by one hook; the rest is for the next ones.
const MOST: usize = 1_000;

/// The directory of a repository's deliveries, one file each.
pub(super) struct Undelivered {
    directory: PathBuf,
}

impl Undelivered {
    pub(super) fn of(repository: &Path) -> Self {
        Self { directory: repository.join("containerops-undelivered") }
    }

    /// Keeps the `n`th delivery of a push. It survives a power cut from here on.
    pub(super) fn add(&self, time: Time, n: usize, body: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let name = format!("{:015}-{n:06}-{}.json", time.as_millis(), delivery::id(body));
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        file.write_all(body)?;
        file.as_file().sync_all()?;
        file.persist(self.directory.join(name))?;
        fs::File::open(&self.directory)?.sync_all()
    }

    /// The oldest, in the order in which they happened.
    pub(super) fn list(&self) -> io::Result<Vec<PathBuf>> {
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
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Keeps one for people, but sends it no more. Returns where.
    pub(super) fn set_aside(&self, path: &Path) -> io::Result<PathBuf> {
        let aside = path.with_extension("refused");
        fs::rename(path, &aside)?;
        Ok(aside)
    }
}
