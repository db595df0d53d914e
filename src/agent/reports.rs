//! Finds what a job's tests have written, and brings it to the server. Whatever becomes of it, the job's end is its own.
//!
//! The files are copied first, with what is to be hidden hidden in them: a file that somebody changes meanwhile, or that
//! is none, is nobody's trouble then.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    bundle::{
        Bundle,
        find::{self, Found},
        send::{Add, SendError, Sent, send},
    },
    client::Client,
    mask::Masks,
    protocol::{
        ARTIFACT_ENTRIES_MAX, NewReports, REPORT_FILES_MAX, REPORT_MAX, REPORT_NOTES_MAX, REPORTS_MAX, REPORTS_TAR_MAX,
        ReportsAnswer,
    },
};

/// Where the copies are, in the agent's own place.
const COPIES: &str = "reports";

/// Brings a job's reports.
pub(super) struct Reports<'a> {
    pub(super) client: &'a Client,
    pub(super) patterns: &'a [String],
    pub(super) workspace: &'a Path,
    pub(super) scratch: &'a Path,
    pub(super) masks: Arc<Masks>,
    /// When the process was started.
    pub(super) begun: Option<SystemTime>,
}

/// The copies, and what is odd about the files.
#[derive(Debug, Default)]
pub struct Copied {
    /// Each with its name in the workspace.
    pub files: Vec<Found>,
    /// In words.
    pub notes: Vec<String>,
    bytes: u64,
    left_out: usize,
    old: usize,
}

impl Reports<'_> {
    /// Brings what there is; what is to be said of it goes to `say`.
    pub(super) async fn bring(&self, say: impl Fn(&str)) {
        if self.patterns.is_empty() {
            return;
        }
        let copies = self.scratch.join(COPIES);
        match self.bring_all(&copies).await {
            Ok(ReportsAnswer { words }) => words.iter().for_each(|words| say(words)),
            Err(error) => say(&format!("reports: they could not be brought: {error}")),
        }
        let _ = tokio::task::spawn_blocking(move || fs::remove_dir_all(copies)).await;
    }

    async fn bring_all(&self, copies: &Path) -> Result<ReportsAnswer, SendError> {
        let (root, patterns, copies) = (self.workspace.to_owned(), self.patterns.to_vec(), copies.to_owned());
        let (masks, begun) = (Arc::clone(&self.masks), self.begun);
        let copied = tokio::task::spawn_blocking(move || copy(&root, &patterns, &copies, &masks, begun)).await;
        let Copied { files, mut notes, .. } = copied.map_err(|error| SendError::Broken(error.to_string()))?;
        if files.is_empty() && notes.is_empty() {
            notes.push(format!("no file matches {}", self.patterns.join(", ")));
        }
        let Sent { bundle, entries } = if files.is_empty() {
            Sent { bundle: Bundle::default(), entries: Vec::new() }
        } else {
            let list = move |add: &mut Add<'_>| files.into_iter().try_for_each(add);
            send(self.client, REPORTS_TAR_MAX, list).await?
        };
        let notes = notes.iter().map(|note| self.masks.hide_str(note)).collect();
        Ok(self.client.post_reports(&NewReports { bundle, entries, notes }).await?)
    }
}

/// Copies what the patterns match. What is older than the process counts, and that it is so is said: a cache may have
/// brought what tests said of other code.
pub fn copy(root: &Path, patterns: &[String], copies: &Path, masks: &Masks, begun: Option<SystemTime>) -> Copied {
    let mut copied = Copied::default();
    let found = find::matching(root, patterns, ARTIFACT_ENTRIES_MAX);
    let found = found.and_then(|found| fs::create_dir_all(copies).map(|()| found)).and_then(|found| {
        let root = fs::canonicalize(root)?;
        for found in found.into_iter().filter(|found| is_wanted(found, patterns)) {
            let is_old = begun.is_some_and(|begun| is_before(&found, begun));
            copied.old += usize::from(copied.take(found, &root, copies, masks) && is_old);
        }
        Ok(())
    });
    if let Err(error) = found {
        copied.note(error.to_string());
    }
    if copied.old > 0 {
        let (old, all) = (copied.old, copied.files.len());
        copied.note(format!("{old} of {all} files are older than the job, which may not have written them"));
    }
    if copied.left_out > 0 {
        let (left_out, most) = (copied.left_out, REPORTS_MAX >> 20);
        let words =
            format!("{left_out} more files were left out: {REPORT_FILES_MAX} files with {most} MiB are the most");
        copied.notes.push(words);
    }
    copied
}

/// Clocks of file systems are a little slow.
fn is_before(found: &Found, begun: SystemTime) -> bool {
    let modified = found.metadata.modified().ok();
    modified.is_some_and(|modified| begun.duration_since(modified).is_ok_and(|span| span > Duration::from_secs(1)))
}

/// Of a directory its XML is meant.
fn is_wanted(found: &Found, patterns: &[String]) -> bool {
    let is_xml = found.name.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml"));
    !found.metadata.is_dir() && (is_xml || patterns.iter().any(|pattern| find::is_meant(pattern, &found.name)))
}

impl Copied {
    fn note(&mut self, words: String) {
        // one place is kept for what was left out
        if self.notes.len() + 1 < REPORT_NOTES_MAX {
            self.notes.push(words);
        }
    }

    /// Whether it was taken.
    fn take(&mut self, found: Found, root: &Path, copies: &Path, masks: &Masks) -> bool {
        let before = self.files.len();
        if self.files.len() == REPORT_FILES_MAX || self.bytes == REPORTS_MAX {
            self.left_out += 1;
            return false;
        }
        match read(&found, root) {
            Ok(text) if text.len() as u64 > REPORTS_MAX - self.bytes => self.left_out += 1,
            Ok(text) => {
                let path = copies.join(self.files.len().to_string());
                let written = fs::write(&path, masks.hide(&text)).and_then(|()| fs::symlink_metadata(&path));
                match written {
                    Ok(metadata) => {
                        self.bytes += text.len() as u64;
                        self.files.push(Found { name: found.name, path, metadata });
                    }
                    Err(error) => self.note(format!("{} was not copied: {error}", found.name.display())),
                }
            }
            Err(error) => self.note(format!("{} was not read: {error}", found.name.display())),
        }
        self.files.len() > before
    }
}

/// The bytes of a file in the workspace, also of one that a link there leads to.
fn read(found: &Found, root: &Path) -> io::Result<Vec<u8>> {
    let path = inside(&found.path, root)?;
    // a pipe would keep us for ever, and what was a file a moment ago may be a link now
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(&path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let too_large = || io::Error::other(format!("it has more than {} MiB, which is the most", REPORT_MAX >> 20));
    if metadata.len() > REPORT_MAX {
        return Err(too_large());
    }
    text_of(file)?.ok_or_else(too_large)
}

/// `None`: it has grown.
fn text_of(file: File) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    file.take(REPORT_MAX + 1).read_to_end(&mut text)?;
    Ok((text.len() as u64 <= REPORT_MAX).then_some(text))
}

/// Where it is without any links.
fn inside(path: &Path, root: &Path) -> io::Result<PathBuf> {
    let path = fs::canonicalize(path)?;
    if path.starts_with(root) { Ok(path) } else { Err(io::Error::other("it is a link out of the workspace")) }
}
