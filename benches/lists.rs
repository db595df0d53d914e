//! How long people wait for lists of runs, a repository's statistics and a badge where 100,000 runs are stored.
//!
//! The runs are written into the database of a server that runs, a file or one on the PostgreSQL that
//! `CONTAINEROPS_TEST_POSTGRES` names, as the engine writes them: ten repositories over ninety
//! days, one of which has half of all runs. A PostgreSQL tidies up, as it would have over ninety days. Then each page is
//! asked for over HTTP, in turn.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;

use std::time::{Duration, Instant};

use containerops::{
    flow::{self, Decision},
    model::{
        Conclusion, Event, EventKind, ForgeKind, Grants, Plan, PullRequest, Repository, RepositoryId, RepositoryName,
        RunState, Time, Trust, Visibility, Wants,
    },
    store::{EndedJob, NewRun, Pins, Store},
};
use figure::{Figure, Server, database::Database};

const RUNS: u64 = 100_000;
const REPOSITORIES: u64 = 10;
/// So many are written in one transaction.
const TOGETHER: u64 = 1_000;
const DAYS: u64 = 90;
const ROUNDS: usize = 15;
const FLOW: &str = "
stages:
  - {name: build, image: \"rust:1\", run: cargo build --all-features}
  - {name: test, image: \"rust:1\", run: cargo test --all-features}
  - {name: ship, image: \"alpine:3\", run: ./ship.sh}
";

#[tokio::main]
async fn main() {
    let database = Database::make();
    let own = [("CONTAINEROPS_EXECUTOR", "process")];
    let server = Server::start(&own.into_iter().chain(database.setting()).collect::<Vec<_>>());
    write(&database.store(server.data()).await).await;
    database.tidy();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let url = |path: &str| format!("http://{}{path}", server.address());
    let asked = [
        ("all runs", "/"),
        ("all runs, those of a branch that failed", "/?branch=main&state=failure"),
        ("all runs, of somebody who has none", "/?author=nobody&state=failure"),
        ("a repository of 50,000 runs", "/git/figures/r0"),
        ("… by branch, state and author", "/git/figures/r0?branch=main&state=failure&author=a7"),
        ("… what no run is", "/git/figures/r0?flow=nothing&state=cancelled"),
        ("… one old pull request", "/git/figures/r0?pull=1"),
        ("… its statistics of 90 days", "/git/figures/r0/statistics?days=90"),
        ("… of 30 days", "/git/figures/r0/statistics"),
        ("… its badge", "/git/figures/r0/badge.svg"),
        ("all repositories", "/repositories"),
        ("the API, 100 of all", "/api/v1/runs?state=failure"),
    ];
    let mut figures = Vec::new();
    for (name, path) in asked {
        let mut values = Vec::new();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let answer = client.get(url(path)).send().await.expect("an answer");
            assert!(answer.status().is_success(), "{path}: {}", answer.status());
            answer.bytes().await.expect("a body");
            values.push(figure::ms(begun.elapsed()));
        }
        figures.push(Figure { name: name.to_owned(), target: "< 50 ms", unit: "ms", values });
    }
    figures.push(watcher(&client, &url("/")).await);
    let method = format!(
        "Medians of {ROUNDS} requests each, one after another, over HTTP on loopback; {RUNS} runs of {REPOSITORIES} \
         repositories over {DAYS} days; {}; the server is a release build.",
        Database::what()
    );
    figure::print(&figures, &method);
}

/// What one who watches a list asks every other second while nothing happens.
async fn watcher(client: &reqwest::Client, url: &str) -> Figure {
    let page = client.get(url).send().await.expect("an answer").text().await.expect("a page");
    let seen = page.split("data-live=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a number").to_owned();
    let mut values = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let answer = client.get(url).header("containerops-seen", &seen).send().await.expect("an answer");
        assert_eq!(answer.status(), 204, "nothing happens");
        values.push(figure::ms(begun.elapsed()));
    }
    Figure { name: "a watcher's question while nothing happens".to_owned(), target: "–", unit: "ms", values }
}

async fn write(store: &Store) {
    let plan = plan();
    let now = Time::from_millis(i64::try_from(since_1970().as_millis()).expect("a time"));
    let begin = now.before(Duration::from_secs(DAYS * 86_400 - 3_600));
    let mut repositories = Vec::new();
    let mut tx = store.write().await.expect("a transaction");
    for n in 0..REPOSITORIES {
        let facts = repository(n);
        repositories.push((tx.repository_seen(&facts, begin).await.expect("a repository"), facts));
    }
    tx.commit().await.expect("a commit");
    for first in (0..RUNS).step_by(usize::try_from(TOGETHER).expect("a number")) {
        let mut tx = store.write().await.expect("a transaction");
        for n in first..first + TOGETHER {
            // half of them are the first one's
            let of = if n % 2 == 0 { 0 } else { (n / 2) % (REPOSITORIES - 1) + 1 };
            let (id, facts) = &repositories[usize::try_from(of).expect("a number")];
            let made = begin.after(Duration::from_millis(n * (DAYS * 86_400_000 - 7_200_000) / RUNS));
            run(&mut tx, *id, &event(facts, n), &plan, made).await;
        }
        tx.commit().await.expect("a commit");
    }
}

async fn run(tx: &mut containerops::store::Tx, repository: RepositoryId, event: &Event, plan: &Plan, made: Time) {
    let n = u64::from_str_radix(&event.sha.as_str()[..12], 16).expect("a number");
    let (wants, grants, pins) = (Wants::default(), Grants::default(), Pins::new());
    let new = NewRun {
        repository,
        delivery: None,
        rerun_of: None,
        repeats: None,
        flow: if n % 10 == 3 { "nightly" } else { "ci" },
        path: ".containerops.yml",
        event,
        plan: Some(plan),
        wants: &wants,
        grants: &grants,
        diagnostics: &[],
        state: RunState::Queued,
        reason: "",
        pins: &pins,
        source: None,
        source_note: "",
        now: made,
    };
    let id = tx.insert_run(&new).await.expect("a run");
    let started = made.after(Duration::from_millis(500 + n * 7919 % 20_000));
    let ended = started.after(Duration::from_millis(20_000 + n * 104_729 % 600_000));
    let end = match n % 20 {
        0..16 => Conclusion::Success,
        16..19 => Conclusion::Failure,
        _ => Conclusion::Cancelled,
    };
    tx.set_run_state(id, &RunState::Running, "", started).await.expect("it runs");
    tx.set_run_state(id, &RunState::Ended(end), "", ended).await.expect("it ends");
    for job in ["build/build/build", "test/test/test", "ship/ship/ship"] {
        let failed = end == Conclusion::Failure && job.starts_with("test");
        tx.count_job(EndedJob {
            repository,
            run: 1,
            sha: event.sha.clone(),
            flow: new.flow.to_owned(),
            branch: String::new(),
            job: job.to_owned(),
            failed,
            took: 60_000,
            at: ended,
        });
    }
}

fn repository(n: u64) -> Repository {
    let name: RepositoryName = format!("figures/r{n}").parse().expect("a name");
    Repository {
        forge: ForgeKind::Git,
        name,
        default_branch: "main".to_owned(),
        clone_url: String::new(),
        web_url: String::new(),
        installation: None,
        visibility: Visibility::default(),
    }
}

fn event(repository: &Repository, n: u64) -> Event {
    let kind = match n % 10 {
        0..6 => EventKind::Push { branch: "main".to_owned() },
        6..9 => EventKind::PullRequest(PullRequest {
            number: n / 20 + 1,
            branch: format!("idea-{}", n / 20),
            base: "main".to_owned(),
            head_repository: Some(repository.name.clone()),
            author: format!("a{}", n / 20 % 50),
            draft: false,
            before: None,
            labels: Vec::new(),
        }),
        _ => EventKind::Push { branch: format!("feature-{}", n % 300) },
    };
    let (repository, sha) = (repository.clone(), format!("{n:012x}{:028x}", 7).parse().expect("a sha"));
    let (actor, title) = (format!("a{}", n % 50), format!("Change number {n} of the basket"));
    Event { repository, kind, sha, base_sha: None, actor, title, trust: Trust::Trusted, message: None }
}

fn plan() -> Plan {
    let facts = repository(0);
    let flow = flow::read("ci.yml", &facts.name, FLOW.as_bytes()).expect("a flow");
    match flow.plan(&event(&facts, 0)) {
        Decision::Run(plan) => plan,
        Decision::Broken(_) | Decision::LeftOut { .. } | Decision::Unasked { .. } => panic!("it runs"),
    }
}

fn since_1970() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970")
}
