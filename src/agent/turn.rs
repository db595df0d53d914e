//! From the agent's start until it is its job's turn: who we are, whether anyone was here before us, and the claim.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::sleep,
};

use super::{
    client::{CallError, Client},
    command::{EXIT_BROKEN, EXIT_GONE, JobArgs},
    complain,
    job::{Job, Stop},
    log::Log,
    protocol::{ClaimAnswer, Work},
    system,
};

/// The log's writer and its sender, and a few waits.
const THREADS: usize = 2;
/// What a shell says of a program ended by SIGTERM.
const EXIT_TERMINATED: u8 = 128 + libc::SIGTERM as u8;

/// Claims and runs one job.
pub(super) fn run(args: JobArgs) -> ExitCode {
    match begin(args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(EXIT_BROKEN)
        }
    }
}

fn begin(args: JobArgs) -> anyhow::Result<u8> {
    let _lock = match &args.lock {
        None => None,
        Some(path) => match hold(path).with_context(|| format!("cannot lock {}", path.display()))? {
            Some(lock) => Some(lock),
            None => return Ok(EXIT_GONE),
        },
    };
    system::hide_memory();
    system::adopt_orphans();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let code = runtime.block_on(take_turn(args));
    // an unpacking that nobody waits for must not hold us up
    runtime.shutdown_background();
    code
}

/// Holds the lock for good, if we are the first to have it. It is taken before anything else happens, so a file with
/// a process id in it means that a job may have run, and an empty one that none has.
fn hold(path: &Path) -> io::Result<Option<File>> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    file.lock()?;
    if file.metadata()?.len() > 0 {
        return Ok(None);
    }
    file.write_all(std::process::id().to_string().as_bytes())?;
    Ok(Some(file))
}

async fn take_turn(args: JobArgs) -> anyhow::Result<u8> {
    let token = fs::read_to_string(&args.token_file)
        .with_context(|| format!("cannot read the token in {}", args.token_file.display()))?;
    let token = token.trim().to_owned();
    let log = fs::create_dir_all(&args.scratch).and_then(|()| Log::create(&args.scratch));
    let log = log.with_context(|| format!("cannot write in {}", args.scratch.display()))?;
    let client = Client::new(&args.url).context("cannot prepare the connection to the server")?;
    claim_and_run(args, token, client, Arc::new(log)).await
}

async fn claim_and_run(args: JobArgs, token: String, client: Client, log: Arc<Log>) -> anyhow::Result<u8> {
    let (stop, mut stops) = mpsc::channel(8);
    tokio::spawn(listen(signal(SignalKind::terminate())?, stop.clone()));
    tokio::spawn(listen(signal(SignalKind::interrupt())?, stop.clone()));
    if let Some(seconds) = args.alone_max {
        tokio::spawn(mind_loneliness(client.clone(), Duration::from_secs(seconds), stop.clone()));
    }
    let claimed = tokio::select! {
        claimed = claim(&client, &token) => claimed,
        _ = stops.recv() => return Ok(EXIT_TERMINATED),
    };
    match claimed {
        Ok(Some(work)) => Ok(Job::new(args, *work, client, &token, log).run(stop, stops).await),
        Ok(None) => Ok(0),
        Err(error @ (CallError::Gone(_) | CallError::Refused { .. })) => {
            complain(&error.to_string());
            Ok(EXIT_GONE)
        }
    }
}

/// Asks until there is work; none if there never will be.
async fn claim(client: &Client, token: &str) -> Result<Option<Box<Work>>, CallError> {
    loop {
        match client.claim(token).await? {
            ClaimAnswer::Wait => {}
            ClaimAnswer::Run(work) => return Ok(Some(work)),
            ClaimAnswer::Leave { reason } => {
                complain(&format!("nothing to do: {reason}"));
                return Ok(None);
            }
        }
    }
}

/// Ends an agent whose server never comes back, where nobody else would.
async fn mind_loneliness(client: Client, longest: Duration, stop: mpsc::Sender<Stop>) {
    while let Some(left) = longest.checked_sub(client.alone_for()).filter(|left| !left.is_zero()) {
        sleep(left).await;
    }
    let _ = stop.send(Stop::Alone).await;
}

async fn listen(mut signals: tokio::signal::unix::Signal, stop: mpsc::Sender<Stop>) {
    while signals.recv().await.is_some() {
        let _ = stop.try_send(Stop::Terminated);
    }
}
