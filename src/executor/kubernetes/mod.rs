//! Attempts as pods.
//!
//! An attempt is one pod and one Secret of the same name, made from the attempt's id; so every call can be repeated,
//! by any process, and what is left over can be found by its labels alone. The Secret is made after the pod and owned
//! by it from its first moment: there is never a Secret without a pod, the pod waits for nothing but its own tokens,
//! and the service account needs no right to read Secrets.
//!
//! A finalizer holds a pod that someone deletes until [`Executor::remove`] is called, so that a deletion is seen.

pub mod deploy;
mod examine;
mod heard;
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
use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};

pub use self::{
    examine::examine,
    heard::Heard,
    moments::moments,
    observation::{Seen, observation},
    patience::Patience,
    pod::{pod, secret},
    policy::lets_reach,
    route::our_address,
};
use self::{refusal::Refusal, watch::Watch};
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
    /// The namespace; it must exist.
    pub namespace: String,
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

/// Where untrusted code runs, and how.
#[derive(Debug, Clone)]
pub struct Untrusted {
    /// The namespace, which is no other code's; it must exist.
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

/// A cluster: the namespace of trusted code, and that of untrusted.
pub struct Kubernetes {
    settings: KubernetesSettings,
    usual: Namespace,
    strict: Option<Namespace>,
    news: Arc<News>,
}

/// A namespace of a cluster.
struct Namespace {
    name: String,
    /// Whether it may be one of which we know nothing.
    optional: bool,
    server: String,
    pods: Api<Pod>,
    secrets: Api<Secret>,
    watch: Watch,
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
        let news = Arc::<News>::default();
        let usual = Namespace::of(&settings, &settings.namespace, &client, &news);
        let strict = settings.untrusted.as_ref().map(|untrusted| {
            tracing::info!(%server, namespace = untrusted.namespace, "attempts of untrusted code become pods");
            Namespace { optional: true, ..Namespace::of(&settings, &untrusted.namespace, &client, &news) }
        });
        Ok(Self { settings, usual, strict, news })
    }

    /// Whether this process runs in a pod, with a service account's access to its cluster.
    pub fn is_inside() -> bool {
        std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
    }

    /// Where an attempt goes.
    fn namespace(&self, isolation: Isolation) -> Result<&Namespace, ExecutorError> {
        let name = self.settings.namespace_of(isolation);
        let found = self.namespaces().find(|namespace| Some(namespace.name.as_str()) == name);
        found.ok_or_else(|| refused("there is no namespace for untrusted code"))
    }

    fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        std::iter::once(&self.usual).chain(&self.strict)
    }
}

impl Namespace {
    fn of(settings: &KubernetesSettings, name: &str, client: &Client, news: &Arc<News>) -> Self {
        let pods: Api<Pod> = Api::namespaced(client.clone(), name);
        let secrets = Api::namespaced(client.clone(), name);
        let events: Api<Event> = Api::namespaced(client.clone(), name);
        let watch = Watch::begin(pods.clone(), events, name, settings.patience, Arc::clone(news));
        Self { name: name.to_owned(), optional: false, server: settings.server.clone(), pods, secrets, watch }
    }

    /// The attempt's pod as the API server has it now.
    async fn get(&self, name: &str) -> Result<Option<Pod>, ExecutorError> {
        match self.call(self.pods.get_opt(name)).await {
            Err(refusal) if self.optional && refusal.is_closed() => Ok(None),
            answer => answer.map_err(Refusal::away),
        }
    }

    /// Every attempt with a pod, as the API server has it now.
    async fn list(&self) -> Result<Vec<AttemptId>, ExecutorError> {
        let ours = ListParams::default().labels(&label::selector_of(&self.server));
        match self.call(self.pods.list_metadata(&ours)).await {
            // what we may not look into we could not have placed anything in
            Err(refusal) if self.optional && refusal.is_closed() => Ok(Vec::new()),
            answer => Ok(answer.map_err(Refusal::away)?.iter().filter_map(attempt_of).collect()),
        }
    }

    async fn create_pod(&self, placement: &Placement, wanted: &Pod) -> Result<Pod, ExecutorError> {
        match self.call(self.pods.create(&PostParams::default(), wanted)).await {
            Ok(created) => Ok(created),
            Err(Refusal::Exists) => self.existing(placement.attempt).await,
            Err(refusal) => Err(refusal.of_creation(&self.name)),
        }
    }

    /// The pod that a call before this one made.
    async fn existing(&self, attempt: AttemptId) -> Result<Pod, ExecutorError> {
        let name = label::object_name(attempt);
        match self.get(&name).await? {
            Some(pod) if attempt_of(&pod) == Some(attempt) => Ok(pod),
            Some(_) => Err(refused(&format!("a pod {name} is there already, and it is not ours"))),
            None => Err(away(format!("the pod {name} went away just now"))),
        }
    }

    async fn create_secret(&self, wanted: &Secret) -> Result<(), ExecutorError> {
        match self.call(self.secrets.create(&PostParams::default(), wanted)).await {
            Ok(_) | Err(Refusal::Exists) => Ok(()),
            Err(refusal) => Err(refusal.of_creation(&self.name)),
        }
    }

    /// Asks for the pod's end. What ended by itself needs no time to end.
    async fn delete_pod(&self, pod: &Pod) -> Result<(), ExecutorError> {
        let has_ended = matches!(self.watch.look(pod).observation, Observation::Ended { .. });
        let grace = if has_ended { 0 } else { REMOVE_GRACE_SECONDS };
        let params = DeleteParams { grace_period_seconds: Some(grace), ..DeleteParams::default() };
        gone_is_fine(self.call(self.pods.delete(&pod.name_any(), &params)).await)
    }

    /// Lets the pod go: we have seen all that we wanted to see.
    async fn release_pod(&self, pod: &Pod) -> Result<(), ExecutorError> {
        let others: Vec<&String> = pod.finalizers().iter().filter(|name| *name != label::FINALIZER).collect();
        let patch = Patch::Merge(serde_json::json!({ "metadata": { "finalizers": others } }));
        gone_is_fine(self.call(self.pods.patch(&pod.name_any(), &PatchParams::default(), &patch)).await)
    }

    async fn call<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, Refusal> {
        match tokio::time::timeout(CALL_MAX, call).await {
            Ok(answer) => answer.map_err(Refusal::from),
            Err(_) => Err(Refusal::Silent(CALL_MAX)),
        }
    }

    async fn look(&self, attempt: AttemptId) -> Result<Sight, ExecutorError> {
        let name = label::object_name(attempt);
        if let Some(pod) = self.watch.newest(&name).await {
            return Ok(self.watch.look(&pod));
        }
        // The watch may not have heard of a pod that was made a moment ago, so its silence is no proof.
        Ok(self.get(&name).await?.map_or_else(Sight::absent, |pod| self.watch.look(&pod)))
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), ExecutorError> {
        let name = label::object_name(attempt);
        match self.call(self.secrets.delete(&name, &DeleteParams::default())).await {
            Err(refusal) if self.optional && refusal.is_closed() => {}
            answer => gone_is_fine(answer)?,
        }
        match self.get(&name).await? {
            Some(pod) if attempt_of(&pod) == Some(attempt) => {
                self.delete_pod(&pod).await?;
                self.release_pod(&pod).await
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn attempts(&self) -> Result<Vec<AttemptId>, ExecutorError> {
        match self.watch.all().await {
            Some(pods) => {
                let ours = pods.iter().filter(|pod| label::is_of(pod.labels(), &self.server));
                Ok(ours.filter_map(|pod| attempt_of(pod.as_ref())).collect())
            }
            None => self.list().await,
        }
    }

    /// Whether the watch knows the attempt's pod.
    async fn knows(&self, attempt: AttemptId) -> bool {
        self.watch.newest(&label::object_name(attempt)).await.is_some()
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

    async fn start(&self, placement: &Placement) -> Result<(), ExecutorError> {
        let namespace = self.namespace(placement.isolation)?;
        let pod = namespace.create_pod(placement, &pod(placement, &self.settings)).await?;
        let secret = secret(placement, &pod.uid().unwrap_or_default(), &self.settings);
        namespace.create_secret(&secret).await
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
        for namespace in self.namespaces() {
            namespace.remove(attempt).await?;
        }
        Ok(())
    }

    async fn attempts(&self) -> Result<Vec<AttemptId>, ExecutorError> {
        let mut all = Vec::new();
        for namespace in self.namespaces() {
            all.extend(namespace.attempts().await?);
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

fn gone_is_fine<T>(answer: Result<T, Refusal>) -> Result<(), ExecutorError> {
    match answer {
        Ok(_) | Err(Refusal::Missing(_)) => Ok(()),
        Err(refusal) => Err(refusal.away()),
    }
}

fn away(message: String) -> ExecutorError {
    ExecutorError::Away { kind: ExecutorKind::Kubernetes, message }
}

fn refused(message: &str) -> ExecutorError {
    ExecutorError::Refused { kind: ExecutorKind::Kubernetes, message: message.to_owned() }
}
