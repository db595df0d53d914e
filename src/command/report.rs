//! `containerops report`: what forges were to be told of a commit, and what they show.

mod agreement;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;

use self::agreement::{Agreement, Seen};
use super::serve;
use crate::{
    app,
    forge::Forge,
    model::{Clock, Event, ForgeKind, RepositoryName, Sha},
    settings::Settings,
    store::{RepositoryRow, Store, Tx},
};

/// Fewer digits name too many commits.
const SHORTEST_SHA: usize = 4;
/// So many commits are named if an abbreviation stands for several.
const NAMED: i64 = 5;

/// What forges show of commits.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  containerops report check acme/widget 3f2c91ab")]
pub struct Args {
    #[command(subcommand)]
    command: ReportCommand,
}

#[derive(Debug, Subcommand)]
enum ReportCommand {
    /// Compare what is wanted, what was acknowledged and what the forge shows.
    Check(CheckArgs),
}

/// Compare, for each context of a commit, what is wanted, what the forge has acknowledged, and what it shows now.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops report check acme/widget 3f2c91ab
  containerops report check github/acme/widget 3f2c91ab --json

It reads the settings and the database of `containerops serve`, whether that runs or not, and changes nothing.

Exit code: 0 if all three agree everywhere, 1 if not, or if something could not be read.")]
struct CheckArgs {
    /// owner/name, or forge/owner/name if several forges have one of that name
    #[arg(value_name = "REPO")]
    repository: String,
    /// The commit, or the first of its digits
    #[arg(value_name = "SHA")]
    sha: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Settings under the `CONTAINEROPS_*` variables [default: containerops.toml, if there is one]
    #[arg(long, env = "CONTAINEROPS_CONFIG")]
    config: Option<PathBuf>,
}

/// Compares and prints.
///
/// # Errors
/// If the settings are wrong, the database cannot be read, or there is no such repository or commit in it.
pub fn run(args: Args) -> Result<ExitCode> {
    let ReportCommand::Check(args) = args.command;
    serve::log_to_stderr("warn", serve::Lines::ByReader);
    let settings = serve::settings(args.config.clone())?;
    serve::runtime()?.block_on(check(&args, &settings))
}

async fn check(args: &CheckArgs, settings: &Settings) -> Result<ExitCode> {
    let store = Store::open_to_read(&settings.database_url);
    let store = store.await.context("opening the database; is CONTAINEROPS_DATA that of `containerops serve`?")?;
    let (repository, sha, rows, events) = {
        let mut tx = store.read().await?;
        let repository = find_repository(&mut tx, &args.repository).await?;
        let sha = find_commit(&mut tx, &repository, &args.sha).await?;
        let rows = tx.reports(repository.id, &sha).await?;
        let events = tx.events_of(&rows).await?;
        (repository, sha, rows, events)
    };
    store.close().await;
    let forge = app::forge(settings, repository.forge)?;
    let forge = forge.with_context(|| format!("{} is not configured here", repository.forge))?;
    let seen = seen(&*forge, &repository, &sha, &events).await;
    let agreement = Agreement::of(&*forge, &repository, &sha, &rows, seen, Clock::System.now());
    let text = if args.json { agreement.json() } else { agreement.table() };
    writeln!(io::stdout(), "{}", text.trim_end())?;
    Ok(if agreement.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn seen(forge: &dyn Forge, repository: &RepositoryRow, sha: &Sha, events: &[Event]) -> Seen {
    match forge.shown(&repository.facts, sha, events).await {
        Ok(Some(shown)) => Seen::Shown(shown),
        Ok(None) => Seen::Unknown(format!("{} shows nothing that could be read", repository.forge)),
        Err(error) => Seen::Unknown(error.to_string()),
    }
}

/// The repository of this name. A forge's name before it is no part of it, unless a repository is called so.
async fn find_repository(tx: &mut Tx, text: &str) -> Result<RepositoryRow> {
    let name: RepositoryName = text.parse()?;
    let mut found = tx.repositories_named(&name).await?;
    if let Some((forge, rest)) = text.split_once('/')
        && let (Ok(forge), Ok(rest)) = (forge.parse::<ForgeKind>(), rest.parse::<RepositoryName>())
    {
        found.extend(tx.repository_named(forge, &rest).await?);
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => bail!("there is no repository {name}: none of that name has had an event"),
        several => {
            let names: Vec<String> = several.iter().map(|row| format!("{}/{}", row.forge, row.name)).collect();
            bail!("several repositories are called so; name one of {}", names.join(", "))
        }
    }
}

async fn find_commit(tx: &mut Tx, repository: &RepositoryRow, text: &str) -> Result<Sha> {
    let digits = text.to_ascii_lowercase();
    if digits.len() < SHORTEST_SHA || digits.len() > 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        bail!("`{text}` names no commit: {SHORTEST_SHA} to 64 hexadecimal digits are expected");
    }
    let found = tx.reported_commits(repository.id, &digits, NAMED).await?;
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => bail!("nothing was ever to be reported on a commit {text} of {}/{}", repository.forge, repository.name),
        several => {
            let names: Vec<&str> = several.iter().map(Sha::as_str).collect();
            bail!("several commits begin so; name one of {}", names.join(", "))
        }
    }
}
