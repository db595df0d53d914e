//! How long after a push the forge shows its first state.
//!
//! The forge is the tests' model of GitHub, behind the real client; it takes 50 ms for every answer. The time runs from
//! the delivery's first byte until the forge has acknowledged a state of the push's commit: intake, the flow file,
//! the run's rows and the check lie between.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;
#[expect(dead_code, unused_imports, reason = "the tests' models can do more than a figure needs")]
#[path = "../tests/it/harness/mod.rs"]
mod harness;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use containerops::{
    app::{self, App},
    engine,
    executor::Process,
    forge::{Forge, github::Github},
    model::{Clock, ForgeKind, Progress, Sha, Time},
    settings::Settings,
    store::{Change, ReportRow, Store},
};
use figure::{Figure, ms};
use harness::github::ModelGithub;
use tokio::net::TcpListener;

const REPOSITORY: &str = "acme/widget";
const FLOW: &[u8] = b"title: One\nimage: busybox\nrun: 'true'\n";
const FORGE_TAKES: Duration = Duration::from_millis(50);
/// More within a minute would wait for the budget that the forge gives.
const PUSHES: usize = 12;
/// A run has ended long before.
const LIMIT: Duration = Duration::from_secs(60);

/// A service with all its loops, and its forge.
struct Service {
    github: ModelGithub,
    store: Store,
    url: String,
    http: reqwest::Client,
    _data: tempfile::TempDir,
}

#[tokio::main]
async fn main() {
    let service = Service::start().await;
    let first = service.push(0).await;
    let mut later = Vec::new();
    for n in 1..=PUSHES {
        later.push(ms(service.push(n).await));
    }
    let _ = service.github.writes();
    let figure = |name: &str, target, values| Figure { name: name.to_owned(), target, unit: "ms", values };
    let figures = [
        figure("push → first state acknowledged", "< 150 ms", later),
        figure("the same for the first push, with the installation's token to fetch", "–", vec![ms(first)]),
    ];
    let method = format!(
        "Median of {PUSHES} pushes to the default branch, one after another, each after the end of the run before. All \
         loops run; the forge takes {} ms for each answer, and two answers lie one behind the other: the flow file, the check.",
        FORGE_TAKES.as_millis()
    );
    figure::print(&figures, &method);
}

impl Service {
    async fn start() -> Self {
        let github = ModelGithub::start().await;
        let data = tempfile::tempdir().expect("a directory");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let place = ("CONTAINEROPS_DATA".to_owned(), data.path().display().to_string());
        let settings = Settings::read([place], None).expect("settings");
        let limits = engine::Settings { job_timeout: LIMIT, run_timeout: LIMIT, ..app::limits(&settings, &url) };
        let executor = Process::new(data.path().join("attempts"), vec![figure::program().into(), "agent".into()]);
        let forge: Arc<dyn Forge> = Arc::new(Github::new(github.settings()).expect("a forge"));
        let forges = BTreeMap::from([(ForgeKind::Github, forge)]);
        let app = App::of_parts(&settings, Arc::new(executor), forges, limits, Clock::System).await.expect("an app");
        let store = app.engine.store.clone();
        tokio::spawn(app.serve(listener, std::future::pending()));
        Self { github, store, url, http: reqwest::Client::new(), _data: data }
    }

    /// Pushes a commit, waits until its run is over, and tells how long its first state took.
    async fn push(&self, n: usize) -> Duration {
        self.github.delay(Duration::ZERO);
        let sha =
            self.github.commit(REPOSITORY, "main", &[(".containerops.yml", FLOW), ("n", n.to_string().as_bytes())]);
        let delivery = self.github.push(REPOSITORY, "main");
        self.github.delay(FORGE_TAKES);
        let mut bell = self.store.bell().listen();
        let post = self.http.post(format!("{}/hooks/github", self.url)).headers(delivery.headers).body(delivery.body);
        let began = Clock::System.now();
        let answer = post.send().await.expect("the service answers");
        assert_eq!(answer.status(), 202);
        let mut first = None;
        loop {
            let (told, over) = self.told(&sha).await;
            first = first.or(told);
            match first {
                Some(first) if over => return first.since(began),
                _ => bell.wait(Duration::from_millis(5), |change| change == Change::Report).await,
            }
        }
    }

    /// When the forge first acknowledged a state of this commit, and whether it has been told all.
    async fn told(&self, sha: &Sha) -> (Option<Time>, bool) {
        let name = REPOSITORY.parse().expect("a name");
        let mut tx = self.store.read().await.expect("a view");
        let repository = tx.repository_named(ForgeKind::Github, &name).await.expect("repositories");
        let Some(repository) = repository else { return (None, false) };
        let reports = tx.reports(repository.id, sha).await.expect("reports");
        let over = |report: &ReportRow| {
            report.acknowledged == report.wanted_digest && matches!(report.wanted.progress, Progress::Done(_))
        };
        let first = reports.iter().filter_map(|report| report.told_at).min();
        (first, !reports.is_empty() && reports.iter().all(over))
    }
}
