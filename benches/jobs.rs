//! How many jobs a second start and end through the engine.
//!
//! All loops of a server run in this process, on a file or on the PostgreSQL that `CONTAINEROPS_TEST_POSTGRES` names. Its
//! executor only writes down what it was to place; the agents are tasks that claim their job as soon as it is placed, and
//! end it at once. Each job is leased, begun, placed, claimed, started, ended, settled and told of as any other.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;

use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use containerops::{
    agent::protocol::ClaimAnswer,
    app::{self, App},
    engine::Engine,
    forge::{Forge, git::Git},
    model::{Clock, ForgeKind},
    settings::Settings,
};
use figure::{
    Figure,
    database::Database,
    ms,
    paper::{self, Paper},
    percentile,
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

const RUNS: usize = 50;
const ACTIONS: usize = 60;
const JOBS: usize = RUNS * ACTIONS;
const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_secs(600);

/// One round.
struct Round {
    per_second: f64,
    claims: Vec<Duration>,
    ends: Vec<Duration>,
    /// Processor time of this process, server and agents together, for one job.
    cost: Duration,
    /// From the last job's end to that of the last run.
    settled: Duration,
}

/// What an agent has seen.
struct Seen {
    claimed: Duration,
    ended: Duration,
    at: Instant,
}

fn main() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("nothing else installs one");
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| round()).collect();
    let figure = |name: &str, target, unit, value: &dyn Fn(&Round) -> f64| Figure {
        name: name.to_owned(),
        target,
        unit,
        values: rounds.iter().map(value).collect(),
    };
    let figures = [
        figure("job starts and ends a second", "≥ 1,000 on PostgreSQL", "", &|round| round.per_second),
        figure("a claim's median, all at once", "–", "ms", &|round| ms(percentile(&round.claims, 50))),
        figure("an end's median, all at once", "–", "ms", &|round| ms(percentile(&round.ends, 50))),
        figure("processor time of engine and agents for a job", "–", "ms", &|round| ms(round.cost)),
        figure("from the last job's end to the last run's", "–", "ms", &|round| ms(round.settled)),
    ];
    let method = format!(
        "{ROUNDS} rounds of {RUNS} runs with {ACTIONS} parallel jobs each, all due at the beginning; {}. It counts from the \
         first look for work to the last job's end.",
        Database::what()
    );
    figure::print(&figures, &method);
}

fn round() -> Round {
    let database = Database::make();
    let data = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let round = runtime.block_on(measure(data.path(), &database));
    runtime.shutdown_background();
    round
}

async fn measure(data: &Path, database: &Database) -> Round {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let place = ("CONTAINEROPS_DATA".to_owned(), data.display().to_string());
    let database = database.setting().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings::read([place].into_iter().chain(database), None).expect("settings");
    let limits = app::limits(&settings, &format!("http://{address}"));
    let secret = containerops::forge::git::secret(&settings.data).expect("a secret");
    let forge: Arc<dyn Forge> = Arc::new(Git::new(settings.git_root.clone(), vec![secret]));
    let forges = BTreeMap::from([(ForgeKind::Git, forge)]);
    let (sender, tokens) = mpsc::unbounded_channel();
    let executor = Arc::new(Paper::telling(move |token| sender.send(token.to_owned()).expect("somebody hears")));
    let app = App::of_parts(&settings, executor, forges, limits, Clock::System).await.expect("an app");
    push_all(&app, data).await;
    let engine = app.engine.clone();
    let (began, before) = (Instant::now(), figure::cpu_time(std::process::id()));
    let serving = tokio::spawn(app.serve(listener, std::future::pending()));
    let seen = agents(&engine, tokens).await;
    let cost = (figure::cpu_time(std::process::id()) - before) / u32::try_from(JOBS).expect("a count");
    let last = seen.iter().map(|seen| seen.at).max().expect("jobs");
    wait_for_ends(&engine).await;
    let settled = last.elapsed();
    serving.abort();
    Round {
        per_second: JOBS as f64 / (last - began).as_secs_f64(),
        claims: seen.iter().map(|seen| seen.claimed).collect(),
        ends: seen.iter().map(|seen| seen.ended).collect(),
        cost,
        settled,
    }
}

/// Makes all runs, none of which is driven yet.
async fn push_all(app: &App, data: &Path) {
    let (bare, tree) = (data.join("git/figures/jobs.git"), tempfile::tempdir().expect("a directory"));
    let routes = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let hooks = routes.local_addr().expect("an address");
    let router = app.router();
    let serving = tokio::spawn(async move { axum::serve(routes, router).await });
    let actions: String = (0..ACTIONS).map(|n| format!("  - {{name: a{n}, image: any, run: 'true'}}\n")).collect();
    let flow = format!("stages:\n- name: test\n  sequencing: parallel\n  actions:\n{actions}");
    std::fs::write(tree.path().join(".containerops.yml"), flow).expect("a file");
    let (tree, data) = (tree.path().to_owned(), data.to_owned());
    let url = format!("http://{hooks}");
    let pushed = tokio::task::spawn_blocking(move || {
        let mut init = Command::new(figure::program());
        succeed(init.args(["git", "init", "--url", &url, "--data"]).arg(&data).arg(&bare));
        git(&tree, &["init", "--quiet", "--initial-branch=main"]);
        git(&tree, &["add", "--all"]);
        let user = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
        let commit = ["commit", "--quiet", "--allow-empty", "--message=Many"];
        for n in 0..RUNS {
            git(&tree, &[&user[..], &commit].concat());
            git(&tree, &["push", "--quiet", &bare.to_string_lossy(), &format!("HEAD:refs/heads/branch-{n}")]);
        }
    });
    pushed.await.expect("all is pushed");
    let open = async || app.engine.store.read().await.expect("a view").open_runs().await.expect("runs").len();
    while open().await < RUNS {
        app.engine.intake().await.expect("intake");
    }
    while app.engine.make_sources().await.expect("sources") > 0 {}
    serving.abort();
}

/// One agent for each token that comes, until all jobs have ended.
async fn agents(engine: &Engine, mut tokens: mpsc::UnboundedReceiver<String>) -> Vec<Seen> {
    let mut agents = JoinSet::new();
    for n in 0..JOBS {
        let token = tokio::time::timeout(LIMIT, tokens.recv()).await.expect("in time").expect("a token");
        agents.spawn(agent(engine.clone(), token, format!("{n:064x}")));
    }
    agents.join_all().await
}

async fn agent(engine: Engine, token: String, session: String) -> Seen {
    let began = Instant::now();
    let work = loop {
        match engine.claim(&token, &paper::claim(&session)).await.expect("an answer") {
            ClaimAnswer::Run(work) => break work,
            ClaimAnswer::Wait => {}
            ClaimAnswer::Leave { reason } => panic!("{reason}"),
        }
    };
    let claimed = Instant::now();
    engine.end(&session, &paper::ended_well(work.job)).await.expect("it is taken");
    let at = Instant::now();
    Seen { claimed: claimed - began, ended: at - claimed, at }
}

async fn wait_for_ends(engine: &Engine) {
    let began = Instant::now();
    while !engine.store.read().await.expect("a view").open_runs().await.expect("runs").is_empty() {
        assert!(began.elapsed() < LIMIT, "the runs do not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn git(tree: &Path, arguments: &[&str]) {
    succeed(Command::new("git").current_dir(tree).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null"));
}

fn succeed(command: &mut Command) {
    let output = command.output().expect("it can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
