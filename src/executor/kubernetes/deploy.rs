//! What kubectl jobs do with a cluster: they apply objects, look at them, and take them back. Each call is made as a
//! service account of the namespace that is changed, by impersonation: what that account may do is what a job may do,
//! and the cluster's own log says on whose behalf it was done.

use std::{future::Future, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PropagationPolicy},
    core::GroupVersionKind,
    discovery::{self, ApiResource, Scope},
};
use serde_json::Value;

use super::{KubernetesSettings, access};

/// The owner of the fields that are applied, as the cluster knows it.
pub const MANAGER: &str = "containerops";
/// As long as an executor waits for an answer.
const CALL_MAX: Duration = Duration::from_secs(10);
/// More pods than this say nothing new about a rollout.
const PODS_MAX: u32 = 50;

/// The cluster did not do what a job asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// It cannot be reached, or cannot do it now: try again.
    #[error("{0}")]
    Away(String),
    /// It said no, and will say so again.
    #[error("{message}")]
    Refused {
        /// In one word, which tells nothing of the object.
        reason: String,
        /// In its own words.
        message: String,
    },
}

/// A cluster that can be changed.
pub struct Deployer {
    config: Config,
}

/// The cluster as a service account of one namespace sees it.
#[derive(Clone)]
pub struct Account {
    client: Client,
    namespace: String,
}

/// A kind of object, as the cluster serves it.
#[derive(Debug, Clone)]
pub struct Kind {
    resource: ApiResource,
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
}

impl Kind {
    /// `deployment.apps`, as kubectl calls it.
    pub fn noun(&self) -> String {
        let kind = self.resource.kind.to_ascii_lowercase();
        match self.resource.group.as_str() {
            "" => kind,
            group => format!("{kind}.{group}"),
        }
    }
}

impl Deployer {
    /// Reads the access to the cluster. The API server need not answer yet.
    ///
    /// # Errors
    /// What is wrong with the access.
    pub async fn connect(settings: &KubernetesSettings) -> Result<Self, String> {
        Ok(Self { config: access(settings).await? })
    }

    /// The cluster as this service account.
    ///
    /// # Errors
    /// [`DeployError::Away`] if no client can be made.
    pub fn account(&self, namespace: &str, account: &str) -> Result<Account, DeployError> {
        let mut config = self.config.clone();
        config.auth_info.impersonate = Some(format!("system:serviceaccount:{namespace}:{account}"));
        let client = Client::try_from(config).map_err(|error| DeployError::Away(error.to_string()))?;
        Ok(Account { client, namespace: namespace.to_owned() })
    }
}

impl Account {
    /// How the cluster serves a kind of object.
    ///
    /// # Errors
    /// [`DeployError`]; it is refused if the cluster knows no such kind.
    pub async fn kind(&self, api_version: &str, kind: &str) -> Result<Kind, DeployError> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let asked = GroupVersionKind::gvk(group, version, kind);
        let unknown = || DeployError::Refused {
            reason: "Unknown".to_owned(),
            message: format!("the cluster knows no kind {kind} of {api_version}"),
        };
        match call(discovery::pinned_kind(&self.client, &asked)).await {
            Ok((resource, capabilities)) => {
                Ok(Kind { resource, is_namespaced: capabilities.scope == Scope::Namespaced })
            }
            Err(CallError::Kube(kube::Error::Discovery(_))) => Err(unknown()),
            Err(CallError::Kube(kube::Error::Api(status))) if status.code == 404 => Err(unknown()),
            Err(error) => Err(error.into()),
        }
    }

    /// An object as it is; `None` if there is none of this name.
    ///
    /// # Errors
    /// [`DeployError`].
    pub async fn get(&self, kind: &Kind, name: &str) -> Result<Option<Value>, DeployError> {
        match call(self.api(kind).get_opt(name)).await {
            Ok(found) => found.map(value).transpose(),
            Err(error) => Err(error.into()),
        }
    }

    /// Applies an object, by force: what it says is what is wanted, whoever wanted something else.
    ///
    /// # Errors
    /// [`DeployError`].
    pub async fn apply(&self, kind: &Kind, name: &str, body: &Value) -> Result<Value, DeployError> {
        let params = PatchParams::apply(MANAGER).force();
        value(call(self.api(kind).patch(name, &params, &Patch::Apply(body))).await?)
    }

    /// Removes an object, with what depends on it. Nothing there is a success.
    ///
    /// # Errors
    /// [`DeployError`].
    pub async fn delete(&self, kind: &Kind, name: &str) -> Result<(), DeployError> {
        let params =
            DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
        match call(self.api(kind).delete(name, &params)).await {
            Ok(_) => Ok(()),
            Err(CallError::Kube(kube::Error::Api(status))) if status.code == 404 => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The pods that these labels select.
    ///
    /// # Errors
    /// [`DeployError`].
    pub async fn pods(&self, labels: &str) -> Result<Vec<Pod>, DeployError> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = ListParams::default().labels(labels).limit(PODS_MAX);
        Ok(call(pods.list(&params)).await?.items)
    }

    fn api(&self, kind: &Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource)
    }
}

enum CallError {
    Kube(kube::Error),
    Silent,
}

async fn call<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    match tokio::time::timeout(CALL_MAX, call).await {
        Ok(answer) => answer.map_err(CallError::Kube),
        Err(_) => Err(CallError::Silent),
    }
}

impl From<CallError> for DeployError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Silent => Self::Away(format!("the API server has not answered for {} s", CALL_MAX.as_secs())),
            // asked too often, or in trouble of its own: everything else it would say again
            CallError::Kube(kube::Error::Api(status)) if is_for_a_while(status.code, &status.message) => {
                Self::Away(format!("the API server answered {}: {}", status.code, status.message))
            }
            CallError::Kube(kube::Error::Api(status)) => {
                Self::Refused { reason: status.reason.clone(), message: status.message.clone() }
            }
            CallError::Kube(error) => Self::Away(format!("the API server cannot be reached: {error}")),
        }
    }
}

/// Whether the API server would say something else later. It answers 500 to objects that do not fit their schema, too:
/// of these only its own troubles pass.
fn is_for_a_while(code: u16, message: &str) -> bool {
    const PASSING: [&str; 4] = ["etcdserver", "timeout", "timed out", "connection"];
    match code {
        408 | 429 | 501.. => true,
        500 => PASSING.iter().any(|words| message.contains(words)),
        _ => false,
    }
}

fn value(object: DynamicObject) -> Result<Value, DeployError> {
    serde_json::to_value(object).map_err(|error| DeployError::Away(error.to_string()))
}
