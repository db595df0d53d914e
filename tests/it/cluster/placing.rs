//! Where pods run, and how strongly they are isolated: as the cluster says what it has.

use containerops::model::{ActionState, Conclusion};
use k8s_openapi::api::node::v1::RuntimeClass;
use kube::api::PostParams;
use serde_json::json;

use crate::harness::{server::Server, story::Story};

#[tokio::test]
async fn a_runtime_that_the_cluster_does_not_have_is_the_authors_mistake() {
    let Some(server) = Server::start("runtime").await else { return };
    let flow = "stages:\n  - {name: go, image: busybox, runtime: no-such-thing, run: \"true\"}\n";
    let story = server.end(server.push(flow).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Failure), "{}", story.told());
    let name = &story.action("go/go").attempts[0].0.id.to_string();
    insta::assert_snapshot!(story.action("go/go").row.reason.replace(name, "…"), @r#"refused: pods "co-…" is forbidden: pod rejected: RuntimeClass "no-such-thing" not found"#);
    server.until_nothing_is_left().await;
}

#[tokio::test]
async fn a_runtime_that_the_cluster_has_is_the_pods() {
    let Some(server) = Server::start("isolated").await else { return };
    // the runtime that every containerd has, by a name of our own
    let name = server.cluster.namespace.clone();
    let class = serde_json::from_value(json!({"metadata": {"name": name}, "handler": "runc"})).expect("a class");
    server.cluster.all::<RuntimeClass>().create(&PostParams::default(), &class).await.expect("it can be made");
    let flow = format!("stages:\n  - {{name: go, image: busybox, runtime: {name}, run: \"exec sleep 600\"}}\n");
    let run = server.push(&flow).await;
    server.until("it runs", run, |story| story.action("go/go").row.state.0 == ActionState::Running).await;
    let spec = server.pod_of("go.go").await.spec.expect("a spec");
    assert_eq!(spec.runtime_class_name.as_ref(), Some(&name));
    server.app().engine.cancel(run, "ada").await.expect("it can be cancelled");
    server.end(run).await;
    server.until_nothing_is_left().await;
    server.cluster.all::<RuntimeClass>().delete(&name, &Default::default()).await.expect("it can be removed");
}

#[tokio::test]
async fn labels_that_a_node_has_place_a_pod_and_others_are_waited_for_in_the_clusters_words() {
    let Some(server) = Server::start("labels").await else { return };
    let flow = r#"
stages:
  - {name: here, image: busybox, node: {kubernetes.io/os: linux}, run: "true"}
  - {name: nowhere, image: busybox, node: {acme.example/pool: none}, run: "true"}
"#;
    let run = server.push(flow).await;
    let told = |story: &Story| !story.action("nowhere/nowhere").row.reason.is_empty();
    let story = server.until("the reason is told", run, told).await;
    assert_eq!(story.action("here/here").row.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
    let reason = &story.action("nowhere/nowhere").row.reason;
    assert!(reason.contains("didn't match Pod's node affinity"), "{reason}");
    server.app().engine.cancel(run, "ada").await.expect("it can be cancelled");
    server.end(run).await;
    server.until_nothing_is_left().await;
}
