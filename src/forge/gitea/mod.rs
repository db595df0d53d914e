//! Gitea and Forgejo, which is one kind of forge to us. Deliveries are proved by their HMAC and read into our events;
//! flow files come from the contents API; reports become commit statuses, for neither has anything like checks.
//!
//! Both are asked by a client of our own: what we need is a dozen calls, and each reads only what it needs, for both
//! add fields at will, and the one has what the other has not.

mod call;
mod changes;
mod comment;
mod examine;
mod files;
mod heads;
mod hook;
mod moved;
mod payload;
mod signature;
mod status;

use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use self::call::{Api, Call, encoded, refused};
use super::{
    Allowance, AtOnce, AttemptsPage, Authentic, FlowFile, Forge, ForgeError, Head, Heads, Hook, HookKeeper, Hooks,
    Moved, Reading, Realm, Recall, Shown, Source, Told, Unreadable, Wanted, Webhook,
};
use crate::model::{
    ChangedFiles, CommentPlace, Event, EventKind, ForgeKind, Repository, RepositoryName, Role, Sha, Time, Visibility,
};

/// What is needed to talk with a Gitea or a Forgejo.
#[derive(Debug, Clone)]
pub struct GiteaSettings {
    /// All are valid at once, so that one can be replaced without losing a delivery; the first is set at webhooks that
    /// we register.
    pub webhook_secrets: Vec<SecretString>,
    /// An access token; without one, public repositories can be read, and nothing reported.
    pub token: Option<SecretString>,
    /// Where the forge is: the token goes with calls and with a `git fetch` below this URL and nowhere else.
    pub url: String,
    /// For each call to the API; what takes longer is tried again later.
    pub time_limit: Duration,
    /// Patterns of the repositories that any other one may have as a submodule though not everybody can read them.
    pub submodules: Vec<String>,
}

impl Default for GiteaSettings {
    fn default() -> Self {
        Self {
            webhook_secrets: Vec::new(),
            token: None,
            url: "https://codeberg.org".to_owned(),
            time_limit: Duration::from_secs(10),
            submodules: Vec::new(),
        }
    }
}

/// A setting that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// An empty secret would let anybody sign.
    #[error("CONTAINEROPS_GITEA_WEBHOOK_SECRET is empty: give the secret that the webhook's settings page has")]
    EmptyWebhookSecret,
    /// Not the text of an access token.
    #[error("CONTAINEROPS_GITEA_TOKEN is no token: one line of printable characters is expected")]
    Token,
    /// Not a URL that calls can go to.
    #[error("CONTAINEROPS_GITEA_URL `{0}` is no http or https URL")]
    Url(String),
}

/// Gitea or Forgejo, behind the seam that all forges share.
#[derive(Debug)]
pub struct Gitea {
    webhook_secrets: Vec<SecretString>,
    submodules: Vec<String>,
    api: Api,
}

impl Gitea {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// [`SettingsError`], which names the setting at fault.
    pub fn new(settings: GiteaSettings) -> Result<Self, SettingsError> {
        if settings.webhook_secrets.iter().any(|secret| secret.expose_secret().is_empty()) {
            return Err(SettingsError::EmptyWebhookSecret);
        }
        let api = Api::new(&settings)?;
        Ok(Self { webhook_secrets: settings.webhook_secrets, submodules: settings.submodules, api })
    }
}

#[async_trait]
impl Forge for Gitea {
    fn kind(&self) -> ForgeKind {
        ForgeKind::Gitea
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
        heads::open_pull_request(&self.api, repository, branch).await
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
        match self.api.is_known() {
            true => comment::role(&self.api, repository, login).await,
            // that is told only to whom it knows
            false => Ok(None),
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

    /// The URL is made of ours, and not read from a delivery: what the forge calls itself may be another address, and
    /// the token goes to ours alone.
    async fn source(&self, event: &Event) -> Result<Source, ForgeError> {
        let url = format!("{}/{}.git", self.api.url(), event.repository.name);
        let realm = Realm::Host { shared: self.submodules.clone() };
        Ok(Source { url, header: self.api.git_header(), refs: refs(&event.kind), merge_ref: None, realm })
    }

    /// Neither limits an account by itself.
    fn allowance(&self, _: &Repository) -> Allowance {
        Allowance { account: ForgeKind::Gitea.to_string(), writes: None, states: None, at_once: AtOnce::Many }
    }

    async fn report(&self, wanted: &Wanted<'_>, _: Option<&str>) -> Result<Told, ForgeError> {
        self.must_be_known()?;
        status::report(&self.api, wanted).await
    }

    fn expected(&self, wanted: &Wanted<'_>) -> Shown {
        status::expected(wanted)
    }

    async fn shown(&self, repository: &Repository, sha: &Sha, _: &[Event]) -> Result<Option<Vec<Shown>>, ForgeError> {
        self.must_be_known()?;
        status::shown(&self.api, repository, sha).await.map(Some)
    }

    fn recall(&self) -> Option<&dyn Recall> {
        Some(self)
    }

    fn hook_keeper(&self) -> Option<&dyn HookKeeper> {
        self.api.is_known().then_some(self as _)
    }
}

/// Neither tells by its API what became of its deliveries: the heads alone can be asked about.
#[async_trait]
impl Recall for Gitea {
    fn hooks(&self) -> Hooks {
        Hooks::None
    }

    async fn attempts(&self, _: Option<&Repository>, _: &str, _: Option<&str>) -> Result<AttemptsPage, ForgeError> {
        Ok(AttemptsPage::default())
    }

    async fn deliver_again(&self, _: Option<&Repository>, _: &str) -> Result<(), ForgeError> {
        Err(refused(0, "it delivers nothing again".to_owned()))
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

#[async_trait]
impl HookKeeper for Gitea {
    async fn hooks_at(&self, of: &RepositoryName, url: &str) -> Result<Vec<Hook>, ForgeError> {
        hook::hooks(&self.api, of, url).await
    }

    async fn add_hook(&self, of: &RepositoryName, url: &str) -> Result<(), ForgeError> {
        hook::add(&self.api, of, url, self.webhook_secrets.first()).await
    }

    async fn set_hook(&self, of: &RepositoryName, url: &str, hook: &Hook) -> Result<(), ForgeError> {
        hook::replace(&self.api, of, url, hook, self.webhook_secrets.first()).await
    }

    async fn remove_hook(&self, of: &RepositoryName, hook: &Hook) -> Result<(), ForgeError> {
        hook::remove(&self.api, of, &hook.id).await
    }
}

impl Gitea {
    fn must_be_known(&self) -> Result<(), ForgeError> {
        match self.api.is_known() {
            true => Ok(()),
            false => Err(refused(0, "reports need CONTAINEROPS_GITEA_TOKEN".to_owned())),
        }
    }
}

/// A moment as the forge writes it.
fn time(moment: jiff::Timestamp) -> Time {
    Time::from_millis(moment.as_millisecond())
}

/// A whole forge may be closed to strangers, which no repository says of itself: one is public if a stranger sees it.
async fn visibility(api: &Api, repository: &Repository) -> Result<Visibility, ForgeError> {
    let path = format!("/repos/{}", repository.name);
    let answer = api.send(&Call::get(path.clone()).without_redirects()).await?;
    // what we may not see is nobody's to see through us, and what is called otherwise now has its own row
    if answer.status == StatusCode::NOT_FOUND || answer.status.is_redirection() {
        return Ok(Visibility::Private);
    }
    let seen: payload::Seen = answer.json()?;
    match seen.visibility() {
        Visibility::Public => {}
        hidden @ (Visibility::Private | Visibility::Unknown) => return Ok(hidden),
    }
    let answer = api.send_as_a_stranger(path).await?;
    match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Ok(Visibility::Private),
        _ => answer.checked().map(|_| Visibility::Public),
    }
}

async fn branch_head(api: &Api, repository: &Repository, branch: &str) -> Result<Option<Sha>, ForgeError> {
    #[derive(Deserialize)]
    struct Branch {
        commit: Commit,
    }
    #[derive(Deserialize)]
    struct Commit {
        id: Sha,
    }
    let path = format!("/repos/{}/branches/{}", repository.name, encoded(branch));
    let answer = api.send(&Call::get(path)).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let Branch { commit } = answer.json()?;
    Ok(Some(commit.id))
}

fn refs(kind: &EventKind) -> Vec<String> {
    match kind {
        EventKind::Push { branch }
        | EventKind::MergeGroup { branch, .. }
        | EventKind::Schedule { branch, .. }
        | EventKind::Manual { branch, .. }
        | EventKind::Flow { branch, .. } => vec![format!("refs/heads/{branch}")],
        EventKind::Tag { tag } => vec![format!("refs/tags/{tag}")],
        EventKind::PullRequest(pull) => vec![format!("refs/pull/{}/head", pull.number)],
    }
}
