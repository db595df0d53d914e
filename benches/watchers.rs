//! How soon a line that a job writes is with those who watch its log, and what five hundred of them cost.
//!
//! A job writes a thousand lines a second, and every tenth of a second the time. Watchers are HTTP clients of this process
//! that read the log's stream as the page's script does. First one is alone, then there are many; what the server needs is
//! read from the system. Where there is a cluster, the job runs in a pod, too.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;
#[expect(dead_code, unused_imports, reason = "the tests' models can do more than a figure needs")]
#[path = "../tests/it/harness/mod.rs"]
mod harness;

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use figure::{Figure, Server, forge::Repository};
use harness::cluster::Cluster;

const JOB: &str = "/git/figures/one/runs/1/main/main/main";
const IMAGE: &str = "docker.io/library/busybox:latest";
const WATCHERS: usize = 500;
/// How long one watches alone, and how long all do.
const ALONE: Duration = Duration::from_secs(8);
const TOGETHER: Duration = Duration::from_secs(20);
/// So long the log's page may take to be there: a pod has to start.
const START: Duration = Duration::from_secs(120);
/// A lot of a hundred lines with the time before them, ten times a second, for a minute.
const SCRIPT: &str = "n=0; while [ $n -lt 600 ]; do read up idle < /proc/uptime; echo \"at $up \"; \
                      seq 1 99 | sed 's/^/a line of the log, of a hundred that come at once, number /'; n=$((n+1)); sleep 0.1; done";
/// As long as the loops of all tasks may take to settle.
const SETTLE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() {
    let server = Server::start(&[("CONTAINEROPS_EXECUTOR", "process")]);
    let mut figures = measure(&server, "process", WATCHERS).await;
    drop(server);
    if let Some(cluster) = Cluster::get("figures").await {
        figures.extend(measure(&in_cluster(&cluster), "pod", 0).await);
    }
    let method = "A job writes a thousand lines a second in ten lots, each with the time when it was written. A watcher's delay is \
                  from there until its HTTP client has the line's row, in steps of 10 ms. Watchers are tasks of one process on the \
                  same machine; processor time is the server's alone.";
    figure::print(&figures, method);
}

async fn measure(server: &Server, kind: &str, watchers: usize) -> Vec<Figure> {
    let flow = format!("title: Lines\nstages:\n  - name: main\n    image: {IMAGE}\n    run: |\n      {SCRIPT}\n");
    let mut repository = Repository::make(server, &[(".containerops.yml", flow.as_bytes())]).await;
    let watch = watch(server, kind, watchers);
    tokio::select! {
        figures = watch => figures,
        ended = repository.push() => {
            panic!("the job has ended before it was measured: {:?} {}", ended.job.state, ended.job.log_length)
        }
    }
}

async fn watch(server: &Server, kind: &str, watchers: usize) -> Vec<Figure> {
    let client = reqwest::Client::builder().build().expect("a client");
    let url = format!("http://{}{JOB}", server.address());
    let began = Instant::now();
    while client.get(&url).send().await.is_ok_and(|answer| answer.url().path() != JOB || !answer.status().is_success())
    {
        assert!(began.elapsed() < START, "the job starts");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(SETTLE).await;
    let figure = |name: String, target, unit, values| Figure { name, target, unit, values };
    let alone = delays(&client, &url, ALONE).await;
    let mut figures = vec![figure(format!("from a line in a {kind} to a watcher"), "< 300 ms", "ms", alone)];
    if watchers == 0 {
        return figures;
    }
    let (memory, idle) = (server.memory(), cores(server, SETTLE).await);
    let all: Vec<_> = (0..watchers)
        .map(|_| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move { delays(&client, &url, TOGETHER).await })
        })
        .collect();
    // all have come to the end of the log
    tokio::time::sleep(TOGETHER / 2).await;
    let busy = cores(server, TOGETHER / 4).await;
    let above = server.memory().saturating_sub(memory) as f64 / 1e6;
    let mut together = Vec::new();
    for one in all {
        together.extend(one.await.expect("a watcher"));
    }
    figures.push(figure(
        format!("the same with {watchers} watchers"),
        "< 300 ms",
        "ms",
        together.into_iter().step_by(997).collect(),
    ));
    figures.push(figure(format!("the server's memory for {watchers} watchers"), "≤ 64 MB", "MB", vec![above]));
    figures.push(figure(
        format!("its processor time with {watchers} watchers, and the log taken"),
        "≤ 1",
        "cores",
        vec![busy],
    ));
    figures.push(figure("its processor time with none".to_owned(), "–", "cores", vec![idle]));
    figures
}

/// The delays of all times that a watcher hears of within `limit`, from the log's end at its beginning.
async fn delays(client: &reqwest::Client, url: &str, limit: Duration) -> Vec<f64> {
    let began = Instant::now();
    let offset = client.get(format!("{url}/log.txt")).send().await.expect("a log").content_length().expect("a length");
    let stream = format!("{url}/log/stream?as=html&offset={offset}");
    let mut answer = client.get(stream).send().await.expect("a stream");
    let (mut delays, mut text) = (Vec::new(), String::new());
    while began.elapsed() < limit {
        let chunk = tokio::time::timeout(limit, answer.chunk()).await.expect("lines come").expect("no trouble");
        let now = uptime();
        text.push_str(&String::from_utf8_lossy(&chunk.expect("it goes on")));
        let Some(end) = text.rfind("\n\n") else { continue };
        let told = text[..end].split("at ").skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<f64>().ok());
        delays.extend(told.map(|written| (now - written) * 1e3));
        text.drain(..end);
    }
    // what was written before it came is no delay of the stream
    delays.split_off(delays.len().min(1))
}

/// The kernel's clock, which pods see, too: in steps of ten milliseconds.
fn uptime() -> f64 {
    let text = std::fs::read_to_string("/proc/uptime").expect("Linux tells it");
    text.split(' ').next().and_then(|seconds| seconds.parse().ok()).expect("a number")
}

/// How many processors the server keeps busy.
async fn cores(server: &Server, time: Duration) -> f64 {
    let (began, before) = (Instant::now(), figure::cpu_time(server.pid()));
    tokio::time::sleep(time).await;
    (figure::cpu_time(server.pid()) - before).as_secs_f64() / began.elapsed().as_secs_f64()
}

/// A server for this namespace that the cluster's pods can reach.
fn in_cluster(cluster: &Cluster) -> Server {
    let variable = |name: &str| std::env::var(name).expect("the cluster's variables, as the harness wants them");
    let host: IpAddr = variable("CLUSTER_HOST_IP").parse().expect("an address");
    Server::start_at(
        host,
        &[
            ("CONTAINEROPS_EXECUTOR", "kubernetes"),
            // it is on no loopback address, and its watchers do not sign in
            ("CONTAINEROPS_ACCESS", "open"),
            ("CONTAINEROPS_KUBERNETES_NAMESPACE", &cluster.namespace),
            ("CONTAINEROPS_KUBERNETES_KUBECONFIG", &variable("CONTAINEROPS_TEST_KUBECONFIG")),
            ("CONTAINEROPS_KUBERNETES_AGENT_IMAGE", &variable("CONTAINEROPS_TEST_AGENT_IMAGE")),
        ],
    )
}
