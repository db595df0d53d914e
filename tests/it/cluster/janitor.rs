//! What a server leaves behind at a bad moment goes, and what is another's stays.

use std::time::Duration;

use containerops::{
    executor::{Container, Executor as _, Placement, kubernetes::Kubernetes},
    model::{AttemptId, Clock, JobId, Resources, RunId},
};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{ResourceExt as _, api::PostParams};
use serde_json::json;

use crate::harness::server::Server;

/// An attempt that ends by itself only after the test.
fn placement() -> Placement {
    let now = Clock::System.now();
    let container = Container {
        service: None,
        job: JobId::mint(now),
        name: "job-0".to_owned(),
        image: "docker.io/library/busybox:latest".to_owned(),
        resources: Resources::default(),
        privileged: false,
        token: "nobody's".to_owned().into(),
    };
    Placement {
        isolation: containerops::executor::Isolation::Usual,
        runtime: None,
        node: Default::default(),
        attempt: AttemptId::mint(now),
        run: RunId::mint(now),
        tenant: crate::pod::tenant("acme/other"),
        keys: Default::default(),
        flow: "ci".to_owned(),
        action: "other.other".to_owned(),
        containers: vec![container],
        deadline: Duration::from_secs(300),
        agent_url: "http://127.0.0.1:9".to_owned(),
    }
}

async fn other_server(server: &Server) -> (Kubernetes, AttemptId) {
    let (other, placement) = (server.cluster.executor().await, placement());
    other.start(&placement).await.expect("the other server places a pod");
    (other, placement.attempt)
}

/// A pod and a Secret of somebody who knows our labels, but not our server's.
async fn stranger(server: &Server) {
    let labels = json!({"app.kubernetes.io/managed-by": "containerops", "containerops.io/attempt": "0000000000007"});
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "stranger", "labels": labels},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [
            {"name": "main", "image": "docker.io/library/busybox:latest", "command": ["sleep", "600"]}]},
    }))
    .expect("a pod");
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": "stranger", "labels": labels}})).expect("a Secret");
    server.cluster.pods().create(&PostParams::default(), &pod).await.expect("it can be made");
    server.cluster.secrets().create(&PostParams::default(), &secret).await.expect("it can be made");
}

#[tokio::test]
async fn a_server_that_lost_its_database_removes_its_own_pods_and_nobody_elses() {
    let Some(mut server) = Server::start("janitor").await else { return };
    let flow = "stages:\n  - {name: long, image: busybox, run: \"echo ready; sleep 600\"}\n";
    let run = server.push(flow).await;
    server.until("the job writes", run, |story| story.has_lines("long/long/long", 1)).await;
    let ours = server.pod_of("long.long").await.name_any();
    stranger(&server).await;
    let (other, theirs) = other_server(&server).await;
    server.kill().await;
    for entry in std::fs::read_dir(server.data()).expect("the data directory").flatten() {
        if entry.file_name().to_string_lossy().starts_with("containerops.db") {
            std::fs::remove_file(entry.path()).expect("a file");
        }
    }
    server.resume().await;
    let left = server.found(async |_| {
        server.app().engine.sweep_forgotten().await.expect("the database answers");
        let left = server.cluster.left().await;
        (!left.iter().any(|name| name.ends_with(&ours))).then_some(left)
    });
    let left = left.await.expect("our pod and its Secret go");
    let expected = ["pod stranger", "secret stranger"].map(str::to_owned);
    let theirs_left = [format!("pod co-{theirs}"), format!("secret co-{theirs}")];
    for name in expected.iter().chain(&theirs_left) {
        assert!(left.contains(name), "{name} is not ours to remove: {left:?}");
    }
    assert_eq!(other.attempts().await.expect("the cluster answers"), [theirs], "each server sees its own alone");
    other.remove(theirs).await.expect("the other server removes its own");
}

#[tokio::test]
async fn a_secret_whose_pod_went_at_a_bad_moment_goes_with_it() {
    let Some(cluster) = crate::harness::cluster::Cluster::get("orphan").await else { return };
    let (executor, placement) = (cluster.executor().await, placement());
    executor.start(&placement).await.expect("it is placed");
    // the server dies between the pod's removal and the Secret's: the pod alone is taken away
    let name = format!("co-{}", placement.attempt);
    let release = kube::api::Patch::Merge(json!({"metadata": {"finalizers": null}}));
    cluster.pods().patch(&name, &kube::api::PatchParams::default(), &release).await.expect("it can be let go");
    cluster.pods().delete(&name, &kube::api::DeleteParams::default().grace_period(0)).await.expect("it goes");
    let begun = std::time::Instant::now();
    while !cluster.left().await.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(90), "left: {:?}", cluster.left().await);
        let _ = tokio::time::timeout(Duration::from_millis(500), executor.changed()).await;
    }
}
