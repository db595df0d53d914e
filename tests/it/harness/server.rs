//! The whole server on a namespace of a real cluster: a push goes in; rows, logs, notes and pods come out.

mod pushes;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use containerops::{
    app::{self, App},
    engine,
    executor::{
        Executor,
        kubernetes::{Kubernetes, KubernetesSettings},
    },
    forge::{Forge, git},
    model::{Clock, ForgeKind, RunId, RunState},
    settings::Settings,
    store::Tx,
};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

use super::{cluster::Cluster, place::Place, repository::Worktree, story::Story};

/// The longest that anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// What is not told by the bell is looked for this often.
const LOOK: Duration = Duration::from_millis(200);
/// The only repository.
pub(crate) const REPOSITORY: &str = "acme/shop";

/// A server with its own namespace, data and repository.
pub(crate) struct Server<P: Place = Cluster> {
    /// Where its jobs run.
    pub(crate) cluster: P,
    address: SocketAddr,
    /// Where Ada works.
    ada: Worktree,
    directory: TempDir,
    tuning: Option<Tuning>,
    running: Option<Running>,
}

/// What an operator cannot set, and a test has no time to wait for.
pub(crate) struct Tuning {
    /// The engine's.
    pub(crate) patience: engine::Patience,
    /// The executor's.
    pub(crate) kubernetes: KubernetesSettings,
    /// Where agents are told that the server is, if that is elsewhere.
    pub(crate) agent_url: Option<String>,
}

/// What a process is to an operator, this is to a test: if it is dropped, nothing of it goes on.
struct Running {
    app: App,
    runtime: Option<Runtime>,
}

impl Server<Cluster> {
    /// A fresh server for the test of this name; `None` where tests may use no cluster.
    pub(crate) async fn start(test: &str) -> Option<Self> {
        Some(Self::on(Cluster::get(test).await?, None).await)
    }

    /// The same with less patience, or other settings that only a test needs.
    pub(crate) async fn start_with(test: &str, tune: impl FnOnce(&mut Tuning)) -> Option<Self> {
        Some(Self::tuned(Cluster::get(test).await?, tune).await)
    }

    /// The same, alone on the cluster.
    pub(crate) async fn start_alone_with(test: &str, tune: impl FnOnce(&mut Tuning)) -> Option<Self> {
        Some(Self::tuned(Cluster::alone(test).await?, tune).await)
    }

    async fn tuned(cluster: Cluster, tune: impl FnOnce(&mut Tuning)) -> Self {
        let kubernetes = KubernetesSettings::new(&cluster.namespace, &cluster.agent_image);
        let kubernetes = KubernetesSettings { kubeconfig: Some(cluster.kubeconfig.clone()), ..kubernetes };
        let patience = engine::Patience { retry: Duration::from_secs(1), ..engine::Patience::default() };
        let mut tuning = Tuning { patience, kubernetes, agent_url: None };
        tune(&mut tuning);
        Self::on(cluster, Some(tuning)).await
    }

    /// The same for a test that breaks the cluster: no other test uses it meanwhile.
    pub(crate) async fn start_alone(test: &str) -> Option<Self> {
        Some(Self::on(Cluster::alone(test).await?, None).await)
    }

    /// The pod of an action, `stage.action`, once it is there.
    pub(crate) async fn pod_of(&self, action: &str) -> Pod {
        let select = ListParams::default().labels(&format!("containerops.io/action={action}"));
        let pod = self.found(async |_| {
            let pods = self.cluster.pods().list(&select).await.expect("a list of pods");
            pods.items.into_iter().next()
        });
        pod.await.expect("the action has a pod")
    }

    /// Waits until nothing of any attempt is left on the cluster.
    pub(crate) async fn until_nothing_is_left(&self) {
        let gone = self.found(async |_| self.cluster.left().await.is_empty().then_some(()));
        gone.await.expect("nothing is left on the cluster");
    }
}

impl<P: Place> Server<P> {
    /// A fresh server whose jobs run there.
    pub(crate) async fn at(place: P) -> Self {
        Self::on(place, None).await
    }

    /// Waits until its executor knows of nothing that is left.
    pub(crate) async fn until_no_attempt_is_left(&self) {
        let executor = &self.app().engine.executor;
        let gone = self.found(async |_| executor.attempts().await.expect("an answer").is_empty().then_some(()));
        gone.await.expect("nothing is left of any attempt");
    }

    async fn on(cluster: P, tuning: Option<Tuning>) -> Self {
        // every test may be the first one
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let directory = TempDir::new().expect("a directory for tests can be made");
        let ada = Worktree::new(directory.path().join("ada"));
        let any = format!("{}:0", cluster.host()).parse().expect("an address");
        let mut new = Self { cluster, address: any, ada, directory, tuning, running: None };
        new.resume().await;
        new.make_repository();
        new
    }

    /// Starts it, again on the same data and address.
    pub(crate) async fn resume(&mut self) {
        let listener = listen(self.address).await;
        self.address = listener.local_addr().expect("a bound socket has an address");
        let listener = listener.into_std().expect("it can be handed over");
        let (settings, address) = (self.settings(), self.address);
        let tuned = self.tuning.as_ref().map(|tuning| tuning.limits(&settings, &self.url()));
        let kubernetes = self.tuning.as_ref().map(|tuning| tuning.kubernetes.clone());
        let given = self.cluster.executor(&self.data());
        let runtime = Runtime::new().expect("a runtime");
        let serving = runtime.spawn(async move {
            let app = match (tuned.zip(kubernetes), given) {
                (None, None) => App::assemble(&settings, address).await.expect("the server can be put together"),
                (None, Some(executor)) => {
                    let limits = app::limits(&settings, &format!("http://{address}"));
                    assemble(&settings, limits, executor).await
                }
                (Some((limits, kubernetes)), _) => {
                    let kubernetes = Kubernetes::connect(kubernetes).await.expect("the kubeconfig can be read");
                    assemble(&settings, limits, Arc::new(kubernetes)).await
                }
            };
            let listener = TcpListener::from_std(listener).expect("a listener");
            tokio::spawn(app.clone().serve(listener, std::future::pending()));
            app
        });
        let app = serving.await.expect("the server starts");
        self.running = Some(Running { app, runtime: Some(runtime) });
    }

    /// Kills it: nothing is finished, nothing is said.
    pub(crate) async fn kill(&mut self) {
        let runtime = self.running.take().and_then(|mut running| running.runtime.take()).expect("it runs");
        let killed = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(5)));
        killed.await.expect("it can be killed");
    }

    /// Writes the operator's file of settings, and starts again with it.
    pub(crate) async fn set_up(&mut self, settings: &str) {
        std::fs::write(self.directory.path().join("containerops.toml"), settings).expect("it can be written");
        self.kill().await;
        self.resume().await;
    }

    /// The assembled parts.
    pub(crate) fn app(&self) -> &App {
        &self.running.as_ref().expect("it runs").app
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes a file into the worktree; the next push has it.
    pub(crate) fn writes(&self, path: &str, text: &str) {
        self.ada.write(path, text);
    }

    /// The story of a run, once it has ended.
    pub(crate) async fn end(&self, run: RunId) -> Story {
        self.until("the run ends", run, |story| matches!(story.run.state.0, RunState::Ended(_))).await
    }

    /// The story of a run, once it is as expected.
    pub(crate) async fn until(&self, what: &str, run: RunId, expected: impl Fn(&Story) -> bool) -> Story {
        self.until_within(PATIENCE, what, run, expected).await
    }

    /// The same for what takes long.
    pub(crate) async fn until_within(
        &self,
        patience: Duration,
        what: &str,
        run: RunId,
        expected: impl Fn(&Story) -> bool,
    ) -> Story {
        let mut last = None;
        let found = self.found_within(patience, async |tx| {
            let story = Story::read(tx, run).await;
            let told = story.told();
            if expected(&story) {
                return Some(story);
            }
            last = Some(told);
            None
        });
        let found = found.await;
        found.unwrap_or_else(|| panic!("{what}: not within {patience:?}; last seen:\n{}", last.unwrap_or_default()))
    }

    /// The bytes of an ended job's log, which must be all that its agent has counted.
    pub(crate) async fn log(&self, story: &Story, job: &str) -> Vec<u8> {
        let log = self.log_so_far(story, job).await;
        if let Some(record) = &story.job(job).record {
            assert_eq!(record.log.length, log.len() as u64, "the log is complete");
            assert_eq!(record.log.sha256, hex::encode(Sha256::digest(&log)), "the log is what the agent sent");
        }
        log
    }

    /// The same of a job that may still run.
    pub(crate) async fn text_so_far(&self, story: &Story, job: &str) -> String {
        String::from_utf8(self.log_so_far(story, job).await).expect("this log is text")
    }

    async fn log_so_far(&self, story: &Story, job: &str) -> Vec<u8> {
        let (engine, job) = (&self.app().engine, story.job(job).id);
        let mut log = Vec::new();
        while let Some(frame) = engine.frame_at_offset(job, log.len() as u64).await.expect("a log") {
            assert_eq!(frame.start, log.len() as u64, "nothing is missing between parts");
            log.extend_from_slice(&frame.text);
        }
        log
    }

    /// A job's log as text.
    pub(crate) async fn text(&self, story: &Story, job: &str) -> String {
        String::from_utf8(self.log(story, job).await).expect("this log is text")
    }

    /// What `git log --notes=containerops` shows at the run's commit, once the forge has been told everything.
    pub(crate) async fn notes(&self, story: &Story) -> String {
        let (repository, sha) = (story.run.repository_id, story.run.sha.clone());
        let told = self.found(async |tx| {
            let rows = tx.reports(repository, &sha).await.expect("the database answers");
            rows.iter().all(|row| row.acknowledged == row.wanted_digest).then_some(())
        });
        told.await.expect("the forge is told");
        self.ada.git(&["fetch", "--quiet", "origin", "+refs/notes/*:refs/notes/*"]);
        self.ada.git(&["notes", "--ref=containerops", "show", sha.as_str()])
    }

    /// Looks after every change until there is something, or nobody has the patience any more.
    pub(crate) async fn found<T>(&self, look: impl AsyncFnMut(&mut Tx) -> Option<T>) -> Option<T> {
        self.found_within(PATIENCE, look).await
    }

    async fn found_within<T>(&self, patience: Duration, mut look: impl AsyncFnMut(&mut Tx) -> Option<T>) -> Option<T> {
        let store = &self.app().engine.store;
        let mut bell = store.bell().listen();
        let begun = Instant::now();
        while begun.elapsed() < patience {
            let mut tx = store.read().await.expect("the database answers");
            if let Some(found) = look(&mut tx).await {
                return Some(found);
            }
            drop(tx);
            bell.wait(LOOK, |_| true).await;
        }
        None
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The settings as an operator writes them.
    fn settings(&self) -> Settings {
        let variables = [
            ("LISTEN", self.address.to_string()),
            ("ACCESS", "open".to_owned()),
            ("DATA", self.data().display().to_string()),
            // credentials of a forge, which must be seen nowhere else
            ("GITHUB_TOKEN", "marker-forge-token".to_owned()),
            ("GITHUB_WEBHOOK_SECRET", "marker-webhook-secret".to_owned()),
        ];
        let file = std::fs::read_to_string(self.directory.path().join("containerops.toml")).ok();
        // a test that writes one of the place's own settings into its file wants another
        let is_in_file = |name: &str| {
            let name = format!("{} =", name.to_ascii_lowercase());
            file.iter().flat_map(|file| file.lines()).any(|line| line.starts_with(&name))
        };
        let of_place = self.cluster.settings().into_iter().filter(|(name, _)| !is_in_file(name));
        let variables = variables.into_iter().chain(of_place);
        let variables = variables.map(|(name, value)| (format!("CONTAINEROPS_{name}"), value));
        Settings::read(variables, file.as_deref()).expect("good settings")
    }
}

impl Tuning {
    fn limits(&self, settings: &Settings, url: &str) -> engine::Settings {
        let limits = app::limits(settings, url);
        let agent_url = self.agent_url.clone().unwrap_or_else(|| limits.agent_url.clone());
        engine::Settings { patience: self.patience, agent_url, ..limits }
    }
}

async fn assemble(settings: &Settings, limits: engine::Settings, executor: Arc<dyn Executor>) -> App {
    std::fs::create_dir_all(&settings.git_root).expect("a directory can be made");
    let secret = git::secret(&settings.data).expect("a secret can be made");
    let forge: Arc<dyn Forge> = Arc::new(git::Git::new(settings.git_root.clone(), vec![secret]));
    let forges = BTreeMap::from([(ForgeKind::Git, forge)]);
    App::of_parts(settings, executor, forges, limits, Clock::System).await.expect("the server can be put together")
}

/// Listens there. The address of a server that was killed is free once its last thread is gone.
async fn listen(address: SocketAddr) -> TcpListener {
    let mut pause = tokio::time::interval(LOOK);
    let begun = Instant::now();
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{address}: {error}"),
        }
        pause.tick().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
