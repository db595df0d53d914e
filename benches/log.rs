//! How fast a job's lines arrive, and what memory the server needs for that.
//!
//! A job of the process executor prints 100 MB of ordinary lines. Its agent masks, compresses and sends them; the server
//! keeps every chunk durably. The time runs from the job's start until the server has the end record, so all lines are
//! in by then. In turn with it others print the same who have 100 secrets, which agent and server look for.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;

use std::time::Duration;

use containerops::{
    engine::Vault,
    model::{Clock, ForgeKind, SecretLevel, SecretLimits, SecretScope},
};
use figure::{
    Figure, Server,
    forge::{Ended, Repository, store},
};

/// The repository holds a part of the log, and the job prints it so often.
const PART: usize = 1_000_000;
const PARTS: usize = 100;
const ROUNDS: usize = 5;
/// What the server does once after its start is over by then.
const IDLE: Duration = Duration::from_secs(10);

/// How many secrets the job has, and how long each is.
const SECRETS: usize = 100;
type Length = fn(usize) -> usize;
const LENGTHS: [(&str, Length); 3] =
    [("of 32 characters", |_| 32), ("of 8 to 64", |n| 8 + n * 7 % 57), ("of 4 to 60", |n| 4 + n * 7 % 57)];

struct Round {
    idle: u64,
    peak: u64,
    after: u64,
    /// MB a second.
    speed: f64,
}

#[tokio::main]
async fn main() {
    let mut rounds = Vec::new();
    let mut others: Vec<Vec<f64>> = LENGTHS.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        rounds.push(round(&[]).await);
        for (speeds, (_, length)) in others.iter_mut().zip(LENGTHS) {
            speeds.push(round(&secrets(length)).await.speed);
        }
    }
    let figure = |name: &str, target, unit, value: fn(&Round) -> f64| Figure {
        name: name.to_owned(),
        target,
        unit,
        values: rounds.iter().map(value).collect(),
    };
    let mut figures = vec![
        figure("a job's lines, from its start to its end record", "≥ 50 MB/s", "MB/s", |round| round.speed),
        figure("the server's peak memory", "< 150 MB", "MB", |round| mb(round.peak)),
        figure("the server's memory, idle", "< 40 MB", "MB", |round| mb(round.idle)),
        figure("the server's memory, idle again afterwards", "–", "MB", |round| mb(round.after)),
    ];
    for (speeds, (name, _)) in others.into_iter().zip(LENGTHS) {
        let cost = |(with, none): (&f64, &Round)| 100.0 * (1.0 - with / none.speed);
        let costs = speeds.iter().zip(&rounds).map(cost).collect();
        let name = format!("the same with {SECRETS} secrets {name}");
        figures.push(Figure {
            name: format!("{name}: what it costs beside none"),
            target: "< 10 %",
            unit: "%",
            values: costs,
        });
        figures.push(Figure { name, target: "–", unit: "MB/s", values: speeds });
    }
    let method = format!(
        "Medians of {ROUNDS} rounds, each with a new server. The job prints {PARTS} × 1 MB of test output; process \
         executor; SQLite with synchronous=FULL; job, agent and server share the machine. Memory is the server's RSS."
    );
    figure::print(&figures, &method);
}

async fn round(secrets: &[String]) -> Round {
    let server = Server::start(&[("CONTAINEROPS_EXECUTOR", "process")]);
    let lines = figure::lines(PART);
    let mut repository =
        Repository::make(&server, &[(".containerops.yml", &flow(secrets.len())), ("lines", &lines)]).await;
    set(&server, secrets).await;
    tokio::time::sleep(if secrets.is_empty() { IDLE } else { IDLE / 5 }).await;
    let idle = server.memory();
    let Ended { job, .. } = repository.push().await;
    assert_eq!(job.log_length, i64::try_from(lines.len() * PARTS).expect("a length"), "every line is in");
    let record = job.record.expect("an end record");
    let took = job.ended.expect("an end").since(record.started.expect("a start"));
    tokio::time::sleep(if secrets.is_empty() { IDLE } else { Duration::ZERO }).await;
    Round {
        idle,
        peak: server.memory_peak(),
        after: server.memory(),
        speed: mb(job.log_length.cast_unsigned()) / took.as_secs_f64(),
    }
}

/// Keeps them as the server's.
async fn set(server: &Server, secrets: &[String]) {
    let vault = Vault::open(&server.data().join("secret-key")).expect("the server's key");
    let name = "figures/one".parse().expect("a name");
    let scope = SecretScope { forge: ForgeKind::Git, level: SecretLevel::Repository, name };
    let mut tx = store(server.data()).await.write().await.expect("the database");
    for (n, secret) in secrets.iter().enumerate() {
        let name = format!("S{n}").parse().expect("a name");
        let by = (Clock::System.now(), "ada");
        let row =
            vault.seal((&scope, &name), SecretLimits::default(), &secret.as_str().into(), by).expect("it is sealed");
        tx.put_secret(&row).await.expect("it is kept");
    }
    tx.commit().await.expect("they are kept");
}

/// A hundred of them, of these lengths.
fn secrets(length: Length) -> Vec<String> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-";
    let mut chance = 0x2545_f491_4f6c_dd1d_u64;
    let mut letter = || {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        char::from(LETTERS[usize::try_from(chance % 66).expect("a letter")])
    };
    (0..SECRETS).map(|n| (0..length(n)).map(|_| letter()).collect()).collect()
}

fn flow(secrets: usize) -> Vec<u8> {
    let names: Vec<String> = (0..secrets).map(|n| format!("S{n}")).collect();
    let names = names.join(", ");
    format!(
        "title: Many lines\nimage: busybox\nsecrets: [{names}]\nrun: |\n  n=0\n  while [ $n -lt {PARTS} ]; do cat lines; n=$((n+1)); done\n"
    )
    .into_bytes()
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
