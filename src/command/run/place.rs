//! Where the jobs of a run by hand run: its settings, and where agents find us.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use tokio::net::TcpListener;

use crate::{
    app::{self, Chosen},
    command::serve,
    engine::Engine,
    executor::{ExecutorKind, kubernetes},
    settings::Settings,
    store::Change,
};

/// What is left of a run is waited for as long; then whoever looks after the place must do it.
const TIDY_MAX: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(200);
/// An executor that is there answers sooner.
const THERE_WITHIN: Duration = Duration::from_secs(10);
/// The settings of the service that say how an executor is reached; the rest is about a service that stays.
const OURS: [&str; 10] = [
    "CONTAINEROPS_LISTEN",
    "CONTAINEROPS_AGENT_",
    "CONTAINEROPS_DOCKER_",
    "CONTAINEROPS_KUBERNETES_",
    "CONTAINEROPS_INSECURE_REGISTRIES",
    "CONTAINEROPS_JOB_TIMEOUT",
    "CONTAINEROPS_RUN_TIMEOUT",
    "CONTAINEROPS_LOG_LIMIT",
    "CONTAINEROPS_ARTIFACT_LIMIT",
    "CONTAINEROPS_CACHE_LIMIT",
];

/// An executor by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::command) enum Name {
    /// Processes of this machine, with no isolation at all.
    Process,
    /// Containers of Docker or Podman, on this machine's own network.
    Docker,
    /// Pods of the cluster that the current kubeconfig names.
    Kubernetes,
}

impl Name {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Docker => "docker",
            Self::Kubernetes => "kubernetes",
        }
    }

    /// Settings for a run that keeps everything below `data`.
    pub(in crate::command) fn settings(self, data: &Path) -> Result<Settings> {
        let own = |name: &str, value: String| (format!("CONTAINEROPS_{name}"), value);
        let inherited = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| OURS.iter().any(|ours| name.starts_with(ours)));
        let fixed = [
            own("DATA", data.to_string_lossy().into_owned()),
            // it goes with its directory, and nobody reads it after a crash
            own("DATABASE_URL", format!("sqlite-scratch:{}", data.join("containerops.db").display())),
            own("EXECUTOR", self.as_str().to_owned()),
        ];
        Ok(Settings::read(inherited.chain(fixed), None)?)
    }
}

/// Listens where this executor's agents can reach us, and nobody else if that can be helped.
pub(in crate::command) async fn listen(settings: &Settings) -> Result<TcpListener> {
    if std::env::var_os("CONTAINEROPS_LISTEN").is_some() {
        return serve::listen(settings.listen).await;
    }
    let address: SocketAddr = match app::chosen(settings).await {
        Chosen::Kubernetes(cluster) => (kubernetes::our_address(&cluster).await?, 0).into(),
        Chosen::Docker(_) | Chosen::Process => ([127, 0, 0, 1], 0).into(),
    };
    serve::listen(address).await.context("listening for agents")
}

/// Whoever calls a command does not wait for an executor that is away, as a service would.
pub(in crate::command) async fn is_there(engine: &Engine) -> Result<()> {
    let asked = tokio::time::timeout(THERE_WITHIN, engine.executor.attempts()).await;
    let kind = engine.executor.kind().as_str();
    asked.with_context(|| format!("the {kind} executor does not answer"))?.map(drop).map_err(Into::into)
}

/// Waits until nothing is left of the run but what dies with our directory.
pub(in crate::command) async fn tidy(engine: &Engine) {
    match engine.executor.kind() {
        ExecutorKind::Process => return,
        ExecutorKind::Kubernetes | ExecutorKind::Docker => {}
    }
    let mut bell = engine.store.bell().listen();
    let gone = async {
        while engine.executor.attempts().await.map_or(true, |left| !left.is_empty()) {
            bell.wait(LOOK, |change| matches!(change, Change::Attempt(_) | Change::Executor)).await;
        }
    };
    if tokio::time::timeout(TIDY_MAX, gone).await.is_err() {
        tracing::error!("something of this run is left on the executor");
    }
}
