//! How long people wait for a page of a log of a gigabyte, and for what they look for in it; and for a run of many jobs.
//!
//! A job of the process executor prints 990 MB of ordinary lines, almost as much as a log may have. Once its log is whole,
//! pages of it are asked for over HTTP, in turn, and what the server needs for them is read from the system.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;

use std::time::{Duration, Instant};

use figure::{
    Figure, Server,
    forge::{Ended, Repository, store},
};

/// The repository holds a part of the log, and the job prints it so often.
const PART: usize = 1_000_000;
const PARTS: usize = 990;
const ROUNDS: usize = 9;
/// The run of many jobs.
const STAGES: usize = 10;
const ACTIONS: usize = 30;
/// In one line of the log alone.
const NEEDLE: &str = "case_needle";
const JOB: &str = "/git/figures/one/runs/1/main/main/main";
/// The log is read once more before it is whole.
const WHOLE: Duration = Duration::from_secs(120);
/// So long the server may take to seal the logs of a run's jobs.
const AFTER: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    let server = Server::start(&[("CONTAINEROPS_EXECUTOR", "process"), ("CONTAINEROPS_LOG_LIMIT", "1GB")]);
    let mut repository =
        Repository::make(&server, &[(".containerops.yml", &flow()), ("lines", &figure::lines(PART))]).await;
    let Ended { job, .. } = repository.push().await;
    whole(&server, &job).await;
    let lines = job.log_lines();
    let client = reqwest::Client::builder().build().expect("a client");
    let url = |query: &str| format!("http://{}{JOB}{query}", server.address());
    let idle = server.memory();
    let asked = [
        ("the log's page, first byte", "< 100 ms", String::new()),
        ("the log's page, all of it", "< 150 ms", String::new()),
        ("a permalink in the middle", "< 150 ms", format!("?line={}", lines / 2)),
        ("the end", "< 150 ms", format!("?line={lines}")),
        ("a word that one line has", "< 500 ms", format!("?q={NEEDLE}&line=1")),
        ("a word that every line has", "< 500 ms", "?q=basket&line=1".to_owned()),
        (
            "a regular expression that a thousandth of the lines have",
            "< 500 ms",
            "?q=case_%5Cd%2B7%20.*%2C%20977%20ms&regex=1&line=1".to_owned(),
        ),
        ("a word that no line has, whatever its case", "< 500 ms", "?q=nowhere&line=1".to_owned()),
    ];
    let mut figures = Vec::new();
    for (at, (name, target, query)) in asked.into_iter().enumerate() {
        let mut values = Vec::new();
        for _ in 0..ROUNDS {
            values.push(ask(&client, &url(&query), at == 0).await);
        }
        figures.push(Figure { name: name.to_owned(), target, unit: "ms", values });
    }
    figures.extend(run_of_many(&server, &mut repository, &client).await);
    let above = |bytes: u64| vec![bytes.saturating_sub(idle) as f64 / 1e6];
    figures.push(Figure {
        name: "the server's memory after all that, above what it was".to_owned(),
        target: "≤ 64 MB",
        unit: "MB",
        values: above(server.memory()),
    });
    let method = format!(
        "Medians of {ROUNDS} requests each, one after another, over HTTP on loopback. The log has {PARTS} × 1 MB of test output, \
         {lines} lines; the server is a release build, and its disk's cache is warm."
    );
    figure::print(&figures, &method);
}

/// Milliseconds until the first byte of the body, or the last.
async fn ask(client: &reqwest::Client, url: &str, first: bool) -> f64 {
    let begun = Instant::now();
    let mut answer = client.get(url).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    while answer.chunk().await.expect("a body").is_some() && !first {}
    begun.elapsed().as_secs_f64() * 1e3
}

/// The page of a run of 300 jobs that have ended: how long it takes, and how long it is.
async fn run_of_many(server: &Server, repository: &mut Repository, client: &reqwest::Client) -> [Figure; 3] {
    repository.push_of_many(STAGES, ACTIONS).await;
    // what the end of so many jobs leaves to do is not what a page costs
    tokio::time::sleep(AFTER).await;
    let url = format!("http://{}/git/figures/one/runs/2", server.address());
    let (mut times, mut tables) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        times.push(ask(client, &url, false).await);
        tables.push(ask(client, &format!("{url}?view=table"), false).await);
    }
    let page = client.get(&url).send().await.expect("an answer").text().await.expect("a page");
    let (name, target, unit) = (|what: &str| format!("a run of {} jobs, {what}", STAGES * ACTIONS), "< 30 ms", "ms");
    [
        Figure { name: name("its page"), target, unit, values: times },
        Figure { name: name("its table"), target, unit, values: tables },
        Figure {
            name: name("its page's length"),
            target: "< 100 KB",
            unit: "KB",
            values: vec![page.len() as f64 / 1e3],
        },
    ]
}

async fn whole(server: &Server, job: &containerops::store::JobRow) {
    let rows = store(server.data()).await;
    let sealed = async {
        while rows
            .read()
            .await
            .expect("a view")
            .job(job.id)
            .await
            .expect("a row")
            .is_none_or(|row| row.log_check.is_none())
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(WHOLE, sealed).await.expect("the log is whole");
}

fn flow() -> Vec<u8> {
    format!(
        "title: Many lines\nstages:\n  - name: main\n    image: busybox\n    run: |\n      n=0\n      while [ $n -lt {PARTS} ]; do cat lines; n=$((n+1)); \
         [ $n != 700 ] || echo 'test {NEEDLE} ... ok'; done\n"
    )
    .into_bytes()
}
