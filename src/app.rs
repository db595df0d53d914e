//! Puts the parts together and keeps the loops going. Nothing else knows everything.

mod access;
mod exposure;
mod forges;
mod loops;
mod part;

use std::{
    collections::BTreeMap,
    future::Future,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    blob::{BlobError, Blobs, Keys, S3},
    engine::{self, Engine, Key, Parts, Tells, Vault, kubectl::Deploys, trace::Tracer},
    executor::{
        Executor, UntrustedCode,
        docker::{self, Docker, DockerSettings},
        kubernetes::{Kubernetes, KubernetesSettings, NamespacePer, Untrusted, Users, deploy::Deployer},
        process::Process,
        registry::Registry,
    },
    flow::Given,
    forge::{Forge, mirror::Mirrors},
    model::{Clock, ForgeKind},
    notify::{self, Notifier},
    report::Reporter,
    settings::{self, ExecutorChoice, PerChoice, Settings},
    store::Store,
    web::{self, access::Access, serve::Bounds},
};

pub use exposure::Exposure;
pub use forges::{forge, gitea, github, gitlab};
pub use part::{Part, PartsDone};

/// Where an engine is, if it is anywhere.
const DOCKER_HOST: &str = "unix:///var/run/docker.sock";
/// What is under way gets this long to end when the server is told to stop: requests first, and then what loops do. Long
/// polls and live logs are told to come again.
const GRACE: Duration = Duration::from_secs(3);

/// Where a service listens, and how it leaves.
#[derive(Debug)]
pub struct Addresses {
    /// For people, forges and programs; and for agents, if they have none of their own.
    pub people: TcpListener,
    /// For agents alone.
    pub agents: Option<TcpListener>,
    /// For whoever watches the service.
    pub watchers: Option<TcpListener>,
    /// How long it goes on when it is to stop, so that whoever sends requests hears that it is not ready any more.
    pub drain: Duration,
}

/// The whole service, assembled and not yet listening.
#[derive(Clone)]
pub struct App {
    /// What decides and drives.
    pub engine: Engine,
    /// What tells forges.
    pub reporter: Reporter,
    /// What tells receivers.
    pub notifier: Notifier,
    /// Who may see and change what.
    pub access: Arc<Access>,
    /// What this process does of it.
    does: PartsDone,
    /// How many may be connected.
    bounds: Bounds,
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
        let blobs = blobs(settings).await.context("opening the place for logs and snapshots")?;
        let store = Store::open_with(&settings.database_url, settings.database_connections);
        let store = store.await.context("opening the database")?;
        // servers whose machines do not agree on the time must agree on leases all the same
        let clock = if matches!(clock, Clock::System) { store.clock() } else { clock };
        let own = key(&settings.secret_key_file)?;
        let how =
            "give each server the same CONTAINEROPS_SECRET_KEY_FILE; if theirs is lost, empty the table `agreements`";
        store.agree("secret key", &own.server(), how).await?;
        let notifier = Notifier::new(store.clone(), clock.clone(), notices(settings, &limits))?;
        let engine = Engine::new(Parts {
            blobs,
            mirrors: Mirrors::new(settings.data.join("mirrors")),
            registry: Registry::new(settings.insecure_registries.clone(), crate::reach::public_only),
            deploys: deploys(settings).await?,
            key: own,
            vault: Vault::open(&settings.secret_key_file)?,
            store: store.clone(),
            forges: forges.clone(),
            executor,
            clock: clock.clone(),
            tracer: settings.traces.as_ref().map(|to| Tracer::new(&to.url, to.headers.clone())),
            settings: limits,
        });
        let access = Access::new(access::access(settings, &engine.settings.public_url));
        let bounds = bounds(settings);
        let reporter = Reporter::new(store, forges, clock);
        Ok(Self { engine, reporter, notifier, access, does: PartsDone::all(), bounds })
    }

    /// All that it answers.
    pub fn router(&self) -> axum::Router {
        web::router(self.engine.clone(), Arc::clone(&self.access))
    }

    /// Serves until `stop` is over, then lets open requests end and closes the database. Pods go on.
    ///
    /// # Errors
    /// If the listener breaks.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        self.serve_with(listener, None, stop).await
    }

    /// The same, with an address more for agents alone.
    ///
    /// # Errors
    /// As [`App::serve`].
    pub async fn serve_with(
        self,
        people: TcpListener,
        agents: Option<TcpListener>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        self.serve_at(Addresses { people, agents, watchers: None, drain: Duration::ZERO }, stop).await
    }

    /// Serves at all of these addresses until `stop` is over. Then it is not ready any more, and for as long as it is to
    /// drain everything else goes on; what is live is told to come again; nobody is let in any more, and what is under
    /// way gets a moment to end; the loops end, and what they hold is given back.
    ///
    /// # Errors
    /// If the listeners break.
    pub async fn serve_at(self, at: Addresses, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let (stopping, stopped) = watch::channel(false);
        let loops = self.start_loops(&stopped);
        let pulse = self.engine.store.meters().pulse().clone();
        let serving = self.listen(at.people, at.agents, at.watchers, &stopped);
        stop.await;
        tracing::info!("stopping: running jobs go on, and are found again at the next start");
        pulse.stop();
        tokio::time::sleep(at.drain).await;
        pulse.close();
        stopping.send_replace(true);
        serving.join_all().await;
        loops.join_all().await;
        self.engine.store.close().await;
        tracing::info!("stopped");
        Ok(())
    }

    /// Answers at each address until `stopped` says so.
    fn listen(
        &self,
        people: TcpListener,
        agents: Option<TcpListener>,
        watchers: Option<TcpListener>,
        stopped: &watch::Receiver<bool>,
    ) -> JoinSet<()> {
        let mut serving = JoinSet::new();
        let mut serve = |listener: TcpListener, router: axum::Router| {
            let mut heard = stopped.clone();
            let with = (self.bounds, self.engine.store.meters().clone());
            serving.spawn(async move {
                let stop = async move { drop(heard.wait_for(|stopped| *stopped).await) };
                web::serve::serve(listener, router, with, GRACE, stop).await;
            });
        };
        let parts = || (self.engine.clone(), Arc::clone(&self.access));
        let is_web = self.does.has(Part::Web);
        let of_people = match &agents {
            _ if !is_web => web::probes_router(parts().0, parts().1),
            Some(_) => web::people_router(parts().0, parts().1),
            None => self.router(),
        };
        serve(people, of_people);
        if let Some(agents) = agents.filter(|_| is_web) {
            serve(agents, web::agent_router(parts().0, parts().1));
        }
        if let Some(watchers) = watchers {
            serve(watchers, web::watch_router(parts().0, parts().1));
        }
        serving
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
            done += self.engine.start_scheduled().await?;
            done += self.engine.intake().await?;
            done += self.engine.reply_to_comments().await?;
            done += self.engine.make_sources().await?;
            done += self.engine.drive().await?;
            done += self.engine.sweep().await?;
            done += self.engine.seal_logs().await?;
            done += self.reporter.tell().await?;
            done += self.notifier.notify().await?;
            done += self.engine.send_traces().await?;
            if done == 0 {
                return Ok(());
            }
        }
    }
}

const fn bounds(settings: &Settings) -> Bounds {
    let limits = &settings.limits;
    Bounds {
        connections: limits.connections,
        of_source: limits.source_connections,
        of_neighbour: limits.neighbour_connections,
        head_within: web::serve::HEAD_WITHIN,
    }
}

/// What the engine is allowed, and where things are. `url` stands in for URLs that the settings leave out.
pub fn limits(settings: &Settings, url: &str) -> engine::Settings {
    let public_url = settings.public_url.as_deref().unwrap_or(url);
    engine::Settings {
        public_url: public_url.to_owned(),
        agent_url: agent_url(settings, public_url),
        scratch: settings.data.join("scratch"),
        job_timeout: settings.job_timeout,
        run_timeout: settings.run_timeout,
        log_limit: settings.log_limit,
        artifact_limit: settings.artifact_limit,
        artifact_keep: settings.artifact_keep,
        cache_limit: settings.cache_limit,
        retention: settings.retention.clone(),
        queue_limit: settings.limits.queue,
        contact_timeout: settings.contact_timeout,
        triggers: settings.trigger_repositories.clone(),
        untrusted: settings.untrusted.rules.clone(),
        privileged: settings.privileged_images.clone(),
        tells: if settings.smtp.is_some() { Tells::All } else { Tells::Webhooks },
        sweep_interval: settings.sweep_interval,
        patience: engine::Patience::default(),
        given: Given::default(),
    }
}

/// The place for blobs. One that is away for a moment comes back; one that will not have us is the operator's to mend.
///
/// # Errors
/// If there is no such place, or it refuses.
pub async fn blobs(settings: &Settings) -> Result<Blobs, BlobError> {
    let blobs = open_blobs(settings)?;
    match blobs.look().await {
        Err(BlobError::Away(error)) => tracing::warn!(%error, "the place for logs and snapshots is away: going on"),
        looked => looked?,
    }
    Ok(blobs)
}

/// The same, unseen.
///
/// # Errors
/// [`BlobError::Address`], [`BlobError::Away`].
pub fn open_blobs(settings: &Settings) -> Result<Blobs, BlobError> {
    let settings::S3Choice { endpoint, region, path_style, keys } = &settings.s3;
    let keys = keys.clone().map(|(id, secret)| Keys { id, secret });
    let s3 = S3 { endpoint: endpoint.clone(), region: region.clone(), path_style: *path_style, keys };
    Blobs::open_with(&settings.blob_url, &s3)
}

/// Where agents are told that the server is.
pub fn agent_url(settings: &Settings, public_url: &str) -> String {
    let own = || settings.agent_listen.map(|address| format!("http://{address}"));
    settings.agent_url.clone().or_else(own).unwrap_or_else(|| public_url.to_owned())
}

async fn executor(settings: &Settings, key: &Key) -> Result<Arc<dyn Executor>> {
    let why = if settings.executor.is_some() { "by setting" } else { "found" };
    match chosen(settings).await {
        Chosen::Kubernetes(with) => {
            tracing::info!(executor = "kubernetes", why, namespace = with.namespace, "executor chosen");
            let exposure = Exposure::of(settings);
            if let Some((message, advice)) = exposure.words() {
                tracing::warn!(advice, "{message}");
            }
            let with = KubernetesSettings { untrusted_code: exposure.untrusted_code(), ..with };
            Ok(Arc::new(Kubernetes::connect(KubernetesSettings { server: key.server(), ..with }).await?))
        }
        Chosen::Docker(with) => {
            tracing::info!(executor = "docker", why, host = with.host, network = with.network, "executor chosen");
            Ok(Arc::new(Docker::connect(DockerSettings { server: key.server(), ..with })?))
        }
        Chosen::Process => {
            tracing::warn!(executor = "process", why, "executor chosen: it isolates nothing; for trying out only");
            let program = std::env::current_exe().context("finding our own program")?;
            let directory = absolute(&settings.data)?.join("attempts");
            let process = Process::new(directory, vec![program.into(), "agent".into()]);
            Ok(Arc::new(process.with(untrusted_code(settings))))
        }
    }
}

/// Where jobs run.
#[derive(Debug)]
pub enum Chosen {
    /// On a cluster.
    Kubernetes(KubernetesSettings),
    /// On an engine.
    Docker(DockerSettings),
    /// As processes of this machine.
    Process,
}

/// What the settings name, or what is found: a cluster whose pod we are in, an engine that answers, this machine.
pub async fn chosen(settings: &Settings) -> Chosen {
    match settings.executor {
        Some(ExecutorChoice::Kubernetes) => Chosen::Kubernetes(kubernetes(settings)),
        None if Kubernetes::is_inside() => Chosen::Kubernetes(kubernetes(settings)),
        Some(ExecutorChoice::Docker) => {
            let found = answering(settings).await.or_else(|| engines(settings).into_iter().next());
            Chosen::Docker(docker(settings, found.unwrap_or_else(|| DOCKER_HOST.to_owned())))
        }
        Some(ExecutorChoice::Process) => Chosen::Process,
        None => match answering(settings).await {
            Some(host) => Chosen::Docker(docker(settings, host)),
            None => Chosen::Process,
        },
    }
}

/// How receivers are told.
fn notices(settings: &Settings, limits: &engine::Settings) -> notify::Settings {
    let mail = settings.smtp.as_ref().map(|smtp| notify::MailServer {
        url: smtp.url.clone(),
        from: smtp.from.clone(),
        domains: smtp.domains.clone(),
    });
    let host = url::Url::parse(&limits.public_url).ok().and_then(|url| url.host_str().map(str::to_owned));
    notify::Settings {
        mail,
        private_urls: settings.webhook_private_urls.clone(),
        signing_keys: settings.webhook_secrets.clone(),
        host: host.unwrap_or_else(|| "localhost".to_owned()),
    }
}

/// What kubectl jobs may change, and where. A cluster is looked for only if someone may change something of it.
async fn deploys(settings: &Settings) -> Result<Deploys> {
    let is_cluster = match settings.executor {
        Some(ExecutorChoice::Kubernetes) => true,
        Some(ExecutorChoice::Docker | ExecutorChoice::Process) => false,
        None => Kubernetes::is_inside(),
    };
    let found = (is_cluster || settings.kubeconfig.is_some()).then(|| kubernetes(settings));
    let cluster = match found.filter(|_| !settings.kubectl_namespaces.is_empty()) {
        Some(with) => Some(Deployer::connect(&with).await.map_err(anyhow::Error::msg).context("kubectl jobs")?),
        None => None,
    };
    for allowed in &settings.kubectl_namespaces {
        tracing::info!(%allowed, "kubectl jobs may change a namespace");
    }
    Ok(Deploys::new(cluster, settings.kubectl_namespaces.clone(), settings.kubectl_private_urls.clone()))
}

fn kubernetes(settings: &Settings) -> KubernetesSettings {
    let with = KubernetesSettings::new(&settings.kubernetes_namespace, &settings.kubernetes_agent_image);
    let untrusted = Untrusted {
        runtime: settings.untrusted.runtime.clone(),
        users: if settings.untrusted.own_users { Users::Own } else { Users::Shared },
        ..Untrusted::new(&settings.untrusted.namespace)
    };
    let per = match settings.kubernetes_namespace_per {
        PerChoice::Server => NamespacePer::Server,
        PerChoice::Organisation => NamespacePer::Organisation,
        PerChoice::Repository => NamespacePer::Repository,
    };
    KubernetesSettings {
        per,
        privileged: !settings.privileged_images.is_empty(),
        kubeconfig: settings.kubeconfig.clone(),
        untrusted: Some(Box::new(untrusted)),
        ..with
    }
}

/// The engine at this address, as the settings would have it. A server that only this machine reaches is reached by
/// containers in its own network alone.
pub fn docker(settings: &Settings, host: String) -> DockerSettings {
    let url = limits(settings, &format!("http://{}", settings.listen)).agent_url;
    let found = if is_here_alone(&url) { "host" } else { "bridge" };
    DockerSettings {
        network: settings.docker_network.clone().unwrap_or_else(|| found.to_owned()),
        agent: settings.docker_agent.clone(),
        untrusted: untrusted_code(settings),
        ..DockerSettings::new(host, &settings.kubernetes_agent_image)
    }
}

const fn untrusted_code(settings: &Settings) -> UntrustedCode {
    match settings.untrusted.isolation {
        settings::Isolation::Required => UntrustedCode::Refused,
        settings::Isolation::None => UntrustedCode::Taken,
    }
}

async fn answering(settings: &Settings) -> Option<String> {
    for host in engines(settings) {
        if Docker::answers(&host).await {
            return Some(host);
        }
    }
    None
}

fn engines(settings: &Settings) -> Vec<String> {
    settings.docker_host.clone().map_or_else(docker::hosts, |host| vec![host])
}

/// Whether a URL is one that nobody but this machine can use.
pub fn is_here_alone(url: &str) -> bool {
    let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

/// The server's own key, made at the first start. Of several the oldest, which is the last: jobs' tokens and the labels
/// of pods are made of it, and stay the same when a new one is put before it.
fn key(file: &Path) -> Result<Key> {
    if !file.exists() {
        engine::add_key(file)?;
    }
    let oldest = engine::keys_in(file)?.pop();
    Ok(Key::new(oldest.with_context(|| format!("the server's key file {} is empty", file.display()))?))
}

fn make_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("making the directory {}", path.display()))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("finding {}", path.display()))
}
