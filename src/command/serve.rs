//! `containerops serve`: the service.

use std::{
    io::{self, IsTerminal as _},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;

use crate::{
    app::{Addresses, App, Part, PartsDone},
    settings::{LogFormat, Settings},
};

/// An address that is taken for longer is somebody else's.
const TAKEN_FOR_A_MOMENT: Duration = Duration::from_secs(3);
const TAKEN_PAUSE: Duration = Duration::from_millis(20);

/// Run the service until it is told to stop (Ctrl-C or SIGTERM). Running jobs go on, and are found again at the next
/// start.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  containerops serve
  CONTAINEROPS_LISTEN=0.0.0.0:8080 CONTAINEROPS_EXECUTOR=kubernetes containerops serve
  containerops serve --config /etc/containerops.toml
  containerops serve --only web
  containerops serve --only engine,report")]
pub struct Args {
    /// Settings under the `CONTAINEROPS_*` variables [default: containerops.toml, if there is one].
    #[arg(long, env = "CONTAINEROPS_CONFIG")]
    config: Option<PathBuf>,
    /// Do this alone, and leave the rest to other servers of the same PostgreSQL; may be given several times. A server
    /// without `web` answers /healthz and /readyz only [default: everything].
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    only: Vec<Only>,
}

/// What a server may be kept to.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Only {
    /// Webhooks, pages, the API, and agents.
    Web,
    /// Makes runs of deliveries, and drives them.
    Engine,
    /// Tells forges and receivers.
    Report,
}

impl From<Only> for Part {
    fn from(only: Only) -> Self {
        match only {
            Only::Web => Self::Web,
            Only::Engine => Self::Engine,
            Only::Report => Self::Report,
        }
    }
}

/// Serves.
///
/// # Errors
/// If the settings are wrong, a part cannot be set up, or the address is taken.
pub fn run(args: Args) -> Result<ExitCode> {
    let settings = settings(args.config)?;
    log_to_stderr("info", settings.log_format.map_or(Lines::ByReader, Lines::As));
    let does = PartsDone::only(args.only.into_iter().map(Part::from));
    runtime()?.block_on(async {
        let listener = listen(settings.listen).await?;
        let address = listener.local_addr()?;
        let app = App::assemble(&settings, address).await?.only(does)?;
        tracing::info!(%address, data = %settings.data.display(), "serving");
        let more = async |address: Option<SocketAddr>| match address {
            Some(address) => Ok::<_, anyhow::Error>(Some(listen(address).await?)),
            None => Ok(None),
        };
        let (agents, watchers) = (more(settings.agent_listen).await?, more(settings.metrics_listen).await?);
        let at = Addresses { people: listener, agents, watchers, drain: settings.limits.drain };
        app.serve_at(at, stop_signal()?).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The settings of the environment and of a file; the default file need not be there.
pub(super) fn settings(file: Option<PathBuf>) -> Result<Settings> {
    let text = match file {
        Some(file) => Some(std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?),
        None => std::fs::read_to_string("containerops.toml").ok(),
    };
    // a variable that is no text cannot be one of ours: all of ours are
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(Settings::read(variables, text.as_deref())?)
}

pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let began = Instant::now();
    loop {
        match TcpListener::bind(address).await {
            // what a killed server was about to start may hold its socket for a moment longer
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && began.elapsed() < TAKEN_FOR_A_MOMENT => {
                tokio::time::sleep(TAKEN_PAUSE).await;
            }
            bound => return bound.with_context(|| format!("listening on {address}: is it taken?")),
        }
    }
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")
}

/// Ends at Ctrl-C or SIGTERM.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    })
}

/// What log lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// For people on a terminal, JSON elsewhere.
    ByReader,
    /// For people, wherever they go: what a command says to whoever called it.
    ForPeople,
    /// As somebody has set it.
    As(LogFormat),
}

/// Logs to standard error; `RUST_LOG` says how much.
pub(super) fn log_to_stderr(default: &str, lines: Lines) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let is_terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(is_terminal);
    // it would complain of a full disk to the same full disk, and panic
    let log = log.log_internal_errors(false);
    // a second call finds the first one's logger in place, and that is fine
    let _ = match lines {
        Lines::As(LogFormat::Json) => log.json().flatten_event(true).with_span_list(false).try_init(),
        Lines::ByReader if !is_terminal => log.json().flatten_event(true).with_span_list(false).try_init(),
        Lines::As(LogFormat::Text) | Lines::ByReader | Lines::ForPeople => log.with_target(false).try_init(),
    };
}
