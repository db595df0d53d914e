//! A model of Gitea and Forgejo: repositories, statuses, comments and webhooks, as strict as the real ones where that
//! matters, and able to fail. It stands below a path of its host, and lets nobody fetch without a token. What is written to it
//! and not looked at fails the test.
//!
//! ```ignore
//! let t = GiteaStory::start().await;
//! let sha = t.push("main", FLOW).await;
//! assert_snapshot!(t.statuses(&sha), @"pending containerops/ci/push: …");
//! ```

mod comments;
mod hooks;
mod refs;
mod routes;
mod story;
mod webhook;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{Router, middleware::from_fn};
use containerops::{
    forge::gitea::GiteaSettings,
    model::{Clock, Sha},
};
use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::github::{
    git_http,
    repository::{self, Pull, Repository},
};
pub(crate) use story::GiteaStory;
pub(crate) use webhook::{fixture, signed};

/// What the model's webhooks are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "a-secret-between-Gitea-and-us";
/// The access token that the model takes.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

/// Gitea on a port of this machine. Ends with its value.
pub(crate) struct ModelGitea {
    world: Arc<World>,
    host: String,
    git: tempfile::TempDir,
    server: JoinHandle<()>,
}

/// What the model and its server share.
#[derive(Default)]
struct World {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<String, Repository>,
    last_id: u64,
    clock: Option<Clock>,
    statuses: Vec<Status>,
    unread: Vec<Status>,
    calls: Vec<String>,
    faults: VecDeque<Fault>,
    /// Permissions, by login.
    people: BTreeMap<String, &'static str>,
    /// `NUMBER: text`, or `comment ID: reaction`.
    said: Vec<String>,
    /// Tags by repository and name: the object that they are, and the commit.
    tags: BTreeMap<(String, String), (Sha, Sha)>,
    hooks: BTreeMap<u64, hooks::ModelHook>,
    /// The numbers of pull requests that were merged.
    merged: BTreeSet<u64>,
    /// Repositories that were renamed.
    moved: BTreeMap<String, String>,
    quirks: Quirks,
}

/// In what the real ones differ from each other, from release to release and by their administrators' settings.
#[derive(Debug, Clone)]
pub(crate) struct Quirks {
    /// Whether it is Forgejo: its deliveries have both families of headers.
    pub(crate) forgejo: bool,
    /// The most entries of a page, whatever is asked for.
    pub(crate) page: usize,
    /// Whether lists say how long they are, and where the next page is.
    pub(crate) counts: bool,
    /// Whether an answer without entries is `null`.
    pub(crate) null: bool,
    /// Which scope the token lacks.
    pub(crate) lacks: Option<&'static str>,
    /// Whether strangers see what is public.
    pub(crate) open: bool,
    /// Whether the token's owner is an administrator of the repositories.
    pub(crate) admin: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self { forgejo: false, page: 50, counts: true, null: true, lacks: None, open: true, admin: true }
    }
}

/// What goes wrong with a call.
enum Fault {
    /// It is answered with this status, and nothing is done.
    Status(u16),
    /// It is answered with 429 and `retry-after`, and nothing is done.
    Limit(Duration),
}

/// One commit status, as the model took it.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) sha: String,
    pub(crate) context: String,
    pub(crate) state: String,
    pub(crate) title: String,
    pub(crate) url: String,
}

impl ModelGitea {
    /// Starts it, without repositories.
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1").await
    }

    /// The same at an address of this machine.
    pub(crate) async fn start_at(address: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let world = Arc::<World>::default();
        let listener = tokio::net::TcpListener::bind((address, 0)).await.expect("a port");
        let host = format!("http://{}", listener.local_addr().expect("an address"));
        let git = tempfile::tempdir().expect("a folder");
        let fetched = git_http::router(git.path()).layer(from_fn(routes::only_by_token));
        let api = format!("{}/api/v1", git_http::PREFIX);
        let router = Router::new().nest(&api, routes::router(Arc::clone(&world))).merge(fetched);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Self { world, host, git, server }
    }

    /// For a service with the token.
    pub(crate) fn settings(&self) -> GiteaSettings {
        GiteaSettings {
            webhook_secrets: vec![WEBHOOK_SECRET.into(), "the secret before".into()],
            token: Some(TOKEN.into()),
            url: self.url(),
            ..GiteaSettings::default()
        }
    }

    /// Below it are the API and the repositories.
    pub(crate) fn url(&self) -> String {
        format!("{}{}", self.host, git_http::PREFIX)
    }

    /// From now on it is like this.
    pub(crate) fn is(&self, change: impl FnOnce(&mut Quirks)) {
        change(&mut self.state().quirks);
    }

    /// Makes a commit of these files, and of no others, on a branch. The repository and the branch come to be by it.
    pub(crate) fn commit(&self, repository: &str, branch: &str, files: &[(&str, &[u8])]) -> Sha {
        let path = self.path(repository);
        let mut state = self.state();
        let id = state.next_id();
        let here =
            state.repositories.entry(repository.to_owned()).or_insert_with(|| Repository { id, ..Default::default() });
        let tree = files.iter().map(|&(path, content)| (path.to_owned(), content.to_vec())).collect();
        let parent = here.branches.get(branch).and_then(|commits| commits.last());
        let sha = repository::commit(&path, branch, parent, &tree);
        here.trees.insert(sha.clone(), tree);
        here.branches.entry(branch.to_owned()).or_default().push(sha.clone());
        sha
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

    /// Somebody merges a pull request.
    pub(crate) fn merge(&self, number: u64) {
        self.state().merged.insert(number);
    }

    /// From now on only those see a repository who may.
    pub(crate) fn hide(&self, repository: &str) {
        self.state().repositories.get_mut(repository).expect("a repository").private = true;
    }

    /// The next `n` calls are answered with this status.
    pub(crate) fn fail_next(&self, n: usize, status: u16) {
        self.state().faults.extend((0..n).map(|_| Fault::Status(status)));
    }

    /// The next call is told to wait so long.
    pub(crate) fn limit_next(&self, retry_after: Duration) {
        self.state().faults.push_back(Fault::Limit(retry_after));
    }

    /// From now on a repository is called otherwise, and its old name leads there.
    pub(crate) fn rename(&self, from: &str, to: &str) {
        let mut state = self.state();
        let here = state.repositories.remove(from).expect("a repository");
        state.repositories.insert(to.to_owned(), here);
        state.moved.insert(from.to_owned(), to.to_owned());
    }

    /// The calls so far that contain this text, as `METHOD /path?query`.
    pub(crate) fn calls(&self, with: &str) -> Vec<String> {
        self.state().calls.iter().filter(|call| call.contains(with)).cloned().collect()
    }

    /// All unread statuses, oldest first; they are read now.
    pub(crate) fn writes(&self) -> Vec<Status> {
        std::mem::take(&mut self.state().unread)
    }

    /// Somebody else posts a status.
    pub(crate) fn somebody_posts(&self, sha: &Sha, context: &str, state: &str) {
        let (title, url) = ("by hand".to_owned(), String::new());
        let status = Status { sha: sha.to_string(), context: context.to_owned(), state: state.to_owned(), title, url };
        self.state().statuses.push(status);
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

impl Drop for ModelGitea {
    fn drop(&mut self) {
        self.server.abort();
        if !std::thread::panicking() {
            let unread = self.writes();
            assert!(unread.is_empty(), "written to Gitea, and not expected: {unread:#?}");
        }
    }
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the model")
    }
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The story's time.
    fn now(&self) -> Timestamp {
        let set = self.clock.as_ref().map(|clock| Timestamp::from_millisecond(clock.now().as_millis()));
        set.map_or_else(Timestamp::now, |time| time.expect("a time"))
    }
}
