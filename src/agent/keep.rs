//! What a job gets from others and leaves for others: artifacts.

use std::path::Path;

use super::{
    bundle::{
        Bundle, EntryKind,
        fetch::{FetchError, fetch},
        find,
        send::{Add, SendError, Sent, send},
        unpack::Links,
    },
    client::Client,
    protocol::{ARTIFACT_ENTRIES_MAX, Cause, Download, NewArtifact, Upload, Work},
};
use crate::model::{KeepOn, Size, Span};

/// Brings and keeps a job's artifacts.
pub(super) struct Keep<'a> {
    pub(super) client: &'a Client,
    pub(super) work: &'a Work,
    pub(super) workspace: &'a Path,
}

/// After which ends something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Well,
    Failed,
}

impl Kept {
    /// `None`: nobody has time to keep anything.
    pub(super) fn of(cause: &Cause, result: Option<&str>, work: &Work) -> Option<Self> {
        let is_well = match result {
            Some(result) => result.trim().eq_ignore_ascii_case("true"),
            None => !work.strict,
        };
        match cause {
            Cause::Exit { code: 0 } if is_well => Some(Self::Well),
            Cause::Exit { .. } | Cause::Signal { .. } | Cause::TimedOut => Some(Self::Failed),
            Cause::CannotStart { .. }
            | Cause::NotKept { .. }
            | Cause::NotReady { .. }
            | Cause::Cancelled { .. }
            | Cause::Terminated
            | Cause::NotPrepared { .. } => None,
        }
    }

    const fn wants(self, on: KeepOn) -> bool {
        match (on, self) {
            (KeepOn::Always, _) | (KeepOn::Success, Self::Well) | (KeepOn::Failure, Self::Failed) => true,
            (KeepOn::Success, Self::Failed) | (KeepOn::Failure, Self::Well) => false,
        }
    }
}

impl Keep<'_> {
    /// Puts an artifact into the workspace; the words for the log.
    pub(super) async fn bring(&self, download: &Download) -> Result<String, FetchError> {
        let begun = std::time::Instant::now();
        let to = if download.to.is_empty() { self.workspace.to_owned() } else { self.workspace.join(&download.to) };
        let root = move |_: &Path| Some((to.clone(), 0));
        let unpacked = fetch(self.client, download.bundle.clone(), Links::Inside, root).await?;
        Ok(format!(
            "artifact {} of {}: {} files and directories, {}, brought in {}",
            download.name,
            download.from,
            unpacked.entries,
            Size(unpacked.bytes),
            Span(begun.elapsed())
        ))
    }

    /// Whether this end wants any.
    pub(super) fn has_artifacts(&self, end: Kept) -> bool {
        self.work.artifacts.iter().any(|upload| end.wants(upload.on))
    }

    /// Keeps all artifacts that this end wants; what is said of each goes to `say`. The words for the first that failed.
    pub(super) async fn artifacts(&self, end: Kept, say: impl Fn(&str)) -> Result<(), String> {
        let mut failed = None;
        for upload in self.work.artifacts.iter().filter(|upload| end.wants(upload.on)) {
            let words = match self.artifact(upload).await {
                Ok(words) => words,
                Err(error) => {
                    let words = format!("artifact {} could not be kept: {error}", upload.name);
                    failed.get_or_insert(words.clone());
                    words
                }
            };
            say(&words);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn artifact(&self, upload: &Upload) -> Result<String, SendError> {
        let begun = std::time::Instant::now();
        let (root, patterns) = (self.workspace.to_owned(), upload.paths.clone());
        let list = move |add: &mut Add<'_>| {
            find::matching(&root, &patterns, ARTIFACT_ENTRIES_MAX)?.into_iter().try_for_each(add)
        };
        let Sent { bundle, entries } = send(self.client, self.work.artifact_limit, list).await?;
        if entries.is_empty() {
            let paths = upload.paths.join(", ");
            return Ok(format!("artifact {}: no file matches {paths}, so there is none", upload.name));
        }
        let files = entries.iter().filter(|entry| !matches!(entry.kind, EntryKind::Directory)).count();
        let artifact = NewArtifact { name: upload.name.clone(), bundle, entries };
        self.client.post_artifact(&artifact).await?;
        let words = words(&artifact.bundle, files, begun.elapsed());
        Ok(format!("artifact {}: {words}", upload.name))
    }
}

fn words(bundle: &Bundle, files: usize, took: std::time::Duration) -> String {
    let (length, size) = (Size(bundle.length), Size(bundle.size()));
    let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    format!("{files}, {length} ({size} compressed), kept in {}", Span(took))
}
