//! How many deliveries a second are made durable and answered, and how long one waits for its answer.
//!
//! 64 connections send signed deliveries of 8 KB, each with an id of its own, and wait for each answer. Sender and server
//! share the machine. After the last answer the server is killed, and its database must hold every delivery that it
//! said yes to.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use containerops::{app::App, settings::Settings, store::DeliveryFilter};
use figure::{Figure, Server, database::Database, median, ms, percentile};
use hmac::{Hmac, KeyInit, Mac};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const CONNECTIONS: usize = 64;
const BODY: usize = 8 << 10;
const SECRET: &str = "it-is-a-secret-to-everybody";
/// Each round is as long as this, after a start that is not counted.
const ROUND: Duration = Duration::from_secs(8);
const START: Duration = Duration::from_secs(1);
const ROUNDS: usize = 5;
/// How the id in the request is found.
const ID: &str = "00000000-0000-0000-0000-000000000000";

/// What the sender saw in one round.
struct Load {
    per_second: f64,
    median: Duration,
    p99: Duration,
    /// Processor time of sender and server, for one delivery.
    cost: Duration,
    /// Answered with 202, the start included.
    taken: usize,
}

fn main() {
    // as the program itself does first
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("nothing else installs one");
    let alone: Vec<Load> = (0..ROUNDS).map(|_| without_loops()).collect();
    let whole: Vec<Load> = (0..ROUNDS).map(|_| whole_server()).collect();
    let both = [("hooks alone", &alone), ("the whole server, which handles them meanwhile", &whole)];
    let figures: Vec<Figure> = both.into_iter().flat_map(figures).collect();
    let method = format!(
        "Medians of {ROUNDS} rounds of {} s. {CONNECTIONS} connections, {BODY} bytes each, an event that starts nothing; \
         {}; sender, server and database share this machine's {} cores. No delivery was lost or doubled.",
        ROUND.as_secs(),
        Database::what(),
        std::thread::available_parallelism().map_or(0, usize::from),
    );
    figure::print(&figures, &method);
}

fn figures((what, loads): (&str, &Vec<Load>)) -> [Figure; 4] {
    let figure = |name: &str, target, unit, value: fn(&Load) -> f64| Figure {
        name: format!("{name}, {what}"),
        target,
        unit,
        values: loads.iter().map(value).collect(),
    };
    [
        figure("durable 2xx a second", "≥ 5,000", "", |load| load.per_second),
        figure("an answer's p99", "< 50 ms", "ms", |load| ms(load.p99)),
        figure("an answer's median", "–", "ms", |load| ms(load.median)),
        figure("processor time of sender and server for one", "–", "ms", |load| ms(load.cost)),
    ]
}

/// The routes in this process, with no loop that takes the deliveries out again.
fn without_loops() -> Load {
    let (data, database) = (tempfile::tempdir().expect("a directory"), Database::make());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let address = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let variables = settings(&database).into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let place = ("CONTAINEROPS_DATA".to_owned(), data.path().display().to_string());
        let settings = Settings::read(variables.chain([place]), None).expect("settings");
        let app = App::assemble(&settings, address).await.expect("an app");
        tokio::spawn(async move { axum::serve(listener, app.router()).await });
        address
    });
    let load = load(address, &[std::process::id()]);
    drop(runtime);
    check(data.path(), &database, &load);
    load
}

fn whole_server() -> Load {
    let database = Database::make();
    let server = Server::start(&settings(&database));
    let load = load(server.address(), &[std::process::id(), server.pid()]);
    check(server.kill().path(), &database, &load);
    load
}

fn settings(database: &Database) -> Vec<(&'static str, &str)> {
    let own = [("CONTAINEROPS_GITHUB_WEBHOOK_SECRET", SECRET), ("CONTAINEROPS_EXECUTOR", "process")];
    own.into_iter().chain(database.setting()).collect()
}

/// Every delivery that was answered is in, once. One more for each connection may be: the answer was not waited for.
fn check(data: &Path, database: &Database, load: &Load) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let stored = runtime.block_on(async {
        let store = database.store(data).await;
        let all = DeliveryFilter { limit: i64::MAX, ..DeliveryFilter::default() };
        store.read().await.expect("a view").deliveries(&all).await.expect("deliveries").len()
    });
    assert_eq!(stored, load.taken, "deliveries in the database, and those that were answered");
}

/// Sends for a round, on a thread of its own; `processes` are sender and server.
fn load(address: SocketAddr, processes: &[u32]) -> Load {
    let cpu_time = || processes.iter().map(|pid| figure::cpu_time(*pid)).sum::<Duration>();
    let before = cpu_time();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let request = request();
    let counted_from = Instant::now() + START;
    let until = counted_from + ROUND;
    let answers: Vec<(Instant, Duration)> = runtime.block_on(async {
        let senders: JoinSet<_> = (0..CONNECTIONS).map(|id| send(address, request.clone(), id, until)).collect();
        senders.join_all().await.concat()
    });
    let counted = answers.iter().filter(|(at, _)| *at >= counted_from && *at < until);
    let waits: Vec<Duration> = counted.map(|(_, wait)| *wait).collect();
    Load {
        per_second: waits.len() as f64 / ROUND.as_secs_f64(),
        median: median(&waits),
        p99: percentile(&waits, 99),
        cost: (cpu_time() - before) / u32::try_from(answers.len()).expect("a count"),
        taken: answers.len(),
    }
}

/// One connection: a delivery, its answer, the next. When each answer came, and how long it took.
async fn send(
    address: SocketAddr,
    mut request: Vec<u8>,
    connection: usize,
    until: Instant,
) -> Vec<(Instant, Duration)> {
    let place = memchr::memmem::find(&request, ID.as_bytes()).expect("the request has an id");
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("TCP");
    let mut answers = Vec::new();
    while Instant::now() < until {
        let id = format!("{connection:08x}-cc78-11e3-81ab-{:012x}", answers.len());
        request[place..place + ID.len()].copy_from_slice(id.as_bytes());
        let asked = Instant::now();
        stream.write_all(&request).await.expect("the server reads");
        read_answer(&mut stream).await;
        answers.push((Instant::now(), asked.elapsed()));
    }
    answers
}

/// Reads one answer to its end; it must be 202.
async fn read_answer(stream: &mut TcpStream) {
    let mut answer = Vec::with_capacity(512);
    loop {
        let read = stream.read_buf(&mut answer).await.expect("the server answers");
        let text = String::from_utf8_lossy(&answer);
        assert!(read > 0 && text.starts_with("HTTP/1.1 202"), "not taken: {text}");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.expect("a length").parse().expect("a number") {
            return;
        }
    }
}

/// A delivery as GitHub sends it, with the headers that it has and a body of the right size.
fn request() -> Vec<u8> {
    let body = body();
    let mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key").chain_update(&body);
    let signature = hex::encode(mac.finalize().into_bytes());
    let head = format!(
        "POST /hooks/github HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\nuser-agent: GitHub-Hookshot/044aadd\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nx-github-delivery: {ID}\r\nx-github-event: star\r\n\
         x-github-hook-id: 109948940\r\nx-github-hook-installation-target-id: 79929171\r\n\
         x-github-hook-installation-target-type: repository\r\nx-hub-signature-256: sha256={signature}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// A real-shaped payload, filled up to the size with what pushes are full of: commits.
fn body() -> Vec<u8> {
    let push = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/webhooks/github/push.json");
    let mut push: serde_json::Value = serde_json::from_slice(&std::fs::read(push).expect("a fixture")).expect("JSON");
    let commit = push["head_commit"].clone();
    let mut commits = Vec::new();
    while serde_json::to_vec(&push).expect("JSON").len() < BODY {
        commits.push(commit.clone());
        push["commits"] = commits.clone().into();
    }
    let mut body = serde_json::to_vec(&push).expect("JSON");
    body.resize(BODY.max(body.len()), b' ');
    body
}
