//! Puts the parts together and keeps the loops going. Nothing else knows everything.

mod forges;

use std::{
    collections::{BTreeMap, HashSet},
    future::Future,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use futures::{FutureExt as _, future::BoxFuture};
use futures::{StreamExt as _, stream::FuturesUnordered};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    blob::Blobs,
    engine::{self, Engine, Key, Parts, drive::Driven},
    executor::{
        Executor,
        kubernetes::{Kubernetes, KubernetesSettings},
        process::Process,
        registry::Registry,
    },
    forge::{Forge, mirror::Mirrors},
    model::{Clock, ForgeKind},
    report::Reporter,
    settings::{ExecutorChoice, Settings},
    store::{Change, Store},
    web,
};

pub use forges::forge;

/// A loop looks at the database at least this often, whatever it was not told.
const LOOK: Duration = Duration::from_secs(1);
/// Time limits are whole seconds: looking more often would change nothing.
const SETTLE: Duration = Duration::from_secs(5);
/// What is forgotten has time.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// What webhooks did not bring is late already; each place has its own interval.
const RECOVER: Duration = Duration::from_secs(30);
/// After trouble with the database a loop waits this long, so that a full disk does not fill the log.
const TROUBLE: Duration = Duration::from_secs(2);
/// Open requests get this long to end when the server is told to stop: long polls and live logs end by themselves.
const GRACE: Duration = Duration::from_secs(3);

/// The whole service, assembled and not yet listening.
#[derive(Clone)]
pub struct App {
    /// What decides and drives.
    pub engine: Engine,
    /// What tells forges.
    pub reporter: Reporter,
}

impl App {
    /// Assembles the service by its settings, with the executor and forges that they name.
    ///
    /// # Errors
    /// If a part cannot be set up; the message says which and what to do.
    pub async fn assemble(settings: &Settings, listen: SocketAddr) -> Result<Self> {
        make_dir(&settings.data)?;
        let executor = executor(settings).await?;
        let forges = forges::forges(settings)?;
        let limits = limits(settings, &format!("http://{listen}"));
        Self::of_parts(settings, executor, forges, limits, Clock::System).await
    }

    /// Assembles the service of given parts: what tests do, with a modelled outside.
    ///
    /// # Errors
    /// If the database, the blobs or the server's key cannot be opened.
    pub async fn of_parts(
        settings: &Settings,
        executor: Arc<dyn Executor>,
        forges: BTreeMap<ForgeKind, Arc<dyn Forge>>,
        limits: engine::Settings,
        clock: Clock,
    ) -> Result<Self> {
        make_dir(&settings.data)?;
        make_dir(&limits.scratch)?;
        let store = Store::open(&settings.database_url).await.context("opening the database")?;
        let engine = Engine::new(Parts {
            blobs: Blobs::open(&settings.blob_url).context("opening the place for logs and snapshots")?,
            mirrors: Mirrors::new(settings.data.join("mirrors")),
            registry: Registry::new(settings.insecure_registries.clone())?,
            key: key(&settings.secret_key_file)?,
            store: store.clone(),
            forges: forges.clone(),
            executor,
            clock: clock.clone(),
            settings: limits,
        });
        Ok(Self { engine, reporter: Reporter::new(store, forges, clock) })
    }

    /// Serves until `stop` is over, then lets open requests end and closes the database. Pods go on.
    ///
    /// # Errors
    /// If the listener breaks.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let (stopping, stopped) = watch::channel(false);
        let loops = self.start_loops(&stopped);
        let router = web::router(self.engine.clone());
        let mut heard = stopped.clone();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
            let _ = heard.wait_for(|stopped| *stopped).await;
        });
        let mut serving = tokio::spawn(serving.into_future());
        tokio::select! {
            ended = &mut serving => ended.context("the web server panicked")?.context("the web server")?,
            () = stop => {
                tracing::info!("stopping: running jobs go on, and are found again at the next start");
                stopping.send_replace(true);
                if tokio::time::timeout(GRACE, &mut serving).await.is_err() {
                    serving.abort();
                }
            }
        }
        stopping.send_replace(true);
        loops.join_all().await;
        self.engine.store.close().await;
        Ok(())
    }

    /// Does all that is due, again and again, until nothing is. For tests, which have no loops.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn drain(&self) -> Result<()> {
        loop {
            while let Some(changed) = self.engine.executor.changed().now_or_never() {
                self.engine.hurry(&changed).await?;
            }
            let mut done = self.engine.keep_contact().await?;
            done += self.engine.intake().await?;
            done += self.engine.make_sources().await?;
            done += self.engine.drive().await?;
            done += self.engine.sweep().await?;
            done += self.engine.seal_logs().await?;
            done += self.reporter.tell().await?;
            if done == 0 {
                return Ok(());
            }
        }
    }

    fn start_loops(&self, stopped: &watch::Receiver<bool>) -> JoinSet<()> {
        let mut loops = JoinSet::new();
        for round in ROUNDS {
            loops.spawn(keep_going(round, self.clone(), stopped.clone()));
        }
        loops.spawn(keep_driving(self.engine.clone(), stopped.clone()));
        loops.spawn(keep_telling(self.clone(), stopped.clone()));
        let (app, mut stopped) = (self.clone(), stopped.clone());
        loops.spawn(async move {
            tokio::select! {
                () = app.engine.hear_executor() => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        });
        loops
    }
}

/// What the engine is allowed, and where things are. `url` stands in for URLs that the settings leave out.
pub fn limits(settings: &Settings, url: &str) -> engine::Settings {
    let public_url = settings.public_url.as_deref().unwrap_or(url);
    engine::Settings {
        public_url: public_url.to_owned(),
        agent_url: settings.agent_url.as_deref().unwrap_or(public_url).to_owned(),
        scratch: settings.data.join("scratch"),
        job_timeout: settings.job_timeout,
        run_timeout: settings.run_timeout,
        log_limit: settings.log_limit,
        contact_timeout: settings.contact_timeout,
        patience: engine::Patience::default(),
        sweep_interval: settings.sweep_interval,
    }
}

/// Something that is done again and again.
struct Round {
    /// For log lines.
    name: &'static str,
    /// How long to wait when there was nothing to do.
    pause: Duration,
    /// Which changes end the wait early.
    wakes: fn(Change) -> bool,
    /// Does what is due, and says how much that was.
    tick: fn(App) -> BoxFuture<'static, Result<usize>>,
}

/// All but driving and telling, where each action and each call goes at its own pace.
const ROUNDS: [Round; 8] = [
    Round {
        name: "intake",
        pause: LOOK,
        wakes: |change| change == Change::Delivery,
        tick: |app| async move { Ok(app.engine.intake().await?) }.boxed(),
    },
    Round {
        name: "recover",
        pause: RECOVER,
        wakes: |_| false,
        // its pace is what a forge's limits allow, whatever there is to do
        tick: |app| async move { Ok(app.engine.recover().await.map(|_| 0)?) }.boxed(),
    },
    Round {
        name: "sources",
        pause: LOOK,
        wakes: |change| matches!(change, Change::Run(_)),
        tick: |app| async move { Ok(app.engine.make_sources().await?) }.boxed(),
    },
    Round {
        name: "sweep",
        pause: LOOK,
        wakes: |change| matches!(change, Change::Attempt(_)),
        tick: |app| async move { Ok(app.engine.sweep().await?) }.boxed(),
    },
    Round {
        name: "seal",
        pause: LOOK,
        wakes: |change| matches!(change, Change::Attempt(_)),
        tick: |app| async move { Ok(app.engine.seal_logs().await?) }.boxed(),
    },
    Round {
        name: "contact",
        pause: SETTLE,
        wakes: |_| false,
        tick: |app| async move { Ok(app.engine.keep_contact().await.map(|_| 0)?) }.boxed(),
    },
    Round {
        name: "settle",
        pause: SETTLE,
        wakes: |_| false,
        tick: |app| async move { Ok(app.engine.settle_overdue().await.map(|()| 0)?) }.boxed(),
    },
    Round {
        name: "forgotten",
        pause: FORGOTTEN,
        wakes: |_| false,
        tick: |app| async move { Ok(app.engine.sweep_forgotten().await.map(|()| 0)?) }.boxed(),
    },
];

/// Repeats a round: at once while there is something to do, else when a change wakes it or the pause is over.
async fn keep_going(round: Round, app: App, mut stopped: watch::Receiver<bool>) {
    let mut bell = app.engine.store.bell().listen();
    while !*stopped.borrow() {
        let pause = match (round.tick)(app.clone()).await {
            Ok(0) => round.pause,
            Ok(_) => continue,
            Err(error) => {
                tracing::error!(loop.name = round.name, error = format!("{error:#}"), "round failed");
                TROUBLE
            }
        };
        tokio::select! {
            () = bell.wait(pause, round.wakes) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }
}

/// Drives every action at its own pace: a registry that does not answer holds up no action but its own. At the end the
/// steps that were begun are taken to theirs, so that no lease stays behind.
async fn keep_driving(engine: Engine, mut stopped: watch::Receiver<bool>) {
    let moved = |change| matches!(change, Change::Run(_) | Change::Attempt(_) | Change::Executor);
    let mut bell = engine.store.bell().listen();
    let (mut under_way, mut steps, mut resting) = (HashSet::new(), FuturesUnordered::new(), Vec::new());
    while !*stopped.borrow() {
        // those that are not written down are looked at again, no more
        if let Err(error) = engine.let_rest(&std::mem::take(&mut resting)).await {
            tracing::error!(loop.name = "drive", %error, "round failed");
        }
        let due = engine.actions_due().await.unwrap_or_else(|error| {
            tracing::error!(loop.name = "drive", %error, "round failed");
            Vec::new()
        });
        for id in due.into_iter().filter(|id| under_way.insert(*id)) {
            let engine = &engine;
            steps.push(async move { (id, engine.drive_one(id).await) });
        }
        loop {
            tokio::select! {
                Some((id, driven)) = steps.next() => {
                    under_way.remove(&id);
                    match driven {
                        Driven::Stepped => break,
                        Driven::Rests(action) => resting.push(action),
                        Driven::Left => {}
                    }
                }
                () = bell.wait(LOOK, moved) => break,
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
        }
    }
    steps.for_each(|_| std::future::ready(())).await;
}

/// Tells forges, each call at its own pace: a forge that does not answer holds up no other. Calls that are under way at
/// the end get a moment; what is not heard by then is asked for at the next start.
async fn keep_telling(app: App, mut stopped: watch::Receiver<bool>) {
    let mut bell = app.engine.store.bell().listen();
    let mut calls = FuturesUnordered::new();
    let failed = |error| tracing::error!(loop.name = "report", %error, "round failed");
    while !*stopped.borrow() {
        match app.reporter.errands().await {
            Ok(errands) => calls.extend(errands.into_iter().map(|errand| app.reporter.run(errand))),
            Err(error) => failed(error),
        }
        tokio::select! {
            Some(done) = calls.next() => done.unwrap_or_else(failed),
            () = bell.wait(LOOK, |change| change == Change::Report) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }
    let _ = tokio::time::timeout(GRACE, calls.for_each(|_| std::future::ready(()))).await;
}

async fn executor(settings: &Settings) -> Result<Arc<dyn Executor>> {
    let in_a_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let choice =
        settings.executor.unwrap_or(if in_a_pod { ExecutorChoice::Kubernetes } else { ExecutorChoice::Process });
    let why = if settings.executor.is_some() { "by setting" } else { "found" };
    match choice {
        ExecutorChoice::Kubernetes => {
            let mut with = KubernetesSettings::new(&settings.kubernetes_namespace, &settings.kubernetes_agent_image);
            with.kubeconfig.clone_from(&settings.kubeconfig);
            tracing::info!(executor = "kubernetes", why, namespace = with.namespace, "executor chosen");
            Ok(Arc::new(Kubernetes::connect(with).await?))
        }
        ExecutorChoice::Process => {
            tracing::warn!(executor = "process", why, "executor chosen: it isolates nothing; for trying out only");
            let program = std::env::current_exe().context("finding our own program")?;
            let directory = absolute(&settings.data)?.join("attempts");
            Ok(Arc::new(Process::new(directory, vec![program.into(), "agent".into()])))
        }
    }
}

/// The server's own key, made at the first start.
fn key(file: &Path) -> Result<Key> {
    let reading = || format!("reading the server's key {}", file.display());
    if !file.exists() {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).context("making the server's key")?;
        let text = SecretString::from(hex::encode(bytes));
        // a file of its own first, so that a crash leaves no half a key
        let half = file.with_extension("new");
        let mut options = std::fs::OpenOptions::new();
        let mut new = options.write(true).create(true).truncate(true).mode(0o600).open(&half).with_context(reading)?;
        new.write_all(text.expose_secret().as_bytes())?;
        new.sync_all()?;
        std::fs::rename(&half, file).with_context(reading)?;
    }
    let text = std::fs::read_to_string(file).with_context(reading)?;
    let bytes = hex::decode(text.trim()).with_context(reading)?;
    if bytes.len() < 32 {
        bail!("the server's key {} has fewer than 32 bytes", file.display());
    }
    Ok(Key::new(bytes))
}

fn make_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("making the directory {}", path.display()))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("finding {}", path.display()))
}
