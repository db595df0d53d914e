//! Brings the commit's snapshot into the workspace: fetched to the scratch directory, its digest checked, and only
//! then unpacked, so that nothing of a damaged or forged one is ever in the workspace.
//!
//! Jobs of one action may run as different users, so everything unpacked is readable and writable by all of them.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use sha2::{Digest, Sha256};
use tar::{Archive, Entry, EntryType};

use super::client::{Client, Pause};

/// How often a snapshot may come wrongly before we give up. The network may fail for ever.
const WRONG_MAX: u32 = 5;

/// Why there is no source.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("the network failed: {0}")]
    Network(reqwest::Error),
    #[error("the server has no snapshot {digest}: {error}")]
    Missing { digest: String, error: reqwest::Error },
    #[error("the snapshot came damaged: its digest is {found}, not {expected}")]
    Digest { expected: String, found: String },
    #[error("the disk failed or is full: {0}")]
    Disk(io::Error),
    #[error("the snapshot cannot be unpacked: {0}")]
    Unpack(io::Error),
    #[error("the snapshot has an entry that does not belong there: {0}")]
    Hostile(String),
}

/// Fetches until it comes whole, then unpacks. Says how many files and directories there were.
pub(super) async fn prepare(
    client: &Client,
    digest: &str,
    scratch: &Path,
    workspace: &Path,
) -> Result<u64, SourceError> {
    let archive = scratch.join("source.tar.zst");
    fetch(client, digest, &archive).await?;
    let (from, to) = (archive.clone(), workspace.to_owned());
    let unpacked = tokio::task::spawn_blocking(move || unpack(&from, &to)).await;
    let _ = fs::remove_file(archive);
    unpacked.map_err(|error| SourceError::Unpack(io::Error::other(error)))?
}

async fn fetch(client: &Client, digest: &str, to: &Path) -> Result<(), SourceError> {
    let mut pause = Pause::new();
    let mut wrong = 0;
    loop {
        let error = match fetch_once(client, digest, to).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match error {
            SourceError::Network(_) => {}
            SourceError::Missing { .. } | SourceError::Digest { .. } if wrong < WRONG_MAX => wrong += 1,
            SourceError::Missing { .. }
            | SourceError::Digest { .. }
            | SourceError::Disk(_)
            | SourceError::Unpack(_)
            | SourceError::Hostile(_) => return Err(error),
        }
        pause.wait().await;
    }
}

async fn fetch_once(client: &Client, digest: &str, to: &Path) -> Result<(), SourceError> {
    let expected = digest.strip_prefix("sha256:").unwrap_or(digest);
    let mut response = client.get_blob(digest).await.map_err(|error| match error.status() {
        Some(status) if status.is_client_error() => SourceError::Missing { digest: digest.to_owned(), error },
        Some(_) | None => SourceError::Network(error),
    })?;
    let mut file = File::create(to).map_err(SourceError::Disk)?;
    let mut sha256 = Sha256::new();
    while let Some(bytes) = response.chunk().await.map_err(SourceError::Network)? {
        sha256.update(&bytes);
        file.write_all(&bytes).map_err(SourceError::Disk)?;
    }
    let found = hex::encode(sha256.finalize());
    match found == expected.to_ascii_lowercase() {
        true => Ok(()),
        false => Err(SourceError::Digest { expected: expected.to_owned(), found }),
    }
}

fn unpack(archive: &Path, workspace: &Path) -> Result<u64, SourceError> {
    fs::create_dir_all(workspace).map_err(SourceError::Disk)?;
    // it may belong to another user, who then has opened it already
    let _ = fs::set_permissions(workspace, Permissions::from_mode(0o777));
    let archive = File::open(archive).and_then(zstd::Decoder::new).map_err(SourceError::Unpack)?;
    let mut archive = Archive::new(archive);
    let mut count = 0;
    for entry in archive.entries().map_err(SourceError::Unpack)? {
        unpack_entry(entry.map_err(SourceError::Unpack)?, workspace)?;
        count += 1;
    }
    Ok(count)
}

fn unpack_entry(mut entry: Entry<'_, impl io::Read>, workspace: &Path) -> Result<(), SourceError> {
    let path = entry.path().map_err(SourceError::Unpack)?.into_owned();
    let hostile = || SourceError::Hostile(path.display().to_string());
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        // `git archive` writes the commit's id into one
        return Ok(());
    }
    if !matches!(kind, EntryType::Regular | EntryType::Directory | EntryType::Symlink) {
        return Err(hostile());
    }
    // the tar crate lets nothing out of the workspace: neither by `..` nor by a symbolic link that came before
    match entry.unpack_in(workspace) {
        Ok(true) => open_to_all(&workspace.join(&path)).map_err(SourceError::Disk),
        Ok(false) => Err(hostile()),
        Err(error) => Err(SourceError::Unpack(error)),
    }
}

/// `chmod a+rwX`, but for symbolic links.
fn open_to_all(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = metadata.permissions().mode();
    let enter = if metadata.is_dir() || mode & 0o111 != 0 { 0o111 } else { 0 };
    fs::set_permissions(path, Permissions::from_mode(mode | 0o666 | enter))
}
