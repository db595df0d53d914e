//! Breaks parts of the cluster, and mends them whatever becomes of the test: each fault ends when it is dropped.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::{Command, Stdio},
};

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{Duration, timeout},
};

use super::required;

/// The pods' bridge on this machine.
const BRIDGE: &str = "cni-test";
/// The longest that a count may take to come.
const PATIENCE: Duration = Duration::from_secs(90);

/// The program that starts and stops the cluster's parts; `None` where there is none, which is said.
pub(crate) fn mechanic() -> Option<Mechanic> {
    required("a cluster whose parts can be stopped", "TEST_CLUSTER").map(|dir| Mechanic(format!("{dir}/cluster")))
}

/// Starts and stops parts of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Mechanic(String);

/// A part that is away until this is dropped.
pub(crate) struct Away<'m> {
    mechanic: &'m Mechanic,
    part: &'static str,
}

/// No pod reaches this port of ours until this is dropped.
pub(crate) struct Cut {
    rules: [[String; 9]; 2],
}

/// Counts what pods do, on a port that no fault touches: whoever gets `/NAME` adds one to it.
pub(crate) struct Counter {
    counts: watch::Sender<BTreeMap<String, usize>>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Mechanic {
    /// Stops a part, and waits until it has ended.
    pub(crate) fn stop(&self, part: &'static str) -> Away<'_> {
        run(&self.0, &["stop", part]);
        Away { mechanic: self, part }
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        run(&self.mechanic.0, &["start", self.part]);
    }
}

impl Cut {
    /// Drops what pods send there, and what is sent to them from there.
    pub(crate) fn of(address: SocketAddr) -> Self {
        let rule = |chain: &str, by: &str, which: &str| {
            let port = address.port().to_string();
            [chain, by, BRIDGE, "-p", "tcp", which, &port, "-j", "DROP"].map(str::to_owned)
        };
        let rules = [rule("INPUT", "-i", "--dport"), rule("OUTPUT", "-o", "--sport")];
        let cut = Self { rules };
        cut.each("-I");
        cut
    }

    fn each(&self, what: &str) {
        for rule in &self.rules {
            let words: Vec<&str> = [what].into_iter().chain(rule.iter().map(String::as_str)).collect();
            run("iptables", &words);
        }
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.each("-D");
    }
}

impl Counter {
    pub(crate) async fn listen(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).await.expect("the address that pods reach is this machine's");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (counts, _) = watch::channel(BTreeMap::new());
        let router = Router::new().route("/{name}", get(count)).with_state(counts.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { counts, address, task }
    }

    /// Where pods count.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often each was counted.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        self.counts.borrow().clone()
    }

    /// Waits until this was counted so many times more.
    pub(crate) async fn more(&self, name: &str, times: usize) {
        let of = |counts: &BTreeMap<String, usize>| counts.get(name).copied().unwrap_or(0);
        let wanted = of(&self.counts.borrow()) + times;
        let mut counts = self.counts.subscribe();
        let counted = timeout(PATIENCE, counts.wait_for(|counts| of(counts) >= wanted)).await;
        assert!(counted.is_ok(), "{name} was not counted {times} times more: {:?}", self.counts());
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn count(State(counts): State<watch::Sender<BTreeMap<String, usize>>>, Path(name): Path<String>) {
    counts.send_modify(|counts| *counts.entry(name).or_default() += 1);
}

/// What it starts must not hold our own streams, or whoever reads those waits for it.
fn run(program: &str, words: &[&str]) {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(status.success() || std::thread::panicking(), "{program} {words:?}: {status}");
}
