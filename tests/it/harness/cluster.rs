//! A namespace of a real cluster, for one test.

use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use containerops::executor::kubernetes::{Kubernetes, KubernetesSettings, Untrusted};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};

use super::{agents::Agents, kubeconfig};

/// Counts the namespaces of this process, so that tests of one name do not share theirs.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Marks our namespaces with the process that made them.
const TEST: &str = "containerops.io/test-process";

/// A namespace that goes when this is dropped.
pub(crate) struct Cluster {
    /// Its name.
    pub(crate) namespace: String,
    /// The server as the pods' agents see it.
    pub(crate) agents: Agents,
    /// This machine's address as pods reach it.
    pub(crate) host: String,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) agent_image: String,
    client: Client,
    /// Held until the namespace is gone.
    _use: File,
}

/// How a test uses the cluster, among all tests of this machine.
#[derive(Debug, Clone, Copy)]
enum Use {
    /// Beside others.
    Shared,
    /// With nobody beside it.
    Alone,
}

impl Cluster {
    /// A fresh namespace for the test of this name; `None` where tests may use no cluster.
    pub(crate) async fn get(test: &str) -> Option<Self> {
        Self::used(test, Use::Shared).await
    }

    /// The same for a test that stops parts of the cluster or fills its node: no other test runs meanwhile.
    pub(crate) async fn alone(test: &str) -> Option<Self> {
        Self::used(test, Use::Alone).await
    }

    async fn used(test: &str, how: Use) -> Option<Self> {
        let kubeconfig = kubeconfig()?;
        let lock = tokio::task::spawn_blocking(move || lock(how)).await.expect("the lock's thread ends");
        let agent_image = std::env::var("CONTAINEROPS_TEST_AGENT_IMAGE")
            .expect("CONTAINEROPS_TEST_AGENT_IMAGE names the image that .ci/agent-image made");
        let host = host();
        let client = connect(kubeconfig.clone()).await;
        remove_stale(&client).await;
        let namespace = format!("co-test-{}-{}-{test}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        create(&client, &namespace).await;
        Some(Self { namespace, agents: Agents::listen(&host).await, host, kubeconfig, agent_image, client, _use: lock })
    }

    /// An executor of its own, as a newly started process has it.
    pub(crate) async fn executor(&self) -> Kubernetes {
        self.executor_in(&self.namespace).await
    }

    /// The same for another namespace.
    pub(crate) async fn executor_in(&self, namespace: &str) -> Kubernetes {
        let settings = KubernetesSettings::new(namespace, &self.agent_image);
        let settings = KubernetesSettings { kubeconfig: Some(self.kubeconfig.clone()), ..settings };
        Kubernetes::connect(settings).await.expect("the kubeconfig can be read")
    }

    /// The same, with another namespace for untrusted code.
    pub(crate) async fn executor_beside(&self, untrusted: &str) -> Kubernetes {
        let settings = KubernetesSettings::new(&self.namespace, &self.agent_image);
        let (kubeconfig, untrusted) = (Some(self.kubeconfig.clone()), Some(Box::new(Untrusted::new(untrusted))));
        let settings = KubernetesSettings { kubeconfig, untrusted, ..settings };
        Kubernetes::connect(settings).await.expect("the kubeconfig can be read")
    }

    /// The namespace's pods.
    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The namespace's Secrets.
    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Other objects of the namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Who may do everything.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Objects that are in no namespace.
    pub(crate) fn all<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::ClusterResourceScope, DynamicType = ()>,
    {
        Api::all(self.client.clone())
    }

    /// The names of our pods and Secrets that are there.
    pub(crate) async fn left(&self) -> Vec<String> {
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=containerops");
        let pods = self.pods().list(&ours).await.expect("a list of pods");
        let secrets = self.secrets().list(&ours).await.expect("a list of Secrets");
        let pods = pods.iter().map(|pod| format!("pod {}", pod.name_any()));
        pods.chain(secrets.iter().map(|secret| format!("secret {}", secret.name_any()))).collect()
    }
}

/// This machine's address as pods reach it.
pub(crate) fn host() -> String {
    variable("CONTAINEROPS_TEST_HOST_IP", "CLUSTER_HOST_IP")
}

/// What the cluster says of itself; ours comes first, for clusters that are set up in another way.
pub(super) fn variable(ours: &str, clusters: &str) -> String {
    let value = std::env::var(ours).or_else(|_| std::env::var(clusters));
    value.unwrap_or_else(|_| panic!("a test on a cluster needs {ours} or {clusters}"))
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let (kubeconfig, namespace) = (self.kubeconfig.clone(), self.namespace.clone());
        // The test's own runtime may be ending: this needs one of its own.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { remove(&connect(kubeconfig).await, &namespace).await });
        });
        if removal.join().is_err() {
            eprintln!("the namespace {} was not removed", self.namespace);
        }
    }
}

/// Waits until the cluster is whole, for what uses it beside others without a namespace of its own here.
pub(crate) fn shared() -> File {
    lock(Use::Shared)
}

/// Waits until the cluster may be used like this. The lock is the file's, so it holds between processes, too.
fn lock(how: Use) -> File {
    let path = std::env::temp_dir().join("containerops-test-cluster.lock");
    let file = File::options().create(true).append(true).open(path).expect("the lock can be opened");
    match how {
        Use::Shared => file.lock_shared(),
        Use::Alone => file.lock(),
    }
    .expect("the lock can be had");
    file
}

async fn connect(kubeconfig: PathBuf) -> Client {
    // Every test may be the first one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let file = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.expect("a kubeconfig");
    Client::try_from(config).expect("a client")
}

async fn create(client: &Client, name: &str) {
    let labels = BTreeMap::from([(TEST.to_owned(), std::process::id().to_string())]);
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = Namespace { metadata, ..Namespace::default() };
    namespaces.create(&PostParams::default(), &namespace).await.expect("the test may create namespaces");
}

/// Removes the namespaces of tests that were killed.
async fn remove_stale(client: &Client) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let ours = namespaces.list(&ListParams::default().labels(TEST)).await.expect("the cluster answers");
    for namespace in ours {
        let process = namespace.labels().get(TEST).cloned().unwrap_or_default();
        if !std::path::Path::new("/proc").join(process).exists() {
            remove(client, &namespace.name_any()).await;
        }
    }
}

/// Our finalizer would hold the pods, and they the namespace.
async fn remove(client: &Client, name: &str) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let _ = namespaces.delete(name, &DeleteParams::default()).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), name);
    let release = Patch::Merge(serde_json::json!({ "metadata": { "finalizers": null } }));
    for pod in pods.list(&ListParams::default()).await.into_iter().flatten() {
        let _ = pods.patch(&pod.name_any(), &PatchParams::default(), &release).await;
    }
}
