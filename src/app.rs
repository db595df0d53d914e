//! Puts the parts together and keeps the loops going. Nothing else knows everything.

mod forges;
mod loops;

use std::{
    collections::BTreeMap,
    future::Future,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use futures::FutureExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    blob::Blobs,
    engine::{self, Engine, Key, Parts, kubectl::Deploys},
    executor::{
        Executor,
        kubernetes::{Kubernetes, KubernetesSettings, deploy::Deployer},
        process::Process,
        registry::Registry,
    },
    flow::Given,
    forge::{Forge, mirror::Mirrors},
    model::{Clock, ForgeKind},
    report::Reporter,
    settings::{ExecutorChoice, Settings},
    store::Store,
    web,
};

pub use forges::{forge, github};

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
        let limits = limits(settings, &format!("http://{listen}"));
        Self::with_forges(settings, forges::forges(settings)?, limits).await
    }

    /// Assembles the service by its settings, but with these forges.
    ///
    /// # Errors
    /// As [`App::assemble`].
    pub async fn with_forges(
        settings: &Settings,
        forges: BTreeMap<ForgeKind, Arc<dyn Forge>>,
        limits: engine::Settings,
    ) -> Result<Self> {
        make_dir(&settings.data)?;
        let executor = executor(settings, &key(&settings.secret_key_file)?).await?;
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
            deploys: deploys(settings).await?,
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
        artifact_limit: settings.artifact_limit,
        artifact_keep: settings.artifact_keep,
        cache_limit: settings.cache_limit,
        contact_timeout: settings.contact_timeout,
        sweep_interval: settings.sweep_interval,
        patience: engine::Patience::default(),
        given: Given::default(),
    }
}

async fn executor(settings: &Settings, key: &Key) -> Result<Arc<dyn Executor>> {
    let why = if settings.executor.is_some() { "by setting" } else { "found" };
    if let Some(with) = kubernetes(settings) {
        tracing::info!(executor = "kubernetes", why, namespace = with.namespace, "executor chosen");
        return Ok(Arc::new(Kubernetes::connect(KubernetesSettings { server: key.server(), ..with }).await?));
    }
    tracing::warn!(executor = "process", why, "executor chosen: it isolates nothing; for trying out only");
    let program = std::env::current_exe().context("finding our own program")?;
    let directory = absolute(&settings.data)?.join("attempts");
    Ok(Arc::new(Process::new(directory, vec![program.into(), "agent".into()])))
}

/// The cluster that the settings choose; `None` if jobs are processes.
pub fn kubernetes(settings: &Settings) -> Option<KubernetesSettings> {
    let found = if Kubernetes::is_inside() { ExecutorChoice::Kubernetes } else { ExecutorChoice::Process };
    match settings.executor.unwrap_or(found) {
        ExecutorChoice::Kubernetes => {
            let with = KubernetesSettings::new(&settings.kubernetes_namespace, &settings.kubernetes_agent_image);
            Some(KubernetesSettings { kubeconfig: settings.kubeconfig.clone(), ..with })
        }
        ExecutorChoice::Process => None,
    }
}

/// What kubectl jobs may change, and where. A cluster is looked for only if someone may change something of it.
async fn deploys(settings: &Settings) -> Result<Deploys> {
    let found = kubernetes(settings).or_else(|| {
        let with = KubernetesSettings::new(&settings.kubernetes_namespace, &settings.kubernetes_agent_image);
        settings.kubeconfig.clone().map(|kubeconfig| KubernetesSettings { kubeconfig: Some(kubeconfig), ..with })
    });
    let cluster = match found.filter(|_| !settings.kubectl_namespaces.is_empty()) {
        Some(with) => Some(Deployer::connect(&with).await.map_err(anyhow::Error::msg).context("kubectl jobs")?),
        None => None,
    };
    for allowed in &settings.kubectl_namespaces {
        tracing::info!(%allowed, "kubectl jobs may change a namespace");
    }
    Ok(Deploys::new(cluster, settings.kubectl_namespaces.clone(), settings.kubectl_private_urls.clone())?)
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
