//! What a job costs above a bare pod of the same image, and how soon its end is a verdict.
//!
//! Bare pods and runs of one action take turns on the same cluster. A bare pod is what `kubectl run` makes: one container,
//! and one volume, the service account's token; any volume costs a pod the kubelet's next look at it. Its time runs from the call that creates
//! it until its line, as the container runtime has noted it. A run's time runs from the moment its action was claimed
//! until its line, as the agent has noted it: pod, agent, claim and source lie between.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;
#[expect(dead_code, unused_imports, reason = "the tests' models can do more than a figure needs")]
#[path = "../tests/it/harness/mod.rs"]
mod harness;

use std::{net::IpAddr, time::Duration};

use containerops::model::{Clock, Time};
use figure::{
    Figure, Server,
    forge::{Ended, Repository},
    ms,
};
use harness::cluster::Cluster;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, LogParams, ObjectMeta, PostParams},
};

const IMAGE: &str = "docker.io/library/busybox:latest";
const SCRIPT: &str = "echo hello";
const ROUNDS: usize = 10;
/// A pod of one line has ended long before.
const LIMIT: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() {
    let Some(cluster) = Cluster::get("figures").await else { return };
    let server = start(&cluster);
    let flow = format!("title: One line\nimage: {IMAGE}\nrun: {SCRIPT}\n");
    let mut repository = Repository::make(&server, &[(".containerops.yml", flow.as_bytes())]).await;
    // whatever happens only once happens now
    let _ = (bare(&cluster.pods(), "warm").await, repository.push().await);
    let (mut lines, mut bares, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        bares.push(bare(&cluster.pods(), &round.to_string()).await);
        let Ended { attempt, job, first_line } = repository.push().await;
        lines.push(ms(first_line.since(attempt.created)));
        let record = job.record.expect("an end record");
        ends.push(ms(job.ended.expect("an end").since(record.ended)));
    }
    report(lines, bares, ends);
}

fn report(lines: Vec<f64>, bares: Vec<f64>, ends: Vec<f64>) {
    let figure = |name: &str, target, values| Figure { name: name.to_owned(), target, unit: "ms", values };
    let above = lines.iter().zip(&bares).map(|(line, bare)| line - bare).collect();
    let figures = [
        figure("a job's first line, above a bare pod's", "≤ 400 ms", above),
        figure("from an action's claim to its first line", "–", lines),
        figure("from a bare pod's creation to its first line", "–", bares),
        figure("from the process's end to the verdict", "< 200 ms", ends),
    ];
    let method = format!(
        "Medians of {ROUNDS} pairs, taking turns, after one that is not counted: a pod as `kubectl run` makes it, and a \
         run of one job, with the same image and script. Cluster, server and pods share the machine."
    );
    figure::print(&figures, &method);
}

/// A server for this namespace that the cluster's pods can reach.
fn start(cluster: &Cluster) -> Server {
    let variable = |name: &str| std::env::var(name).expect("the cluster's variables, as the harness wants them");
    let host: IpAddr = variable("CLUSTER_HOST_IP").parse().expect("an address");
    Server::start_at(
        host,
        &[
            ("CONTAINEROPS_EXECUTOR", "kubernetes"),
            ("CONTAINEROPS_KUBERNETES_NAMESPACE", &cluster.namespace),
            ("CONTAINEROPS_KUBERNETES_KUBECONFIG", &variable("CONTAINEROPS_TEST_KUBECONFIG")),
            ("CONTAINEROPS_KUBERNETES_AGENT_IMAGE", &variable("CONTAINEROPS_TEST_AGENT_IMAGE")),
        ],
    )
}

/// From a bare pod's creation to its line, in milliseconds.
async fn bare(pods: &Api<Pod>, name: &str) -> f64 {
    let name = format!("bare-{name}");
    let container = Container {
        name: "only".to_owned(),
        image: Some(IMAGE.to_owned()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(["sh", "-ec", SCRIPT].map(str::to_owned).to_vec()),
        ..Container::default()
    };
    let spec = PodSpec { restart_policy: Some("Never".to_owned()), containers: vec![container], ..PodSpec::default() };
    let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
    let pod = Pod { metadata, spec: Some(spec), ..Pod::default() };
    let began = Clock::System.now();
    let pod = pods.create(&PostParams::default(), &pod).await.expect("a pod");
    let line = tokio::time::timeout(LIMIT, line_of(pods, &pod.name_any())).await.expect("the bare pod's line comes");
    pods.delete(&name, &DeleteParams::default().grace_period(0)).await.expect("a pod can be deleted");
    ms(line.since(began))
}

/// When the pod's line was written, by the container runtime's clock.
async fn line_of(pods: &Api<Pod>, name: &str) -> Time {
    let with_times = LogParams { timestamps: true, ..LogParams::default() };
    loop {
        // until the container has started, the API server refuses
        let log = pods.logs(name, &with_times).await.unwrap_or_default();
        if let Some((time, _)) = log.split_once(' ') {
            let time: jiff::Timestamp = time.parse().expect("a time");
            return Time::from_millis(time.as_millisecond());
        }
        tokio::time::sleep(LOOK).await;
    }
}
