//! The machine's disk, and who may read what is on it.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use crate::{model::Finding, settings::Settings};

const ABOUT: &str = "disk";
/// Below this a day of logs and snapshots may fill it.
const BYTES_LOW: u64 = 5 << 30;
/// Below this the database may fail at any moment.
const BYTES_NONE: u64 = 256 << 20;
/// Every snapshot and log is a file.
const INODES_LOW: u64 = 10_000;

/// What is to be said of the data directory.
pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let data = &settings.data;
    if !data.exists() {
        let message = format!("{} is not there yet", data.display());
        return vec![Finding::warning(ABOUT, message, "the first start of `containerops serve` makes it")];
    }
    let mut findings = vec![room(data), writable(data)];
    findings.extend(private(&settings.secret_key_file));
    findings.extend(settings.github.iter().filter_map(|github| private(&github.app.as_ref()?.1)));
    findings
}

fn room(data: &Path) -> Finding {
    let about = match rustix::fs::statvfs(data) {
        Ok(about) => about,
        Err(error) => return Finding::warning(ABOUT, format!("its room is not known: {error}"), "look with `df`"),
    };
    let (bytes, inodes) = (about.f_bavail.saturating_mul(about.f_frsize), about.f_favail);
    // some file systems count no inodes
    let few = about.f_files > 0 && inodes < INODES_LOW;
    let message = format!("{} has {} MiB free", data.display(), bytes >> 20);
    match () {
        () if bytes < BYTES_NONE => Finding::error(ABOUT, message, "make room: deliveries are refused when it is full"),
        () if few => {
            Finding::warning(ABOUT, format!("{inodes} files more fit on it"), "remove small files beside ours")
        }
        () if bytes < BYTES_LOW => {
            Finding::warning(ABOUT, message, "make room, or put CONTAINEROPS_DATA on a larger disk")
        }
        () => Finding::ok(ABOUT, message),
    }
}

fn writable(data: &Path) -> Finding {
    match tempfile::tempfile_in(data) {
        Ok(_) => Finding::ok(ABOUT, "the data directory can be written"),
        Err(error) => {
            let message = format!("{} cannot be written: {error}", data.display());
            Finding::error(ABOUT, message, "give it to the user that the service runs as")
        }
    }
}

/// A key that others may read is theirs, too.
fn private(file: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    Some(if mode & 0o077 == 0 {
        Finding::ok(ABOUT, format!("{} is its owner's alone", file.display()))
    } else {
        let advice = format!("`chmod 600 {}`, and think of the key as known", file.display());
        Finding::error(ABOUT, format!("others may read {} (mode {mode:03o})", file.display()), advice)
    })
}
