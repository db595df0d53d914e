//! Jobs of type `kubectl`: the server applies manifests itself, waits until what they describe runs, and brings back
//! what was there before if it does not and the job says so.
//!
//! A job goes on step by step, under its action's lease. What a step has done is a row before the next one begins, and
//! what was there before an object is applied is a row before it is: whoever dies, another goes on at the same object,
//! and applying twice is applying once. Lines of the log are written with the row, so none is missing or doubled.

mod address;
mod apply;
mod former;
pub(super) mod log;
mod manifest;
mod progress;
mod repository;
mod roll_back;
mod rollout;
mod step;

use std::sync::Arc;

use super::EngineError;
use crate::{
    executor::kubernetes::deploy::{DeployError, Deployer},
    model::{AllowedNamespace, Event, Kubectl, Trust},
};

use address::Addresses;

/// What kubectl jobs need of the outside, and what they may.
#[derive(Clone)]
pub struct Deploys {
    inner: Arc<Inner>,
}

struct Inner {
    cluster: Option<Deployer>,
    allowed: Vec<AllowedNamespace>,
    addresses: Addresses,
}

impl Deploys {
    /// Puts the parts together: a cluster, if there is one, who may change what of it, and which private addresses may
    /// be asked.
    pub fn new(cluster: Option<Deployer>, allowed: Vec<AllowedNamespace>, private_urls: Vec<String>) -> Self {
        let addresses = Addresses::new(private_urls);
        Self { inner: Arc::new(Inner { cluster, allowed, addresses }) }
    }

    /// Why a job of this kind cannot run here, whatever is in its manifest.
    ///
    /// # Errors
    /// The reason, for its author.
    pub fn check(&self, job: &Kubectl, event: &Event) -> Result<(), String> {
        self.place(job, event).map(|_| ())
    }

    /// The cluster, and as whom it is changed.
    fn place(&self, job: &Kubectl, event: &Event) -> Result<(&Deployer, &str), String> {
        if let Trust::Untrusted(_) = event.trust {
            return Err("kubectl jobs run for trusted events only".to_owned());
        }
        let (name, namespace) = (&event.repository.name, &job.namespace);
        let is_meant = |one: &&AllowedNamespace| {
            one.repository == *name
                && one.namespace == *namespace
                && one.forge.is_none_or(|forge| forge == event.repository.forge)
        };
        let Some(allowed) = self.inner.allowed.iter().find(is_meant) else {
            return Err(format!(
                "{name} may not change namespace `{namespace}`: the server's administrator can allow it, with \
                 {name}={namespace} in CONTAINEROPS_KUBECTL_NAMESPACES"
            ));
        };
        match &self.inner.cluster {
            Some(cluster) => Ok((cluster, &allowed.account)),
            None => Err("kubectl jobs need the Kubernetes executor, or a cluster that the setting \
                         CONTAINEROPS_KUBERNETES_KUBECONFIG names"
                .to_owned()),
        }
    }
}

/// Why a step could not be taken.
#[derive(Debug)]
enum Trouble {
    /// It may be possible later.
    Later(String),
    /// It never will: the author's mistake, or the cluster's refusal.
    Never(String),
    /// Ours.
    Engine(EngineError),
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<crate::store::StoreError> for Trouble {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<DeployError> for Trouble {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Away(message) => Self::Later(message),
            DeployError::Refused { message, .. } => Self::Never(message),
        }
    }
}
