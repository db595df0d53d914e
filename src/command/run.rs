//! `containerops run`: the flow of the repository you stand in, with the files as they lie there, by the same engine
//! as on the server.

mod here;
pub(super) mod place;
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
use secrecy::SecretString;
use tokio::net::TcpListener;

use super::{event::EventArgs, local, serve};
use crate::{
    app::{self, App},
    engine::{self, Engine, Tells},
    flow::{self, Given},
    forge::Forge,
    model::{
        Clock, Conclusion, DeliveryState, ForgeKind, RunId, SecretLevel, SecretLimits, SecretName, SecretScope, Time,
    },
    store::{Change, NewDelivery, RunSummary, Store, Taken},
};
use here::Asked;
pub(super) use here::Here;
pub(super) use show::Amount;

/// Rows are looked at at least this often.
const LOOK: Duration = Duration::from_millis(200);

/// Run the flow of the repository you stand in, by the planner, the engine and the agent of the service. Takes the files
/// as they are, committed or not, but for what .gitignore names. The exit code is 0 only if the run succeeded.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  containerops run
  containerops run .containerops/release.yml
  containerops run --only check/unit --only docs
  containerops run --event pull_request --branch fix --base main
  containerops run --var RUST=1.96 --quiet
  DEPLOY_TOKEN=$(pass show deploy) containerops run --secret DEPLOY_TOKEN
  containerops run --executor docker
  containerops run --executor kubernetes

As processes, jobs run without any isolation, and images are not used.
Pods reach this machine at the address that faces the cluster; CONTAINEROPS_LISTEN names another one, and
CONTAINEROPS_KUBERNETES_NAMESPACE and _AGENT_IMAGE say where pods go and what brings the agent into them.")]
pub struct Args {
    /// The flow file [default: .containerops.yml, else all of .containerops/*.yml].
    file: Option<PathBuf>,
    #[command(flatten)]
    event: EventArgs,
    /// Run this part alone, and what it takes outputs or artifacts from; whatever else it needs counts as done. May be repeated
    #[arg(long, value_name = "STAGE[/ACTION]")]
    only: Vec<flow::Part>,
    /// A value for one of the flow's own `variables`. May be repeated
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    variables: Vec<(String, String)>,
    /// A secret that jobs may ask for: its value is that of your own variable of this name. May be repeated
    #[arg(long = "secret", value_name = "NAME", value_parser = secret)]
    secrets: Vec<Secret>,
    /// Where jobs run
    #[arg(long, value_enum, default_value_t = place::Name::Process)]
    executor: place::Name,
    /// Print how each action ended, and no log but the last lines of what failed
    #[arg(long, short)]
    quiet: bool,
    /// Print why things wait, too, and what the engine says
    #[arg(long, short, conflicts_with = "quiet")]
    verbose: bool,
}

/// Runs the flow.
///
/// # Errors
/// If this is no repository, there is no flow file, or a part cannot be set up.
pub fn run(mut args: Args) -> Result<ExitCode> {
    serve::log_to_stderr(if args.verbose { "info" } else { "error" }, serve::Lines::ForPeople);
    let files = match args.file.take() {
        Some(file) => vec![file],
        None => local::flow_files(Path::new("."))?,
    };
    if files.is_empty() {
        bail!("there is no .containerops.yml here, and no .containerops/*.yml; name a file");
    }
    let conclusions = serve::runtime()?.block_on(run_files(&files, &args))?;
    let good = |end: &Conclusion| matches!(end, Conclusion::Success | Conclusion::Warning | Conclusion::Skipped);
    Ok(if conclusions.iter().all(good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `NAME=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A secret for this one run.
#[derive(Debug, Clone)]
pub(super) struct Secret {
    name: SecretName,
    value: SecretString,
}

/// A secret by the name of the variable that holds it: an argument would be seen by others.
fn secret(text: &str) -> Result<Secret, String> {
    let name: SecretName = text.parse().map_err(|error: crate::model::NameError| error.to_string())?;
    let value = std::env::var(text).map_err(|_| format!("your environment has no variable {text} to take it from"))?;
    let value = SecretString::from(value);
    engine::check_value(&value).map_err(|error| error.to_string())?;
    Ok(Secret { name, value })
}

impl Args {
    fn given(&self) -> Given {
        Given { variables: self.variables.iter().cloned().collect(), only: self.only.clone(), ..Given::default() }
    }

    const fn amount(&self) -> Amount {
        match (self.quiet, self.verbose) {
            (true, _) => Amount::Ends,
            (false, true) => Amount::All,
            (false, false) => Amount::Logs,
        }
    }
}

async fn run_files(files: &[PathBuf], args: &Args) -> Result<Vec<Conclusion>> {
    let given = args.given();
    let here =
        async |data: &Path| Here::of(Path::new("."), &Asked { files, event: &args.event, given: &given }, data).await;
    let secrets = args.secrets.clone();
    let wanted = Wanted { given: given.clone(), secrets, executor: args.executor, amount: args.amount() };
    let (conclusions, ()) = conduct(here, wanted, async |_, _| Ok(())).await?;
    Ok(conclusions)
}

/// How something is run by hand.
pub(super) struct Wanted {
    pub(super) given: Given,
    pub(super) secrets: Vec<Secret>,
    pub(super) executor: place::Name,
    pub(super) amount: Amount,
}

/// Runs what `here` makes in a directory, shows it to its end, and takes an account of it before all is removed.
pub(super) async fn conduct<T>(
    here: impl AsyncFnOnce(&Path) -> Result<Here>,
    wanted: Wanted,
    account: impl AsyncFnOnce(Engine, Vec<RunSummary>) -> Result<T>,
) -> Result<(Vec<Conclusion>, T)> {
    // heard from the beginning, so that no Ctrl-C leaves a directory or a process behind
    let mut interrupted = pin!(serve::stop_signal()?);
    let data = tempfile::Builder::new().prefix("containerops-run-").tempdir().context("making a directory")?;
    let (app, listener) = tokio::select! {
        made = async { set_up(here(data.path()).await?, &wanted, data.path()).await } => made?,
        () = &mut interrupted => bail!("interrupted before anything was started"),
    };
    let engine = app.engine.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(app.serve(listener, async {
        let _ = stopped.await;
    }));
    let done = watch(&engine, wanted.amount, interrupted, account).await;
    if done.is_err() {
        // we cannot show any more what jobs do, and none of them may outlive us
        stop_all(&engine).await?;
    }
    place::tidy(&engine).await;
    let _ = stop.send(());
    serving.await.context("the service panicked")??;
    done
}

async fn set_up(here: Here, wanted: &Wanted, data: &Path) -> Result<(App, TcpListener)> {
    let settings = wanted.executor.settings(data)?;
    let listener = place::listen(&settings).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let scope = SecretScope { forge: ForgeKind::Git, level: SecretLevel::Repository, name: here.repository().clone() };
    let forges: BTreeMap<ForgeKind, Arc<dyn Forge>> = BTreeMap::from([(ForgeKind::Git, Arc::new(here) as _)]);
    let limits = engine::Settings { given: wanted.given.clone(), tells: Tells::Nobody, ..app::limits(&settings, &url) };
    let app = App::with_forges(&settings, forges, limits).await?;
    keep(&app.engine, &scope, &wanted.secrets).await?;
    place::is_there(&app.engine).await?;
    Ok((app, listener))
}

/// Keeps secrets in the run's own database, which goes when it ends.
async fn keep(engine: &Engine, scope: &SecretScope, secrets: &[Secret]) -> Result<()> {
    let now = Clock::System.now();
    let mut tx = engine.store.write().await?;
    for Secret { name, value } in secrets {
        let row = engine.vault.seal((scope, name), SecretLimits::default(), value, (now, "containerops run"))?;
        tx.put_secret(&row).await?;
    }
    Ok(tx.commit().await?)
}

/// Starts the runs and shows them to their end, which an interrupt brings about.
async fn watch<T>(
    engine: &Engine,
    amount: Amount,
    interrupted: impl Future<Output = ()>,
    account: impl AsyncFnOnce(Engine, Vec<RunSummary>) -> Result<T>,
) -> Result<(Vec<Conclusion>, T)> {
    let runs = begin(&engine.store).await?;
    let conclusions = {
        let mut shown = pin!(show::until_ended(engine, &runs, amount));
        tokio::select! {
            done = &mut shown => done?,
            () = interrupted => {
                cancel_all(engine, "Ctrl-C").await?;
                shown.await?
            }
        }
    };
    Ok((conclusions, account(engine.clone(), runs).await?))
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
            Some(DeliveryState::Pending | DeliveryState::Obeyed { .. }) | None => {}
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
