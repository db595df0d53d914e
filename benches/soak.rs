//! Whether a server's memory stays what it is: fifty runs of thirty jobs, and a new one for each that ends, for ten minutes.
//!
//! The server is a process of its own with the real store, engine and routes; its pods are on paper, and its agents tasks
//! of this process, which speak the real protocol over HTTP. Each job takes some seconds, keeps a heartbeat waiting and
//! writes a line of log every second. It fails if the memory of any later minute (its median) is more than that of the
//! third, by more than a tenth. `SOAK_SECONDS` makes it shorter; then a fifth of it stands for the three minutes.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;

use std::time::{Duration, Instant};

use containerops::store::RunFilter;
use figure::{
    Figure,
    crew::{self, Agent, LIMIT, PaperServer, Pusher, wait_for_ends},
    database::Database,
};
use tokio::{sync::watch, task::JoinSet};

const RUNS: usize = 50;
const JOBS: usize = 30;
/// How long jobs take: from here, each a second longer than the one before, and then from here again.
const SHORTEST: u64 = 15;
const LENGTHS: u64 = 20;
const BETWEEN_LINES: Duration = Duration::from_secs(1);
/// Between two looks at how many runs are open.
const LOOK: Duration = Duration::from_millis(500);
/// Memory that grows by less than this is as it was.
const GROWTH: f64 = 1.1;

fn main() {
    crew::run(soak());
}

async fn soak() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(600);
    let lasts = Duration::from_secs(seconds);
    let (server, tokens) = PaperServer::start();
    let pusher = Pusher::make(&server, JOBS).await;
    let (store, over) = (server.store().await, watch::channel(false).0);
    let working = tokio::spawn(work(server.url.clone(), tokens, over.subscribe()));
    let (began, mut pushed) = (Instant::now(), 0);
    // of each minute what it had twice a second, for it goes up and down with what waits
    let (mut looks, mut medians, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    let steps = if seconds >= 300 { seconds / 60 } else { 10 };
    while began.elapsed() < lasts {
        let open = store.read().await.expect("a view").open_runs().await.expect("runs").len();
        for _ in open..RUNS {
            pusher.push(&format!("branch-{pushed}"));
            pushed += 1;
        }
        looks.push(server.memory());
        if began.elapsed() > lasts.mul_f64((medians.len() + 1) as f64 / steps as f64) {
            let (median, peak) = median_and_peak(std::mem::take(&mut looks));
            say(&format!("{} s: {median:.1} MB, at most {peak:.1}, {pushed} runs", began.elapsed().as_secs()));
            medians.push(median);
            peaks.push(peak);
        }
        tokio::time::sleep(LOOK).await;
    }
    wait_for_ends(&store).await;
    over.send_replace(true);
    let jobs = working.await.expect("no agent panics");
    let idle = server.memory();
    let all = RunFilter { limit: i64::MAX, ..RunFilter::default() };
    let runs = store.read().await.expect("a view").runs(&all).await.expect("runs");
    assert_eq!((runs.len(), jobs), (pushed, pushed * JOBS), "a run for each push, and each job once");
    let good = |run: &containerops::store::RunSummary| run.state.conclusion().is_some_and(|end| end.lets_go_on());
    assert!(runs.iter().all(good), "every run ended well");
    let (before, after) = medians.split_at((medians.len() * 3 / 10).max(1));
    let (warm, most) = (before[before.len() - 1], after.iter().copied().fold(0.0, f64::max));
    let figure = |name: &str, target, values| Figure { name: name.to_owned(), target, unit: "MB", values };
    let figures = [
        figure("memory, each minute's median", "flat", medians),
        figure("memory, each minute's peak", "–", peaks),
        figure("memory when all has ended", "–", vec![idle]),
    ];
    figure::print(&figures, &format!("{pushed} runs, {jobs} jobs in {seconds} s; {}.", Database::what()));
    assert!(most <= warm * GROWTH, "it had {warm:.1} MB, and then {most:.1} MB");
}

fn median_and_peak(mut looks: Vec<f64>) -> (f64, f64) {
    looks.sort_by(f64::total_cmp);
    (looks[looks.len() / 2], looks[looks.len() - 1])
}

/// An agent for each token, until it is over. How many there were.
async fn work(url: String, tokens: std::sync::mpsc::Receiver<String>, over: watch::Receiver<bool>) -> usize {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let (mut agents, mut count) = (JoinSet::new(), 0);
    while !*over.borrow() {
        while let Ok(token) = tokens.try_recv() {
            let length = Duration::from_secs(SHORTEST + count as u64 % LENGTHS);
            agents.spawn(live(Agent::new(&http, &url, token, count), length));
            count += 1;
        }
        while agents.try_join_next().is_some() {}
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::timeout(LIMIT, agents.join_all()).await.expect("every agent ends");
    count
}

/// An agent's life.
async fn live(agent: Agent, length: Duration) {
    let (agent, _) = agent.claim_until_it_runs().await;
    let (landing, landed) = watch::channel(false);
    let mut beside = JoinSet::new();
    beside.spawn(agent.clone().beat(landed.clone()));
    let writing = tokio::spawn(agent.clone().log(landed, BETWEEN_LINES));
    tokio::time::sleep(length).await;
    landing.send_replace(true);
    writing.await.expect("it writes");
    agent.end().await;
    beside.shutdown().await;
}

#[expect(clippy::print_stdout, reason = "it takes long, and people look")]
fn say(words: &str) {
    println!("{words}");
}
