//! `containerops secret`: sets, lists and removes secrets in the server's database, whether that server runs or not.

mod value;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Subcommand;

use super::serve;
use crate::{
    engine::{self, Vault},
    model::{Clock, ForgeKind, RepositoryName, SecretLevel, SecretLimits, SecretName, SecretScope, Time},
    settings::Settings,
    store::{SecretRow, Store, Tx},
};

/// Secrets of jobs. Their values are never shown again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops secret set DEPLOY_TOKEN --repo acme/shop < token
  containerops secret set NPM_TOKEN --owner acme --event push --event tag
  containerops secret list --repo acme/shop
  containerops secret rm DEPLOY_TOKEN --repo acme/shop
  containerops secret rotate --new-key

A job has a secret in its environment if its flow file asks for it: `secrets: [DEPLOY_TOKEN]`.
These commands read the settings and the database of `containerops serve`, whether that runs or not.")]
pub struct Args {
    #[command(subcommand)]
    command: SecretCommand,
}

#[derive(Debug, Subcommand)]
enum SecretCommand {
    /// Set a secret, or give it another value.
    Set(SetArgs),
    /// List secrets: their names, whose they are, whom they are for, when they were set and by whom.
    List(ListArgs),
    /// Remove a secret.
    Rm(RemoveArgs),
    /// Encrypt all secrets by the first key of the server's key file.
    Rotate(RotateArgs),
}

/// Set a secret, or give it another value. The value is read from standard input, or from a file; never from an argument,
/// which other users of the machine could see.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops secret set DEPLOY_TOKEN --repo acme/shop < token
  pass show deploy | containerops secret set DEPLOY_TOKEN --repo acme/shop
  containerops secret set SSH_KEY --repo acme/shop --from-file ~/.ssh/deploy --branch main --branch 'release/*'
  containerops secret set REGISTRY --owner acme --image 'acme/publisher:*' --event push --event tag
  kubectl exec -i deploy/containerops -- containerops secret set TOKEN --repo acme/shop < token

A value of one line loses the newline at its end; one of many lines is kept as it is.
Limits are set with the value: without --event, --branch and --image every job of a trusted run that asks for it has it.
In patterns `*` and `?` stop at a `/`, `**` does not. An image's pattern without a tag means every tag, and one with
`@sha256:…` means just these bytes.")]
struct SetArgs {
    /// Letters, digits, `_` and `-`
    name: SecretName,
    /// It is no argument
    #[arg(hide = true)]
    value: Option<String>,
    #[command(flatten)]
    whose: Whose,
    /// Only for this event: push, tag, pull_request, merge_group, schedule, manual or flow. May be repeated
    #[arg(long = "event", value_name = "EVENT", value_parser = engine::SECRET_EVENTS)]
    events: Vec<String>,
    /// Only for code of this branch. May be repeated
    #[arg(long = "branch", value_name = "PATTERN", value_parser = pattern)]
    branches: Vec<String>,
    /// Only for jobs of this image. May be repeated
    #[arg(long = "image", value_name = "PATTERN", value_parser = image)]
    images: Vec<String>,
    /// Read the value from this file instead of standard input
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops secret list
  containerops secret list --repo acme/shop --json

Of a repository those of its owner are listed, too, for its jobs may have them.")]
struct ListArgs {
    /// Those that jobs of this repository may have: owner/name, or forge/owner/name
    #[arg(long = "repo", value_name = "REPO", conflicts_with = "owner")]
    repository: Option<String>,
    /// Those of this owner, organisation or group
    #[arg(long)]
    owner: Option<String>,
    /// Of which forge: github, gitlab, gitea or git
    #[arg(long)]
    forge: Option<ForgeKind>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  containerops secret rm DEPLOY_TOKEN --repo acme/shop

Exit code: 1 if there is none of that name.")]
struct RemoveArgs {
    /// Which
    name: SecretName,
    #[command(flatten)]
    whose: Whose,
}

/// Encrypt all secrets by the first key of the server's key file. Old keys stay in the file until you remove them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops secret rotate --new-key    put a new key into the file, and encrypt by it
  containerops secret rotate              the file has a new first line already, as in a Kubernetes Secret
  containerops secret rotate --forget-old    while the server is stopped and nothing runs: only the first key stays

A server that runs reads the file again when it meets a new key. The last line of the file is also what tokens of jobs
and labels of pods are made of: remove it only while nothing runs. Each secret is encrypted anew for itself, so a call
that is broken off is simply made again.

Exit code: 1 if a secret could not be encrypted anew (it is named), or an old key is still needed.")]
struct RotateArgs {
    /// Make a new key first, and put it before the others
    #[arg(long)]
    new_key: bool,
    /// Remove all keys but the first afterwards. The server is stopped, and no run is open
    #[arg(long)]
    forget_old: bool,
    #[command(flatten)]
    config: Config,
}

/// Whose a secret is.
#[derive(Debug, clap::Args)]
struct Whose {
    /// The repository's: owner/name, or forge/owner/name
    #[arg(long = "repo", value_name = "REPO", required_unless_present = "owner", conflicts_with = "owner")]
    repository: Option<String>,
    /// All repositories' of this owner, organisation or group: its name, or forge/name
    #[arg(long)]
    owner: Option<String>,
    /// Of which forge: github, gitlab, gitea or git [default: the one that is known to have it]
    #[arg(long)]
    forge: Option<ForgeKind>,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, clap::Args)]
struct Config {
    /// Settings under the `CONTAINEROPS_*` variables [default: containerops.toml, if there is one]
    #[arg(long, env = "CONTAINEROPS_CONFIG")]
    config: Option<PathBuf>,
}

fn pattern(text: &str) -> Result<String, String> {
    engine::check_branches(text).map(|()| text.to_owned())
}

fn image(text: &str) -> Result<String, String> {
    engine::check_images(text).map(|()| text.to_owned())
}

/// Does what is asked.
///
/// # Errors
/// If the settings are wrong, the database or the key file cannot be used, or a value is no secret.
pub fn run(args: Args) -> Result<ExitCode> {
    serve::log_to_stderr("warn", serve::Lines::ForPeople);
    serve::runtime()?.block_on(async {
        match args.command {
            SecretCommand::Set(args) => set(args).await,
            SecretCommand::List(args) => list(args).await,
            SecretCommand::Rm(args) => remove(args).await,
            SecretCommand::Rotate(args) => rotate(args).await,
        }
    })
}

/// The server's database and its keys.
struct Kept {
    store: Store,
    vault: Vault,
}

impl Kept {
    async fn open(settings: &Settings) -> Result<Self> {
        // a database of our own making would be nobody's, and what is put there would be lost
        if !Store::is_made(&settings.database_url).await.context("looking for the database")? {
            // a password may stand in any other
            let url = &settings.database_url;
            let path = url.strip_prefix("sqlite:").map_or("yet", |path| path.trim_start_matches("//"));
            bail!("there is no database {path}: call this with the server's own settings, once it has been started")
        }
        let vault = Vault::open(&settings.secret_key_file)?;
        let store = Store::open_beside(&settings.database_url).await.context("opening the database")?;
        Ok(Self { store, vault })
    }
}

impl Config {
    fn settings(&self) -> Result<Settings> {
        serve::settings(self.config.clone())
    }
}

async fn set(args: SetArgs) -> Result<ExitCode> {
    let settings = args.whose.config.settings()?;
    let SetArgs { name, value, whose, events, branches, images, from_file } = args;
    if value.is_some() {
        bail!("a value is no argument, which others could see: give it on standard input, or by --from-file");
    }
    let limits = SecretLimits { events, branches, images };
    engine::check_limits(&limits).map_err(anyhow::Error::msg)?;
    let kept = Kept::open(&settings).await?;
    let scope = whose.scope(&kept.store).await?;
    let value = value::read(&name, from_file.as_deref())?;
    engine::check_secret(&name, &value)?;
    let now = Clock::System.now();
    let row = kept.vault.seal((&scope, &name), limits, &value, (now, &who()))?;
    let mut tx = kept.store.write().await?;
    let before = tx.secrets(&scope).await?.into_iter().find(|row| row.name == name);
    let is_known = is_known(&mut tx, &scope).await?;
    tx.put_secret(&row).await?;
    tx.commit().await?;
    kept.store.close().await;
    let done = if before.is_some() { "has a new value" } else { "is set" };
    writeln!(io::stdout(), "secret {name} of {scope} {done}{}", limited(&row.limits))?;
    if !is_known {
        writeln!(io::stderr(), "note: no event of {scope} has come yet; is the name spelt as the forge spells it?")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn limited(limits: &SecretLimits) -> String {
    if *limits == SecretLimits::default() { String::new() } else { format!(", only for {limits}") }
}

/// Who sits at the keyboard, as far as the system says.
pub(super) fn who() -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    name.map_or_else(|| "someone on the server".to_owned(), |name| format!("{name} on the server"))
}

async fn remove(args: RemoveArgs) -> Result<ExitCode> {
    let kept = Kept::open(&args.whose.config.settings()?).await?;
    let scope = args.whose.scope(&kept.store).await?;
    let mut tx = kept.store.write().await?;
    let removed = tx.remove_secret(&scope, &args.name).await?;
    tx.commit().await?;
    kept.store.close().await;
    if !removed {
        writeln!(io::stderr(), "there is no secret {} of {scope}", args.name)?;
        return Ok(ExitCode::FAILURE);
    }
    writeln!(io::stdout(), "secret {} of {scope} is removed", args.name)?;
    Ok(ExitCode::SUCCESS)
}

async fn list(args: ListArgs) -> Result<ExitCode> {
    let kept = Kept::open(&args.config.settings()?).await?;
    let whose = Whose { repository: args.repository, owner: args.owner, forge: args.forge, config: args.config };
    let scopes = match (&whose.repository, &whose.owner) {
        (None, None) => None,
        (Some(_), _) => {
            let scope = whose.scope(&kept.store).await?;
            Some(SecretScope::around(scope.forge, &scope.name))
        }
        (None, Some(_)) => Some(vec![whose.scope(&kept.store).await?]),
    };
    let mut tx = kept.store.read().await?;
    let rows = match scopes {
        None => tx
            .all_secrets()
            .await?
            .into_iter()
            .filter(|row| args.forge.is_none_or(|forge| row.forge == forge))
            .collect(),
        Some(scopes) => {
            let mut rows = Vec::new();
            for scope in &scopes {
                rows.extend(tx.secrets(scope).await?);
            }
            rows
        }
    };
    drop(tx);
    kept.store.close().await;
    if args.json {
        json(&rows)?
    } else {
        table(&rows)?
    }
    Ok(ExitCode::SUCCESS)
}

fn json(rows: &[SecretRow]) -> Result<()> {
    let all: Vec<serde_json::Value> = rows
        .iter()
        .map(|row| {
            serde_json::json!({
                "name": row.name, "forge": row.forge, row.level.as_str(): row.scope, "limits": row.limits.0,
                "created": iso(row.created), "changed": iso(row.changed), "changed_by": row.changed_by,
                "used": row.used.map(iso), "key": row.key_id,
            })
        })
        .collect();
    Ok(writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&all)?)?)
}

fn table(rows: &[SecretRow]) -> Result<()> {
    let mut out = io::stdout().lock();
    if rows.is_empty() {
        return Ok(writeln!(io::stderr(), "there is no secret")?);
    }
    let width = rows.iter().map(|row| row.name.as_str().len()).max().unwrap_or(0);
    for row in rows {
        let limits = match row.limits.to_string() {
            text if text.is_empty() => String::new(),
            text => format!("; only for {text}"),
        };
        let (name, scope) = (&row.name, row.scope());
        writeln!(
            out,
            "{name:<width$}  {scope}{limits}; set {} by {}",
            iso(row.changed),
            row.changed_by,
            name = name.as_str()
        )?;
    }
    Ok(())
}

fn iso(time: Time) -> String {
    let moment = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

async fn rotate(args: RotateArgs) -> Result<ExitCode> {
    let settings = args.config.settings()?;
    let kept = Kept::open(&settings).await?;
    if args.new_key {
        engine::add_key(&settings.secret_key_file)?;
    }
    let rows = kept.store.read().await?.all_secrets().await?;
    let (mut again, mut failed) = (0, 0);
    for row in &rows {
        match kept.vault.seal_again(row) {
            Ok(None) => {}
            Ok(Some((key, sealed))) => {
                let mut tx = kept.store.write().await?;
                // one that was set meanwhile is encrypted by the new key already
                again += usize::from(tx.seal_secret_again(row, &key, &sealed).await?);
                tx.commit().await?;
            }
            Err(error) => {
                failed += 1;
                writeln!(io::stderr(), "secret {} of {}: {error}", row.name, row.scope())?;
            }
        }
    }
    failed += again_what_was_given(&kept).await?;
    if args.forget_old {
        ensure!(failed == 0, "an old key is still needed: nothing is removed");
        forget_old(&kept, &settings).await?;
    }
    kept.store.close().await;
    let keys = engine::keys_in(&settings.secret_key_file)?.len();
    writeln!(io::stdout(), "{again} of {} secrets are encrypted anew by the first of {keys} keys", rows.len())?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What runs under way were given is encrypted anew as well, so that it stays hidden in what they say.
/// How many were not.
async fn again_what_was_given(kept: &Kept) -> Result<usize> {
    let mut failed = 0;
    // there is one connection, which a writer needs
    let all = kept.store.read().await?.all_given_secrets().await?;
    for given in all {
        match kept.vault.seal_again(&given.secret) {
            Ok(None) => {}
            Ok(Some((key, sealed))) => {
                let mut tx = kept.store.write().await?;
                tx.seal_given_again(&given, &key, &sealed).await?;
                tx.commit().await?;
            }
            Err(error) => {
                failed += 1;
                writeln!(io::stderr(), "secret {} as a run was given it: {error}", given.secret.name)?;
            }
        }
    }
    Ok(failed)
}

/// Old keys go when nothing is made of them any more: no secret, no token of a job, no label of a pod.
async fn forget_old(kept: &Kept, settings: &Settings) -> Result<()> {
    let open = kept.store.read().await?.open_runs().await?.len();
    ensure!(open == 0, "{open} runs are open, and their jobs' tokens are made of the oldest key: let them end first");
    engine::forget_old_keys(&settings.secret_key_file)?;
    // what servers know each other by is made of the oldest key
    Ok(kept.store.disagree("secret key").await?)
}

/// Whether anything has happened there yet.
async fn is_known(tx: &mut Tx, scope: &SecretScope) -> Result<bool> {
    Ok(match scope.level {
        SecretLevel::Repository => tx.repository_named(scope.forge, &scope.name).await?.is_some(),
        SecretLevel::Owner => tx.forges_of_owner(&scope.name).await?.contains(&scope.forge),
    })
}

impl Whose {
    /// Whose it is, on the forge that is named, or on the only one that knows the name.
    async fn scope(&self, store: &Store) -> Result<SecretScope> {
        let (level, text) = match (&self.repository, &self.owner) {
            (Some(name), _) => (SecretLevel::Repository, name),
            (None, Some(name)) => (SecretLevel::Owner, name),
            (None, None) => bail!("whose? --repo owner/name, or --owner name"),
        };
        let named = text.split_once('/').and_then(|(forge, rest)| Some((forge.parse::<ForgeKind>().ok()?, rest)));
        let (forge, name) = match (self.forge, named) {
            (Some(forge), _) => (Some(forge), text.parse()?),
            // a plain repository may be called like a forge
            (None, Some((forge, rest))) => (Some(forge), rest.parse()?),
            (None, None) => (None, text.parse()?),
        };
        let forge = match forge {
            Some(forge) => forge,
            None => only_forge(&mut store.read().await?, level, &name).await?,
        };
        Ok(SecretScope { forge, level, name })
    }
}

pub(super) async fn only_forge(tx: &mut Tx, level: SecretLevel, name: &RepositoryName) -> Result<ForgeKind> {
    let known: Vec<ForgeKind> = match level {
        SecretLevel::Repository => tx.repositories_named(name).await?.into_iter().map(|row| row.forge).collect(),
        SecretLevel::Owner => tx.forges_of_owner(name).await?,
    };
    match known.as_slice() {
        [forge] => Ok(*forge),
        [] => bail!("no event of {name} has come yet, so name its forge: --forge github, gitlab, gitea or git"),
        several => {
            let names: Vec<&str> = several.iter().map(|forge| forge.as_str()).collect();
            bail!("several forges have {name}: choose one by --forge {}", names.join(" or "))
        }
    }
}
