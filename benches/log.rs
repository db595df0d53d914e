//! How fast a job's lines arrive, and what memory the server needs for that.
//!
//! A job of the process executor prints 100 MB of ordinary lines. Its agent masks, compresses and sends them; the server
//! keeps every chunk durably. The time runs from the job's start until the server has the end record, so all lines are
//! in by then.

#[expect(dead_code, reason = "each figure needs a part of it")]
mod figure;

use std::{fmt::Write as _, time::Duration};

use figure::{
    Figure, Server,
    forge::{Ended, Repository},
};

/// The repository holds a part of the log, and the job prints it so often.
const PART: usize = 1_000_000;
const PARTS: usize = 100;
const ROUNDS: usize = 5;
/// What the server does once after its start is over by then.
const IDLE: Duration = Duration::from_secs(10);

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
    for _ in 0..ROUNDS {
        rounds.push(round().await);
    }
    let figure = |name: &str, target, unit, value: fn(&Round) -> f64| Figure {
        name: name.to_owned(),
        target,
        unit,
        values: rounds.iter().map(value).collect(),
    };
    let figures = [
        figure("a job's lines, from its start to its end record", "≥ 50 MB/s", "MB/s", |round| round.speed),
        figure("the server's peak memory", "< 150 MB", "MB", |round| mb(round.peak)),
        figure("the server's memory, idle", "< 40 MB", "MB", |round| mb(round.idle)),
        figure("the server's memory, idle again afterwards", "–", "MB", |round| mb(round.after)),
    ];
    let method = format!(
        "Medians of {ROUNDS} rounds, each with a new server. The job prints {PARTS} × 1 MB of test output; process \
         executor; SQLite with synchronous=FULL; job, agent and server share the machine. Memory is the server's RSS."
    );
    figure::print(&figures, &method);
}

async fn round() -> Round {
    let server = Server::start(&[("CONTAINEROPS_EXECUTOR", "process")]);
    let lines = lines();
    let mut repository = Repository::make(&server, &[(".containerops.yml", &flow()), ("lines", &lines)]).await;
    tokio::time::sleep(IDLE).await;
    let idle = server.memory();
    let Ended { job, .. } = repository.push().await;
    assert_eq!(job.log_length, i64::try_from(lines.len() * PARTS).expect("a length"), "every line is in");
    let record = job.record.expect("an end record");
    let took = job.ended.expect("an end").since(record.started.expect("a start"));
    tokio::time::sleep(IDLE).await;
    Round {
        idle,
        peak: server.memory_peak(),
        after: server.memory(),
        speed: mb(job.log_length.cast_unsigned()) / took.as_secs_f64(),
    }
}

fn flow() -> Vec<u8> {
    format!(
        "title: Many lines\nimage: busybox\nrun: |\n  n=0\n  while [ $n -lt {PARTS} ]; do cat lines; n=$((n+1)); done\n"
    )
    .into_bytes()
}

/// Lines as a test runner writes them, no two alike.
fn lines() -> Vec<u8> {
    let mut text = String::with_capacity(PART + 200);
    for n in 0_u64.. {
        let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let _ = writeln!(text, "test shop::basket::tests::case_{n} ... ok ({hash:016x}, {} ms)", hash % 977);
        if text.len() >= PART {
            break;
        }
    }
    text.into_bytes()
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
