//! A model of GitLab: projects in nested groups, statuses in pipelines, merge requests, notes and members, as strict as
//! the real one where that matters, with its quirks as switches, and able to fail. What is written to it and not looked
//! at fails the test.
//!
//! ```ignore
//! let gitlab = ModelGitlab::start().await;
//! gitlab.commit("acme/tools/widget", "main", &[(".containerops.yml", FLOW)]);
//! t.delivers(gitlab.push("acme/tools/widget", "main")).await;
//! assert_snapshot!(gitlab.story());
//! ```

mod hooks;
mod projects;
mod requests;
mod routes;
mod statuses;
mod webhook;

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use containerops::{
    forge::{
        Forge,
        gitlab::{Gitlab, GitlabSettings},
    },
    model::{Clock, Sha},
};
use jiff::Timestamp;
use tokio::{sync::Notify, task::JoinHandle};

use super::{
    app::Neighbour,
    github::{git_http, repository},
    repository::git,
};
use projects::{Project, Request};
use statuses::{Job, Pipeline};

pub(crate) use webhook::{SIGNING_TOKEN, TOKEN_SECRET, fixture, signed, with_token};

/// The access token that the model takes.
pub(crate) const TOKEN: &str = "glpat-for-tests";
/// Whose token it is.
const BOT: u64 = 700;

/// GitLab on a port of this machine. Ends with its value.
pub(crate) struct ModelGitlab {
    world: Arc<World>,
    url: String,
    git: tempfile::TempDir,
    server: JoinHandle<()>,
}

/// What the model and its server share.
#[derive(Default)]
struct World(Mutex<State>);

#[derive(Default)]
struct State {
    projects: BTreeMap<String, Project>,
    last_id: u64,
    clock: Option<Clock>,
    jobs: Vec<Job>,
    hooks: Vec<hooks::Hook>,
    pipelines: Vec<Pipeline>,
    /// Who is somebody: id by login.
    people: BTreeMap<String, u64>,
    /// `merge request N: text`, `commit SHA: text`, `note N: :thumbsup:`.
    said: Vec<String>,
    /// What was written to statuses, as lines.
    written: VecDeque<String>,
    calls: Vec<String>,
    faults: VecDeque<Fault>,
    quirks: Quirks,
    /// Commits whose statuses are written just now.
    locked: Vec<(u64, Sha)>,
    /// Commits about which GitLab does not answer until it is let go on.
    slow: BTreeMap<Sha, Arc<Notify>>,
    /// How often two calls met at one.
    met: usize,
    token: serde_json::Value,
    /// Answers to deliveries with 4xx or 5xx in a row, and whether the hook was switched off for that.
    failed: usize,
    disabled: bool,
}

/// What goes wrong with a call.
enum Fault {
    /// It is answered with this status, and nothing is done.
    Status(u16),
    /// It is answered with 429 and `Retry-After`, and nothing is done.
    Limit(Duration),
    /// It is done, but answered with 502.
    Lost,
}

/// How an instance is, by its age and its mood.
#[derive(Clone, Copy)]
pub(crate) struct Quirks {
    /// There is the state `skipped`.
    pub(crate) has_skipped: bool,
    /// A status that is where it is to be cannot go there; newer instances say nothing.
    pub(crate) cannot_transition: bool,
    /// What has not run cannot succeed.
    pub(crate) needs_running: bool,
    /// An answer names its pipeline.
    pub(crate) tells_pipeline: bool,
    /// A commit that is there by a merge request alone takes statuses.
    pub(crate) takes_requests: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            has_skipped: true,
            cannot_transition: true,
            needs_running: true,
            tells_pipeline: true,
            takes_requests: false,
        }
    }
}

impl ModelGitlab {
    /// Starts it, without projects.
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let world = Arc::<World>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let git = tempfile::tempdir().expect("a folder");
        let router = routes::router(Arc::clone(&world)).merge(git_http::router(git.path()));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Self { world, url, git, server }
    }

    /// For a service that has its token, and both ways of proof.
    pub(crate) fn settings(&self, clock: &Clock) -> GitlabSettings {
        GitlabSettings {
            webhook_secrets: vec!["the next secret".into(), TOKEN_SECRET.into()],
            signing_keys: vec![webhook::key().into()],
            token: Some(TOKEN.into()),
            url: self.url.clone(),
            clock: clock.clone(),
            ..GitlabSettings::default()
        }
    }

    /// The forge as a service has it.
    pub(crate) fn forge(&self) -> Gitlab {
        Gitlab::new(self.settings(&Clock::System)).expect("good settings")
    }

    /// Beside GitHub, for a tester; its clock is the system's.
    pub(crate) fn neighbour(&self) -> Neighbour {
        let settings = self.settings(&Clock::System);
        Arc::new(move || -> Arc<dyn Forge> { Arc::new(Gitlab::new(settings.clone()).expect("good settings")) })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From now on things happen by this clock.
    pub(crate) fn set_clock(&self, clock: &Clock) {
        self.state().clock = Some(clock.clone());
    }

    /// What it is like from now on.
    pub(crate) fn is(&self, quirks: Quirks) {
        self.state().quirks = quirks;
    }

    /// Makes a commit of these files, and of no others, on a branch. The project and the branch come to be by it.
    pub(crate) fn commit(&self, project: &str, branch: &str, files: &[(&str, &[u8])]) -> Sha {
        let path = self.path(project);
        let mut state = self.state();
        let (id, now) = (state.next_id(), state.now());
        let here = state.projects.entry(project.to_owned()).or_insert_with(|| Project::new(id));
        let tree = files.iter().map(|&(path, content)| (path.to_owned(), content.to_vec())).collect();
        let parent = here.branches.get(branch).and_then(|commits| commits.last());
        let sha = repository::commit(&path, branch, parent, &tree);
        here.trees.insert(sha.clone(), tree);
        here.made.insert(sha.clone(), now);
        here.branches.entry(branch.to_owned()).or_default().push(sha.clone());
        sha
    }

    /// Makes a tag of a branch's newest commit; nobody hears of it.
    pub(crate) fn make_tag(&self, project: &str, branch: &str, tag: &str) -> Sha {
        let mut state = self.state();
        let here = state.projects.get_mut(project).expect("a project");
        let sha = here.tip(branch);
        here.tags.insert(tag.to_owned(), sha.clone());
        sha
    }

    /// Opens a merge request from a branch of `source`, which may be the project itself or a fork, into `target`.
    pub(crate) fn open(&self, project: &str, target: &str, source: &str, branch: &str) -> u64 {
        let mut state = self.state();
        let iid = state.projects[project].requests.len() as u64 + 1;
        let (sha, onto) = (state.projects[source].tip(branch), state.projects[project].tip(target));
        let tree = state.projects[source].trees[&sha].clone();
        repository::take_pull(&self.path(project), &self.path(source), &sha, &onto, iid);
        git(&self.path(project), &["update-ref", &format!("refs/merge-requests/{iid}/head"), sha.as_str()]);
        let here = state.projects.get_mut(project).expect("a project");
        here.by_request.insert(sha.clone());
        here.trees.entry(sha).or_insert(tree);
        let (source, branch, target) = (source.to_owned(), branch.to_owned(), target.to_owned());
        here.requests.push(Request { iid, source, branch, target, notes: Vec::new(), merged: false });
        iid
    }

    /// The branch of a merge request has moved: its target has the new code, too.
    pub(crate) fn moves_request(&self, project: &str, iid: u64) {
        let mut state = self.state();
        let request = state.projects[project].requests.iter().find(|one| one.iid == iid).expect("one").clone();
        let (source, onto) = (&state.projects[&request.source], state.projects[project].tip(&request.target));
        let sha = source.tip(&request.branch);
        let tree = source.trees[&sha].clone();
        repository::take_pull(&self.path(project), &self.path(&request.source), &sha, &onto, iid);
        git(&self.path(project), &["update-ref", &format!("refs/merge-requests/{iid}/head"), sha.as_str()]);
        let here = state.projects.get_mut(project).expect("a project");
        here.by_request.insert(sha.clone());
        here.trees.entry(sha).or_insert(tree);
    }

    /// The project lets us do this much: see it and write to it, see it, or neither.
    pub(crate) fn lets_us(&self, project: &str, may: May) {
        self.state().projects.get_mut(project).expect("a project").may = may;
    }

    /// Someone is a member, with this access level, of the project or of a group above it.
    pub(crate) fn has_member(&self, project: &str, login: &str, level: u64) {
        let mut state = self.state();
        let id = state.account(login);
        state.projects.get_mut(project).expect("a project").members.insert(id, level);
    }

    /// What the token says of itself.
    pub(crate) fn token_is(&self, about: serde_json::Value) {
        self.state().token = about;
    }

    /// The next `n` calls are answered with this status.
    pub(crate) fn fail_next(&self, n: usize, status: u16) {
        self.state().faults.extend((0..n).map(|_| Fault::Status(status)));
    }

    /// The next call is told to wait so long.
    pub(crate) fn limit_next(&self, retry_after: Duration) {
        self.state().faults.push_back(Fault::Limit(retry_after));
    }

    /// The next call is done, but its answer is lost.
    pub(crate) fn lose_next(&self) {
        self.state().faults.push_back(Fault::Lost);
    }

    /// The calls so far that contain this text, as `METHOD /path?query`.
    pub(crate) fn calls(&self, with: &str) -> Vec<String> {
        self.state().calls.iter().filter(|call| call.contains(with)).cloned().collect()
    }

    /// How often two calls about one commit's statuses met.
    pub(crate) fn met(&self) -> usize {
        self.state().met
    }

    /// From now on calls that write statuses of this commit hang.
    pub(crate) fn is_slow_about(&self, sha: &Sha) {
        self.state().slow.insert(sha.clone(), Arc::default());
    }

    /// They go on.
    pub(crate) fn goes_on_about(&self, sha: &Sha) {
        let slow = self.state().slow.remove(sha).expect("it was slow");
        slow.notify_waiters();
    }

    /// How a delivery of it was answered. After four failures in a row a hook is switched off.
    pub(crate) fn answered(&self, status: u16) {
        let mut state = self.state();
        state.failed = if status < 400 { 0 } else { state.failed + 1 };
        state.disabled |= state.failed >= 4;
    }

    /// Whether the hook was switched off.
    pub(crate) fn is_disabled(&self) -> bool {
        self.state().disabled
    }

    fn path(&self, project: &str) -> PathBuf {
        let path = self.git.path().join(format!("{project}.git"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        path
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.world.state()
    }
}

/// What the token may do with a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    Write,
    Read,
    Nothing,
}

impl Drop for ModelGitlab {
    fn drop(&mut self) {
        self.server.abort();
        if !std::thread::panicking() {
            let unread = self.story();
            assert!(unread.is_empty(), "written to GitLab, and not expected:\n{unread}");
        }
    }
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds the model")
    }
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn now(&self) -> Timestamp {
        let set = self.clock.as_ref().map(|clock| Timestamp::from_millisecond(clock.now().as_millis()));
        set.map_or_else(Timestamp::now, |time| time.expect("a time"))
    }

    /// The number of a login, which comes to be by being asked for.
    fn account(&mut self, login: &str) -> u64 {
        let next = 1000 + self.people.len() as u64;
        *self.people.entry(login.to_owned()).or_insert(next)
    }

    /// A project by its number or its path, if the token may see it.
    fn project(&self, id: &str) -> Option<(&str, &Project)> {
        let found = self.projects.iter().find(|(path, project)| path.as_str() == id || project.id.to_string() == id);
        found.filter(|(_, project)| project.may != May::Nothing).map(|(path, project)| (path.as_str(), project))
    }
}
