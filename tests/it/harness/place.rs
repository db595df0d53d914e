//! Where a server's jobs run in a test: a cluster, an engine with Docker's API, or this machine.

use std::{path::Path, sync::Arc};

use containerops::executor::{Executor, Process};

use super::{cluster::Cluster, image::registry, required};

/// A place for jobs.
pub(crate) trait Place {
    /// This machine's address as jobs reach it.
    fn host(&self) -> &str;

    /// What an operator sets for it.
    fn settings(&self) -> Vec<(&'static str, String)>;

    /// The executor, where the settings do not make it; `data` is the server's directory.
    fn executor(&self, _data: &Path) -> Option<Arc<dyn Executor>> {
        None
    }

    /// A registry that it pulls from.
    fn registry(&self) -> String {
        registry()
    }
}

impl Place for Cluster {
    fn host(&self) -> &str {
        &self.host
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("EXECUTOR", "kubernetes".to_owned()),
            ("KUBERNETES_NAMESPACE", self.namespace.clone()),
            ("KUBERNETES_AGENT_IMAGE", self.agent_image.clone()),
            ("KUBERNETES_KUBECONFIG", self.kubeconfig.display().to_string()),
            ("KUBERNETES_INSECURE_REGISTRIES", registry()),
        ]
    }
}

/// An engine of its own network, as `.ci/engine` starts one.
pub(crate) struct Engine {
    /// Its API.
    pub(crate) address: String,
    host: String,
    registry: String,
    agent: String,
}

impl Engine {
    /// The Docker that tests may use, or nothing: then it is said that the test skips.
    pub(crate) fn get() -> Option<Self> {
        Self::of("docker")
    }

    /// The Podman, likewise.
    pub(crate) fn podman() -> Option<Self> {
        Self::of("podman")
    }

    fn of(kind: &str) -> Option<Self> {
        let name = format!("CONTAINEROPS_TEST_{}", kind.to_uppercase());
        let address = required(kind, &name)?;
        let variable = |part: &str| {
            let name = format!("{name}_{part}");
            std::env::var(&name).unwrap_or_else(|_| panic!("a test on {kind} needs {name}; .ci/engine says it"))
        };
        let (host, registry, agent) = (variable("HOST_IP"), variable("REGISTRY"), variable("AGENT"));
        Some(Self { address, host, registry, agent })
    }
}

impl Place for Engine {
    fn host(&self) -> &str {
        &self.host
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("EXECUTOR", "docker".to_owned()),
            ("DOCKER_HOST", self.address.clone()),
            ("DOCKER_AGENT", self.agent.clone()),
            ("KUBERNETES_INSECURE_REGISTRIES", self.registry.clone()),
        ]
    }

    fn registry(&self) -> String {
        self.registry.clone()
    }
}

/// This machine.
pub(crate) struct Machine;

impl Place for Machine {
    fn host(&self) -> &str {
        "127.0.0.1"
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("EXECUTOR", "process".to_owned())]
    }

    /// With the agent alone: our own program is the tests'.
    fn executor(&self, data: &Path) -> Option<Arc<dyn Executor>> {
        let agent = vec![env!("CARGO_BIN_EXE_containerops-agent").into()];
        Some(Arc::new(Process::new(data.join("attempts"), agent)))
    }
}
