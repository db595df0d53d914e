//! Pods that someone takes away, or that no node takes.

use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use super::{SOON, TWICE, dies_once, given_up};
use crate::harness::server::Server;

#[tokio::test]
async fn a_deleted_pod_has_its_name() {
    let Some(server) = Server::start_with("deleted-pod", |_| {}).await else { return };
    let said = dies_once(&server, TWICE, async |server| {
        let name = server.pod_of("work.work").await.name_any();
        server.cluster.pods().delete(&name, &DeleteParams::default()).await.expect("someone deletes it");
    });
    assert_eq!(said.await, "pod deleted: the pod was deleted, but not by ContainerOps");
}

#[tokio::test]
async fn a_pod_that_is_torn_out_by_force_has_its_name() {
    let Some(server) = Server::start_with("torn-out", |_| {}).await else { return };
    let said = dies_once(&server, TWICE, async |server| {
        let (name, pods) = (server.pod_of("work.work").await.name_any(), server.cluster.pods());
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        let release = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        pods.patch(&name, &PatchParams::default(), &release).await.expect("someone takes our finalizer");
        pods.delete(&name, &at_once).await.expect("someone deletes it by force");
    });
    // between the order and the end the pod may be seen once more
    let told = ["nothing is left of it on the executor", "the pod was deleted, but not by ContainerOps"];
    let said = said.await;
    assert!(told.iter().any(|told| said == format!("pod deleted: {told}")), "{said}");
}

#[tokio::test]
async fn a_pod_that_fits_nowhere_is_given_up_with_the_schedulers_words() {
    let Some(server) = Server::start_with("nowhere", |tuning| tuning.kubernetes.patience.scheduling = SOON).await
    else {
        return;
    };
    let flow = "stages: [{name: huge, image: busybox, run: \"true\", resources: {cpu: 1000}}]";
    let (_, words) = given_up(&server, flow).await;
    assert!(words.starts_with("not scheduled: ") && words.contains("Insufficient cpu"), "{words}");
}
