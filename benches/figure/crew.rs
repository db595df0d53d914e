//! A server in a process of its own whose pods are on paper, and agents that are tasks of the measuring process and speak
//! the real protocol over HTTP.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener as StdListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use containerops::{
    agent::protocol::{Chunk, ClaimAnswer, Piece, Stream, Work},
    app::{self, App},
    forge::{Forge, git::Git},
    model::{Clock, ForgeKind},
    settings::Settings,
    store::Store,
};
use tokio::{net::TcpListener, sync::watch};

use super::{
    database::Database,
    paper::{self, Paper},
};

/// Nothing of a figure takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);
/// Says to this program that it is the server.
const SERVER: &str = "FIGURE_SERVER";

/// Runs the server if this process is to be one, and else `measure`.
pub(crate) fn run(measure: impl Future<Output = ()>) {
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("nothing else installs one");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match std::env::var(SERVER) {
        Ok(address) => runtime.block_on(serve(address.parse().expect("an address"))),
        Err(_) => runtime.block_on(measure),
    }
}

async fn serve(address: SocketAddr) {
    let settings = Settings::read(std::env::vars().filter(|(name, _)| name.starts_with("CONTAINEROPS_")), None);
    let settings = settings.expect("settings");
    let limits = app::limits(&settings, &format!("http://{address}"));
    let secret = containerops::forge::git::secret(&settings.data).expect("a secret");
    let forge: Arc<dyn Forge> = Arc::new(Git::new(settings.git_root.clone(), vec![secret]));
    let forges = BTreeMap::from([(ForgeKind::Git, forge)]);
    let executor = Arc::new(Paper::telling(|token| {
        std::io::stdout().write_all(format!("{token}\n").as_bytes()).expect("somebody reads");
    }));
    let app = App::of_parts(&settings, executor, forges, limits, Clock::System).await.expect("an app");
    let listener = TcpListener::bind(address).await.expect("the port is free");
    app.serve(listener, std::future::pending()).await.expect("it serves");
}

/// The server's process, killed when this is dropped.
pub(crate) struct PaperServer {
    child: Child,
    pub(crate) url: String,
    data: tempfile::TempDir,
    database: Database,
}

impl Drop for PaperServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl PaperServer {
    /// It, and the tokens that it gives out, as they come.
    pub(crate) fn start() -> (Self, std::sync::mpsc::Receiver<String>) {
        let (data, database) = (tempfile::tempdir().expect("a directory"), Database::make());
        let address = StdListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
        let child = Command::new(std::env::current_exe().expect("ourselves"))
            .env(SERVER, address.to_string())
            .env("CONTAINEROPS_DATA", data.path())
            .envs(database.setting())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("the server starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let (sender, tokens) = std::sync::mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        (Self { child, url: format!("http://{address}"), data, database }, tokens)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its database, opened once more.
    pub(crate) async fn store(&self) -> Store {
        self.database.store(self.data.path()).await
    }

    /// In MB.
    pub(crate) fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the server runs");
        let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
        value.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }
}

/// A repository that the server knows, with a flow of so many parallel actions.
pub(crate) struct Pusher {
    tree: tempfile::TempDir,
    bare: PathBuf,
}

impl Pusher {
    pub(crate) async fn make(server: &PaperServer, actions: usize) -> Self {
        let tree = tempfile::tempdir().expect("a directory");
        let bare = server.data.path().join("git/figures/fleet.git");
        while reqwest::get(format!("{}/readyz", server.url)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut init = Command::new(super::program());
        succeed(init.args(["git", "init", "--url", &server.url, "--data"]).arg(server.data.path()).arg(&bare));
        let actions: String = (0..actions).map(|n| format!("  - {{name: a{n}, image: any, run: 'true'}}\n")).collect();
        let flow = format!("stages:\n- name: test\n  sequencing: parallel\n  actions:\n{actions}");
        std::fs::write(tree.path().join(".containerops.yml"), flow).expect("a file");
        git(tree.path(), &["init", "--quiet", "--initial-branch=main"]);
        git(tree.path(), &["add", "--all"]);
        Self { tree, bare }
    }

    /// Pushes a commit to a branch.
    pub(crate) fn push(&self, branch: &str) {
        let commit = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "--allow-empty"];
        git(self.tree.path(), &[&commit[..], &["--message", "Push"]].concat());
        git(self.tree.path(), &["push", "--quiet", &self.bare.to_string_lossy(), &format!("HEAD:refs/heads/{branch}")]);
    }
}

/// An agent.
#[derive(Clone)]
pub(crate) struct Agent {
    http: reqwest::Client,
    url: String,
    token: String,
    session: String,
    work: Option<Arc<Work>>,
}

impl Agent {
    /// The `n`th agent, with the token of its job.
    pub(crate) fn new(http: &reqwest::Client, server: &str, token: String, n: usize) -> Self {
        let (url, session) = (format!("{server}/agent/v1"), format!("{n:064x}"));
        Self { http: http.clone(), url, token, session, work: None }
    }

    pub(crate) async fn claim_until_it_runs(mut self) -> (Self, Duration) {
        loop {
            if let (ClaimAnswer::Run(work), took) = self.claim().await {
                self.work = Some(Arc::from(work));
                return (self, took);
            }
        }
    }

    pub(crate) async fn claim(&self) -> (ClaimAnswer, Duration) {
        let request = paper::claim(&self.session);
        let began = Instant::now();
        let answer = self.http.post(format!("{}/claim", self.url)).bearer_auth(&self.token).json(&request).send().await;
        let answer = answer.expect("an answer").json().await.expect("the protocol");
        (answer, began.elapsed())
    }

    pub(crate) async fn beat(self, landed: watch::Receiver<bool>) {
        while !*landed.borrow() {
            let beat = self.http.post(format!("{}/heartbeat", self.url)).bearer_auth(&self.session).send().await;
            drop(beat.expect("an answer").bytes().await);
        }
    }

    pub(crate) async fn log(self, landed: watch::Receiver<bool>, pause: Duration) {
        let (mut offset, mut line) = (0, 0);
        let spread = u64::from_str_radix(&self.session[60..], 16).unwrap_or(0) % 1000;
        tokio::time::sleep(pause.mul_f64(spread as f64 / 1000.0)).await;
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
            tokio::time::sleep(pause).await;
        }
    }

    pub(crate) async fn end(self) -> Duration {
        let record = paper::ended_well(self.work.as_ref().expect("it runs").job);
        let began = Instant::now();
        let end = self.http.post(format!("{}/end", self.url)).bearer_auth(&self.session).json(&record).send().await;
        assert!(end.expect("an answer").status().is_success());
        began.elapsed()
    }
}

/// Until no run is open.
pub(crate) async fn wait_for_ends(store: &Store) {
    let began = Instant::now();
    while !store.read().await.expect("a view").open_runs().await.expect("runs").is_empty() {
        assert!(began.elapsed() < LIMIT, "the runs do not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn git(tree: &Path, arguments: &[&str]) {
    succeed(Command::new("git").current_dir(tree).args(arguments));
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("it can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
