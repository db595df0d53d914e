//! Three processes on one PostgreSQL and one bucket, as `deploy/overlays/replicated` makes them: they are replaced while a
//! run goes on, and nothing of it is lost.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Router, routing::get};
use http::Request;
use kube::{Client, Config, config::Kubeconfig};
use tokio::{net::TcpListener, sync::Notify};

use super::deployment::{Deployment, NAMESPACE, at};
use crate::harness::{
    bucket::Bucket,
    cluster::host,
    database::{self, Database},
    gitea::{ModelGitea, TOKEN, WEBHOOK_SECRET},
    relay::relay,
    required,
};

const REPOSITORY: &str = "acme/shop";
/// Its job waits until it is let go.
const FLOW: &str = r#"
stages:
  - name: test
    image: busybox
    run: |
      echo it begins
      until wget -q -O /dev/null http://GATE 2> /dev/null; do sleep 0.2; done
      echo it goes on
"#;

/// A door that job and test share: nobody comes through until it is opened.
struct Gate {
    address: String,
    knocked: Arc<Notify>,
    opens: tokio::sync::watch::Sender<bool>,
}

impl Gate {
    async fn at(host: &str) -> Self {
        let (opens, open) = tokio::sync::watch::channel(false);
        let knocked = Arc::new(Notify::new());
        let knock = Arc::clone(&knocked);
        let answer = get(async move || {
            knock.notify_one();
            if *open.borrow() { http::StatusCode::OK } else { http::StatusCode::SERVICE_UNAVAILABLE }
        });
        let listener = TcpListener::bind((host, 0)).await.expect("the address that pods reach is this machine's");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/", answer)).await });
        Self { address, knocked, opens }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_processes_are_replaced_while_a_run_goes_on() {
    if required("postgres", "CONTAINEROPS_TEST_POSTGRES").is_none() || crate::harness::kubeconfig().is_none() {
        return;
    }
    let Some(bucket) = Bucket::start().await else { return };
    let database = Database::on(database::server().expect("it is set")).await;
    let (host, mut url) = (host(), url::Url::parse(&database.url).expect("a URL"));
    // what listens on this machine's loopback alone pods reach by relays
    let postgres = relay(&host, url.socket_addrs(|| None).expect("an address")[0]).await;
    url.set_ip_host(postgres.ip()).and_then(|()| url.set_port(Some(postgres.port()))).expect("it has a host");
    let blobs = relay(&host, bucket.address()).await;
    let (gate, gitea) = (Gate::at(&host).await, ModelGitea::start_at(&host).await);
    let settings = [
        ("CONTAINEROPS_PUBLIC_URL", "https://ci.example".to_owned()),
        ("CONTAINEROPS_DATABASE_URL", url.to_string()),
        ("CONTAINEROPS_BLOB_URL", "s3://co-blobs".to_owned()),
        ("CONTAINEROPS_S3_ENDPOINT", format!("http://{blobs}")),
        ("CONTAINEROPS_S3_ACCESS_KEY_ID", "id".to_owned()),
        ("CONTAINEROPS_S3_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("CONTAINEROPS_GITEA_URL", gitea.url()),
        ("CONTAINEROPS_GITEA_TOKEN", TOKEN.to_owned()),
        ("CONTAINEROPS_GITEA_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
    ];
    let key = [("secret-key", "5a".repeat(32))];
    let secrets: [(&str, &[(&str, String)]); 2] = [("containerops-settings", &settings), ("containerops-key", &key)];
    let Some(deployment) = Deployment::apply("overlays/replicated", &secrets) else { return };
    deployment.rolls_out();
    let first = deployment.pods();
    assert_eq!(first.len(), 3, "{first:?}");

    let sha =
        gitea.commit(REPOSITORY, "main", &[(".containerops.yml", FLOW.replace("GATE", &gate.address).as_bytes())]);
    deliver(&deployment, gitea.push(REPOSITORY, "main")).await;
    gate.knocked.notified().await;
    let run = deployment.run(|run| run["status"]["state"] == "running");

    deployment.kubectl(&["-n", NAMESPACE, "rollout", "restart", "deployment/containerops"]);
    deployment.rolls_out();
    let others = deployment.pods();
    assert!(first.iter().all(|pod| !others.contains(pod) || deployment.is_ending(pod)), "{first:?} {others:?}");
    deployment.lets_one_go_at_a_time();

    gate.opens.send_replace(true);
    let ended = deployment.run(|run| run["status"]["state"] == "ended");
    assert_eq!(ended["status"]["conclusion"], "success", "{ended:#}");
    assert_eq!((&ended["id"], &ended["attempt"]), (&run["id"], &run["attempt"]), "nothing was begun again");
    let log = deployment.get(&format!("{}/test/test/test/log.txt", run["url"].as_str().expect("a URL")));
    assert_eq!(log, "it begins\nit goes on\n");
    // the run's and the action's, in whatever order
    let told = async {
        let mut well = BTreeSet::new();
        while well.len() < 2 {
            let written = gitea.writes().into_iter();
            let written = written.filter(|status| status.sha == sha.as_str() && status.state == "success");
            well.extend(written.map(|status| status.context));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::PATIENCE, told).await.expect("the forge is told");
    drop(deployment);
}

/// A webhook, as whatever brings them into the cluster passes it on.
async fn deliver(deployment: &Deployment, delivery: crate::harness::github::Delivery) {
    let kubeconfig = Kubeconfig::read_from(deployment.kubeconfig()).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.expect("a cluster");
    let client = Client::try_from(config).expect("a client");
    let path = format!("{}/hooks/gitea", at("services", "containerops", "http"));
    let mut request = Request::post(path).body(delivery.body.to_vec()).expect("a request");
    request.headers_mut().extend(delivery.headers);
    client.request_text(request).await.expect("it is taken");
}

impl Deployment {
    /// Whether it has been told to go.
    fn is_ending(&self, pod: &str) -> bool {
        let gone = ["--ignore-not-found", "-o", "jsonpath={.metadata.deletionTimestamp}{.metadata.name}"];
        let said = self.kubectl(&[&["-n", NAMESPACE, "get", "pod", pod], gone.as_slice()].concat());
        said != pod
    }

    /// Who drains nodes takes one of them away, and no second one until there is another.
    fn lets_one_go_at_a_time(&self) {
        let version = if self.may_have("policy/v1") { "policy/v1" } else { "policy/v1beta1" };
        let pods: Vec<String> = self.pods().into_iter().filter(|pod| !self.is_ending(pod)).collect();
        let evict = |pod: &String| {
            let eviction = serde_json::json!({
                "apiVersion": version, "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE},
            });
            let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction");
            self.fed(&["create", "--raw", &path, "-f", "-"], &eviction.to_string())
        };
        evict(&pods[0]).expect("one may go");
        let refused = evict(&pods[1]).expect_err("two would be too many");
        assert!(refused.contains("disruption budget"), "{refused}");
    }
}
