//! Limits: of memory, of disk, of a namespace.

use std::collections::BTreeMap;

use containerops::model::Conclusion;
use k8s_openapi::{
    api::core::v1::{LimitRange, ResourceQuota},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use super::{SOON, final_words, given_up};
use crate::harness::server::Server;

/// A job with this script and 48 MiB.
fn tight(script: &str) -> String {
    format!(
        "stages:\n  - name: greedy\n    image: busybox\n    run: {script}\n    resources: {{memory: 16Mi, limits: {{memory: 48Mi}}}}\n"
    )
}

async fn quota(server: &Server, name: &str, most: &str) {
    let hard = BTreeMap::from([(name.to_owned(), Quantity(most.to_owned()))]);
    let quota = json!({ "metadata": { "name": "mine" }, "spec": { "hard": hard } });
    let quota: ResourceQuota = serde_json::from_value(quota).expect("a quota");
    server.cluster.api().create(&PostParams::default(), &quota).await.expect("the test may make quotas");
    let is_known = server.found(async |_| {
        let quotas = server.cluster.api::<ResourceQuota>();
        let known = quotas.get("mine").await.expect("the quota").status.and_then(|status| status.hard);
        known.filter(|hard| !hard.is_empty())
    });
    is_known.await.expect("the cluster counts it");
}

async fn limit(server: &Server, limits: serde_json::Value) {
    let range = json!({ "metadata": { "name": "mine" }, "spec": { "limits": [limits] } });
    let range: LimitRange = serde_json::from_value(range).expect("a LimitRange");
    server.cluster.api().create(&PostParams::default(), &range).await.expect("the test may make LimitRanges");
}

#[tokio::test]
async fn a_process_that_needs_too_much_memory_is_named_and_a_child_is_a_warning() {
    let Some(server) = Server::start("memory-kinds").await else { return };
    let said = final_words(&server, &tight("exec tail /dev/zero")).await;
    assert!(said.starts_with("out of memory (peak 4") && said.ends_with(" of 48 MiB)"), "{said}");
    let story = server.end(server.push(&tight("tail /dev/zero || echo so what")).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Warning), "{}", story.told());
    assert_eq!(story.action("greedy/greedy").row.reason, "success, but one of its processes was killed for memory");
}

#[tokio::test]
async fn a_full_quota_is_told_waited_for_and_then_named() {
    let start = Server::start_with("quota", |tuning| tuning.patience.room = SOON);
    let Some(server) = start.await else { return };
    quota(&server, "pods", "0").await;
    let flow = "stages: [{name: go, image: busybox, run: \"true\"}]";
    let run = server.push(flow).await;
    let story = server.until("it waits", run, |story| !story.action("go/go").row.reason.is_empty()).await;
    let reason = &story.action("go/go").row.reason;
    assert!(reason.contains("exceeded quota: mine, requested: pods=1, used: pods=0, limited: pods=0"), "{reason}");
    let (_, words) = given_up(&server, flow).await;
    assert!(words.starts_with("quota exceeded: ") && words.contains("exceeded quota: mine"), "{words}");
    server.cluster.api::<ResourceQuota>().delete("mine", &DeleteParams::default()).await.expect("it goes");
    let story = server.end(server.push(flow).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
}

#[tokio::test]
async fn what_the_namespace_never_allows_is_refused_at_once() {
    let Some(server) = Server::start("refused").await else { return };
    quota(&server, "limits.memory", "64Mi").await;
    let flow = "stages: [{name: go, image: busybox, run: \"true\"}]";
    let said = final_words(&server, flow).await;
    assert!(said.starts_with("refused: ") && said.contains("exceeded quota: mine"), "{said}");
    server.cluster.api::<ResourceQuota>().delete("mine", &DeleteParams::default()).await.expect("it goes");
    limit(&server, json!({ "type": "Container", "max": { "memory": "256Mi" } })).await;
    let said = final_words(&server, flow).await;
    assert!(said.starts_with("refused: ") && said.contains("maximum memory usage per Container is 256Mi"), "{said}");
}

#[tokio::test]
async fn a_full_workspace_is_the_authors() {
    let start = Server::start_with("disk", |tuning| tuning.kubernetes.workspace_limit = "8Mi".to_owned());
    let Some(server) = start.await else { return };
    let flow = "stages: [{name: fill, image: busybox, run: \"dd if=/dev/zero of=big bs=1M count=20; exec sleep 600\"}]";
    let said = final_words(&server, flow).await;
    assert_eq!(said, "out of disk: Usage of EmptyDir volume \"workspace\" exceeds the limit \"8Mi\".");
}

#[tokio::test]
async fn a_containers_full_disk_is_the_authors() {
    let Some(server) = Server::start("ephemeral").await else { return };
    let some = json!({ "ephemeral-storage": "16Mi" });
    limit(&server, json!({ "type": "Container", "default": some, "defaultRequest": some })).await;
    let flow =
        "stages: [{name: fill, image: busybox, run: \"dd if=/dev/zero of=/big bs=1M count=40; exec sleep 600\"}]";
    let said = final_words(&server, flow).await;
    assert!(said.starts_with("out of disk: ") && said.contains("ephemeral"), "{said}");
}
