//! `containerops demo`: the whole path of a push on one machine, without a forge and without a cluster.

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpListener;

use super::{
    git::{Authority, HookSettings, init},
    serve,
};
use crate::{
    app::App,
    model::{Conclusion, Context, ForgeKind, Progress, RepositoryName},
    settings::{ExecutorChoice, Settings},
    store::{Change, RunFilter, Store},
};

/// The sample repository's name on the plain-Git forge.
const NAME: &str = "demo/hello";
/// Its files: path and content.
const FILES: [(&str, &str); 3] = [
    (".containerops.yml", include_str!("../../fixtures/demo/.containerops.yml")),
    ("README.md", include_str!("../../fixtures/demo/README.md")),
    ("greet.sh", include_str!("../../fixtures/demo/greet.sh")),
];
/// States are looked at at least this often.
const LOOK: Duration = Duration::from_secs(1);

/// Start the service on this machine with a sample repository, push a commit to it, and show what becomes of it. It
/// goes on until Ctrl-C; a second start goes on with what is there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  containerops demo
  CONTAINEROPS_DATA=/tmp/try containerops demo")]
pub struct Args {}

/// Runs the demo until Ctrl-C.
///
/// # Errors
/// If a part cannot be set up, or git is not installed.
pub fn run(_: Args) -> Result<ExitCode> {
    serve::log_to_stderr("warn", serve::Lines::ByReader);
    let mut settings = serve::settings(None)?;
    settings.executor.get_or_insert(ExecutorChoice::Process);
    serve::runtime()?.block_on(demo(settings))?;
    Ok(ExitCode::SUCCESS)
}

async fn demo(settings: Settings) -> Result<()> {
    let listener = listen(&settings).await?;
    let address = listener.local_addr()?;
    let app = App::assemble(&settings, address).await?;
    let sample = Sample::new(&settings, &app.engine.settings.public_url)?;
    let store = app.engine.store.clone();
    let stop = serve::stop_signal()?;
    let serving = tokio::spawn(app.serve(listener, stop));
    let shown = async {
        sample.say_hello()?;
        if sample.make().await? {
            sample.push().await?;
        } else {
            say(&["The sample repository is there already: push to it to start a run."])?;
        }
        watch(&store, &sample.url).await
    };
    tokio::select! {
        ended = serving => ended.context("the service panicked")?,
        shown = shown => shown,
    }
}

/// The default address may be taken, and a newcomer should not have to know how to ask for another.
async fn listen(settings: &Settings) -> Result<TcpListener> {
    match TcpListener::bind(settings.listen).await {
        Ok(listener) => Ok(listener),
        Err(_) if std::env::var_os("CONTAINEROPS_LISTEN").is_none() => {
            let any = std::net::SocketAddr::new(settings.listen.ip(), 0);
            serve::listen(any).await
        }
        Err(error) => Err(error).with_context(|| format!("listening on {}", settings.listen)),
    }
}

struct Sample {
    /// The bare repository.
    bare: PathBuf,
    /// Where the first commit is made.
    tree: PathBuf,
    hook: HookSettings,
    url: String,
    data: PathBuf,
}

impl Sample {
    fn new(settings: &Settings, url: &str) -> Result<Self> {
        let root = std::path::absolute(&settings.git_root)?;
        let data = std::path::absolute(&settings.data)?;
        let authority = match settings.git_webhook_secrets.first() {
            Some(secret) => Authority::Given(secret.clone()),
            None => Authority::OfData(data.clone()),
        };
        let program = std::env::current_exe().context("finding our own program")?;
        let hook = HookSettings { program, url: url.to_owned(), root: root.clone(), authority };
        let bare = root.join(format!("{NAME}.git"));
        Ok(Self { bare, tree: data.join("demo-tree"), hook, url: url.to_owned(), data })
    }

    fn say_hello(&self) -> Result<()> {
        let page = format!("{}/git/{NAME}", self.url);
        say(&[
            "ContainerOps demo",
            "",
            &format!("  page    {page}/runs/1"),
            &format!("  clone   git clone {}", self.bare.display()),
            &format!("  data    {}", self.data.display()),
            "",
            "Jobs run as plain processes of this machine: nothing isolates them. Ctrl-C ends the demo.",
            "",
        ])
    }

    /// Makes the repository, or brings its hook up to date. True if nothing was ever pushed to it.
    async fn make(&self) -> Result<bool> {
        init(&self.bare, &self.hook).await.context("making the sample repository")?;
        let head = git(&self.bare, &["rev-parse", "--verify", "--quiet", "refs/heads/main"]).await;
        Ok(head.is_err())
    }

    async fn push(&self) -> Result<()> {
        match std::fs::remove_dir_all(&self.tree) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("clearing the sample")?,
            Ok(()) | Err(_) => std::fs::create_dir_all(&self.tree)?,
        }
        for (path, content) in FILES {
            std::fs::write(self.tree.join(path), content)?;
        }
        git(&self.tree, &["init", "--quiet", "--initial-branch=main"]).await?;
        git(&self.tree, &["add", "--all"]).await?;
        git(&self.tree, &["commit", "--quiet", "--message=Say hello"]).await?;
        git(&self.tree, &["push", "--quiet", &self.bare.to_string_lossy(), "HEAD:refs/heads/main"]).await?;
        say(&["pushed a commit to it; its checks:"])
    }
}

/// Git as a newcomer would call it, hooks and all, but with nobody's own configuration.
async fn git(directory: &Path, words: &[&str]) -> Result<()> {
    let mut git = tokio::process::Command::new("git");
    git.current_dir(directory).args(words).env("GIT_CONFIG_GLOBAL", "/dev/null").stdin(std::process::Stdio::null());
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "ContainerOps demo").env(format!("GIT_{role}_EMAIL"), "demo@localhost");
    }
    let done = git.output().await.context("starting git: is it installed?")?;
    if !done.status.success() {
        bail!("git {} failed: {}", words.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}

/// Prints every state of every check as the forge has it, until the process ends.
async fn watch(store: &Store, url: &str) -> Result<()> {
    let mut bell = store.bell().listen();
    let mut shown: BTreeMap<(String, Context), String> = BTreeMap::new();
    let mut announced = 0;
    loop {
        for (sha, context, line) in states(store).await? {
            if shown.insert((sha, context), line.clone()).as_ref() != Some(&line) {
                say(&[&line])?;
            }
        }
        announced = announce_ends(store, url, announced).await?;
        bell.wait(LOOK, |change| matches!(change, Change::Report | Change::Run(_))).await;
    }
}

async fn states(store: &Store) -> Result<Vec<(String, Context, String)>> {
    let name: RepositoryName = NAME.parse()?;
    let mut tx = store.read().await?;
    let Some(repository) = tx.repository_named(ForgeKind::Git, &name).await? else { return Ok(Vec::new()) };
    let filter = RunFilter { repository: Some(repository.id), limit: 5, ..RunFilter::default() };
    let mut all = Vec::new();
    for run in tx.runs(&filter).await?.into_iter().rev() {
        for row in tx.reports(repository.id, &run.sha).await? {
            if row.acknowledged == row.wanted_digest {
                let line = format!("  {} {}  {}", mark(row.wanted.progress), row.context, row.wanted.title);
                all.push((row.sha.to_string(), row.context, line));
            }
        }
    }
    Ok(all)
}

/// Says how each run ended that has ended since the last look, once its forge has heard all of it; returns the number of the newest that was said.
async fn announce_ends(store: &Store, url: &str, announced: i64) -> Result<i64> {
    let name: RepositoryName = NAME.parse()?;
    let mut tx = store.read().await?;
    let Some(repository) = tx.repository_named(ForgeKind::Git, &name).await? else { return Ok(announced) };
    let filter = RunFilter { repository: Some(repository.id), limit: 5, ..RunFilter::default() };
    let mut newest = announced;
    for run in tx.runs(&filter).await?.into_iter().rev().filter(|run| run.number > announced) {
        let Some(conclusion) = run.state.conclusion() else { break };
        let reports = tx.reports(repository.id, &run.sha).await?;
        if reports.iter().any(|report| report.acknowledged != report.wanted_digest) {
            break;
        }
        newest = run.number;
        say(&["", &format!("run {} ended: {conclusion}   {url}/git/{NAME}/runs/{}", run.number, run.number), ""])?;
    }
    Ok(newest)
}

fn mark(progress: Progress) -> String {
    let (sign, colour) = match progress {
        Progress::Queued | Progress::Asks => ("·", 90),
        Progress::Running => ("▶", 34),
        Progress::Done(Conclusion::Success) => ("✔", 32),
        Progress::Done(Conclusion::Warning) => ("!", 33),
        Progress::Done(Conclusion::Skipped | Conclusion::Cancelled) => ("–", 90),
        Progress::Done(Conclusion::Failure | Conclusion::TimedOut | Conclusion::Error) => ("✘", 31),
    };
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\u{1b}[{colour}m{sign}\u{1b}[0m")
    } else {
        sign.to_owned()
    }
}

/// Prints lines at once. Whoever closed our output does not want to read more.
fn say(lines: &[&str]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        if writeln!(out, "{line}").is_err() {
            bail!("standard output is closed");
        }
    }
    out.flush().context("standard output is closed")
}
