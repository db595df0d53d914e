//! What a thousand actions that run at once cost the server: its memory, its processor time, and how long an agent
//! waits for the answer to its claim.
//!
//! The server is a process of its own with the real store, engine and routes; its executor only writes down what it was
//! to place. The agents are tasks of this process, which speak the real protocol over HTTP: each claims, keeps a
//! heartbeat waiting, and sends a line of log every ten seconds.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;

use std::time::{Duration, Instant};

use figure::{
    Figure, cpu_time,
    crew::{self, Agent, LIMIT, PaperServer, Pusher, wait_for_ends},
    ms, percentile,
};
use tokio::{sync::watch, task::JoinSet};

const RUNS: usize = 50;
const ACTIONS: usize = 20;
const FLEET: usize = RUNS * ACTIONS;
/// How long all of them run before anything is counted, and while it is.
const WARM: Duration = Duration::from_secs(10);
const WATCHED: Duration = Duration::from_secs(30);
const BETWEEN_LINES: Duration = Duration::from_secs(10);

fn main() {
    crew::run(measure());
}

async fn measure() {
    let (server, tokens) = PaperServer::start();
    let pusher = Pusher::make(&server, ACTIONS).await;
    (0..RUNS).for_each(|n| pusher.push(&format!("branch-{n}")));
    let store = server.store().await;
    let fleet = Fleet::take_off(&server.url, tokens).await;
    tokio::time::sleep(WARM).await;
    let before = cpu_time(server.id());
    let claims = fleet.claim_again(WATCHED).await;
    let cost = (cpu_time(server.id()) - before).as_secs_f64() / WATCHED.as_secs_f64();
    let memory = server.memory();
    let began = Instant::now();
    let (claimed, ends) = fleet.land().await;
    wait_for_ends(&store).await;
    let ended = began.elapsed();
    let waits = |all: &[Duration], percent| vec![ms(percentile(all, percent))];
    let figure = |name: &str, target, unit, values| Figure { name: name.to_owned(), target, unit, values };
    let figures = [
        figure("memory with all of them running", "< 300 MB", "MB", vec![memory]),
        figure("a claim's p99, while all of them run", "< 100 ms", "ms", waits(&claims, 99)),
        figure("the same, median", "–", "ms", waits(&claims, 50)),
        figure("first claims' p99, all at once", "–", "ms", waits(&claimed, 99)),
        figure("processor time for a second of it all", "–", "s", vec![cost]),
        figure("end records' p99, all at once", "–", "ms", waits(&ends, 99)),
        figure("from the first of these to the end of every run", "–", "s", vec![ended.as_secs_f64()]),
    ];
    let method = format!(
        "{RUNS} runs of {ACTIONS} parallel actions: {FLEET} agents on one machine with the server, a line of log from \
         each every {} s. One round; claims of running jobs, which are answered at once, 100 a second for {} s.",
        BETWEEN_LINES.as_secs(),
        WATCHED.as_secs(),
    );
    figure::print(&figures, &method);
}

/// All agents.
struct Fleet {
    agents: Vec<Agent>,
    landing: watch::Sender<bool>,
    flying: JoinSet<()>,
    claimed: Vec<Duration>,
}

impl Fleet {
    /// Returns when all of them run.
    async fn take_off(url: &str, tokens: std::sync::mpsc::Receiver<String>) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut claiming = JoinSet::new();
        for n in 0..FLEET {
            let token = tokens.recv_timeout(LIMIT).expect("every action is placed");
            claiming.spawn(Agent::new(&http, url, token, n).claim_until_it_runs());
        }
        let (agents, claimed): (Vec<Agent>, Vec<Duration>) = claiming.join_all().await.into_iter().unzip();
        let (landing, landed) = watch::channel(false);
        let mut flying = JoinSet::new();
        for agent in &agents {
            flying.spawn(agent.clone().beat(landed.clone()));
            flying.spawn(agent.clone().log(landed.clone(), BETWEEN_LINES));
        }
        Self { agents, landing, flying, claimed }
    }

    /// Claims again and again, now for this one, now for that: the answer is the same work at once.
    async fn claim_again(&self, span: Duration) -> Vec<Duration> {
        let until = Instant::now() + span;
        let mut claims = JoinSet::new();
        for agent in self.agents.iter().cycle() {
            if Instant::now() > until {
                break;
            }
            let agent = agent.clone();
            claims.spawn(async move { agent.claim().await.1 });
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        claims.join_all().await
    }

    /// Ends all jobs. How long the first claims took, and the end records.
    async fn land(mut self) -> (Vec<Duration>, Vec<Duration>) {
        self.landing.send_replace(true);
        let mut ends = JoinSet::new();
        for agent in self.agents {
            ends.spawn(agent.end());
        }
        let ends = ends.join_all().await;
        self.flying.shutdown().await;
        (self.claimed, ends)
    }
}
