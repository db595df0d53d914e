//! `containerops token`: makes, lists and removes tokens in the server's database, whether that server runs or not.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;

use super::serve;
use crate::{
    engine::hash,
    model::{Clock, Deed, Login, Scope, Scopes, TokenId},
    store::{NewToken, Store, TokenRow},
    web::{new_token, pages::Moment},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Tokens for programs that use the API.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops token add deploy --scope run --days 90
  containerops token add nightly --as github/alice --scope run --scope approve
  containerops token list
  containerops token rm 06c5xq8h2g0t1

A program shows its token as `Authorization: Bearer …`; `containerops start` takes it from CONTAINEROPS_TOKEN.
These commands read the settings and the database of `containerops serve`, whether that runs or not.")]
pub struct Args {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token, and print it; it is shown only now.
    Add(AddArgs),
    /// List tokens: whose they are, what they may, and when they were used last.
    List(ListArgs),
    /// Remove a token, which is worth nothing from then on.
    Rm(RemoveArgs),
}

/// Make a token, and print it; it is shown only now.
#[derive(Debug, clap::Args)]
struct AddArgs {
    /// What you call it
    name: String,
    /// Whose rights it has, such as github/alice [default: the server's own, which are an administrator's]
    #[arg(long = "as", value_name = "LOGIN")]
    owner: Option<Login>,
    /// What it is for besides looking: run, approve or admin. May be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// How many days it lives
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=365))]
    days: u32,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// As `list` shows it
    id: TokenId,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, clap::Args)]
struct SettingsArgs {
    /// Settings under the `CONTAINEROPS_*` variables [default: containerops.toml, if there is one].
    #[arg(long, env = "CONTAINEROPS_CONFIG")]
    config: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// If the settings are wrong, or the database cannot be opened.
pub fn run(args: Args) -> Result<ExitCode> {
    serve::runtime()?.block_on(async {
        match args.command {
            TokenCommand::Add(args) => add(args).await,
            TokenCommand::List(args) => list(args).await,
            TokenCommand::Rm(args) => remove(args).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn store(args: SettingsArgs) -> Result<Store> {
    let settings = serve::settings(args.config)?;
    std::fs::create_dir_all(&settings.data).with_context(|| format!("making {}", settings.data.display()))?;
    Store::open_beside(&settings.database_url).await.context("opening the database")
}

async fn add(args: AddArgs) -> Result<()> {
    let name = args.name.trim();
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        bail!("a token has a name of 1 to 64 characters");
    }
    let (now, scopes) = (Clock::System.now(), Scopes::new(args.scopes));
    let secret = new_token().context("this machine gives no random bytes")?;
    let store = store(args.settings).await?;
    let mut tx = store.write().await?;
    let person = match &args.owner {
        Some(login) => Some(tx.person_named(login, now).await?),
        None => None,
    };
    let expires = now.after(DAY * args.days);
    let id = tx.insert_token(&NewToken { hash: &hash(&secret), name, person, scopes: &scopes, expires, now }).await?;
    let whose = args.owner.map_or_else(|| "the server".to_owned(), |login| login.to_string());
    let target = format!("`{name}` for `{scopes}` of {whose}, {} days", args.days);
    tx.note(&deed("make a token", target), &format!("made as {id}"), now).await?;
    tx.commit().await?;
    store.close().await;
    writeln!(io::stdout(), "{secret}")?;
    Ok(())
}

async fn list(args: ListArgs) -> Result<()> {
    let store = store(args.settings).await?;
    let rows = store.read().await?.tokens(None).await?;
    store.close().await;
    let mut out = io::stdout().lock();
    for row in rows {
        writeln!(out, "{}", line(&row))?;
    }
    Ok(())
}

fn line(row: &TokenRow) -> String {
    let whose = row.owner().map_or_else(|| "the server".to_owned(), |login| login.to_string());
    let used = match row.used {
        Some(used) => format!("used {} from {}", Moment(used).text(), row.used_from),
        None => "never used".to_owned(),
    };
    format!("{}  {}  of {whose}  for {}  until {}  {used}", row.id, row.name, row.scopes.0, Moment(row.expires).text())
}

async fn remove(args: RemoveArgs) -> Result<()> {
    let store = store(args.settings).await?;
    let mut tx = store.write().await?;
    if !tx.remove_token(args.id, None).await? {
        bail!("there is no token {}", args.id);
    }
    tx.note(&deed("remove a token", args.id.to_string()), "done", Clock::System.now()).await?;
    tx.commit().await?;
    store.close().await;
    Ok(())
}

fn deed(what: &'static str, target: String) -> Deed {
    let who = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "someone".to_owned());
    Deed {
        who: format!("{who} on the server's machine"),
        way: "command".to_owned(),
        from: String::new(),
        what,
        repository: None,
        target,
    }
}
