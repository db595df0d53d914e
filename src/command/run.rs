//! `containerops run`: the flow of the repository you stand in, with the files as they lie there, by the same engine
//! as on the server.

mod here;
mod show;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpListener;

use super::{local, serve};
use crate::{
    app::{self, App},
    engine::Engine,
    executor::process::Process,
    flow,
    forge::Forge,
    model::{Clock, Conclusion, DeliveryState, ForgeKind, RunId, Time},
    settings::Settings,
    store::{Change, NewDelivery, RunSummary, Store, Taken},
};
use here::Here;

/// Rows are looked at at least this often.
const LOOK: Duration = Duration::from_millis(200);

/// Run the flow of the repository you stand in, as processes of this machine. Takes the files as they are, committed
/// or not, but for what .gitignore names. The exit code is 0 only if the run succeeded.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  containerops run
  containerops run .containerops/release.yml

Jobs run as plain processes of this machine: nothing isolates them, and images are not used.")]
pub struct Args {
    /// The flow file [default: .containerops.yml, else all of .containerops/*.yml].
    file: Option<PathBuf>,
}

/// Runs the flow.
///
/// # Errors
/// If this is no repository, there is no flow file, or a part cannot be set up.
pub fn run(args: Args) -> Result<ExitCode> {
    serve::log_to_stderr("error");
    let files = match args.file {
        Some(file) => vec![file],
        None => local::flow_files(Path::new("."))?,
    };
    if files.is_empty() {
        bail!("there is no .containerops.yml here, and no .containerops/*.yml; name a file");
    }
    let conclusions = serve::runtime()?.block_on(run_files(&files))?;
    let good = |end: &Conclusion| matches!(end, Conclusion::Success | Conclusion::Warning | Conclusion::Skipped);
    Ok(if conclusions.iter().all(good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_files(files: &[PathBuf]) -> Result<Vec<Conclusion>> {
    // heard from the beginning, so that no Ctrl-C leaves a directory or a process behind
    let mut interrupted = pin!(serve::stop_signal()?);
    let data = tempfile::Builder::new().prefix("containerops-run-").tempdir().context("making a directory")?;
    let (app, listener) = tokio::select! {
        made = set_up(files, data.path()) => made?,
        () = &mut interrupted => bail!("interrupted before anything was started"),
    };
    let engine = app.engine.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(app.serve(listener, async {
        let _ = stopped.await;
    }));
    let conclusions = watch(&engine, interrupted).await;
    if conclusions.is_err() {
        // we cannot show any more what jobs do, and none of them may outlive us
        stop_all(&engine).await?;
    }
    let _ = stop.send(());
    serving.await.context("the service panicked")??;
    conclusions
}

async fn set_up(files: &[PathBuf], data: &Path) -> Result<(App, TcpListener)> {
    let here = Here::of(Path::new("."), files, data).await?;
    let listener = serve::listen(([127, 0, 0, 1], 0).into()).await?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((assemble(data, &url, here).await?, listener))
}

/// Starts the runs and shows them to their end, which an interrupt brings about.
async fn watch(engine: &Engine, interrupted: impl Future<Output = ()>) -> Result<Vec<Conclusion>> {
    let runs = begin(&engine.store).await?;
    let mut shown = pin!(show::until_ended(engine, &runs));
    tokio::select! {
        done = &mut shown => done,
        () = interrupted => {
            cancel_all(engine, "Ctrl-C").await?;
            shown.await
        }
    }
}

async fn assemble(data: &Path, url: &str, here: Here) -> Result<App> {
    let named = [("CONTAINEROPS_DATA".to_owned(), data.to_string_lossy().into_owned())];
    let settings = Settings::read(named, None)?;
    let program = std::env::current_exe().context("finding our own program")?;
    let executor = Arc::new(Process::new(data.join("attempts"), vec![program.into(), "agent".into()]));
    let forges: BTreeMap<ForgeKind, Arc<dyn Forge>> = BTreeMap::from([(ForgeKind::Git, Arc::new(here) as _)]);
    let limits = app::limits(&settings, url);
    App::of_parts(&settings, executor, forges, limits, Clock::System).await
}

/// Puts one delivery in, as a hook would, and waits for what it starts.
async fn begin(store: &Store) -> Result<Vec<RunSummary>> {
    let mut bell = store.bell().listen();
    let taken = store.inbox().take(delivery(Clock::System.now())).await?;
    let Taken::New(id) = taken else { bail!("the delivery was there before") };
    loop {
        let mut tx = store.read().await?;
        let state = tx.delivery(id).await?.map(|row| row.state.0);
        match state {
            Some(DeliveryState::Started { .. }) => return Ok(tx.runs_of_delivery(id).await?),
            Some(DeliveryState::Nothing { reason } | DeliveryState::Unreadable { reason }) => bail!("{reason}"),
            Some(DeliveryState::Pending) | None => {}
        }
        drop(tx);
        bell.wait(LOOK, |change| matches!(change, Change::Run(_))).await;
    }
}

fn delivery(now: Time) -> NewDelivery {
    NewDelivery {
        forge: ForgeKind::Git,
        hook: String::new(),
        delivery: "here".to_owned(),
        event: "push".to_owned(),
        headers: Vec::new(),
        body: bytes::Bytes::from_static(b"{}"),
        received: now,
        state: DeliveryState::Pending,
    }
}

/// How many runs are still open.
async fn cancel_all(engine: &Engine, by: &str) -> Result<usize> {
    let open: Vec<RunId> = engine.store.read().await?.open_runs().await?;
    for run in &open {
        engine.cancel(*run, by).await?;
    }
    Ok(open.len())
}

/// Returns when every run has ended, cancelled if need be.
async fn stop_all(engine: &Engine) -> Result<()> {
    let mut bell = engine.store.bell().listen();
    while cancel_all(engine, "containerops run").await? > 0 {
        bell.wait(LOOK, |change| matches!(change, Change::Run(_))).await;
    }
    Ok(())
}

/// All errors of the files, before anything is started.
pub(super) fn check(path: &Path, repository: &crate::model::RepositoryName, bytes: &[u8]) -> Result<()> {
    let name = path.to_string_lossy();
    match flow::read(&name, repository, bytes) {
        Ok(_) => Ok(()),
        Err(diagnostics) => bail!("the flow file has mistakes\n{}", flow::render(&name, &diagnostics)),
    }
}
