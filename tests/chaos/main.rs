//! Chaos: pushes at a steady rate, a network that drops, doubles and reorders their webhooks, and a server that is
//! killed every two to four seconds. When the storm is over, each push must have one run with its own end and its whole
//! log, begun once, and GitHub must show just that.
//!
//! ```text
//! cargo test --test chaos                     40 pushes in 40 s
//! CHAOS_SEED=7 cargo test --test chaos        the same storm again
//! CHAOS_PUSHES=10000 CHAOS_SECONDS=700 CHAOS_LIFE_MS=2000 cargo test --release --test chaos
//! ```
//!
//! With `--replicas 3 --database postgres://…` as many servers share a database: every three seconds one of them is
//! killed, or stands still for a while, and the others go on (`CHAOS_KILLED=100`: each time it is killed). `--restart COMMAND` starts the database anew in mid-storm.
//! `--clocks /usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1` gives two of them clocks that are wrong.
//! `--blobs-away 60` puts their blobs into the store that `CONTAINEROPS_TEST_S3` starts, which nobody can reach for a
//! minute, and `--disk-full 20` their data on a small disk, which is full for 20 s.
//!
//! ```text
//! eval "$(.ci/postgres FOLDER)"
//! cargo test --test chaos -- --replicas 3 --database "$CONTAINEROPS_TEST_POSTGRES" --restart ".ci/postgres FOLDER restart"
//! CHAOS_PUSHES=2000 CHAOS_SECONDS=600 CHAOS_STILL_MS=60000 cargo test --release --test chaos -- --replicas 3 …
//! ```
//!
//! The server is the real program with the real agent, jobs are processes of this machine, and GitHub is the tests'
//! model of it behind the real client.

#![expect(clippy::print_stdout, reason = "a command tells people how far it is")]

mod account;
mod clocks;
mod dice;
mod failover;
mod fleet;
#[expect(dead_code, unused_imports, reason = "the tests' models can do more than a storm needs")]
#[path = "../it/harness/mod.rs"]
mod harness;
mod service;
mod storm;
mod troubles;

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use containerops::{forge::github::Credentials, model::Sha};
use secrecy::ExposeSecret as _;
use tokio::{sync::watch, task::JoinHandle};

use account::{Account, Shown};
use dice::Dice;
use fleet::{Blows, Fleet};
use harness::{
    database::Database,
    github::{ModelGithub, WEBHOOK_SECRET},
};
use service::{Service, Setup};
use storm::{Expected, Storm, Weather};
use troubles::Troubles;

/// How much longer than the storm it may take until all is as it must be: what was lost is looked for within a minute.
const CALM: Duration = Duration::from_secs(240);
/// As often of a hundred times one of several is killed, and else stands still.
const KILLED: u64 = 60;
/// How many of the lost are asked for in a minute.
const ASKED_A_MINUTE: usize = 80;
/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let seed = number("CHAOS_SEED").unwrap_or_else(seed_of_now);
    let pushes = number("CHAOS_PUSHES").unwrap_or(40);
    let lasts = Duration::from_secs(number("CHAOS_SECONDS").unwrap_or(40));
    println!("chaos: CHAOS_SEED={seed} CHAOS_PUSHES={pushes} CHAOS_SECONDS={}", lasts.as_secs());
    let storm = Storm { pushes, lasts, dice: Dice::new(seed) };
    run(storm, &Several::asked(), Dice::new(seed ^ 1)).await
}

/// What is asked for beside one server on a file.
#[derive(Debug, Default)]
struct Several {
    replicas: usize,
    database: Option<String>,
    restart: Option<String>,
    /// The library that gives wrong clocks.
    clocks: Option<String>,
    troubles: troubles::Asked,
}

impl Several {
    fn asked() -> Self {
        let mut asked = Self::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--replicas" => asked.replicas = words.next().and_then(|n| n.parse().ok()).expect("a number"),
                "--database" => asked.database = Some(words.next().expect("a URL")),
                "--restart" => asked.restart = Some(words.next().expect("a command")),
                "--clocks" => asked.clocks = Some(words.next().expect("libfaketime")),
                "--blobs-away" => asked.troubles.blobs_away = Some(seconds(words.next())),
                "--disk-full" => asked.troubles.disk_full = Some(seconds(words.next())),
                // what Cargo itself passes on
                _ => {}
            }
        }
        assert!(asked.replicas < 2 || asked.database.is_some(), "several servers need --database postgres://…");
        asked
    }
}

/// The servers, and what has befallen them.
enum Servers {
    One { _lives: Service, absences: Vec<Duration> },
    Several { _lives: Fleet, blows: Blows },
}

impl Servers {
    /// Says what befell them.
    fn tell(&self) {
        match self {
            Self::One { absences, .. } => {
                let mut sorted = absences.clone();
                sorted.sort();
                let absence = |at: usize| sorted.get(at).copied().unwrap_or_default().as_millis();
                let (median, most) = (absence(sorted.len() / 2), absence(sorted.len().saturating_sub(1)));
                println!("  {} kills, away for {median} ms each (median; at most {most} ms)", sorted.len());
            }
            Self::Several { blows, .. } => {
                let Blows { kills, pauses, restarts_of_the_database, taken_over } = blows;
                println!("  {kills} kills, {pauses} pauses, {restarts_of_the_database} restarts of the database");
                let mut sorted = taken_over.clone();
                sorted.sort();
                let took = |at: usize| sorted.get(at).copied().unwrap_or_default().as_millis();
                let (median, most) = (took(sorted.len() / 2), took(sorted.len().saturating_sub(1)));
                let count = sorted.len();
                println!(
                    "  taken over {count} times from one that was killed, in {median} ms (median; at most {most} ms)"
                );
            }
        }
    }
}

/// Starts the servers, and lets them be until `calmed`.
async fn start(
    setup: &Setup,
    several: &Several,
    lasts: Duration,
    calmed: watch::Receiver<bool>,
    dice: Dice,
) -> JoinHandle<Servers> {
    let life = number("CHAOS_LIFE_MS");
    if several.replicas < 2 {
        let lives = life.map_or(2000..4000, |life| life..life + 1);
        let service = Service::start(setup.clone()).await;
        return tokio::spawn(async move {
            let (_lives, absences) = service.killed_until(calmed, lives, dice).await;
            Servers::One { _lives, absences }
        });
    }
    let pace = life.map_or(2500..3500, |life| life..life + 1);
    let stills = number("CHAOS_STILL_MS").map_or(1000..12_000, |still| 1000..still + 1);
    let replica = |_| Setup { address: free(), ..setup.clone() };
    let mut setups: Vec<Setup> = (0..several.replicas).map(replica).collect();
    if let Some(library) = &several.clocks {
        let folder = setup.data.parent().expect("the data are in a folder");
        clocks::turn(&mut setups, library, folder, dice.clone());
    }
    let database = setup.settings.iter().find(|(name, _)| *name == "CONTAINEROPS_DATABASE_URL");
    let database = database.map(|(_, url)| url.clone()).expect("several servers have one");
    let blows = (number("CHAOS_KILLED").unwrap_or(KILLED), stills);
    let fleet = Fleet::start(setups, setup.address, blows, (database, several.restart.clone())).await;
    tokio::spawn(async move {
        let (_lives, blows) = fleet.battered_until(calmed, (pace, lasts), dice).await;
        Servers::Several { _lives, blows }
    })
}

async fn run(storm: Storm, several: &Several, dice: Dice) -> ExitCode {
    let folder = tempfile::tempdir().expect("a folder");
    let began_dir = folder.path().join("began");
    std::fs::create_dir(&began_dir).expect("a folder");
    let github = Arc::new(ModelGithub::start_over_http().await);
    let database = match &several.database {
        Some(server) => Some(Database::on(server.parse().expect("a URL")).await),
        None => None,
    };
    let mut setup = setup(folder.path(), &github);
    if let Some(database) = &database {
        setup.settings.push(("CONTAINEROPS_DATABASE_URL", database.url.clone()));
    }
    let troubles = Troubles::of(several.troubles, &mut setup).await;
    let url = format!("http://{}", setup.address);
    let (calm, calmed) = watch::channel(false);
    let redelivering = tokio::spawn(storm::redeliver(Arc::clone(&github), url.clone()));
    let (pushes, lasts) = (storm.pushes, storm.lasts);
    let battered = start(&setup, several, lasts, calmed, dice).await;
    let raging = tokio::spawn({
        let (github, url, began_dir) = (Arc::clone(&github), url.clone(), began_dir.clone());
        async move { storm.rage(&github, &url, &began_dir).await }
    });
    let troubles = tokio::spawn(troubles.happen(lasts));
    let (expected, weather) = raging.await.expect("the storm ends");
    println!("  the storm is over after {} s: {pushes} pushes, {weather:?}", lasts.as_secs());
    let _stand = troubles.await.expect("all is well again");
    calm.send_replace(true);
    let servers = battered.await.expect("whoever kills them ends");
    let mut shown = Shown::default();
    let patience = CALM + Duration::from_secs(60) * (weather.lost() / ASKED_A_MINUTE) as u32;
    let took = settle(&github, &expected, patience, &mut shown).await;
    let disk_was_full = several.troubles.disk_full.is_some();
    let account = Account::of(&expected, (&url, &began_dir), &shown, disk_was_full).await;
    redelivering.abort();
    servers.tell();
    drop(servers);
    let good = report(&account, weather, took);
    if !good {
        let log = service::log_path(&setup.data);
        println!("  the server's log: {}", log.display());
        println!("  kept: {}", folder.keep().display());
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Waits until GitHub has the last word on every push, or the patience is over.
async fn settle(
    github: &ModelGithub,
    expected: &BTreeMap<Sha, Expected>,
    patience: Duration,
    shown: &mut Shown,
) -> Duration {
    let began = Instant::now();
    loop {
        shown.add(github.writes());
        let open = shown.open(expected);
        if open == 0 || began.elapsed() > patience {
            return began.elapsed();
        }
        println!("  {open} of {} pushes have no last word yet", expected.len());
        tokio::time::sleep(LOOK).await;
    }
}

fn report(account: &Account, weather: Weather, took: Duration) -> bool {
    println!("  {} of the webhooks were not answered", weather.unanswered);
    println!(
        "  {} runs, {} exact lines of logs, settled {} s after the storm",
        account.runs,
        account.log_lines,
        took.as_secs()
    );
    if account.said_missing > 0 {
        println!("  {} bytes of logs had no room on the disk, and stand there as missing", account.said_missing);
    }
    for fault in account.faults.iter().take(20) {
        println!("  FAULT: {fault}");
    }
    println!("chaos: {} faults", account.faults.len());
    account.faults.is_empty()
}

fn setup(folder: &Path, github: &ModelGithub) -> Setup {
    let address = free();
    let key = folder.join("app.pem");
    let Credentials::App { id, private_key } = github.settings().credentials else { unreachable!("an App") };
    std::fs::write(&key, private_key.expose_secret()).expect("a file");
    let settings = vec![
        ("CONTAINEROPS_GITHUB_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
        ("CONTAINEROPS_GITHUB_APP_ID", id.to_string()),
        ("CONTAINEROPS_GITHUB_PRIVATE_KEY_FILE", key.display().to_string()),
        ("CONTAINEROPS_GITHUB_API_URL", github.api_url().to_owned()),
        ("CONTAINEROPS_GITHUB_URL", github.url()),
        ("CONTAINEROPS_PUBLIC_URL", format!("http://{address}")),
        ("CONTAINEROPS_ACCESS", "open".to_owned()),
        // a minute: what was lost is not to be waited for
        ("CONTAINEROPS_SWEEP_INTERVAL", "1".to_owned()),
    ];
    Setup { data: folder.join("data"), address, settings }
}

/// An address that no connection may take while nobody listens, another one each time.
fn free() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().expect("an address");
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

fn seconds(word: Option<String>) -> Duration {
    Duration::from_secs(word.and_then(|word| word.parse().ok()).expect("a number of seconds"))
}

fn seed_of_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_nanos()) ^ since.as_secs()
}
