//! The program itself, killed without a warning while a job runs: the job goes on, says more and ends while nobody
//! listens, and after the next start all of it is there.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use containerops::command::git::{Authority, HookSettings, init};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::harness::repository::Worktree;

const PROGRAM: &str = env!("CARGO_BIN_EXE_containerops");
/// The longest that anything here may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// How often it is killed to see how soon work goes on.
const KILLS: usize = 10;

/// `containerops serve` in a process of its own, on a data directory that outlives it.
struct Service {
    data: PathBuf,
    address: SocketAddr,
    child: Child,
}

impl Service {
    /// Returns when it serves.
    async fn start(data: &Path, address: SocketAddr) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("CONTAINEROPS_DATA", data).env("CONTAINEROPS_LISTEN", address.to_string());
        command.env("CONTAINEROPS_EXECUTOR", "process");
        command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("it can be started");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        while let Some(line) = log.next_line().await.expect("text") {
            if line.contains("serving") {
                // whoever reads no more must not end it by that
                tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
                return Self { data: data.to_owned(), address, child };
            }
        }
        panic!("it ended before it served");
    }

    /// SIGKILL, and another start at the same place once `meanwhile` is over.
    async fn killed(mut self, meanwhile: impl Future<Output = ()>) -> Self {
        self.child.kill().await.expect("it lives");
        meanwhile.await;
        Self::start(&self.data, self.address).await
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.expect("an answer");
        answer.error_for_status().expect("it is there")
    }

    /// Waits until a job's log has a line that it has not now.
    async fn grown(&self, job: &str) {
        let length = self.get(&format!("{job}/log.txt")).await.text().await.expect("a log").len();
        let mut stream = self.get(&format!("{job}/log/stream?offset={length}")).await;
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("data:") {
            seen.extend_from_slice(&stream.chunk().await.expect("a stream").expect("a line before its end"));
        }
    }

    /// Follows a job's log to its end.
    async fn followed(&self, job: &str) {
        let mut stream = self.get(&format!("{job}/log/stream")).await;
        let mut seen = Vec::new();
        while let Some(more) = stream.chunk().await.expect("a stream") {
            seen.extend_from_slice(&more);
            if String::from_utf8_lossy(&seen).contains("event: end") {
                return;
            }
        }
        panic!("the stream broke off: {}", String::from_utf8_lossy(&seen));
    }
}

#[tokio::test]
async fn a_killed_service_goes_on_where_it_was() {
    // as `main` does first of all
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    timeout(LIMIT, walk()).await.expect("it comes to an end");
}

async fn walk() {
    let folder = tempfile::tempdir().expect("a folder");
    let (up, go) = (pipe(folder.path(), "up"), pipe(folder.path(), "go"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let data = folder.path().join("data");
    let service = Service::start(&data, free).await;
    let flow = format!(
        "stages: [{{name: test, image: any, run: \"echo before; echo > {}; cat {}; echo after\"}}]",
        up.display(),
        go.display()
    );
    push(&folder.path().join("ada"), &data, free, &flow).await;
    tokio::fs::read(&up).await.expect("the job is up");
    let service =
        service.killed(async { tokio::fs::write(&go, "while nobody listens\n").await.expect("it reads") }).await;
    let run = "/git/acme/widget/runs/1";
    service.followed(&format!("{run}/test/test/test")).await;
    let log = service.get(&format!("{run}/test/test/test/log.txt")).await.text().await.expect("a log");
    assert!(log.ends_with("before\nwhile nobody listens\nafter\n"), "{log}");
    let runs: Value = service.get("/api/v1/runs").await.json().await.expect("JSON");
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1), "{runs}");
    assert_eq!(runs["runs"][0]["status"]["conclusion"], "success", "{runs}");
}

#[tokio::test]
async fn work_goes_on_within_seconds_of_a_kill() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    timeout(LIMIT, kills()).await.expect("it comes to an end");
}

async fn kills() {
    let folder = tempfile::tempdir().expect("a folder");
    let (up, enough) = (pipe(folder.path(), "up"), folder.path().join("enough"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let data = folder.path().join("data");
    let mut service = Service::start(&data, free).await;
    let flow = format!(
        "stages: [{{name: test, image: any, run: \"echo > {}; i=0; \
         while [ $i -lt 600 ] && [ ! -e {} ]; do i=$((i + 1)); echo $i; sleep 0.1; done\"}}]",
        up.display(),
        enough.display()
    );
    push(&folder.path().join("ada"), &data, free, &flow).await;
    tokio::fs::read(&up).await.expect("the job is up");
    let job = "/git/acme/widget/runs/1/test/test/test";
    let mut took = Vec::new();
    for _ in 0..KILLS {
        service.grown(job).await;
        let killed = std::sync::Mutex::new(Instant::now());
        service = service.killed(async { *killed.lock().expect("nobody panics with it") = Instant::now() }).await;
        service.grown(job).await;
        took.push(killed.into_inner().expect("nobody panics with it").elapsed());
    }
    std::fs::write(&enough, "").expect("it can be written");
    service.followed(job).await;
    took.sort();
    let median = took[KILLS / 2];
    eprintln!("from a kill to the first line after it: median {median:?}, {took:?}");
    // a busy machine and a build without optimization; the figure to be held is two seconds
    assert!(median < Duration::from_secs(5), "{took:?}");
}

/// Makes a repository of plain Git with our hook, and pushes a flow file to it.
async fn push(clone: &Path, data: &Path, address: SocketAddr, flow: &str) {
    let hook = HookSettings {
        program: PROGRAM.into(),
        url: format!("http://{address}"),
        root: data.join("git"),
        authority: Authority::OfData(data.to_owned()),
    };
    let made = init(&data.join("git/acme/widget.git"), &hook).await.expect("it can be made");
    let ada = Worktree::new(clone.to_owned());
    ada.write(".containerops.yml", flow);
    ada.commit("Try it");
    ada.git(&["push", "--quiet", &made.path.display().to_string(), "main"]);
}

/// A named pipe: whoever opens one end waits for the other.
fn pipe(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is installed");
    assert!(made.success());
    path
}
