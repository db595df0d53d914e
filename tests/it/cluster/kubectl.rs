//! Manifests that the server applies itself, to a namespace of a real cluster, as a service account of that namespace.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, http::StatusCode, response::Redirect, routing::get};
use containerops::model::Conclusion;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret, ServiceAccount},
    rbac::v1::{Role, RoleBinding},
};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

use crate::harness::{authority::Authority, place::Place as _, server::Server, service::Service};

/// A workload that runs for as long as it is there.
const APP: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {release: '@RELEASE@'}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: do-not-print-me}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - {name: web, image: '@IMAGE@', imagePullPolicy: IfNotPresent, command: [sleep, '86400']}
";

/// A server whose only repository may change the test's namespace, as an account that may do what is needed.
async fn deploying(test: &str) -> Option<Server> {
    let mut server = Server::start(test).await?;
    let namespace = server.cluster.namespace.clone();
    let account = json!({"metadata": {"name": "containerops-deployer"}});
    make(&server.cluster.api::<ServiceAccount>(), account).await;
    let verbs = ["get", "create", "patch", "delete"];
    let rules = json!([
        {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": verbs},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": verbs},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ]);
    make(&server.cluster.api::<Role>(), json!({"metadata": {"name": "deployer"}, "rules": rules})).await;
    let binding = json!({
        "metadata": {"name": "deployer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "deployer"},
        "subjects": [{"kind": "ServiceAccount", "name": "containerops-deployer", "namespace": namespace}],
    });
    make(&server.cluster.api::<RoleBinding>(), binding).await;
    server.set_up(&format!("kubectl_namespaces = \"acme/shop={namespace}\"\n")).await;
    server.writes("deploy/app.yaml", APP);
    Some(server)
}

async fn make<K>(api: &Api<K>, object: Value)
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let object: K = serde_json::from_value(object).expect("an object");
    api.create(&PostParams::default(), &object).await.expect("it can be made");
}

fn flow(server: &Server, image: &str, more: &str) -> String {
    format!(
        "namespace: {}\nenvironments: {{IMAGE: \"{image}\", RELEASE: one}}\nstages:\n  \
         - {{name: ship, kubectl: deploy/app.yaml{more}}}\n",
        server.cluster.namespace
    )
}

async fn image_of(server: &Server) -> String {
    let web = server.cluster.api::<Deployment>().get("web").await.expect("it is there");
    let pods = web.spec.and_then(|spec| spec.template.spec).expect("pods");
    pods.containers.into_iter().next().and_then(|one| one.image).expect("an image")
}

#[tokio::test]
async fn what_rolls_out_is_a_success_and_what_does_not_is_rolled_back() {
    let Some(server) = deploying("apply").await else { return };
    let run = server.push(&flow(&server, "busybox", "")).await;
    let story = server.end(run).await;
    let log = server.text(&story, "ship/ship/ship").await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}\n{log}", story.told());
    let begin = format!("applying deploy/app.yaml to namespace {}\n", server.cluster.namespace);
    let created = "configmap/settings created\nsecret/login created\ndeployment.apps/web created\n";
    assert!(log.starts_with(&format!("{begin}{created}")), "{log}");
    assert!(log.contains("deployment.apps/web: 1 of 1 pods are available\n"), "{log}");
    assert!(log.ends_with("done: 3 of 3 objects are as they should be\n"), "{log}");
    assert!(!log.contains("do-not-print-me"), "{log}");

    // a new version that never runs, with an object that was not there before
    let more = "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: newcomer}}\n";
    server.writes("deploy/app.yaml", &format!("{APP}{more}"));
    let run = server.push(&flow(&server, "127.0.0.1:1/none:1", ", wait: 20s, roll-back: true")).await;
    let story = server.end(run).await;
    let log = server.text(&story, "ship/ship/ship").await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Failure), "{}\n{log}", story.told());
    let told = story.told();
    assert!(told.contains("not deployed: not rolled out within 20 s: deployment.apps/web: "), "{told}");
    assert!(told.contains("container web: ") && told.contains("; rolled back"), "the cluster's words: {told}");
    assert!(log.contains("configmap/settings unchanged\n"), "{log}");
    assert!(log.contains("rolled back: configmap/newcomer removed, for it was new\n"), "{log}");
    assert!(log.contains("rolled back: deployment.apps/web as it was before\n"), "{log}");
    assert!(log.contains("not rolled back: secret/login: what a Secret was before is not kept\n"), "{log}");
    assert_eq!(image_of(&server).await, "busybox");
    let left = server.cluster.api::<ConfigMap>().get_opt("newcomer").await.expect("the cluster answers");
    assert!(left.is_none(), "it was new");
    let secret = server.cluster.api::<Secret>().get("login").await.expect("it is there");
    assert_eq!(secret.metadata.managed_fields.unwrap_or_default()[0].manager.as_deref(), Some("containerops"));
    server.until_nothing_is_left().await;
}

/// Serves a manifest at `/app.yaml`, and at `/moved.yaml` a redirect to it. The first answer is no answer.
async fn manifests() -> String {
    let times = Arc::new(AtomicUsize::new(0));
    let app = get(async move || match times.fetch_add(1, Ordering::Relaxed) {
        0 => Err(StatusCode::SERVICE_UNAVAILABLE),
        _ => Ok("{apiVersion: v1, kind: ConfigMap, metadata: {name: from-afar}, data: {of: '@RELEASE@'}}\n"),
    });
    let router = Router::new()
        .route("/manifests/app.yaml", app)
        .route("/manifests/moved.yaml", get(async || Redirect::temporary("/manifests/app.yaml")))
        .route("/manifests/away.yaml", get(async || Redirect::temporary("/secret")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("a bound socket has an address");
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    format!("http://{address}/manifests/")
}

#[tokio::test]
async fn a_manifest_may_come_from_an_address_that_the_administrator_has_listed() {
    let Some(mut server) = deploying("afar").await else { return };
    let (url, namespace) = (manifests().await, server.cluster.namespace.clone());
    let settings = "kubectl_namespaces = \"acme/shop=NAMESPACE\"\nkubectl_private_urls = \"URL\"\n";
    server.set_up(&settings.replace("NAMESPACE", &namespace).replace("URL", &url)).await;
    let flow =
        |file: &str, more: &str| flow(&server, "busybox", more).replace("deploy/app.yaml", &format!("\"{url}{file}\""));
    let story = server.end(server.push(&flow("moved.yaml", ", when: branch == \"main\"")).await).await;
    let log = server.text(&story, "ship/ship/ship").await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}\n{log}", story.told());
    let made = server.cluster.api::<ConfigMap>().get("from-afar").await.expect("it was applied");
    assert_eq!(made.data.unwrap_or_default()["of"], "one");

    let story = server.end(server.push(&flow("away.yaml", "")).await).await;
    assert!(story.told().contains("it redirects to an address that is not listed"), "{}", story.told());
    let story = server.end(server.push(&flow("app.yaml", ", when: branch == \"other\"")).await).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Skipped), "{}", story.told());
    server.until_nothing_is_left().await;
}

#[tokio::test]
async fn a_manifest_comes_over_tls_from_whom_the_machine_trusts_and_from_nobody_else() {
    let Some(server) = deploying("overtls").await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (known, stranger) = (Authority::new(), Authority::new());
    let plain = manifests().await.parse::<url::Url>().expect("a URL").port().expect("a port");
    let (good, _) = known.before(plain).await;
    let (bad, _) = stranger.before(plain).await;
    let settings = server.cluster.settings().into_iter().map(|(name, value)| (format!("CONTAINEROPS_{name}"), value));
    let settings: Vec<(String, String)> = settings.collect();
    let listed = format!("https://127.0.0.1:{good}/ https://127.0.0.1:{bad}/");
    let own = [
        ("SSL_CERT_FILE", known.write(&folder.path().join("ca.pem"))),
        ("CONTAINEROPS_AGENT_URL", format!("http://{}:9", server.cluster.host)),
        ("CONTAINEROPS_KUBECTL_NAMESPACES", format!("acme/widget={}", server.cluster.namespace)),
        ("CONTAINEROPS_KUBECTL_PRIVATE_URLS", listed),
    ];
    let variables: Vec<(&str, String)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.clone())).chain(own).collect();
    let service = Service::start_with(&folder.path().join("data"), &variables).await;
    let stage = |name: &str, port: u16| {
        format!("  - {{name: {name}, kubectl: \"https://127.0.0.1:{port}/manifests/app.yaml\"}}\n")
    };
    let stages = stage("ship", good) + &stage("stranger", bad);
    let flow = format!("namespace: {}\nstages:\n{stages}", server.cluster.namespace);
    service.push(&folder.path().join("ada"), &flow).await;
    let applied = server.found(async |_| server.cluster.api::<ConfigMap>().get_opt("from-afar").await.ok().flatten());
    applied.await.expect("it was applied");
    let refused = server.found(async |_| {
        let log = service.text("/git/acme/widget/runs/1/stranger/stranger/stranger/log.txt").await?;
        log.contains("certificate").then_some(())
    });
    refused.await.expect("the stranger was refused, and the log says why");
}

#[tokio::test]
async fn what_may_not_be_is_refused_in_words() {
    let Some(server) = deploying("refused").await else { return };
    let namespace = server.cluster.namespace.clone();
    let table = [
        (
            "{apiVersion: v1, kind: ServiceAccount, metadata: {name: robber}}",
            format!("User \"system:serviceaccount:{namespace}:containerops-deployer\" cannot get resource"),
        ),
        (
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: kube-system}}",
            format!("ConfigMap a is for namespace `kube-system`, and the job is for `{namespace}`"),
        ),
        ("{apiVersion: v1, kind: Namespace, metadata: {name: a}}", "Namespace a is in no namespace".to_owned()),
        (
            "{apiVersion: none/v1, kind: Thing, metadata: {name: a}}",
            "the cluster knows no kind Thing of none/v1".to_owned(),
        ),
        (
            "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {key: do-not-print-me}}",
            "not deployed: secret/a: ".to_owned(),
        ),
        ("just text", "deploy/app.yaml: an object needs `apiVersion` and `kind`".to_owned()),
    ];
    for (manifest, expected) in table {
        server.writes("deploy/app.yaml", &format!("{manifest}\n"));
        let run = server.push(&format!("# {expected}\n{}", flow(&server, "busybox", ""))).await;
        let story = server.end(run).await;
        let told = story.told();
        assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Failure), "{told}");
        assert!(told.contains(&expected), "{manifest}: {told}");
        let log = server.text(&story, "ship/ship/ship").await;
        assert!(!format!("{told}{log}").contains("do-not-print-me"), "{told}{log}");
    }
    let elsewhere = "stages: [{name: ship, kubectl: deploy/app.yaml, namespace: kube-system}]\n";
    let story = server.end(server.push(elsewhere).await).await;
    let told = story.told();
    assert!(told.contains("not deployed: acme/shop may not change namespace `kube-system`"), "{told}");
    server.until_nothing_is_left().await;
}

#[tokio::test]
async fn a_server_that_dies_in_between_goes_on_where_it_was() {
    let Some(mut server) = deploying("between").await else { return };
    let jobs = "
          - {name: build, image: busybox, run: 'echo \"[COUT] IMAGE=127.0.0.1:1/none:1\"', outputs: [IMAGE]}
          - {name: apply, kubectl: deploy/app.yaml, wait: 60s, subscriptions: [{'ship.ship.build[IMAGE]': IMAGE}]}
          - {name: after, image: busybox, run: 'cat deploy/app.yaml > /dev/null; echo after'}";
    let namespace = server.cluster.namespace.clone();
    let run = server.push(&format!("namespace: {namespace}\nstages:\n  - name: ship\n    jobs:{jobs}\n")).await;
    server.until("it is applied", run, |story| story.has_lines("ship/ship/apply", 5)).await;
    server.kill().await;
    // somebody mends it while the server is away
    let mend = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containers":
        [{"name": "web", "image": "busybox"}]}}}});
    let mended = kube::api::Patch::Strategic(mend);
    let web = server.cluster.api::<Deployment>();
    web.patch("web", &kube::api::PatchParams::default(), &mended).await.expect("it can be mended");
    server.resume().await;
    let story = server.end(run).await;
    let log = server.text(&story, "ship/ship/apply").await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}\n{log}", story.told());
    for once in ["applying deploy/app.yaml", "deployment.apps/web created", "done: 3 of 3"] {
        assert_eq!(log.matches(once).count(), 1, "{once}: {log}");
    }
    assert_eq!(server.text(&story, "ship/ship/after").await, "after\n");
    server.until_nothing_is_left().await;
}

#[tokio::test]
async fn a_cancelled_rollout_ends_at_once_and_stays_as_it_is() {
    let Some(server) = deploying("cancelled").await else { return };
    let run = server.push(&flow(&server, "127.0.0.1:1/none:1", ", roll-back: true")).await;
    server.until("it is applied", run, |story| story.has_lines("ship/ship/ship", 5)).await;
    server.app().engine.cancel(run, "ada").await.expect("it can be cancelled");
    let story = server.end(run).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Cancelled), "{}", story.told());
    let log = server.text(&story, "ship/ship/ship").await;
    assert!(log.ends_with("cancelled by ada; what was applied stays as it is\n"), "{log}");
    assert_eq!(image_of(&server).await, "127.0.0.1:1/none:1");
}
