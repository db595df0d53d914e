//! Attempts as pods.
//!
//! An attempt is one pod and one Secret of the same name, made from the attempt's id; so every call can be repeated,
//! by any process, and what is left over can be found by its labels alone. The Secret is made after the pod and owned
//! by it from its first moment: there is never a Secret without a pod, the pod waits for nothing but its own tokens,
//! and the service account needs no right to read Secrets. Where images need keys, a second Secret holds them.
//!
//! Pods are in one namespace, or in one of their tenant, which is made when it is needed ([`home()`]).
//!
//! A finalizer holds a pod that someone deletes until [`Executor::remove`] is called, so that a deletion is seen.

mod area;
pub mod deploy;
mod examine;
mod heard;
mod home;
mod keeper;
mod moments;
mod observation;
mod outside;
mod patience;
mod pod;
mod policy;
mod refusal;
mod resources;
mod route;
mod waiting;
mod watch;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use kube::{
    Client, Config, ResourceExt as _,
    config::{KubeConfigOptions, Kubeconfig},
};

use self::{area::Area, keeper::Keeper};
pub use self::{
    examine::examine,
    heard::Heard,
    home::{Home, home},
    moments::moments,
    observation::{Seen, observation},
    patience::Patience,
    pod::{pod, registry_secret, secret},
    policy::lets_reach,
    route::our_address,
};
use super::{
    Changed, Executor, ExecutorError, ExecutorKind, Isolation, News, Observation, Placement, Sight, Unable,
    UntrustedCode, label,
};
use crate::model::{AttemptId, Resources};

/// The longest that one call of the API server may take.
const CALL_MAX: Duration = Duration::from_secs(10);
/// Between SIGTERM and SIGKILL when we end a pod: whoever asks for it has told the agent before.
const REMOVE_GRACE_SECONDS: u32 = 5;

/// Where pods go, and what is the same for all of them.
#[derive(Debug, Clone)]
pub struct KubernetesSettings {
    /// The namespace of trusted code, which must exist; where each tenant has its own, how their names begin.
    pub namespace: String,
    /// Whose namespaces there are.
    pub per: NamespacePer,
    /// Whether some images are privileged: the cluster is told that pods in namespaces of trusted code may be.
    pub privileged: bool,
    /// Which server's pods these are: others in the namespace are left alone. A label's value.
    pub server: String,
    /// An image with the agent at `/containerops-agent`, which can copy itself.
    pub agent_image: String,
    /// A kubeconfig whose current context is used. `None`: the service account of the pod we run in, or outside of
    /// any pod the default kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// What a job gets that asks for nothing. Its limits are also the limits of a job that names only requests, unless
    /// it asks for more.
    pub resources: Resources,
    /// The most bytes in an action's workspace, as a quantity: a pod that writes more is evicted.
    pub workspace_limit: String,
    /// The most bytes that a pod's agents keep while the server is away, as a quantity.
    pub scratch_limit: String,
    /// How long the cluster is waited for.
    pub patience: Patience,
    /// Where untrusted code runs; `None`: it does not.
    pub untrusted: Option<Box<Untrusted>>,
    /// Whether such code is run, as things are; what runs already is looked after.
    pub untrusted_code: UntrustedCode,
}

/// For whom there is a namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NamespacePer {
    /// For all that this server runs. Others make it.
    #[default]
    Server,
    /// For each organisation, or outermost group. We make them.
    Organisation,
    /// For each repository. We make them.
    Repository,
}

/// Where untrusted code runs, and how.
#[derive(Debug, Clone)]
pub struct Untrusted {
    /// The namespace, which is no other code's and must exist; where each tenant has its own, how their names begin.
    pub namespace: String,
    /// The `RuntimeClass` of its pods, where a flow names none.
    pub runtime: Option<String>,
    /// Whether its pods have users of their own, which are nobody on the node. Nodes must be able to.
    pub users: Users,
    /// What a job gets that asks for nothing.
    pub resources: Resources,
    /// The most bytes in an action's workspace, as a quantity.
    pub workspace_limit: String,
    /// The most bytes that a pod's agents keep while the server is away, as a quantity.
    pub scratch_limit: String,
}

/// Whose users a pod's are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Users {
    /// The node's.
    Shared,
    /// The pod's own.
    Own,
}

impl Untrusted {
    /// Code in this namespace; it gets half of what trusted code does.
    pub fn new(namespace: impl Into<String>) -> Self {
        let some = |quantity: &str| Some(quantity.to_owned());
        Self {
            namespace: namespace.into(),
            runtime: None,
            users: Users::Shared,
            resources: Resources {
                cpu: some("100m"),
                memory: some("128Mi"),
                cpu_limit: some("2"),
                memory_limit: some("2Gi"),
            },
            workspace_limit: "10Gi".to_owned(),
            scratch_limit: "2Gi".to_owned(),
        }
    }
}

impl KubernetesSettings {
    /// Settings for this namespace and agent image, of a server without a name; the rest as it fits most clusters.
    pub fn new(namespace: impl Into<String>, agent_image: impl Into<String>) -> Self {
        let some = |quantity: &str| Some(quantity.to_owned());
        Self {
            namespace: namespace.into(),
            per: NamespacePer::Server,
            privileged: false,
            server: "unnamed".to_owned(),
            agent_image: agent_image.into(),
            kubeconfig: None,
            resources: Resources {
                cpu: some("100m"),
                memory: some("128Mi"),
                cpu_limit: some("4"),
                memory_limit: some("4Gi"),
            },
            workspace_limit: "20Gi".to_owned(),
            scratch_limit: "4Gi".to_owned(),
            patience: Patience::default(),
            untrusted: None,
            untrusted_code: UntrustedCode::Taken,
        }
    }
}

impl KubernetesSettings {
    /// The namespace of an attempt; `None`: it has none here.
    pub fn namespace_of(&self, isolation: Isolation) -> Option<&str> {
        match isolation {
            Isolation::Usual => Some(&self.namespace),
            Isolation::Strict => self.untrusted.as_ref().map(|untrusted| untrusted.namespace.as_str()),
        }
    }
}

/// A cluster: where trusted code runs, and where untrusted.
pub struct Kubernetes {
    settings: KubernetesSettings,
    /// Of trusted code, and of all where each tenant has a namespace.
    usual: Area,
    /// Of untrusted code, if that has one namespace.
    strict: Option<Area>,
    keeper: Keeper,
    news: Arc<News>,
}

impl Kubernetes {
    /// Reads the access to the cluster and begins to watch. The API server need not answer yet.
    ///
    /// # Errors
    /// [`ExecutorError::Refused`] if there is no access to be read or it makes no sense.
    pub async fn connect(settings: KubernetesSettings) -> Result<Self, ExecutorError> {
        let config = access(&settings).await.map_err(|message| refused(&message))?;
        let server = config.cluster_url.clone();
        let client = Client::try_from(config).map_err(|error| refused(&error.to_string()))?;
        tracing::info!(%server, namespace = settings.namespace, "attempts become pods");
        let (news, keeper) = (Arc::<News>::default(), Keeper::new(client.clone()));
        let (usual, strict) = match settings.per {
            NamespacePer::Server => {
                let strict = settings.untrusted.as_ref().map(|untrusted| {
                    tracing::info!(%server, namespace = untrusted.namespace, "attempts of untrusted code become pods");
                    Area::watch(&settings, Some(&untrusted.namespace), &client, &news).optional()
                });
                (Area::watch(&settings, Some(&settings.namespace), &client, &news), strict)
            }
            NamespacePer::Organisation | NamespacePer::Repository => {
                (Area::watch(&settings, None, &client, &news), None)
            }
        };
        Ok(Self { settings, usual, strict, keeper, news })
    }

    /// Whether this process runs in a pod, with a service account's access to its cluster.
    pub fn is_inside() -> bool {
        std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
    }

    /// The area of an attempt, and the namespace there that it goes into.
    async fn place(&self, placement: &Placement) -> Result<(&Area, String), ExecutorError> {
        let nowhere = || refused("there is no namespace for untrusted code");
        if self.settings.per != NamespacePer::Server {
            let home = home(placement, &self.settings).ok_or_else(nowhere)?;
            self.keeper.keep(&home).await?;
            return Ok((&self.usual, home.name));
        }
        let name = self.settings.namespace_of(placement.isolation).ok_or_else(nowhere)?;
        let area = match placement.isolation {
            Isolation::Usual => &self.usual,
            Isolation::Strict => self.strict.as_ref().ok_or_else(nowhere)?,
        };
        Ok((area, name.to_owned()))
    }

    fn areas(&self) -> impl Iterator<Item = &Area> {
        std::iter::once(&self.usual).chain(&self.strict)
    }
}

#[async_trait]
impl Executor for Kubernetes {
    fn kind(&self) -> ExecutorKind {
        ExecutorKind::Kubernetes
    }

    fn unable_to_isolate(&self) -> Option<Unable> {
        if self.settings.untrusted_code == UntrustedCode::Refused {
            return Some(Unable {
                message: "untrusted code would reach this server, where whoever does may do everything".to_owned(),
                hint: "set CONTAINEROPS_AGENT_LISTEN, or CONTAINEROPS_ACCESS=forge",
            });
        }
        self.settings.untrusted.is_none().then(|| Unable {
            message: "untrusted code has no namespace of its own on the cluster".to_owned(),
            hint: "set CONTAINEROPS_KUBERNETES_UNTRUSTED_NAMESPACE",
        })
    }

    fn makes_homes(&self) -> bool {
        self.settings.per != NamespacePer::Server
    }

    async fn start(&self, placement: &Placement) -> Result<(), ExecutorError> {
        let (area, namespace) = self.place(placement).await?;
        let pod = area.create_pod(&namespace, placement.attempt, &pod(placement, &self.settings)).await?;
        let (uid, namespace) = (pod.uid().unwrap_or_default(), pod.namespace().unwrap_or(namespace));
        // the pod waits for its tokens, so that all else is there when it begins to fetch images
        if let Some(keys) = registry_secret(placement, &uid, &self.settings) {
            area.create_secret(&namespace, &keys).await?;
        }
        area.create_secret(&namespace, &secret(placement, &uid, &self.settings)).await
    }

    async fn look(&self, attempt: AttemptId) -> Result<Sight, ExecutorError> {
        if let Some(strict) = &self.strict
            && !self.usual.knows(attempt).await
        {
            let seen = strict.look(attempt).await?;
            if seen.observation != Observation::Absent {
                return Ok(seen);
            }
        }
        self.usual.look(attempt).await
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), ExecutorError> {
        for area in self.areas() {
            area.remove(attempt).await?;
        }
        Ok(())
    }

    async fn attempts(&self) -> Result<Vec<AttemptId>, ExecutorError> {
        let mut all = Vec::new();
        for area in self.areas() {
            all.extend(area.attempts().await?);
        }
        Ok(all)
    }

    async fn changed(&self) -> Changed {
        self.news.next().await
    }
}

async fn access(settings: &KubernetesSettings) -> Result<Config, String> {
    let options = KubeConfigOptions::default();
    if let Some(path) = &settings.kubeconfig {
        let file = Kubeconfig::read_from(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let config = Config::from_custom_kubeconfig(file, &options).await;
        return config.map_err(|error| format!("{}: {error}", path.display()));
    }
    if Kubernetes::is_inside() {
        return Config::incluster().map_err(|error| format!("the pod's service account: {error}"));
    }
    Config::from_kubeconfig(&options).await.map_err(|error| format!("the default kubeconfig: {error}"))
}

fn attempt_of(object: &impl kube::ResourceExt) -> Option<AttemptId> {
    object.labels().get(label::ATTEMPT)?.parse().ok()
}

fn away(message: String) -> ExecutorError {
    ExecutorError::Away { kind: ExecutorKind::Kubernetes, message }
}

fn refused(message: &str) -> ExecutorError {
    ExecutorError::Refused { kind: ExecutorKind::Kubernetes, message: message.to_owned() }
}
