//! Makes the namespaces of tenants, and what stands in them.
//!
//! What is there is applied again when it is to be something else, and from time to time, should somebody have changed
//! it. What was applied when is remembered by this process alone: applying it once more changes nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
    core::{GroupVersionKind, TypeMeta},
    discovery::ApiResource,
};
use serde_json::Value;

use super::{
    area::within,
    away,
    deploy::MANAGER,
    home::{Home, is_ours},
    refusal::Refusal,
    refused,
};
use crate::executor::ExecutorError;

/// What was applied is taken to be there for so long.
const TRUSTED_FOR: Duration = Duration::from_secs(300);

/// See above.
pub(super) struct Keeper {
    client: Client,
    /// By their names: what was applied, and when.
    kept: Mutex<HashMap<String, (Home, Instant)>>,
}

impl Keeper {
    pub(super) fn new(client: Client) -> Self {
        Self { client, kept: Mutex::default() }
    }

    /// Sees to it that the namespace is there, and is as it is to be.
    pub(super) async fn keep(&self, home: &Home) -> Result<(), ExecutorError> {
        if self.is_kept(home) {
            return Ok(());
        }
        self.is_free(&home.name).await?;
        for object in &home.objects {
            self.apply(object).await?;
        }
        tracing::info!(namespace = home.name, "a tenant's namespace is there");
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(home.name.clone(), (home.clone(), Instant::now()));
        Ok(())
    }

    fn is_kept(&self, home: &Home) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&home.name).is_some_and(|(known, at)| known == home && at.elapsed() < TRUSTED_FOR)
    }

    /// What others have made is not for us to change.
    async fn is_free(&self, name: &str) -> Result<(), ExecutorError> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let found = within(namespaces.get_opt(name)).await.map_err(|refusal| unkept(name, refusal))?;
        match found {
            Some(found) if !is_ours(found.labels()) => {
                Err(refused(&format!("a namespace {name} is there already, and ContainerOps has not made it")))
            }
            Some(found) if found.metadata.deletion_timestamp.is_some() => {
                Err(away(format!("the namespace {name} is being deleted: it is made again when it is gone")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Applies an object by force: what it says is what is wanted, whoever wanted something else.
    async fn apply(&self, object: &Value) -> Result<(), ExecutorError> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let types = TypeMeta { api_version: text(&object["apiVersion"]), kind: text(&object["kind"]) };
        let name = text(&object["metadata"]["name"]);
        let kind = GroupVersionKind::try_from(&types).map_err(|error| refused(&error.to_string()))?;
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let params = PatchParams::apply(MANAGER).force();
        let applied = within(api.patch(&name, &params, &Patch::Apply(object))).await;
        applied.map(drop).map_err(|refusal| unkept(&format!("{} {name}", kind.kind), refusal))
    }
}

/// Others than authors must do something about it, or it passes.
fn unkept(what: &str, refusal: Refusal) -> ExecutorError {
    away(format!("a tenant's namespace is not there yet: {what}: {}", refusal.message()))
}
