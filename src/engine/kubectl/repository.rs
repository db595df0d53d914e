//! Manifests of the repository: read from the run's snapshot, so that they are those of the very commit that is built.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use futures::TryStreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::{
    Trouble,
    manifest::{BYTES_MAX, File},
};
use crate::{blob::Digest, engine::Engine};

/// What is read of a directory.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The files at a path: one, or those of a directory, by name.
pub(super) async fn read(engine: &Engine, source: &str, path: &str) -> Result<Vec<File>, Trouble> {
    let later = |error: &dyn std::fmt::Display| Trouble::Later(format!("the snapshot of the commit: {error}"));
    let digest: Digest = source.parse().map_err(|error| later(&error))?;
    let blob = engine.blobs.get(digest).await.map_err(|error| later(&error))?;
    let mut blob = blob.ok_or_else(|| later(&"it is gone"))?;
    let file = tempfile::NamedTempFile::new_in(&engine.settings.scratch).map_err(|error| later(&error))?;
    let mut copy = tokio::fs::File::create(file.path()).await.map_err(|error| later(&error))?;
    while let Some(bytes) = blob.bytes.try_next().await.map_err(|error| later(&error))? {
        copy.write_all(&bytes).await.map_err(|error| later(&error))?;
    }
    copy.flush().await.map_err(|error| later(&error))?;
    let wanted = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || find(file.path(), &wanted));
    reading.await.map_err(|error| later(&error))?
}

fn find(archive: &Path, wanted: &str) -> Result<Vec<File>, Trouble> {
    let broken = |error: std::io::Error| Trouble::Later(format!("the snapshot of the commit: {error}"));
    let tar = fs::File::open(archive).and_then(zstd::Decoder::new).map_err(broken)?;
    let mut tar = tar::Archive::new(tar);
    let (mut files, mut size) = (Vec::new(), 0);
    for entry in tar.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.components().collect::<PathBuf>();
        if !entry.header().entry_type().is_file() || !is_meant(&path, Path::new(wanted)) {
            continue;
        }
        let mut text = Vec::new();
        entry.take(BYTES_MAX as u64 + 1).read_to_end(&mut text).map_err(broken)?;
        size += text.len();
        if size > BYTES_MAX {
            return Err(Trouble::Never(format!("{wanted} has more than {} MiB", BYTES_MAX >> 20)));
        }
        files.push(File { name: path.display().to_string(), text });
    }
    if files.is_empty() {
        let message = format!("{wanted} is not in the commit: neither a file, nor a directory with YAML or JSON files");
        return Err(Trouble::Never(message));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn is_meant(path: &Path, wanted: &Path) -> bool {
    let is_manifest = path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
    path == wanted || (path.parent() == Some(wanted) && is_manifest)
}
