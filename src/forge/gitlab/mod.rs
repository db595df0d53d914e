//! GitLab, gitlab.com or any other instance. Deliveries are proved by their signature or their token and read into our
//! events; flow files come from the repository API; reports become commit statuses.
//!
//! The `gitlab` crate knows the calls. Its typed answers are for others: each module here reads only what it needs.

mod api;
mod changes;
mod comment;
mod examine;
mod files;
mod heads;
mod hook;
mod moved;
mod note;
mod payload;
mod signature;
mod slot;
mod status;
mod way;

use std::time::Duration;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use gitlab::api::projects::{
    Project,
    merge_requests::{MergeRequestState, MergeRequests},
    repository::branches::Branch,
};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::Deserialize;
use tokio::sync::OnceCell;

use self::{
    api::{Api, refused},
    signature::Proofs,
    slot::Slots,
    status::HasSkipped,
    way::Known,
};
use super::{
    Allowance, AtOnce, AttemptsPage, Authentic, FlowFile, Forge, ForgeError, Head, Heads, HookKeeper, Hooks, Moved,
    Reading, Realm, Recall, Shown, Source, Told, Unreadable, Wanted, Webhook, Writes,
};
use crate::model::{
    ChangedFiles, Clock, CommentPlace, Event, EventKind, ForgeKind, Repository, Role, Sha, Time, Visibility,
};

/// gitlab.com takes 2,000 calls a minute of one account. A write may need a read or two.
const WRITES: Writes = Writes { per_minute: 600, per_hour: 20_000 };

/// What is needed to talk with GitLab.
#[derive(Debug, Clone)]
pub struct GitlabSettings {
    /// What webhooks send in clear. All are valid at once, so that one can be replaced without losing a delivery.
    pub webhook_secrets: Vec<SecretString>,
    /// What webhooks are signed with; likewise.
    pub signing_keys: Vec<SecretSlice<u8>>,
    /// Who we are there.
    pub token: Option<SecretString>,
    /// Where it is: `https://gitlab.com`. Repositories are fetched below this URL and nowhere else.
    pub url: String,
    /// For each call to the API; what takes longer is tried again later.
    pub time_limit: Duration,
    /// Patterns of the repositories that any other one may have as a submodule though not everybody can read them.
    pub submodules: Vec<String>,
    /// What signatures are held against.
    pub clock: Clock,
}

impl Default for GitlabSettings {
    fn default() -> Self {
        Self {
            webhook_secrets: Vec::new(),
            signing_keys: Vec::new(),
            token: None,
            url: "https://gitlab.com".to_owned(),
            time_limit: Duration::from_secs(10),
            submodules: Vec::new(),
            clock: Clock::System,
        }
    }
}

/// A setting that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// An empty secret would let anybody deliver.
    #[error("CONTAINEROPS_GITLAB_WEBHOOK_SECRET is empty: give the secret that the webhook's settings page has")]
    EmptyWebhookSecret,
    /// Not the text of an access token.
    #[error("CONTAINEROPS_GITLAB_TOKEN is no token: one line of printable characters is expected")]
    Token,
    /// Not a URL that calls can go to.
    #[error("CONTAINEROPS_GITLAB_URL `{0}` is no http or https URL")]
    Url(String),
    /// The HTTP client cannot be made; often there is no CA store on this machine.
    #[error("no HTTPS client for GitLab can be made; are there CA certificates on this machine?")]
    Client(#[source] reqwest::Error),
}

/// GitLab, behind the seam that all forges share.
#[derive(Debug)]
pub struct Gitlab {
    proofs: Proofs,
    url: String,
    token: Option<SecretString>,
    submodules: Vec<String>,
    clock: Clock,
    api: Api,
    slots: Slots,
    has_skipped: HasSkipped,
    me: OnceCell<u64>,
}

impl Gitlab {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// [`SettingsError`], which names the setting at fault.
    pub fn new(settings: GitlabSettings) -> Result<Self, SettingsError> {
        if settings.webhook_secrets.iter().any(|secret| secret.expose_secret().is_empty()) {
            return Err(SettingsError::EmptyWebhookSecret);
        }
        let is_token = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if settings.token.as_ref().is_some_and(|token| !is_token(token.expose_secret())) {
            return Err(SettingsError::Token);
        }
        let api = Api::new(&settings)?;
        Ok(Self {
            proofs: Proofs { tokens: settings.webhook_secrets, keys: settings.signing_keys },
            url: settings.url.trim_end_matches('/').to_owned(),
            token: settings.token,
            submodules: settings.submodules,
            clock: settings.clock,
            api,
            slots: Slots::default(),
            has_skipped: HasSkipped::default(),
            me: OnceCell::new(),
        })
    }

    /// Our account's number, asked for once.
    async fn me(&self) -> Result<u64, ForgeError> {
        self.me.get_or_try_init(|| note::me(&self.api)).await.copied()
    }

    /// Refuses to fetch from anywhere but our GitLab: the URL comes from a delivery.
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

    /// Any name will do with an access token.
    fn git_header(&self) -> Option<SecretString> {
        let token = self.token.as_ref()?;
        let pair = STANDARD.encode(format!("oauth2:{}", token.expose_secret()));
        Some(SecretString::from(format!("Authorization: Basic {pair}")))
    }
}

#[async_trait]
impl Forge for Gitlab {
    fn kind(&self) -> ForgeKind {
        ForgeKind::Gitlab
    }

    fn authenticate(&self, headers: &http::HeaderMap, body: &[u8]) -> Option<Authentic> {
        self.proofs.authenticate(headers, body, self.clock.now())
    }

    fn read(&self, event: &str, body: &[u8]) -> Result<Reading, Unreadable> {
        payload::read(event, body)
    }

    async fn flow_files(&self, repository: &Repository, sha: &Sha) -> Result<Vec<FlowFile>, ForgeError> {
        files::flow_files(&self.api, repository, sha).await
    }

    async fn open_pull_request(&self, repository: &Repository, branch: &str) -> Result<Option<u64>, ForgeError> {
        open_merge_request(&self.api, repository, branch).await
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
        // GitLab tells that only to whom it knows
        if self.api.has_token() { comment::role(&self.api, repository, login).await } else { Ok(None) }
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
        let header = if url.starts_with("http") { self.git_header() } else { None };
        let realm = Realm::Host { shared: self.submodules.clone() };
        Ok(Source { url, header, refs: refs(&event.kind), merge_ref: merge_ref(&event.kind), realm })
    }

    /// All is written by one account, and GitLab takes what is said of one commit one by one.
    fn allowance(&self, _: &Repository) -> Allowance {
        Allowance { account: "gitlab".to_owned(), writes: Some(WRITES), states: None, at_once: AtOnce::One }
    }

    async fn report(&self, wanted: &Wanted<'_>, known: Option<&str>) -> Result<Told, ForgeError> {
        if !self.api.has_token() {
            return Err(nobody());
        }
        status::report(self, wanted, known).await
    }

    fn expected(&self, wanted: &Wanted<'_>) -> Shown {
        status::expected(&self.has_skipped, wanted)
    }

    async fn shown(
        &self,
        repository: &Repository,
        sha: &Sha,
        events: &[Event],
    ) -> Result<Option<Vec<Shown>>, ForgeError> {
        if !self.api.has_token() {
            return Err(nobody());
        }
        status::shown(self, repository, sha, events).await
    }

    fn way(&self, known: &str) -> Option<String> {
        Known::read(known)?.sentence()
    }

    fn recall(&self) -> Option<&dyn Recall> {
        self.api.has_token().then_some(self as &dyn Recall)
    }

    fn hook_keeper(&self) -> Option<&dyn HookKeeper> {
        self.api.has_token().then_some(self as &dyn HookKeeper)
    }
}

#[async_trait]
impl Recall for Gitlab {
    /// GitLab tries again by itself, and keeps what became of it where only owners see it.
    fn hooks(&self) -> Hooks {
        Hooks::None
    }

    async fn attempts(&self, _: Option<&Repository>, _: &str, _: Option<&str>) -> Result<AttemptsPage, ForgeError> {
        Ok(AttemptsPage::default())
    }

    async fn deliver_again(&self, _: Option<&Repository>, _: &str) -> Result<(), ForgeError> {
        Err(refused(0, "GitLab is not asked for deliveries: heads are compared".to_owned()))
    }

    async fn heads(&self, repository: &Repository) -> Result<Heads, ForgeError> {
        heads::heads(&self.api, repository).await
    }

    async fn webhook(&self, repository: &Repository, head: &Head, before: &Sha) -> Result<Webhook, ForgeError> {
        heads::webhook(&self.api, repository, head, before).await
    }

    fn moved(&self, _: &str, body: &[u8]) -> Option<Moved> {
        moved::moved(body)
    }
}

/// A moment as GitLab writes it.
fn time(moment: jiff::Timestamp) -> Time {
    Time::from_millis(moment.as_millisecond())
}

/// What we may not see is nobody's to see through us. `internal` is for all who sign in there.
async fn visibility(api: &Api, repository: &Repository) -> Result<Visibility, ForgeError> {
    #[derive(Deserialize)]
    struct Seen {
        visibility: Option<String>,
    }
    let call = Project::builder().project(repository.name.as_str()).build();
    let seen: Option<Seen> = api.find(call).await?;
    Ok(match seen.map(|seen| seen.visibility) {
        Some(None) => Visibility::Unknown,
        Some(Some(word)) if word == "public" => Visibility::Public,
        Some(Some(_)) | None => Visibility::Private,
    })
}

fn nobody() -> ForgeError {
    refused(0, "reports need CONTAINEROPS_GITLAB_TOKEN".to_owned())
}

/// A merge request of this project's own branch: a fork may have a branch of the same name.
async fn open_merge_request(api: &Api, repository: &Repository, branch: &str) -> Result<Option<u64>, ForgeError> {
    #[derive(Deserialize)]
    struct Request {
        iid: u64,
        source_branch: String,
        source_project_id: Option<u64>,
        target_project_id: u64,
    }
    let open = MergeRequests::builder()
        .project(repository.name.as_str())
        .state(MergeRequestState::Opened)
        .source_branch(branch)
        .build();
    let (open, _): (Vec<Request>, _) = api.list(open, 100).await?;
    // a filter that GitLab does not understand is ignored by it, and all merge requests come back
    let own = |request: &Request| {
        request.source_branch == branch && request.source_project_id == Some(request.target_project_id)
    };
    Ok(open.into_iter().find(own).map(|request| request.iid))
}

async fn branch_head(api: &Api, repository: &Repository, branch: &str) -> Result<Option<Sha>, ForgeError> {
    #[derive(Deserialize)]
    struct Named {
        commit: Commit,
    }
    #[derive(Deserialize)]
    struct Commit {
        id: Sha,
    }
    let call = Branch::builder().project(repository.name.as_str()).branch(branch).build();
    let found: Option<Named> = api.find(call).await?;
    Ok(found.map(|named| named.commit.id))
}

fn refs(kind: &EventKind) -> Vec<String> {
    match kind {
        EventKind::Push { branch }
        | EventKind::MergeGroup { branch, .. }
        | EventKind::Schedule { branch, .. }
        | EventKind::Manual { branch, .. }
        | EventKind::Flow { branch, .. } => vec![format!("refs/heads/{branch}")],
        EventKind::Tag { tag } => vec![format!("refs/tags/{tag}")],
        EventKind::PullRequest(pull) => vec![format!("refs/merge-requests/{}/head", pull.number)],
    }
}

fn merge_ref(kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::PullRequest(pull) => Some(format!("refs/merge-requests/{}/merge", pull.number)),
        EventKind::Push { .. }
        | EventKind::Tag { .. }
        | EventKind::MergeGroup { .. }
        | EventKind::Schedule { .. }
        | EventKind::Manual { .. }
        | EventKind::Flow { .. } => None,
    }
}
