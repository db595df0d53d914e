//! Breaks parts of the cluster, and mends them whatever becomes of the test: each fault ends when it is dropped.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::{Command, Stdio},
};

use axum::{
    Router,
    extract::{Path, Query, State},
    routing::get,
};
use serde::Deserialize;
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
const PATIENCE: Duration = Duration::from_secs(180);
/// How often a rule is tried.
const TRIES: usize = 20;

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

/// How the names of what goes on until it is over begin.
pub(crate) const BEAT: &str = "beat-";

/// Counts what pods do, on a port that no fault touches: whoever gets `/NAME` adds one to it. Whoever gets
/// `/NAME?line=N` for the line that comes next hears `go`, or, once that is so, that it is `over`, and no more lines count.
pub(crate) struct Counter {
    tally: Tally,
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Tally {
    counts: watch::Sender<BTreeMap<String, usize>>,
    over: watch::Sender<bool>,
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
            let words: Vec<&str> = ["-w", "30", what].into_iter().chain(rule.iter().map(String::as_str)).collect();
            // the cluster writes rules for every pod, too, and whoever is in between is refused
            let written = (1..TRIES).any(|_| succeeds("iptables", &words));
            if !written {
                run("iptables", &words);
            }
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
        let tally = Tally { counts: watch::Sender::default(), over: watch::Sender::default() };
        let router = Router::new().route("/{name}", get(count)).with_state(tally.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { tally, address, task }
    }

    /// Where pods count.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often each was counted.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        self.tally.counts.borrow().clone()
    }

    /// Waits until what begins like this was counted so many times more.
    pub(crate) async fn more(&self, beginning: &str, times: usize) {
        let mut counts = self.tally.counts.subscribe();
        let wanted = total(&counts.borrow_and_update(), beginning) + times;
        let counted = timeout(PATIENCE, counts.wait_for(|counts| total(counts, beginning) >= wanted)).await;
        assert!(counted.is_ok(), "{beginning}… was not counted {times} times more: {:?}", self.counts());
    }

    /// Tells everyone who asks from now on that it is over, or that it goes on.
    pub(crate) fn over(&self, over: bool) {
        self.tally.over.send_replace(over);
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn total(counts: &BTreeMap<String, usize>, beginning: &str) -> usize {
    counts.iter().filter(|(name, _)| name.starts_with(beginning)).map(|(_, count)| count).sum()
}

#[derive(Deserialize)]
struct Asked {
    line: Option<usize>,
}

/// Who names a line may ask for it again: it is counted once, and an answer that was lost is given again.
async fn count(State(tally): State<Tally>, Path(name): Path<String>, Query(asked): Query<Asked>) -> &'static str {
    let (is_over, mut answer) = (*tally.over.borrow(), "go");
    tally.counts.send_modify(|counts| {
        let counted = counts.entry(name).or_default();
        match asked.line {
            None => *counted += 1,
            Some(line) if line <= *counted => {}
            Some(_) if is_over => answer = "over",
            Some(line) => *counted = line,
        }
    });
    answer
}

fn run(program: &str, words: &[&str]) {
    assert!(succeeds(program, words) || std::thread::panicking(), "{program} {words:?} has failed");
}

/// What it starts must not hold our own streams, or whoever reads those waits for it.
fn succeeds(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap_or_else(|error| panic!("{program}: {error}")).success()
}
