//! What a thousand actions that run at once cost the server: its memory, its processor time, and how long an agent
//! waits for the answer to its claim.
//!
//! The server is a process of its own with the real store, engine and routes; its executor only writes down what it was
//! to place. The agents are tasks of this process, which speak the real protocol over HTTP: each claims, keeps a
//! heartbeat waiting, and sends a line of log every ten seconds.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener as StdListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use containerops::{
    agent::protocol::{Cause, Chunk, ClaimAnswer, ClaimRequest, EndRecord, LogSeal, Piece, Stream, VERSION, Work},
    app::{self, App},
    executor::{Changed, Executor, ExecutorError, ExecutorKind, Observation, Placement, Sight},
    forge::{Forge, git::Git},
    model::{AttemptId, Clock, ForgeKind},
    settings::Settings,
    store::Store,
};
use figure::{Figure, cpu_time, ms, percentile};
use secrecy::ExposeSecret as _;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

const RUNS: usize = 50;
const ACTIONS: usize = 20;
const FLEET: usize = RUNS * ACTIONS;
/// How long all of them run before anything is counted, and while it is.
const WARM: Duration = Duration::from_secs(10);
const WATCHED: Duration = Duration::from_secs(30);
const BETWEEN_LINES: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(600);
/// Says to this program that it is the server.
const SERVER: &str = "FLEET_SERVER";

fn main() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("nothing else installs one");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match std::env::var(SERVER) {
        Ok(address) => runtime.block_on(serve(address.parse().expect("an address"))),
        Err(_) => runtime.block_on(measure()),
    }
}

/// The executor of a server whose pods are all in our mind.
struct Paper(Mutex<BTreeMap<AttemptId, ()>>);

#[async_trait]
impl Executor for Paper {
    fn kind(&self) -> ExecutorKind {
        ExecutorKind::Process
    }

    async fn start(&self, placement: &Placement) -> Result<(), ExecutorError> {
        self.0.lock().expect("a lock").insert(placement.attempt, ());
        for container in &placement.containers {
            let line = format!("{}\n", container.token.expose_secret());
            std::io::stdout().write_all(line.as_bytes()).expect("somebody reads");
        }
        Ok(())
    }

    async fn look(&self, attempt: AttemptId) -> Result<Sight, ExecutorError> {
        let there = self.0.lock().expect("a lock").contains_key(&attempt);
        Ok(if there { Observation::Running.into() } else { Sight::absent() })
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), ExecutorError> {
        self.0.lock().expect("a lock").remove(&attempt);
        Ok(())
    }

    async fn attempts(&self) -> Result<Vec<AttemptId>, ExecutorError> {
        Ok(self.0.lock().expect("a lock").keys().copied().collect())
    }

    async fn changed(&self) -> Changed {
        std::future::pending().await
    }
}

async fn serve(address: SocketAddr) {
    let settings = Settings::read(std::env::vars().filter(|(name, _)| name.starts_with("CONTAINEROPS_")), None);
    let settings = settings.expect("settings");
    let limits = app::limits(&settings, &format!("http://{address}"));
    let secret = containerops::forge::git::secret(&settings.data).expect("a secret");
    let forge: Arc<dyn Forge> = Arc::new(Git::new(settings.git_root.clone(), vec![secret]));
    let forges = BTreeMap::from([(ForgeKind::Git, forge)]);
    let executor = Arc::new(Paper(Mutex::default()));
    let app = App::of_parts(&settings, executor, forges, limits, Clock::System).await.expect("an app");
    let listener = TcpListener::bind(address).await.expect("the port is free");
    app.serve(listener, std::future::pending()).await.expect("it serves");
}

/// The server's process, killed when this is dropped.
struct Server {
    child: Child,
    url: String,
    data: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn measure() {
    let (server, tokens) = start();
    let store = push_all(&server).await;
    let fleet = Fleet::take_off(&server.url, tokens).await;
    tokio::time::sleep(WARM).await;
    let before = cpu_time(server.child.id());
    let claims = fleet.claim_again(WATCHED).await;
    let cost = (cpu_time(server.child.id()) - before).as_secs_f64() / WATCHED.as_secs_f64();
    let memory = status(server.child.id(), "VmRSS:");
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

/// The server, and the tokens that it gives out, as they come.
fn start() -> (Server, std::sync::mpsc::Receiver<String>) {
    let data = tempfile::tempdir().expect("a directory");
    let address = StdListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let child = Command::new(std::env::current_exe().expect("ourselves"))
        .env(SERVER, address.to_string())
        .env("CONTAINEROPS_DATA", data.path())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.expect("the server starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let (sender, tokens) = std::sync::mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    (Server { child, url: format!("http://{address}"), data }, tokens)
}

async fn push_all(server: &Server) -> Store {
    let (data, tree) = (server.data.path(), tempfile::tempdir().expect("a directory"));
    let bare = data.join("git/figures/fleet.git");
    while reqwest::get(format!("{}/readyz", server.url)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut init = Command::new(figure::program());
    succeed(init.args(["git", "init", "--url", &server.url, "--data"]).arg(data).arg(&bare));
    let actions: String = (0..ACTIONS).map(|n| format!("  - {{name: a{n}, image: any, run: 'true'}}\n")).collect();
    let flow = format!("stages:\n- name: test\n  sequencing: parallel\n  actions:\n{actions}");
    std::fs::write(tree.path().join(".containerops.yml"), flow).expect("a file");
    git(tree.path(), &["init", "--quiet", "--initial-branch=main"]);
    git(tree.path(), &["add", "--all"]);
    for n in 0..RUNS {
        let commit = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "--allow-empty"];
        git(tree.path(), &[&commit[..], &["--message", &format!("Push {n}")]].concat());
        git(tree.path(), &["push", "--quiet", &bare.to_string_lossy(), &format!("HEAD:refs/heads/branch-{n}")]);
    }
    Store::open(&format!("sqlite:{}", data.join("containerops.db").display())).await.expect("the database")
}

/// All agents.
struct Fleet {
    agents: Vec<Agent>,
    landing: watch::Sender<bool>,
    flying: JoinSet<()>,
    claimed: Vec<Duration>,
}

/// One of them.
#[derive(Clone)]
struct Agent {
    http: reqwest::Client,
    url: String,
    token: String,
    session: String,
    work: Option<Arc<Work>>,
}

impl Fleet {
    /// Returns when all of them run.
    async fn take_off(url: &str, tokens: std::sync::mpsc::Receiver<String>) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut claiming = JoinSet::new();
        for n in 0..FLEET {
            let token = tokens.recv_timeout(LIMIT).expect("every action is placed");
            let agent = Agent {
                http: http.clone(),
                url: format!("{url}/agent/v1"),
                token,
                session: format!("{n:064x}"),
                work: None,
            };
            claiming.spawn(agent.claim_until_it_runs());
        }
        let (agents, claimed): (Vec<Agent>, Vec<Duration>) = claiming.join_all().await.into_iter().unzip();
        let (landing, landed) = watch::channel(false);
        let mut flying = JoinSet::new();
        for agent in &agents {
            flying.spawn(agent.clone().beat(landed.clone()));
            flying.spawn(agent.clone().log(landed.clone()));
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

impl Agent {
    async fn claim_until_it_runs(mut self) -> (Self, Duration) {
        loop {
            if let (ClaimAnswer::Run(work), took) = self.claim().await {
                self.work = Some(Arc::from(work));
                return (self, took);
            }
        }
    }

    async fn claim(&self) -> (ClaimAnswer, Duration) {
        let request = ClaimRequest { protocol: VERSION, version: "figure".to_owned(), session: self.session.clone() };
        let began = Instant::now();
        let answer = self.http.post(format!("{}/claim", self.url)).bearer_auth(&self.token).json(&request).send().await;
        let answer = answer.expect("an answer").json().await.expect("the protocol");
        (answer, began.elapsed())
    }

    async fn beat(self, landed: watch::Receiver<bool>) {
        while !*landed.borrow() {
            let beat = self.http.post(format!("{}/heartbeat", self.url)).bearer_auth(&self.session).send().await;
            drop(beat.expect("an answer").bytes().await);
        }
    }

    async fn log(self, landed: watch::Receiver<bool>) {
        let (mut offset, mut line) = (0, 0);
        let spread = u64::from_str_radix(&self.session[60..], 16).unwrap_or(0) % 1000;
        tokio::time::sleep(BETWEEN_LINES.mul_f64(spread as f64 / 1000.0)).await;
        while !*landed.borrow() {
            line += 1;
            let text = format!("line {line}\n").into_bytes();
            let piece = Piece { length: text.len() as u64, time: Clock::System.now(), stream: Stream::Out };
            let length = piece.length;
            let chunk = Chunk { pieces: vec![piece], text }.encode().expect("a chunk");
            let url = format!("{}/log?offset={offset}", self.url);
            let put = self.http.put(url).bearer_auth(&self.session).body(chunk).send().await.expect("an answer");
            assert!(put.status().is_success() || *landed.borrow(), "{}", put.status());
            offset += length;
            tokio::time::sleep(BETWEEN_LINES).await;
        }
    }

    async fn end(self) -> Duration {
        let job = self.work.as_ref().expect("it runs").job;
        let now = Clock::System.now();
        let record = EndRecord {
            chores: Default::default(),
            ready: None,
            job,
            cause: Cause::Exit { code: 0 },
            started: Some(now),
            ended: now,
            result: None,
            memory_peak: None,
            memory_limit: None,
            oom_kills: 0,
            log: LogSeal::default(),
        };
        let began = Instant::now();
        let end = self.http.post(format!("{}/end", self.url)).bearer_auth(&self.session).json(&record).send().await;
        assert!(end.expect("an answer").status().is_success());
        began.elapsed()
    }
}

async fn wait_for_ends(store: &Store) {
    let began = Instant::now();
    while !store.read().await.expect("a view").open_runs().await.expect("runs").is_empty() {
        assert!(began.elapsed() < LIMIT, "the runs do not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// In MB.
fn status(pid: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    let value = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux tells it");
    value.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

fn git(tree: &Path, arguments: &[&str]) {
    succeed(Command::new("git").current_dir(tree).args(arguments));
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("it can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
