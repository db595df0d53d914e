//! GitHub, and GitHub Enterprise. Deliveries are proved by their HMAC and read into our events; flow files come from
//! the contents API; reports become check runs where we are an App, and commit statuses where we have a token.
//!
//! octocrab carries the calls and signs as the App. Its typed answers are too strict for a forge that adds fields
//! at will, so each module here reads only what it needs.

mod annotation;
mod api;
mod app_key;
mod button;
mod call;
mod changes;
mod check;
mod comment;
mod credentials;
mod cut;
mod deliveries;
mod examine;
mod files;
mod heads;
mod hook;
mod installation;
pub mod manifest;
mod moved;
mod pages;
mod payload;
mod signature;
mod status;

use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;

pub use self::credentials::{Credentials, SettingsError};

use self::{
    api::{Api, Identity},
    call::{Call, refused},
};
use super::{
    Allowance, AtOnce, AttemptsPage, Authentic, FlowFile, Forge, ForgeError, Head, Heads, Hook, HookKeeper, Hooks,
    Moved, Reading, Realm, Recall, Shown, Source, Told, Unreadable, Wanted, Webhook, Writes,
    swept::{self, time},
};
use crate::model::{
    ChangedFiles, CommentPlace, Event, EventKind, ForgeKind, Repository, RepositoryName, Role, Sha, Visibility,
};

/// What GitHub takes of one installation, or of one token, before it limits us; carrying on can cost the App its
/// access.
const WRITES: Writes = Writes { per_minute: 80, per_hour: 500 };

/// What is needed to talk with GitHub.
#[derive(Debug, Clone)]
pub struct GithubSettings {
    /// All are valid at once, so that one can be replaced without losing a delivery. None: no delivery is authentic.
    pub webhook_secrets: Vec<SecretString>,
    /// Who we are there.
    pub credentials: Credentials,
    /// Where the REST API is: `https://api.github.com`, or `https://HOST/api/v3`.
    pub api_url: String,
    /// Where repositories are: the token goes with a `git fetch` below this URL and nowhere else.
    pub url: String,
    /// For each call to the API; what takes longer is tried again later.
    pub time_limit: Duration,
    /// Patterns of the repositories that any other one may have as a submodule though not everybody can read them.
    pub submodules: Vec<String>,
}

impl Default for GithubSettings {
    fn default() -> Self {
        Self {
            webhook_secrets: Vec::new(),
            credentials: Credentials::None,
            api_url: "https://api.github.com".to_owned(),
            url: "https://github.com".to_owned(),
            time_limit: Duration::from_secs(10),
            submodules: Vec::new(),
        }
    }
}

/// GitHub, behind the seam that all forges share.
#[derive(Debug)]
pub struct Github {
    webhook_secrets: Vec<SecretString>,
    url: String,
    submodules: Vec<String>,
    api: Api,
}

impl Github {
    /// Sends nothing yet. Must be called within a Tokio runtime, on which octocrab runs its queue.
    ///
    /// # Errors
    /// [`SettingsError`], which names the setting at fault.
    pub fn new(settings: GithubSettings) -> Result<Self, SettingsError> {
        credentials::check_webhook_secrets(&settings.webhook_secrets)?;
        Ok(Self {
            webhook_secrets: settings.webhook_secrets.clone(),
            url: settings.url.trim_end_matches('/').to_owned(),
            submodules: settings.submodules.clone(),
            api: Api::new(settings)?,
        })
    }

    /// Refuses to fetch from anywhere but our GitHub: the URL comes from a delivery.
    fn trusted_clone_url(&self, repository: &Repository) -> Result<String, ForgeError> {
        let below = repository.clone_url.strip_prefix(self.url.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if below {
            return Ok(repository.clone_url.clone());
        }
        Err(refused(
            0,
            format!("{} is cloned from {}, which is not below {}", repository.name, repository.clone_url, self.url),
        ))
    }
}

#[async_trait]
impl Forge for Github {
    fn kind(&self) -> ForgeKind {
        ForgeKind::Github
    }

    fn authenticate(&self, headers: &http::HeaderMap, body: &[u8]) -> Option<Authentic> {
        signature::authenticate(&self.webhook_secrets, headers, body)
    }

    fn read(&self, event: &str, body: &[u8]) -> Result<Reading, Unreadable> {
        payload::read(event, body)
    }

    async fn flow_files(&self, repository: &Repository, sha: &Sha) -> Result<Vec<FlowFile>, ForgeError> {
        files::flow_files(&self.api, repository, sha).await
    }

    async fn open_pull_request(&self, repository: &Repository, branch: &str) -> Result<Option<u64>, ForgeError> {
        open_pull_request(&self.api, repository, branch).await
    }

    async fn branch_head(&self, repository: &Repository, branch: &str) -> Result<Option<Sha>, ForgeError> {
        branch_head(&self.api, repository, branch).await
    }

    async fn message(&self, repository: &Repository, sha: &Sha) -> Result<Option<String>, ForgeError> {
        changes::message(&self.api, repository, sha).await.map(Some)
    }

    async fn changed_files(&self, event: &Event) -> Result<ChangedFiles, ForgeError> {
        changes::files(&self.api, event).await
    }

    async fn role(&self, repository: &Repository, login: &str) -> Result<Option<Role>, ForgeError> {
        match self.api.identity() {
            Identity::App { .. } | Identity::Token(_) => comment::role(&self.api, repository, login).await,
            // GitHub tells that only to whom it knows
            Identity::Nobody => Ok(None),
        }
    }

    async fn has_contributed(&self, repository: &Repository, login: &str) -> Result<bool, ForgeError> {
        comment::has_contributed(&self.api, repository, login).await
    }

    async fn visibility(&self, repository: &Repository) -> Result<Visibility, ForgeError> {
        visibility(&self.api, repository).await
    }

    async fn reply(&self, place: &CommentPlace, answer: (&str, &str), again: bool) -> Result<(), ForgeError> {
        comment::reply(&self.api, place, answer, again).await
    }

    async fn source(&self, event: &Event) -> Result<Source, ForgeError> {
        let url = self.trusted_clone_url(&event.repository)?;
        let header = if url.starts_with("http") { self.api.git_header(&event.repository).await? } else { None };
        let realm = Realm::Host { shared: self.submodules.clone() };
        Ok(Source {
            url,
            header,
            refs: swept::refs(&event.kind, "refs/pull/"),
            merge_ref: merge_ref(&event.kind),
            realm,
        })
    }

    /// An installation is the App's at one owner, so all repositories of that owner share a budget; a token's budget is
    /// its own.
    fn allowance(&self, repository: &Repository) -> Allowance {
        match self.api.identity() {
            Identity::App { .. } => {
                let account = format!("github/{}", repository.name.owner().to_ascii_lowercase());
                Allowance { account, writes: Some(WRITES), states: None, at_once: AtOnce::Many }
            }
            Identity::Token(_) | Identity::Nobody => Allowance {
                account: "github".to_owned(),
                writes: Some(WRITES),
                states: Some(status::MOST),
                at_once: AtOnce::Many,
            },
        }
    }

    async fn report(&self, wanted: &Wanted<'_>, known: Option<&str>) -> Result<Told, ForgeError> {
        match self.api.identity() {
            Identity::App { .. } => check::report(&self.api, wanted, known).await,
            Identity::Token(_) => status::report(&self.api, wanted).await,
            Identity::Nobody => Err(nobody()),
        }
    }

    fn expected(&self, wanted: &Wanted<'_>) -> Shown {
        match self.api.identity() {
            Identity::App { .. } => check::expected(wanted),
            Identity::Token(_) | Identity::Nobody => status::expected(wanted),
        }
    }

    async fn shown(&self, repository: &Repository, sha: &Sha, _: &[Event]) -> Result<Option<Vec<Shown>>, ForgeError> {
        match self.api.identity() {
            Identity::App { id, .. } => check::shown(&self.api, *id, repository, sha).await.map(Some),
            Identity::Token(_) => status::shown(&self.api, repository, sha).await.map(Some),
            Identity::Nobody => Err(nobody()),
        }
    }

    fn recall(&self) -> Option<&dyn Recall> {
        match self.api.identity() {
            Identity::App { .. } | Identity::Token(_) => Some(self),
            // sixty calls an hour are not enough
            Identity::Nobody => None,
        }
    }

    fn hook_keeper(&self) -> Option<&dyn HookKeeper> {
        match self.api.identity() {
            Identity::App { .. } | Identity::Token(_) => Some(self),
            Identity::Nobody => None,
        }
    }
}

#[async_trait]
impl HookKeeper for Github {
    async fn hooks_at(&self, of: &RepositoryName, url: &str) -> Result<Vec<Hook>, ForgeError> {
        hook::hooks(&self.api, of, url).await
    }

    async fn add_hook(&self, of: &RepositoryName, url: &str) -> Result<(), ForgeError> {
        hook::add(&self.api, of, url, self.webhook_secrets.first()).await
    }

    async fn set_hook(&self, of: &RepositoryName, url: &str, hook: &Hook) -> Result<(), ForgeError> {
        hook::set(&self.api, of, url, hook, self.webhook_secrets.first()).await
    }

    async fn remove_hook(&self, of: &RepositoryName, hook: &Hook) -> Result<(), ForgeError> {
        hook::remove(&self.api, of, &hook.id).await
    }
}

#[async_trait]
impl Recall for Github {
    fn hooks(&self) -> Hooks {
        match self.api.identity() {
            Identity::App { .. } => Hooks::OfAll,
            Identity::Token(_) => Hooks::OfEach,
            Identity::Nobody => Hooks::None,
        }
    }

    async fn attempts(
        &self,
        of: Option<&Repository>,
        url: &str,
        page: Option<&str>,
    ) -> Result<AttemptsPage, ForgeError> {
        deliveries::attempts(&self.api, of, url, page).await
    }

    async fn deliver_again(&self, of: Option<&Repository>, attempt: &str) -> Result<(), ForgeError> {
        deliveries::deliver_again(&self.api, of, attempt).await
    }

    async fn heads(&self, repository: &Repository) -> Result<Heads, ForgeError> {
        heads::heads(&self.api, repository).await
    }

    async fn webhook(&self, repository: &Repository, head: &Head, before: &Sha) -> Result<Webhook, ForgeError> {
        heads::webhook(&self.api, repository, head, before).await
    }

    fn moved(&self, event: &str, body: &[u8]) -> Option<Moved> {
        moved::moved(event, body)
    }
}

/// What we may not see is nobody's to see through us.
async fn visibility(api: &Api, repository: &Repository) -> Result<Visibility, ForgeError> {
    #[derive(Deserialize)]
    struct Seen {
        private: Option<bool>,
        visibility: Option<String>,
    }
    let answer = api.send(repository, &Call::get(format!("/repos/{}", repository.name))).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(Visibility::Private);
    }
    let Seen { private, visibility } = answer.json()?;
    Ok(payload::visibility(private, visibility.as_deref()))
}

fn nobody() -> ForgeError {
    refused(
        0,
        "reports need an App (CONTAINEROPS_GITHUB_APP_ID and _PRIVATE_KEY_FILE) or CONTAINEROPS_GITHUB_TOKEN"
            .to_owned(),
    )
}

async fn open_pull_request(api: &Api, repository: &Repository, branch: &str) -> Result<Option<u64>, ForgeError> {
    #[derive(Deserialize)]
    struct Pull {
        number: u64,
        head: Head,
    }
    #[derive(Deserialize)]
    struct Head {
        r#ref: String,
    }
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("state", "open")
        .append_pair("head", &format!("{}:{branch}", repository.name.owner()))
        .append_pair("per_page", "1")
        .finish();
    let pulls: Vec<Pull> = api.get(repository, format!("/repos/{}/pulls?{query}", repository.name)).await?;
    // a filter that GitHub does not understand is ignored by it, and all pull requests come back
    Ok(pulls.into_iter().find(|pull| pull.head.r#ref == branch).map(|pull| pull.number))
}

async fn branch_head(api: &Api, repository: &Repository, branch: &str) -> Result<Option<Sha>, ForgeError> {
    #[derive(Deserialize)]
    struct Reference {
        object: Object,
    }
    #[derive(Deserialize)]
    struct Object {
        sha: Sha,
    }
    let path = format!("/repos/{}/git/ref/heads/{}", repository.name, files::encoded(branch));
    let answer = api.send(repository, &Call::get(path)).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let Reference { object } = answer.json()?;
    Ok(Some(object.sha))
}

fn merge_ref(kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::PullRequest(pull) => Some(format!("refs/pull/{}/merge", pull.number)),
        EventKind::Push { .. }
        | EventKind::Tag { .. }
        | EventKind::MergeGroup { .. }
        | EventKind::Schedule { .. }
        | EventKind::Manual { .. }
        | EventKind::Flow { .. } => None,
    }
}
