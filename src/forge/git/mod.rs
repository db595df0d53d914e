//! Plain Git: bare repositories under one directory of this machine. Their `post-receive` hook is the webhook, and
//! what became of a commit is written in a note to it, for `git log --notes=containerops`.
//!
//! It is how anyone tries the whole path of a push without a network. Whoever can push here could as well write to
//! the repository's files, so everything pushed is trusted.

mod changes;
pub mod delivery;
mod flow_files;
mod heads;
mod notes;
mod secret;
mod undelivered;
mod writer;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use http::HeaderMap;
use secrecy::SecretString;

use self::{
    delivery::{Commit, DELIVERY_HEADER, Delivery, EVENT_HEADER, SIGNATURE_HEADER},
    notes::Line,
    writer::Writer,
};
use super::{
    Allowance, AtOnce, AttemptsPage, Authentic, FlowFile, Forge, ForgeError, GitCommand, GitCommandError, Head, Heads,
    Hooks, Left, Moved, Reading, Realm, Recall, Shown, Source, Told, Unreadable, Wanted, Webhook,
};
use crate::model::{ChangedFiles, Event, EventKind, ForgeKind, Repository, RepositoryName, Sha, Trust, Visibility};

pub(crate) use secret::read as read_secret;
pub use secret::{SecretError, secret, secret_file};
pub(crate) use undelivered::Undelivered;

/// For a list of branches.
const REFS_MOST: usize = 1 << 20;

/// The bare repositories under one directory.
#[derive(Debug)]
pub struct Git {
    root: PathBuf,
    secrets: Vec<SecretString>,
    /// Whoever writes notes, for each repository of which some were written.
    writers: Mutex<HashMap<RepositoryName, Arc<Writer>>>,
}

impl Git {
    /// The repositories under `root`; each of `secrets` is valid for their deliveries.
    pub fn new(root: PathBuf, secrets: Vec<SecretString>) -> Self {
        Self { root, secrets, writers: Mutex::default() }
    }

    /// Where a repository lies.
    ///
    /// # Errors
    /// [`ForgeError::Refused`] if there is none of that name, or if a link leads out of the root.
    fn directory(&self, name: &RepositoryName) -> Result<PathBuf, ForgeError> {
        // people read the message who need not know where things lie on the server; its log says so
        let root = self.root.canonicalize().map_err(|error| {
            tracing::warn!(root = %self.root.display(), %error, "the repositories' directory cannot be read");
            refused(format!("the directory of plain Git repositories cannot be read: {error}"))
        })?;
        // a name has neither `..` nor an empty part, so only a link could lead elsewhere
        [format!("{name}.git"), name.to_string()]
            .iter()
            .filter_map(|directory| root.join(directory).canonicalize().ok())
            .find(|path| path.starts_with(&root) && path.join("HEAD").is_file())
            .ok_or_else(|| {
                tracing::warn!(root = %root.display(), repository = %name, "there is no such bare repository");
                refused(format!("there is no bare repository {name} on the server"))
            })
    }

    fn writer(&self, name: &RepositoryName) -> Arc<Writer> {
        // a map of them is never half-changed, so a panic elsewhere does not make it useless
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(writers.entry(name.clone()).or_default())
    }
}

#[async_trait]
impl Forge for Git {
    fn kind(&self) -> ForgeKind {
        ForgeKind::Git
    }

    fn authenticate(&self, headers: &HeaderMap, body: &[u8]) -> Option<Authentic> {
        let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        delivery::verify(&self.secrets, &header(SIGNATURE_HEADER)?, body).then_some(())?;
        Some(Authentic { hook: String::new(), delivery: header(DELIVERY_HEADER)?, event: header(EVENT_HEADER)? })
    }

    fn read(&self, event: &str, body: &[u8]) -> Result<Reading, Unreadable> {
        let json: serde_json::Value =
            serde_json::from_slice(body).map_err(|error| Unreadable::NotJson(error.to_string()))?;
        if event != "push" {
            let event: String = event.chars().take(40).collect();
            return Ok(Reading::Nothing(format!("Plain Git knows only pushes, not `{event}`.")));
        }
        let shape = |message: String| Unreadable::Shape { event: event.to_owned(), message };
        let delivery: Delivery = serde_json::from_value(json).map_err(|error| shape(error.to_string()))?;
        let (name, directory) = (delivery.repository.as_str(), delivery.directory.as_str());
        if directory != name && directory.strip_suffix(".git") != Some(name) {
            return Err(shape("`directory` is not that of `repository`".to_owned()));
        }
        Ok(reading(&self.root, delivery))
    }

    async fn flow_files(&self, repository: &Repository, sha: &Sha) -> Result<Vec<FlowFile>, ForgeError> {
        flow_files::read(&self.directory(&repository.name)?, sha).await
    }

    /// None: plain Git has no pull requests.
    async fn open_pull_request(&self, _: &Repository, _: &str) -> Result<Option<u64>, ForgeError> {
        Ok(None)
    }

    async fn branch_head(&self, repository: &Repository, branch: &str) -> Result<Option<Sha>, ForgeError> {
        branch_head(&self.directory(&repository.name)?, branch).await
    }

    async fn message(&self, repository: &Repository, sha: &Sha) -> Result<Option<String>, ForgeError> {
        changes::message(&self.directory(&repository.name)?, sha).await.map(Some)
    }

    async fn changed_files(&self, event: &Event) -> Result<ChangedFiles, ForgeError> {
        changes::files(&self.directory(&event.repository.name)?, event).await
    }

    async fn source(&self, event: &Event) -> Result<Source, ForgeError> {
        let url = self.directory(&event.repository.name)?.to_string_lossy().into_owned();
        let refs = match &event.kind {
            EventKind::Push { branch }
            | EventKind::MergeGroup { branch, .. }
            | EventKind::Schedule { branch, .. }
            | EventKind::Manual { branch, .. }
            | EventKind::Flow { branch, .. } => vec![format!("refs/heads/{branch}")],
            EventKind::Tag { tag } => vec![format!("refs/tags/{tag}")],
            EventKind::PullRequest(pull) => vec![format!("refs/heads/{}", pull.branch)],
        };
        Ok(Source { url, header: None, refs, merge_ref: None, realm: Realm::Below(self.root.clone()) })
    }

    fn allowance(&self, repository: &Repository) -> Allowance {
        Allowance { account: format!("git/{}", repository.name), writes: None, states: None, at_once: AtOnce::Many }
    }

    async fn report(&self, wanted: &Wanted<'_>, _: Option<&str>) -> Result<Told, ForgeError> {
        let directory = self.directory(&wanted.repository.name)?;
        self.writer(&wanted.repository.name).write(&directory, Line::of(wanted)).await?;
        Ok(Told::Whole { known: None })
    }

    fn expected(&self, wanted: &Wanted<'_>) -> Shown {
        notes::expected(wanted)
    }

    async fn shown(&self, repository: &Repository, sha: &Sha, _: &[Event]) -> Result<Option<Vec<Shown>>, ForgeError> {
        notes::shown(&self.directory(&repository.name)?, sha).await.map(Some)
    }

    fn recall(&self) -> Option<&dyn Recall> {
        Some(self)
    }
}

#[async_trait]
impl Recall for Git {
    /// None: what a hook could not deliver is on the disk beside it.
    fn hooks(&self) -> Hooks {
        Hooks::None
    }

    async fn attempts(&self, _: Option<&Repository>, _: &str, _: Option<&str>) -> Result<AttemptsPage, ForgeError> {
        Ok(AttemptsPage::default())
    }

    async fn deliver_again(&self, _: Option<&Repository>, attempt: &str) -> Result<(), ForgeError> {
        Err(refused(format!("no attempt is kept, and so none is {attempt}")))
    }

    async fn heads(&self, repository: &Repository) -> Result<Heads, ForgeError> {
        heads::heads(&self.directory(&repository.name)?).await
    }

    async fn webhook(&self, repository: &Repository, head: &Head, before: &Sha) -> Result<Webhook, ForgeError> {
        heads::webhook(&self.directory(&repository.name)?, repository, head, before)
    }

    fn moved(&self, event: &str, body: &[u8]) -> Option<Moved> {
        heads::moved(event, body)
    }

    async fn left(&self) -> Vec<Left> {
        let root = self.root.clone();
        tokio::task::spawn_blocking(move || undelivered::left(&root)).await.unwrap_or_default()
    }
}

/// What a well-formed delivery means.
fn reading(root: &Path, delivery: Delivery) -> Reading {
    let reference = delivery.reference.as_str();
    let kind = if let Some(branch) = reference.strip_prefix("refs/heads/") {
        EventKind::Push { branch: branch.to_owned() }
    } else if let Some(tag) = reference.strip_prefix("refs/tags/") {
        EventKind::Tag { tag: tag.to_owned() }
    } else {
        return Reading::Nothing(format!("`{reference}` is neither a branch nor a tag."));
    };
    if delivery.after.is_zero() {
        return Reading::Nothing(format!("`{reference}` was deleted."));
    }
    let Some(Commit { sha, title, author: _ }) = delivery.commit else {
        return Reading::Nothing(format!("`{reference}` does not name a commit."));
    };
    let repository = Repository {
        forge: ForgeKind::Git,
        name: delivery.repository,
        default_branch: delivery.default_branch,
        clone_url: root.join(delivery.directory).to_string_lossy().into_owned(),
        web_url: String::new(),
        installation: None,
        visibility: Visibility::default(),
    };
    Reading::Event(Event {
        repository,
        kind,
        sha,
        base_sha: (!delivery.before.is_zero()).then_some(delivery.before),
        actor: delivery.pusher.chars().take(100).collect(),
        title: title.lines().next().unwrap_or_default().chars().take(200).collect(),
        trust: Trust::Trusted,
        message: None,
    })
}

async fn branch_head(directory: &Path, branch: &str) -> Result<Option<Sha>, ForgeError> {
    let list = GitCommand::new("for-each-ref").git_dir(directory).args(["--format=%(objectname) %(refname)"]);
    let name = format!("refs/heads/{branch}");
    let list = list.args(["--", name.as_str()]).run(REFS_MOST).await.map_err(failed)?;
    // a pattern is also met by what stands below it
    let found =
        str::from_utf8(&list).unwrap_or_default().lines().find_map(|line| line.strip_suffix(&format!(" {name}")));
    Ok(found.and_then(|sha| sha.parse().ok()))
}

fn refused(message: String) -> ForgeError {
    ForgeError::Refused { forge: ForgeKind::Git, status: 0, message }
}

fn away(message: String) -> ForgeError {
    ForgeError::Away { forge: ForgeKind::Git, message }
}

/// Git's own refusals will be repeated; that it cannot be run, or is slow, may pass.
fn failed(error: GitCommandError) -> ForgeError {
    match error {
        GitCommandError::Io { .. } | GitCommandError::TimedOut { .. } => away(error.to_string()),
        GitCommandError::TooMuch { .. } | GitCommandError::Failed { .. } => refused(error.to_string()),
    }
}
