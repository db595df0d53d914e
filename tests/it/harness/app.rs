//! The whole service for a story: the real one with its database, its router and the real octocrab, between a modelled
//! GitHub and modelled pods. Nothing happens by itself: a story delivers, drives until nothing is due, and looks.
//!
//! ```ignore
//! let t = Tester::start().await;
//! let sha = t.push("main", FLOW).await;
//! t.claims("test").await.exits(3).await;
//! assert_snapshot!(t.checks(&sha), @"failure containerops/ci/push: …");
//! ```

mod assembled;
mod gallery;
mod look;
mod sweep;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use containerops::{
    app::App,
    engine::rerun::Begun,
    executor::ExecutorKind,
    forge::Forge,
    model::{Clock, FlowChoice, RunId, Sha, Time, What, Wish},
    store::{RunFilter, RunRow},
};
use reqwest::StatusCode;

use super::{
    agent::Agent,
    database::Database,
    github::{Delivery, ModelGithub, Write},
    pods::Pods,
};
use assembled::Assembled;
pub(crate) use sweep::{GRACE, INTERVAL};

/// The repository of the stories.
pub(crate) const WIDGET: &str = "acme/widget";
/// The webhook's secret before the one it has now.
pub(crate) const OLD_SECRET: &str = "what it was last year";
/// 2026-03-01T12:00:00Z, where the stories' clock begins.
const NOON: i64 = 1_772_366_400_000;
/// Longer than the engine leaves an action alone, shorter than any pause that a story is about.
const MOMENT: Duration = Duration::from_secs(2);

/// Shorter than the service may stand still without thinking so.
const STEP: Duration = Duration::from_secs(20);

/// What we show GitHub that we are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Identity {
    App,
    Token,
}

/// Another forge that the service is set up for; made anew for each of its lives.
pub(crate) type Neighbour = Arc<dyn Fn() -> Arc<dyn Forge> + Send + Sync>;

/// A service with all that is around it.
pub(crate) struct Tester {
    pub(crate) github: ModelGithub,
    pub(crate) pods: Pods,
    pub(crate) clock: Clock,
    pub(crate) http: reqwest::Client,
    /// The same for who wants to see where they are led.
    pub(crate) straight: reqwest::Client,
    identity: Identity,
    neighbours: Vec<Neighbour>,
    data: tempfile::TempDir,
    database: Arc<Database>,
    running: Mutex<Assembled>,
    /// What GitHub was told last of each context of each commit.
    shown: Mutex<BTreeMap<(String, String), Write>>,
}

impl Tester {
    /// As a GitHub App, on an executor that needs no registry.
    pub(crate) async fn start() -> Self {
        Self::start_as(Identity::App, ExecutorKind::Process).await
    }

    /// As whoever we are, on modelled pods of this kind.
    pub(crate) async fn start_as(identity: Identity, kind: ExecutorKind) -> Self {
        Self::start_among(identity, kind, Vec::new()).await
    }

    /// The same, set up for other forges, too.
    pub(crate) async fn start_among(identity: Identity, kind: ExecutorKind, neighbours: Vec<Neighbour>) -> Self {
        let github = ModelGithub::start().await;
        let pods = Pods::of_kind(kind);
        let clock = Clock::standing_at(Time::from_millis(NOON));
        github.set_clock(&clock);
        let data = tempfile::tempdir().expect("a folder");
        let database = Database::of(data.path()).await;
        let running = Assembled::of((data.path(), &database), (&github, identity), &neighbours, &pods, &clock).await;
        let http = reqwest::Client::new();
        let straight = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        let straight = straight.expect("a client");
        let shown = Mutex::default();
        let running = Mutex::new(running);
        Self { github, pods, clock, http, straight, identity, neighbours, data, database, running, shown }
    }

    /// Drops the service without ceremony, wherever it is, and assembles another on the same data.
    pub(crate) async fn restart(&self) {
        self.database.forsaken().await;
        let (place, github) = ((self.data.path(), &*self.database), (&self.github, self.identity));
        let new = Assembled::of(place, github, &self.neighbours, &self.pods, &self.clock).await;
        *self.running.lock().expect("no test panics with it") = new;
    }

    /// Another server on the same data, which drives and listens for nobody.
    pub(crate) async fn another(&self) -> App {
        let (place, github) = ((self.data.path(), &*self.database), (&self.github, self.identity));
        Assembled::of(place, github, &self.neighbours, &self.pods, &self.clock).await.app.clone()
    }

    /// Writes the operator's file of settings, and starts again with it.
    pub(crate) async fn set_up(&self, settings: &str) {
        std::fs::write(self.data().join("containerops.toml"), settings).expect("it can be written");
        self.restart().await;
    }

    /// The service as it runs now.
    pub(crate) fn app(&self) -> App {
        self.running.lock().expect("no test panics with it").app.clone()
    }

    /// Where its data lie.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Where its rows lie.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        self.running.lock().expect("no test panics with it").url.clone()
    }

    /// Commits this flow file alone, delivers the push, and settles.
    pub(crate) async fn push(&self, branch: &str, flow: &str) -> Sha {
        let sha = self.commit(branch, flow);
        self.deliver(self.github.push(WIDGET, branch)).await;
        self.settle().await;
        sha
    }

    /// Commits this flow file alone; nobody hears of it.
    pub(crate) fn commit(&self, branch: &str, flow: &str) -> Sha {
        self.github.commit(WIDGET, branch, &[(".containerops.yml", flow.as_bytes())])
    }

    /// Delivers as GitHub does; it must be taken.
    pub(crate) async fn deliver(&self, delivery: Delivery) {
        let (status, answer) = self.send("github", delivery).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    }

    /// Delivers to a hook, a second after whatever was before.
    pub(crate) async fn send(&self, forge: &str, delivery: Delivery) -> (StatusCode, String) {
        self.clock.advance(Duration::from_secs(1));
        let request = self.http.post(format!("{}/hooks/{forge}", self.url())).headers(delivery.headers);
        let answer = request.body(delivery.body).send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("a text"))
    }

    /// Does all that is due now.
    pub(crate) async fn drain(&self) {
        self.app().drain().await.expect("the database is there");
    }

    /// Does all that is due now and in a moment.
    pub(crate) async fn settle(&self) {
        self.drain().await;
        self.later(MOMENT).await;
    }

    /// Does all that is due when so much time has passed.
    pub(crate) async fn later(&self, span: Duration) {
        self.clock.advance(span);
        self.app().engine.settle_overdue().await.expect("the database is there");
        self.drain().await;
    }

    /// Lets so much time pass as it does where loops run: in small steps, with a look after each.
    pub(crate) async fn passes(&self, span: Duration) {
        let steps = span.as_secs().div_ceil(STEP.as_secs());
        for _ in 0..steps {
            self.later(STEP).await;
        }
    }

    /// The agent of this job (`stage.action.job`; `name` is short for `name.name.name`) in its newest pod, which is told
    /// to start.
    pub(crate) async fn claims(&self, job: &str) -> Agent<'_> {
        Agent::claim(self, job).await.unwrap_or_else(|reason| panic!("{job} was told to leave: {reason}"))
    }

    /// The same of a job that may be told to leave, for a reason.
    pub(crate) async fn tries_to_claim(&self, job: &str) -> Result<Agent<'_>, String> {
        Agent::claim(self, job).await
    }

    /// Why the agent of this job is told to leave.
    pub(crate) async fn leaves(&self, job: &str) -> String {
        match Agent::claim(self, job).await {
            Ok(_) => panic!("{job} was told to start"),
            Err(reason) => reason,
        }
    }

    /// Runs a job to its end with this exit code, and settles.
    pub(crate) async fn run_the_job(&self, job: &str, exit_code: i32) {
        self.claims(job).await.exits(exit_code).await;
    }

    /// The newest run.
    pub(crate) async fn newest_run(&self) -> RunRow {
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        let newest = tx.runs(&RunFilter { limit: 1, ..RunFilter::default() }).await.expect("runs");
        let id = newest.first().expect("there is a run").id;
        tx.run(id).await.expect("the database is there").expect("a run")
    }

    /// The run with this number.
    pub(crate) async fn run(&self, id: RunId) -> RunRow {
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        tx.run(id).await.expect("the database is there").expect("a run")
    }

    /// Runs all of a run again by the flow file as it was; nothing is driven yet.
    pub(crate) async fn runs_again(&self, run: RunId) -> RunId {
        let wish = Wish { what: What::Everything, flow: FlowChoice::Same, by: "Ada".to_owned() };
        match self.app().engine.rerun(run, &wish).await.expect("it can be run again") {
            Begun::Run(new) => new,
            Begun::Asked(delivery) => panic!("only asked for, as delivery {delivery}"),
        }
    }

    /// Cancels the newest run, as its page's button does, and settles.
    pub(crate) async fn cancel(&self, by: &str) {
        let run = self.newest_run().await.id;
        assert!(self.app().engine.cancel(run, by).await.expect("the database is there"), "the run was over");
        self.settle().await;
    }
}
