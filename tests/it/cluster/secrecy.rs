//! What of a flow is in the cluster: nothing that it says.

use k8s_openapi::api::core::v1::{Event, Secret};
use kube::{Api, api::ListParams};

use crate::harness::server::Server;

/// In every place of a flow where an author may write something secret, and in what the job does with it.
const FLOW: &str = r#"
environments: {FLOW_VARIABLE: marker-flow}
stages:
  - name: first
    image: busybox
    environments: {CO_DATA: marker-data}
    run: |
      echo "[COUT] KEY=marker-output"
      echo marker-script marker-log
    outputs: [KEY]
  - name: second
    jobs:
      - name: one
        image: busybox
        subscriptions: [{"first.first.first[KEY]": SUBSCRIBED}]
        run: |
          echo "marker-script $SUBSCRIBED"
          cat /containerops/token/token > stolen
          while ! test -e go; do sleep 0.1; done
      - name: two
        image: busybox
        command: [sh, -c, "ls /containerops; cat /containerops/token/token; echo; cat stolen; true marker-command"]
"#;

#[tokio::test]
async fn nothing_of_a_flow_is_in_the_clusters_objects() {
    let Some(server) = Server::start("secrecy").await else { return };
    let run = server.push(&FLOW.replace("while ! test -e go; do sleep 0.1; done", "sleep 3")).await;
    server
        .until("the second stage runs", run, |story| story.action("second/second").row.state.0.phase() == "running")
        .await;
    let pods = server.cluster.pods().list(&ListParams::default()).await.expect("a list of pods");
    assert!(!pods.items.is_empty(), "a pod runs");
    let secrets: Api<Secret> = server.cluster.secrets();
    let secrets = secrets.list(&ListParams::default()).await.expect("a list of Secrets");
    let events: Api<Event> = server.cluster.api();
    let events = events.list(&ListParams::default()).await.expect("a list of events");
    let seen = serde_json::to_string(&(pods, secrets, events)).expect("JSON");
    assert!(!seen.contains("marker"), "{}", around(&seen, "marker"));
    let story = server.end(run).await;
    assert!(story.told().starts_with("run: success"), "{}", story.told());
}

fn around<'a>(text: &'a str, word: &str) -> &'a str {
    let at = text.find(word).unwrap_or(0);
    &text[at.saturating_sub(300)..(at + 300).min(text.len())]
}
