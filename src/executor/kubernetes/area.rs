//! A part of the cluster whose pods we look after: one namespace, or all that there are.

use std::{future::Future, sync::Arc};

use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};

use super::{
    CALL_MAX, KubernetesSettings, News, Observation, REMOVE_GRACE_SECONDS, attempt_of, away, label, refusal::Refusal,
    refused, watch::Watch,
};
use crate::{
    executor::{ExecutorError, Sight},
    model::AttemptId,
};

/// See above.
pub(super) struct Area {
    client: Client,
    /// `None`: every namespace.
    namespace: Option<String>,
    /// Whether it may be one of which we know nothing.
    optional: bool,
    server: String,
    watch: Watch,
}

impl Area {
    /// Begins to watch it. The API server need not be there yet.
    pub(super) fn watch(
        settings: &KubernetesSettings,
        namespace: Option<&str>,
        client: &Client,
        news: &Arc<News>,
    ) -> Self {
        let (pods, events): (Api<Pod>, Api<Event>) = match namespace {
            Some(name) => (Api::namespaced(client.clone(), name), Api::namespaced(client.clone(), name)),
            None => (Api::all(client.clone()), Api::all(client.clone())),
        };
        // pods of earlier releases do not say which server's they are, and are in one namespace
        let select = namespace.map_or_else(|| label::selector_of(&settings.server), |_| label::selector());
        let shown = namespace.unwrap_or("all");
        let watch = Watch::begin(pods, events, (shown, &select), settings.patience, Arc::clone(news));
        let (client, namespace) = (client.clone(), namespace.map(str::to_owned));
        Self { client, namespace, optional: false, server: settings.server.clone(), watch }
    }

    /// The same where it may be one of which we know nothing.
    pub(super) fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Every pod of ours that is in it.
    fn all_pods(&self) -> Api<Pod> {
        self.namespace.as_deref().map_or_else(|| Api::all(self.client.clone()), |name| self.pods(name))
    }

    /// The attempt's pod as the API server has it now.
    async fn find(&self, attempt: AttemptId) -> Result<Option<Pod>, ExecutorError> {
        let name = label::object_name(attempt);
        let place = self.namespace.clone().or_else(|| self.watch.place(&name));
        let found = match place {
            Some(namespace) => within(self.pods(&namespace).get_opt(&name)).await,
            None => self.search(attempt).await,
        };
        match found {
            Err(refusal) if self.optional && refusal.is_closed() => Ok(None),
            answer => answer.map_err(Refusal::away),
        }
    }

    /// Looks for it everywhere.
    async fn search(&self, attempt: AttemptId) -> Result<Option<Pod>, Refusal> {
        let select = format!("{},{}={attempt}", label::selector(), label::ATTEMPT);
        let found = within(self.all_pods().list(&ListParams::default().labels(&select).limit(1))).await?;
        Ok(found.items.into_iter().next())
    }

    /// Every attempt with a pod, as the API server has it now.
    async fn list(&self) -> Result<Vec<AttemptId>, ExecutorError> {
        let ours = ListParams::default().labels(&label::selector_of(&self.server));
        match within(self.all_pods().list_metadata(&ours)).await {
            // what we may not look into we could not have placed anything in
            Err(refusal) if self.optional && refusal.is_closed() => Ok(Vec::new()),
            answer => Ok(answer.map_err(Refusal::away)?.iter().filter_map(attempt_of).collect()),
        }
    }

    /// Makes the attempt's pod in this namespace of it, unless there is one.
    pub(super) async fn create_pod(
        &self,
        namespace: &str,
        attempt: AttemptId,
        wanted: &Pod,
    ) -> Result<Pod, ExecutorError> {
        // where there are many namespaces, it may be in another one since a setting was changed
        if self.namespace.is_none() && self.knows(attempt).await {
            return self.existing(attempt).await;
        }
        match within(self.pods(namespace).create(&PostParams::default(), wanted)).await {
            Ok(created) => {
                self.watch.note_place(&created);
                Ok(created)
            }
            Err(Refusal::Exists) => self.existing(attempt).await,
            Err(refusal) => Err(refusal.of_creation(namespace)),
        }
    }

    /// The pod that a call before this one made.
    async fn existing(&self, attempt: AttemptId) -> Result<Pod, ExecutorError> {
        let name = label::object_name(attempt);
        match self.find(attempt).await? {
            Some(pod) if attempt_of(&pod) == Some(attempt) => Ok(pod),
            Some(_) => Err(refused(&format!("a pod {name} is there already, and it is not ours"))),
            None => Err(away(format!("the pod {name} went away just now"))),
        }
    }

    /// Makes a Secret of the attempt beside its pod, unless it is there.
    pub(super) async fn create_secret(&self, namespace: &str, wanted: &Secret) -> Result<(), ExecutorError> {
        match within(self.secrets(namespace).create(&PostParams::default(), wanted)).await {
            Ok(_) | Err(Refusal::Exists) => Ok(()),
            Err(refusal) => Err(refusal.of_creation(namespace)),
        }
    }

    pub(super) async fn look(&self, attempt: AttemptId) -> Result<Sight, ExecutorError> {
        let name = label::object_name(attempt);
        if let Some(pod) = self.watch.newest(&name).await {
            return Ok(self.watch.look(&pod));
        }
        // The watch may not have heard of a pod that was made a moment ago, so its silence is no proof.
        Ok(self.find(attempt).await?.map_or_else(Sight::absent, |pod| self.watch.look(&pod)))
    }

    /// Its Secrets go first: they belong to the pod, which is found again for as long as it is there.
    pub(super) async fn remove(&self, attempt: AttemptId) -> Result<(), ExecutorError> {
        let found = self.find(attempt).await?.filter(|pod| attempt_of(pod) == Some(attempt));
        let Some(pod) = found else { return Ok(()) };
        let namespace = pod.namespace().unwrap_or_default();
        let secrets = self.secrets(&namespace);
        let of_registries = pod.spec.iter().flat_map(|spec| spec.image_pull_secrets.iter().flatten());
        let names = of_registries.map(|secret| secret.name.clone()).chain([label::object_name(attempt)]);
        for name in names {
            gone_is_fine(within(secrets.delete(&name, &DeleteParams::default())).await)?;
        }
        self.delete_pod(&pod, &namespace).await?;
        self.release_pod(&pod, &namespace).await
    }

    /// Asks for the pod's end. What ended by itself needs no time to end.
    async fn delete_pod(&self, pod: &Pod, namespace: &str) -> Result<(), ExecutorError> {
        let has_ended = matches!(self.watch.look(pod).observation, Observation::Ended { .. });
        let grace = if has_ended { 0 } else { REMOVE_GRACE_SECONDS };
        let params = DeleteParams { grace_period_seconds: Some(grace), ..DeleteParams::default() };
        gone_is_fine(within(self.pods(namespace).delete(&pod.name_any(), &params)).await)
    }

    /// Lets the pod go: we have seen all that we wanted to see.
    async fn release_pod(&self, pod: &Pod, namespace: &str) -> Result<(), ExecutorError> {
        let others: Vec<&String> = pod.finalizers().iter().filter(|name| *name != label::FINALIZER).collect();
        let patch = Patch::Merge(serde_json::json!({ "metadata": { "finalizers": others } }));
        let pods = self.pods(namespace);
        gone_is_fine(within(pods.patch(&pod.name_any(), &PatchParams::default(), &patch)).await)
    }

    pub(super) async fn attempts(&self) -> Result<Vec<AttemptId>, ExecutorError> {
        match self.watch.all().await {
            Some(pods) => {
                let ours = pods.iter().filter(|pod| label::is_of(pod.labels(), &self.server));
                Ok(ours.filter_map(|pod| attempt_of(pod.as_ref())).collect())
            }
            None => self.list().await,
        }
    }

    /// Whether the watch knows the attempt's pod.
    pub(super) async fn knows(&self, attempt: AttemptId) -> bool {
        self.watch.newest(&label::object_name(attempt)).await.is_some()
    }
}

/// A call of the API server, which may not take for ever.
pub(super) async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Refusal> {
    match tokio::time::timeout(CALL_MAX, call).await {
        Ok(answer) => answer.map_err(Refusal::from),
        Err(_) => Err(Refusal::Silent(CALL_MAX)),
    }
}

fn gone_is_fine<T>(answer: Result<T, Refusal>) -> Result<(), ExecutorError> {
    match answer {
        Ok(_) | Err(Refusal::Missing(_)) => Ok(()),
        Err(refusal) => Err(refusal.away()),
    }
}
