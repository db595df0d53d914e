//! What of a flow is in the cluster: nothing that it says.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use containerops::{
    agent::protocol::{ClaimRequest, VERSION},
    model::{ForgeKind, SecretLevel, SecretLimits, SecretScope},
};
use k8s_openapi::api::core::v1::{ConfigMap, Event, PersistentVolumeClaim, Pod, ServiceAccount};
use kube::api::ListParams;
use reqwest::StatusCode;

use crate::harness::server::{REPOSITORY, Server};

/// A marker stands in every place where an author may write a secret, in what the jobs do with it, and in the
/// credentials of the forge that the server holds. A token is
/// written backwards, for no log shows one that it knows.
const FLOW: &str = r#"
environments: {FLOW_VARIABLE: marker-flow}
stages:
  - name: first
    image: busybox
    environments: {CO_DATA: marker-data}
    run: echo "[COUT] KEY=marker-output"
    outputs: [KEY]
  - name: second
    jobs:
      - name: one
        image: busybox
        subscriptions: [{"first.first.first[KEY]": SUBSCRIBED}]
        run: |
          echo "marker-script $SUBSCRIBED"
          cat /containerops/token/token
          echo
          rev /containerops/token/token
          echo
          while ! test -e /workspace/go; do sleep 0.1; done
      - name: two
        image: busybox
        command: [sh, -c, "rev /containerops/token/token; echo; true marker-command"]
  - {name: third, image: busybox, run: "echo marker-third"}
"#;

#[tokio::test]
async fn nothing_of_a_flow_is_in_the_clusters_objects_and_tokens_are_worth_nothing() {
    let Some(server) = Server::start("secrecy").await else { return };
    let flow = FLOW.replace("while ! test -e /workspace/go; do sleep 0.1; done", "sleep 4");
    let run = server.push(&flow).await;
    let story = server.until("the job writes its token", run, |story| story.has_lines("second/second/one", 3)).await;
    let objects = server.objects().await;
    assert!(!objects.contains("marker"), "{objects}");
    for own in ["git-webhook-secret", "secret-key"] {
        let secret = std::fs::read_to_string(server.data().join(own)).expect("a secret of the server");
        assert!(!objects.contains(secret.trim()), "{own} is in the cluster: {objects}");
    }
    let pod = server.pod_of("second.second").await;
    each_container_has_only_its_own_token(&pod);

    let log = server.text_so_far(&story, "second/second/one").await;
    let token: String = log.lines().nth(2).expect("the third line").chars().rev().collect();
    assert!(token.len() > 20 && !log.contains(&token), "the token itself is hidden: {log}");
    assert_eq!(server.claim(&token).await, StatusCode::UNAUTHORIZED, "another agent has used it");

    let story = server.end(run).await;
    assert!(story.told().starts_with("run: success"), "{}", story.told());
    let other = server.text(&story, "second/second/two").await;
    assert_ne!(other.trim().chars().rev().collect::<String>(), token, "each job has its own");
}

#[tokio::test]
async fn a_secret_reaches_its_job_and_is_in_no_object_of_the_cluster() {
    let Some(server) = Server::start("secrecy-value").await else { return };
    let (value, name) = ("marker-4711-of-the-vault", "DEPLOY_TOKEN".parse().expect("a name"));
    let of = REPOSITORY.parse().expect("a name");
    let scope = SecretScope { forge: ForgeKind::Git, level: SecretLevel::Repository, name: of };
    let set = server.app().engine.set_secret((&scope, &name), SecretLimits::default(), &value.into(), "ada").await;
    set.expect("it is set");
    let flow = r#"
stages:
  - name: ship
    image: busybox
    secrets: {TOKEN: DEPLOY_TOKEN}
    run: |
      echo "it is $TOKEN, backwards: $(echo "$TOKEN" | rev), in base64: $(echo -n "$TOKEN" | base64)"
      sleep 3
"#;
    let run = server.push(flow).await;
    let story = server.until("the job writes", run, |story| story.has_lines("ship/ship/ship", 1)).await;
    let objects = server.objects().await + &server.other_objects().await;
    assert!(objects.contains("containerops.io/attempt"), "the pod is among them");
    for form in [value, &value.chars().rev().collect::<String>(), &STANDARD.encode(value), "DEPLOY_TOKEN"] {
        assert!(!objects.contains(form), "{form} in {objects}");
    }
    let log = server.text_so_far(&story, "ship/ship/ship").await;
    let backwards: String = value.chars().rev().collect();
    assert_eq!(log, format!("it is ***, backwards: {backwards}, in base64: ***\n"), "the job has it, and it is hidden");
    let story = server.end(run).await;
    assert!(story.told().starts_with("run: success"), "{}", story.told());
    let below = std::process::Command::new("grep").args(["-rc", value]).arg(server.data()).output().expect("grep");
    let found = String::from_utf8(below.stdout).expect("text");
    assert!(found.lines().all(|line| line.ends_with(":0")), "{found}");
}

fn each_container_has_only_its_own_token(pod: &Pod) {
    let spec = pod.spec.as_ref().expect("a spec");
    for container in spec.containers.iter().filter(|container| container.name.starts_with("job-")) {
        let mounts = container.volume_mounts.iter().flatten().filter(|mount| mount.name.starts_with("token-"));
        let mounted: Vec<_> = mounts.map(|mount| mount.name.as_str()).collect();
        assert_eq!(mounted, [format!("token-{}", container.name)]);
        assert!(container.env.is_none() && container.env_from.is_none(), "no environment: {container:?}");
    }
    for volume in spec.volumes.iter().flatten() {
        let Some(secret) = &volume.secret else { continue };
        let keys: Vec<_> = secret.items.iter().flatten().map(|item| format!("token-{}", item.key)).collect();
        assert_eq!(keys, std::slice::from_ref(&volume.name), "one key of the Secret");
    }
}

impl Server {
    /// All objects of the namespace that a run leaves traces in, as text.
    async fn objects(&self) -> String {
        let all = ListParams::default();
        let pods = self.cluster.pods().list(&all).await.expect("a list of pods");
        assert!(!pods.items.is_empty(), "a pod runs");
        let secrets = self.cluster.secrets().list(&all).await.expect("a list of Secrets");
        // their values are in base64
        let values = secrets.iter().flat_map(|secret| secret.data.iter().flatten());
        let values: String =
            values.map(|(key, value)| format!("{key}: {}\n", String::from_utf8_lossy(&value.0))).collect();
        let events = self.cluster.api::<Event>().list(&all).await.expect("a list of events");
        serde_json::to_string_pretty(&(pods, secrets, events)).expect("JSON") + &values
    }

    /// What else may hold a text: ConfigMaps, and what others have written down of objects.
    async fn other_objects(&self) -> String {
        let all = ListParams::default();
        let maps = self.cluster.api::<ConfigMap>().list(&all).await.expect("a list of ConfigMaps");
        let claims = self.cluster.api::<PersistentVolumeClaim>().list(&all).await.expect("a list of claims");
        let accounts = self.cluster.api::<ServiceAccount>().list(&all).await.expect("a list of accounts");
        serde_json::to_string_pretty(&(maps, claims, accounts)).expect("JSON")
    }

    /// What the server says to someone who comes with this token.
    async fn claim(&self, token: &str) -> StatusCode {
        let request =
            ClaimRequest { protocol: VERSION, version: "a thief".to_owned(), session: "0123456789abcdef".repeat(4) };
        let claim = reqwest::Client::new().post(format!("{}/agent/v1/claim", self.url())).bearer_auth(token);
        claim.json(&request).send().await.expect("the server answers").status()
    }
}
