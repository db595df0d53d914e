//! A directory as a tar compressed by zstd: the same bytes for the same files, whoever made them and when.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::{MirrorError, disk};

/// zstd's own default: beyond it, sources get hardly smaller, and slower by far.
const LEVEL: i32 = 3;

/// Writes all of `place` to `into`, with `time` (Unix seconds) on everything, and removes `place`. Returns the
/// archive's bytes before and after compression.
pub(super) async fn write(place: TempDir, into: PathBuf, time: u64, most: u64) -> Result<(u64, u64), MirrorError> {
    let written = tokio::task::spawn_blocking(move || {
        let unpacked = pack(place.path(), &into, time, most)?;
        let packed = fs::metadata(&into).map_err(disk(&into))?.len();
        Ok((unpacked, packed))
    });
    written.await.unwrap_or_else(|error| Err(disk(Path::new("."))(io::Error::other(error))))
}

fn pack(place: &Path, into: &Path, time: u64, most: u64) -> Result<u64, MirrorError> {
    let file = File::create(into).map_err(disk(into))?;
    let mut tar = Builder::new(zstd::Encoder::new(file, LEVEL).map_err(disk(into))?);
    let mut unpacked = 0;
    // the last of `waiting` is next: a directory, then what is in it, sorted
    let mut waiting = listed(place).map_err(disk(place))?;
    while let Some(path) = waiting.pop() {
        let name = path.strip_prefix(place).unwrap_or(&path);
        unpacked += append(&mut tar, &path, name, time).map_err(disk(&path))?;
        if unpacked > most {
            return Err(MirrorError::TooLarge { limit: format!("{} MiB", most >> 20) });
        }
        if path.symlink_metadata().map_err(disk(&path))?.is_dir() {
            waiting.extend(listed(&path).map_err(disk(&path))?);
        }
    }
    let encoder = tar.into_inner().map_err(disk(into))?;
    encoder.finish().map_err(disk(into))?;
    Ok(unpacked)
}

/// What is in a directory, the last name first.
fn listed(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort_unstable_by(|a, b| b.as_os_str().cmp(a.as_os_str()));
    Ok(paths)
}

/// Appends one entry, and returns how many bytes it has with its header. A link is kept as a link, wherever it leads.
fn append(tar: &mut Builder<impl io::Write>, path: &Path, name: &Path, time: u64) -> io::Result<u64> {
    const BLOCK: u64 = 512;
    let about = path.symlink_metadata()?;
    let mut header = Header::new_gnu();
    header.set_mtime(time);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    if about.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        tar.append_link(&mut header, name, fs::read_link(path)?)?;
    } else if about.is_dir() {
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        tar.append_data(&mut header, name, io::empty())?;
    } else {
        header.set_entry_type(EntryType::Regular);
        // git knows no more of a file's mode than whether it can be executed
        header.set_mode(if about.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 });
        header.set_size(about.len());
        tar.append_data(&mut header, name, File::open(path)?)?;
        return Ok(BLOCK + about.len().next_multiple_of(BLOCK));
    }
    Ok(BLOCK)
}
