//! A model of GitHub: repositories, the App's tokens, checks and statuses, as strict as the real one where that
//! matters, and able to fail. What is written to it and not looked at fails the test.
//!
//! ```ignore
//! let github = ModelGithub::start().await;
//! github.commit("acme/widget", "main", &[(".containerops.yml", FLOW)]);
//! app.deliver(github.push("acme/widget", "main")).await;
//! let check = github.concluded("containerops/ci/push").await;
//! assert_eq!(check.state, "success");
//! ```

mod annotation;
mod app;
mod changes;
mod comments;
mod examined;
pub(super) mod git_http;
mod hooks;
mod limits;
mod recall;
pub(super) mod repository;
mod routes;
mod shown;
mod webhook;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use containerops::{
    forge::github::{Credentials, GithubSettings},
    model::Sha,
};
use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Notify, task::JoinHandle};

pub(crate) use app::private_pem;
use repository::{Pull, Repository};
pub(crate) use webhook::{Delivery, fixture, signed, signed_with};

/// What the model's webhooks are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "it-is-a-secret-to-everybody";
/// The App's one installation.
pub(crate) const INSTALLATION: u64 = 2_311_213;
/// The personal token that the model takes.
pub(crate) const TOKEN: &str = "github_pat_for_tests";
/// How long a test waits for what must come.
const LIMIT: Duration = Duration::from_secs(60);

/// GitHub on a port of this machine. Ends with its value.
pub(crate) struct ModelGithub {
    world: Arc<World>,
    api_url: String,
    git: tempfile::TempDir,
    /// Whether repositories are fetched over HTTP, and not from the disk.
    over_http: bool,
    server: JoinHandle<()>,
}

/// What the model and its server share.
#[derive(Default)]
struct World {
    state: Mutex<State>,
    written: Notify,
    held: Notify,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<String, Repository>,
    last_id: u64,
    /// Installation tokens and when they end.
    tokens: HashMap<String, Timestamp>,
    about_app: Option<serde_json::Value>,
    hook_url: Option<String>,
    comments: comments::Comments,
    hooks: hooks::Hooks,
    scopes: Option<String>,
    token_life: Option<SignedDuration>,
    /// By how much its clock is behind this machine's.
    behind: SignedDuration,
    /// Repositories that were renamed, and the URLs to which calls are sent.
    moved: BTreeMap<String, String>,
    checks: BTreeMap<u64, Write>,
    statuses: Vec<Write>,
    unread: VecDeque<Write>,
    /// What is written is another story's.
    unasked: bool,
    calls: Vec<String>,
    faults: VecDeque<Fault>,
    /// The next call whose path ends like this is done, and its answer breaks off.
    cut_at: Option<&'static str>,
    delay: Duration,
    memory: recall::Memory,
    budget: Option<limits::Budget>,
    late: Vec<limits::Late>,
    /// A call is held back now.
    holding: bool,
}

/// What goes wrong with a call.
enum Fault {
    /// It is answered with this status, and nothing is done.
    Status(u16),
    /// It is answered with 403 and `retry-after`, and nothing is done.
    Limit(Duration),
    /// It is done, but the connection breaks in the middle of the answer.
    Cut,
    /// It is answered with 504, and done later.
    Late,
    /// It is done when the test wants.
    Hold(tokio::sync::oneshot::Receiver<()>),
}

/// How something was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// A new check run.
    Created,
    /// An update of a check run.
    Updated,
    /// A commit status.
    Status,
}

/// One write, as the model took it.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) how: How,
    pub(crate) context: String,
    pub(crate) sha: String,
    /// `queued`, `in_progress` or a conclusion; of a status its state.
    pub(crate) state: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) url: String,
    pub(crate) external_id: String,
    pub(crate) times: Times,
    /// The identifiers of its buttons.
    pub(crate) buttons: Vec<String>,
    /// The messages of all annotations that it has.
    pub(crate) annotations: Vec<String>,
    /// Where they stand, and how bad they are: `failure src/lib.rs:3-5 [title]`.
    pub(crate) margins: Vec<String>,
}

/// `started_at` and `completed_at`.
pub(crate) type Times = (Option<String>, Option<String>);

impl ModelGithub {
    /// Starts it, without repositories.
    pub(crate) async fn start() -> Self {
        // octocrab's HTTPS client wants one, though it is never used here; another test may have been first
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let world = Arc::<World>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let api_url = format!("http://{}", listener.local_addr().expect("an address"));
        let git = tempfile::tempdir().expect("a folder");
        let router = routes::router(Arc::clone(&world)).merge(git_http::router(git.path()));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Self { world, api_url, git, over_http: false, server }
    }

    /// The same for a service in a process of its own, which takes no path for a URL.
    pub(crate) async fn start_over_http() -> Self {
        let mut model = Self::start().await;
        model.over_http = true;
        model
    }

    /// For a service that is the App.
    pub(crate) fn settings(&self) -> GithubSettings {
        let private_key = app::private_pem().into();
        self.settings_with(Credentials::App { id: app::APP, private_key })
    }

    /// For a service with a personal token.
    pub(crate) fn settings_with_token(&self) -> GithubSettings {
        self.settings_with(Credentials::Token(TOKEN.into()))
    }

    fn settings_with(&self, credentials: Credentials) -> GithubSettings {
        GithubSettings {
            webhook_secrets: vec![WEBHOOK_SECRET.into()],
            credentials,
            api_url: self.api_url.clone(),
            url: self.url(),
            ..GithubSettings::default()
        }
    }

    /// Below it stand the repositories, for `git fetch`.
    pub(crate) fn url(&self) -> String {
        match self.over_http {
            true => format!("{}{}", self.api_url, git_http::PREFIX),
            false => format!("file://{}", self.git.path().display()),
        }
    }

    /// Where its API is.
    pub(crate) fn api_url(&self) -> &str {
        &self.api_url
    }

    /// Makes a commit of these files, and of no others, on a branch. The repository and the branch come to be by it.
    pub(crate) fn commit(&self, repository: &str, branch: &str, files: &[(&str, &[u8])]) -> Sha {
        let path = self.path(repository);
        let mut state = self.state();
        let (id, now) = (state.next_id(), state.memory.now());
        let here =
            state.repositories.entry(repository.to_owned()).or_insert_with(|| Repository { id, ..Default::default() });
        let tree = files.iter().map(|&(path, content)| (path.to_owned(), content.to_vec())).collect();
        let parent = here.branches.get(branch).and_then(|commits| commits.last());
        let sha = repository::commit(&path, branch, parent, &tree);
        here.trees.insert(sha.clone(), tree);
        here.branches.entry(branch.to_owned()).or_default().push(sha.clone());
        state.memory.made.insert(sha.clone(), now);
        sha
    }

    /// Makes a repository that is there private, or public.
    pub(crate) fn is_private(&self, repository: &str, private: bool) {
        self.state().repositories.get_mut(repository).expect("a repository").private = private;
    }

    /// Puts a branch's newest commit on another one, too.
    pub(crate) fn merge(&self, repository: &str, branch: &str, base: &str) {
        let mut state = self.state();
        let here = state.repositories.get_mut(repository).expect("a repository");
        let tip = here.tip(branch);
        here.branches.entry(base.to_owned()).or_default().push(tip);
    }

    /// Lets a branch point to an older commit of its own again.
    pub(crate) fn reset(&self, repository: &str, branch: &str, to: &Sha) {
        let mut state = self.state();
        let here = state.repositories.get_mut(repository).expect("a repository");
        here.branches.get_mut(branch).expect("a branch").push(to.clone());
    }

    /// Opens a pull request from a branch of `head`, which may be the repository itself or a fork, into `base`.
    pub(crate) fn open_pull_request(&self, repository: &str, base: &str, head: &str, branch: &str) -> u64 {
        let mut state = self.state();
        let number = state.next_id();
        let sha = state.repositories[head].tip(branch);
        let tree = state.repositories[head].trees[&sha].clone();
        let onto = state.repositories[repository].tip(base);
        repository::take_pull(&self.path(repository), &self.path(head), &sha, &onto, number);
        let here = state.repositories.get_mut(repository).expect("a repository");
        here.trees.insert(sha, tree);
        let (head_repository, branch, base) = (head.to_owned(), branch.to_owned(), base.to_owned());
        here.pulls.push(Pull { number, head_repository, author: None, branch, base });
        number
    }

    /// A pull request is somebody else's than usual.
    pub(crate) fn is_opened_by(&self, repository: &str, number: u64, login: &str) {
        let mut state = self.state();
        let here = state.repositories.get_mut(repository).expect("a repository");
        let pull = here.pulls.iter_mut().find(|pull| pull.number == number).expect("a pull request");
        pull.author = Some(login.to_owned());
    }

    /// The head of a pull request is fetched anew, as GitHub does when a fork is pushed to.
    pub(crate) fn moves_pull_request(&self, repository: &str, number: u64) {
        let mut state = self.state();
        let pull = state.repositories[repository].pulls.iter().find(|pull| pull.number == number);
        let pull = pull.expect("a pull request").clone();
        let head = &state.repositories[&pull.head_repository];
        let sha = head.tip(&pull.branch);
        let tree = head.trees[&sha].clone();
        let onto = state.repositories[repository].tip(&pull.base);
        repository::take_pull(&self.path(repository), &self.path(&pull.head_repository), &sha, &onto, number);
        state.repositories.get_mut(repository).expect("a repository").trees.insert(sha, tree);
    }

    /// The next `n` calls are answered with this status.
    pub(crate) fn fail_next(&self, n: usize, status: u16) {
        self.state().faults.extend((0..n).map(|_| Fault::Status(status)));
    }

    /// The next call is told to wait so long.
    pub(crate) fn limit_next(&self, retry_after: Duration) {
        self.state().faults.push_back(Fault::Limit(retry_after));
    }

    /// The next call is done, but its answer does not arrive.
    pub(crate) fn cut_next(&self) {
        self.state().faults.push_back(Fault::Cut);
    }

    /// The same of the next call whose path ends like this.
    pub(crate) fn cut_at(&self, end: &'static str) {
        self.state().cut_at = Some(end);
    }

    /// Calls about this repository are sent to `url` instead.
    pub(crate) fn moved(&self, repository: &str, url: &str) {
        self.state().moved.insert(repository.to_owned(), url.to_owned());
    }

    /// Every answer takes so long from now on.
    pub(crate) fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// All installation tokens are worth nothing from now on.
    pub(crate) fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Tokens live so long from now on, instead of an hour.
    pub(crate) fn tokens_live(&self, life: SignedDuration) {
        self.state().token_life = Some(life);
    }

    /// Its clock is so far behind this machine's: whoever is right, GitHub goes by its own.
    pub(crate) fn clock_is_behind(&self, by: SignedDuration) {
        self.state().behind = by;
    }

    /// All checks are gone, as when GitHub's retention has removed them.
    pub(crate) fn remove_checks(&self) {
        self.state().checks.clear();
    }

    /// The calls so far that contain this text, as `METHOD /path?query`.
    pub(crate) fn calls(&self, with: &str) -> Vec<String> {
        self.state().calls.iter().filter(|call| call.contains(with)).cloned().collect()
    }

    /// What this context's check shows now.
    pub(crate) fn check(&self, context: &str) -> Write {
        let state = self.state();
        let newest = state.checks.values().rev().find(|check| check.context == context);
        newest.unwrap_or_else(|| panic!("no check {context}")).clone()
    }

    /// This story is not about what is written.
    pub(crate) fn writes_are_another_story(&self) {
        self.state().unasked = true;
    }

    /// All unread writes, oldest first; they are read now.
    pub(crate) fn writes(&self) -> Vec<Write> {
        self.state().unread.drain(..).collect()
    }

    /// Waits until this context has concluded, and reads its writes so far.
    pub(crate) async fn concluded(&self, context: &str) -> Write {
        let all = async {
            loop {
                let more = self.world.written.notified();
                if let Some(write) = self.take_concluded(context) {
                    return write;
                }
                more.await;
            }
        };
        match tokio::time::timeout(LIMIT, all).await {
            Ok(write) => write,
            Err(_) => panic!("{context} did not conclude; unread: {}", story(&self.writes())),
        }
    }

    fn take_concluded(&self, context: &str) -> Option<Write> {
        let mut state = self.state();
        let end = state.unread.iter().position(|write| write.context == context && write.is_concluded())?;
        let concluded = state.unread[end].clone();
        let rest = state.unread.drain(..).enumerate().filter(|(i, write)| *i > end || write.context != context);
        state.unread = rest.map(|(_, write)| write).collect();
        Some(concluded)
    }

    /// Fails if something was written that the test did not read.
    pub(crate) fn assert_no_more_writes(&self) {
        let unread = self.writes();
        assert!(unread.is_empty(), "written to GitHub, and not expected:\n{}", story(&unread));
    }

    fn path(&self, repository: &str) -> PathBuf {
        let path = self.git.path().join(format!("{repository}.git"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        path
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.world.state()
    }
}

impl Drop for ModelGithub {
    fn drop(&mut self) {
        self.server.abort();
        if !std::thread::panicking() {
            self.assert_no_more_writes();
        }
    }
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the model")
    }

    /// What time it is here.
    fn time(&self) -> Timestamp {
        Timestamp::now() - self.state().behind
    }
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Notes a write, to be read by the test.
    fn wrote(&mut self, write: Write) {
        if !self.unasked {
            self.unread.push_back(write);
        }
    }
}

impl Write {
    /// Whether it is the last word on its context.
    pub(crate) fn is_concluded(&self) -> bool {
        !matches!(self.state.as_str(), "queued" | "in_progress" | "pending")
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            How::Created => "created",
            How::Updated => "updated",
            How::Status => "status",
        };
        write!(f, "{how} {} {}: {}", self.context, self.state, self.title)
    }
}

/// Writes as lines, for snapshots.
pub(crate) fn story(writes: &[Write]) -> String {
    writes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
