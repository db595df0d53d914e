//! Agents that are killed, or never come. The node is this machine, so its processes can be found here.

use std::{
    fs,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::Pod;

use super::{SOON, TWICE, dies_once, final_words, given_up};
use crate::harness::{server::Server, story::Story};

/// The processes of a job's container on this machine: first its agent.
struct Processes {
    agent: PathBuf,
    others: Vec<PathBuf>,
}

impl Processes {
    /// Those of an action's only job, once the cluster says that it runs.
    async fn of(server: &Server, action: &str) -> Self {
        let id = server.found(async |_| container_id(&server.pod_of(action).await)).await.expect("it runs");
        let is_inside = |process: &PathBuf| read(process, "cgroup").contains(&id);
        let all = fs::read_dir("/proc").expect("processes").flatten().map(|entry| entry.path());
        let (agent, others): (Vec<_>, Vec<_>) = all.filter(is_inside).partition(|process| is_first(process));
        Self { agent: agent.into_iter().next().expect("the pod's node is this machine"), others }
    }
}

fn container_id(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let job = statuses.iter().find(|status| status.name == "job-0")?;
    job.state.as_ref()?.running.as_ref()?;
    job.container_id.as_deref()?.rsplit('/').next().map(str::to_owned)
}

/// Whether it is the first one of its container.
fn is_first(process: &Path) -> bool {
    let status = read(process, "status");
    let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    inside.is_some_and(|pids| pids.split_whitespace().last() == Some("1"))
}

fn read(process: &Path, file: &str) -> String {
    fs::read_to_string(process.join(file)).unwrap_or_default()
}

#[tokio::test]
async fn an_agent_that_is_killed_has_its_name() {
    let Some(server) = Server::start_with("agent-killed", |_| {}).await else { return };
    let said = dies_once(&server, TWICE, async |server| {
        let agent = Processes::of(server, "work.work").await.agent;
        let pid = agent.file_name().expect("a number").to_owned();
        let killed = std::process::Command::new("kill").arg("-9").arg(pid).status().expect("kill is installed");
        assert!(killed.success());
    });
    assert_eq!(said.await, "agent killed: signal 9 ended it from outside, with all that it had started");
}

#[tokio::test]
async fn a_container_that_the_kernel_kills_as_a_whole_is_out_of_memory() {
    let Some(server) = Server::start("container-memory").await else { return };
    let flow = r#"
stages:
  - name: greedy
    image: busybox
    run: "echo ready; while ! test -e go; do sleep 0.1; done; exec tail /dev/zero"
    resources: {memory: 16Mi, limits: {memory: 48Mi}}
"#;
    let words = final_words(&server, flow);
    let choosing = async {
        server.found(async |tx| Story::newest(tx).await?.has_lines("greedy/greedy/greedy", 1).then_some(())).await;
        let Processes { agent, others } = Processes::of(&server, "greedy.greedy").await;
        // the kernel takes the agent first, and with it the container
        for (process, score) in others.iter().map(|other| (other, "0")).chain([(&agent, "1000")]) {
            fs::write(process.join("oom_score_adj"), score).expect("the test may choose the kernel's victim");
        }
        fs::write(agent.join("root/workspace/go"), "").expect("the test may write in the workspace");
    };
    let (said, ()) = tokio::join!(words, choosing);
    assert_eq!(said, "out of memory (limit 48 MiB)");
}

#[tokio::test]
async fn an_agent_that_cannot_reach_the_server_never_came() {
    // it takes calls and never answers them
    let silent = std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let start = Server::start_with("never-came", |tuning| {
        let host = std::env::var("CONTAINEROPS_TEST_HOST_IP").or_else(|_| std::env::var("CLUSTER_HOST_IP"));
        tuning.agent_url = Some(format!("http://{}:{port}", host.expect("the machine's address")));
        tuning.patience.agent = SOON;
    });
    let Some(server) = start.await else { return };
    let (story, words) = given_up(&server, "stages: [{name: go, image: busybox, run: \"true\"}]").await;
    assert_eq!(words, "agent never came: its container runs, and no agent has asked for work within 2 s");
    let note = server.notes(&story).await;
    assert!(note.contains("agent never came"), "{note}");
}
