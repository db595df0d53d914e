//! Deaths that need the whole cluster: a node that is lost, a pod that another pushes off.

use std::{
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use k8s_openapi::api::{
    core::v1::{Node, Pod},
    scheduling::v1::PriorityClass,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

use super::{TWICE, dies_once};
use crate::harness::server::Server;

/// A part of the cluster that is stopped. However the test ends, even by a signal, another process starts it again: its
/// input ends with us.
struct Stopped {
    restorer: Child,
}

impl Stopped {
    fn stop(part: &'static str) -> Self {
        let folder = std::env::var("TEST_CLUSTER").expect("TEST_CLUSTER is the folder of the cluster's command");
        let command = format!("{folder}/cluster");
        let script = "read _; exec \"$0\" start \"$1\"";
        let mut restorer = Command::new("sh");
        let restorer = restorer.args(["-c", script, &command, part]).stdin(Stdio::piped()).process_group(0);
        let restorer = restorer.spawn().expect("there is a shell");
        let stopped = Self { restorer };
        let done = Command::new(&command).args(["stop", part]).status().expect("the command is there");
        assert!(done.success(), "cluster stop {part}");
        stopped
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.restorer.stdin.take());
        let _ = self.restorer.wait();
    }
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_lost() {
    let start = Server::start_alone_with("node-lost", |tuning| {
        tuning.kubernetes.patience.silence = Duration::from_secs(3);
    });
    let Some(server) = start.await else { return };
    let run = server.push(TWICE).await;
    server.until("the job writes", run, |story| story.has_lines("work/work/work", 1)).await;
    let running = server.found(async |_| {
        let pod = server.pod_of("work.work").await;
        (pod.status.as_ref()?.phase.as_deref() == Some("Running")).then(|| pod.name_any())
    });
    let name = running.await.expect("the cluster says that it runs");
    let kubelet = Stopped::stop("kubelet");
    // a cluster whose only node is gone gives up no pod by itself: someone does
    server.cluster.pods().delete(&name, &DeleteParams::default()).await.expect("it is given up");
    let story = server.until("the node is lost", run, |story| story.told().contains("infrastructure: ")).await;
    drop(kubelet);
    let told = story.told();
    assert!(told.contains("infrastructure: node lost: the pod was deleted, and node "), "{told}");
    let told = server.end(run).await.told();
    assert!(told.ends_with("work, attempt 2: success\n"), "{told}");
}

#[tokio::test]
async fn a_pod_that_another_pushes_off_is_preempted() {
    let Some(server) = Server::start_alone_with("preempted", |_| {}).await else { return };
    let urgent = Urgent::class(&server).await;
    // two of them have no room on the node
    let cpu = format!("{}m", free_cpu(&server).await * 6 / 10);
    let flow = format!("{}    resources: {{cpu: {cpu}, limits: {{cpu: {cpu}}}}}\n", TWICE.trim_start());
    let said = dies_once(&server, &flow, async |server| urgent.push_off(server, &cpu).await).await;
    assert!(said.starts_with("preempted: Preempted by "), "{said}");
}

/// What the node has for pods, in thousandths of a CPU.
async fn free_cpu(server: &Server) -> u64 {
    let nodes = server.cluster.all::<Node>().list(&ListParams::default()).await.expect("nodes");
    let cpu =
        nodes.items[0].status.as_ref().and_then(|status| status.allocatable.as_ref()).expect("room")["cpu"].clone();
    let number = |text: &str| text.parse::<u64>().expect("a number of CPUs");
    cpu.0.strip_suffix('m').map_or_else(|| number(&cpu.0) * 1000, number)
}

/// A class of pods that are more important than ours; it goes when this is dropped.
struct Urgent {
    classes: Api<PriorityClass>,
    name: String,
}

impl Urgent {
    async fn class(server: &Server) -> Self {
        let (classes, name) = (server.cluster.all::<PriorityClass>(), server.cluster.namespace.clone());
        let class = json!({ "metadata": { "name": name }, "value": 1000 });
        let class = serde_json::from_value(class).expect("a class");
        classes.create(&PostParams::default(), &class).await.expect("the test may make classes");
        Self { classes, name }
    }

    /// A pod of the class takes so much CPU, and leaves again once it has it.
    async fn push_off(&self, server: &Server, cpu: &str) {
        let requests = json!({ "requests": { "cpu": cpu } });
        let pause = json!({ "name": "urgent", "image": "busybox", "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "600"], "resources": requests });
        let pod = json!({ "metadata": { "name": "urgent" }, "spec": { "containers": [pause],
            "priorityClassName": self.name, "terminationGracePeriodSeconds": 0 } });
        let (pods, pod) = (server.cluster.pods(), serde_json::from_value::<Pod>(pod).expect("a pod"));
        pods.create(&PostParams::default(), &pod).await.expect("the test may make pods");
        let has_room = server.found(async |_| pods.get("urgent").await.ok()?.spec?.node_name);
        has_room.await.expect("the scheduler makes room for it");
        pods.delete("urgent", &DeleteParams::default()).await.expect("it leaves");
    }
}

impl Drop for Urgent {
    fn drop(&mut self) {
        let (classes, name) = (self.classes.clone(), self.name.clone());
        // its connection lives on the test's own runtime, which goes on until the test has ended
        tokio::spawn(async move { classes.delete(&name, &DeleteParams::default()).await });
    }
}
