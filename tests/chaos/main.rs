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
//! The server is the real program with the real agent, jobs are processes of this machine, and GitHub is the tests'
//! model of it behind the real client.

#![expect(clippy::print_stdout, reason = "a command tells people how far it is")]

mod account;
mod dice;
#[expect(dead_code, unused_imports, reason = "the tests' models can do more than a storm needs")]
#[path = "../it/harness/mod.rs"]
mod harness;
mod service;
mod storm;

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use containerops::{forge::github::Credentials, model::Sha};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;

use account::{Account, Shown};
use dice::Dice;
use harness::github::{ModelGithub, WEBHOOK_SECRET};
use service::{Service, Setup};
use storm::{Expected, Storm, Weather};

/// How much longer than the storm it may take until all is as it must be: what was lost is looked for within a minute.
const CALM: Duration = Duration::from_secs(180);
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
    run(storm, Dice::new(seed ^ 1)).await
}

async fn run(storm: Storm, dice: Dice) -> ExitCode {
    let folder = tempfile::tempdir().expect("a folder");
    let began_dir = folder.path().join("began");
    std::fs::create_dir(&began_dir).expect("a folder");
    let github = Arc::new(ModelGithub::start_over_http().await);
    let setup = setup(folder.path(), &github);
    let url = format!("http://{}", setup.address);
    let life = number("CHAOS_LIFE_MS");
    let lives = life.map_or(2000..4000, |life| life..life + 1);
    let (calm, calmed) = watch::channel(false);
    let redelivering = tokio::spawn(storm::redeliver(Arc::clone(&github), url.clone()));
    let service = Service::start(setup.clone()).await;
    let killed = tokio::spawn(service.killed_until(calmed, lives, dice));
    let (pushes, lasts) = (storm.pushes, storm.lasts);
    let raging = tokio::spawn({
        let (github, url, began_dir) = (Arc::clone(&github), url.clone(), began_dir.clone());
        async move { storm.rage(&github, &url, &began_dir).await }
    });
    let (expected, weather) = raging.await.expect("the storm ends");
    println!("  the storm is over after {} s: {pushes} pushes, {weather:?}", lasts.as_secs());
    calm.send_replace(true);
    let (service, absences) = killed.await.expect("the killer ends");
    let mut shown = Shown::default();
    let patience = CALM + Duration::from_secs(60) * (weather.lost() / ASKED_A_MINUTE) as u32;
    let took = settle(&github, &expected, patience, &mut shown).await;
    let account = Account::of(&expected, &url, &began_dir, &shown).await;
    redelivering.abort();
    drop(service);
    let good = report(&account, &absences, weather, took);
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

fn report(account: &Account, absences: &[Duration], weather: Weather, took: Duration) -> bool {
    let mut sorted = absences.to_vec();
    sorted.sort();
    let absence = |at: usize| sorted.get(at).copied().unwrap_or_default().as_millis();
    println!(
        "  {} kills, away for {} ms each (median; at most {} ms); {} of the webhooks were not answered",
        sorted.len(),
        absence(sorted.len() / 2),
        absence(sorted.len().saturating_sub(1)),
        weather.unanswered,
    );
    println!(
        "  {} runs, {} exact lines of logs, settled {} s after the storm",
        account.runs,
        account.log_lines,
        took.as_secs()
    );
    for fault in account.faults.iter().take(20) {
        println!("  FAULT: {fault}");
    }
    println!("chaos: {} faults", account.faults.len());
    account.faults.is_empty()
}

fn setup(folder: &Path, github: &ModelGithub) -> Setup {
    // no port that a connection may take while nobody listens
    let free = (20_000..30_000_u16).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let free = free.expect("a port").local_addr().expect("an address");
    let key = folder.join("app.pem");
    let Credentials::App { id, private_key } = github.settings().credentials else { unreachable!("an App") };
    std::fs::write(&key, private_key.expose_secret()).expect("a file");
    let settings = vec![
        ("CONTAINEROPS_GITHUB_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
        ("CONTAINEROPS_GITHUB_APP_ID", id.to_string()),
        ("CONTAINEROPS_GITHUB_PRIVATE_KEY_FILE", key.display().to_string()),
        ("CONTAINEROPS_GITHUB_API_URL", github.api_url().to_owned()),
        ("CONTAINEROPS_GITHUB_URL", github.url()),
        // a minute: what was lost is not to be waited for
        ("CONTAINEROPS_SWEEP_INTERVAL", "1".to_owned()),
    ];
    Setup { data: folder.join("data"), address: free, settings }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

fn seed_of_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_nanos()) ^ since.as_secs()
}
