//! `containerops quota`: shows and sets what organisations and repositories may use, in the server's database, whether
//! that server runs or not.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Subcommand;

use super::{secret::only_forge, serve};
use crate::{
    model::{Clock, Deed, ForgeKind, LIMITS, Quota, QuotaScope, QuotaValue, RepositoryName, SecretLevel},
    store::{QuotaRow, Store},
};

/// What organisations and repositories may use.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops quota set --server --actions 50
  containerops quota set --owner acme --actions 20 --cpu 16 --memory 32Gi --storage 100Gi --minutes 10000
  containerops quota set --repo acme/shop --actions 5 --priority 20
  containerops quota list
  containerops quota unset --owner acme

An action counts for its repository, for each owner or group above that, and for the server: it starts when there is room in
all of them. These commands read the settings and the database of `containerops serve`, which need not be restarted.")]
pub struct Args {
    #[command(subcommand)]
    command: QuotaCommand,
}

#[derive(Debug, Subcommand)]
enum QuotaCommand {
    /// Set what may be used; what is not named stays as it is.
    Set(SetArgs),
    /// List all quotas.
    List(ListArgs),
    /// Take a quota away, or some of its limits.
    Unset(UnsetArgs),
}

/// Set what may be used; what is not named stays as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops quota set --owner acme --actions 20
  containerops quota set --owner gitlab/group/subgroup --cpu 8 --memory 16Gi
  containerops quota set --owner acme --actions 0    nothing more of it starts until this is raised

What asks for more CPU or memory than its quota has at all fails when it is planned. The rest waits until there is room.")]
struct SetArgs {
    #[command(flatten)]
    whose: Whose,
    /// Actions that run at once
    #[arg(long, value_name = "NUMBER")]
    actions: Option<String>,
    /// CPU that running actions ask for together: 4, 2.5 or 500m
    #[arg(long, value_name = "CPU")]
    cpu: Option<String>,
    /// Memory that running actions ask for together: 8Gi
    #[arg(long, value_name = "BYTES")]
    memory: Option<String>,
    /// Bytes of artifacts, caches and logs that are kept: 100Gi
    #[arg(long, value_name = "BYTES")]
    storage: Option<String>,
    /// Minutes of jobs in a calendar month (UTC)
    #[arg(long, value_name = "NUMBER")]
    minutes: Option<String>,
    /// Its weight among those beside it, 1 to 1000 [default: 10]
    #[arg(long, value_name = "NUMBER")]
    priority: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops quota list
  containerops quota list --json

What is used of them stands on the page /admin/quotas and in the API.")]
struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops quota unset --owner acme              all of its limits
  containerops quota unset --owner acme cpu memory   these

Exit code: 1 if there is no such quota.")]
struct UnsetArgs {
    #[command(flatten)]
    whose: Whose,
    /// Which limits [default: all]
    #[arg(value_parser = LIMITS)]
    limits: Vec<String>,
}

/// Whose.
#[derive(Debug, clap::Args)]
struct Whose {
    /// Everything that the server runs
    #[arg(long, required_unless_present_any = ["owner", "repository"], conflicts_with_all = ["owner", "repository"])]
    server: bool,
    /// All repositories' of this owner, organisation or group: its name, or forge/name
    #[arg(long, conflicts_with = "repository")]
    owner: Option<String>,
    /// The repository's: owner/name, or forge/owner/name
    #[arg(long = "repo", value_name = "REPO")]
    repository: Option<String>,
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

/// Does what is asked.
///
/// # Errors
/// If the settings are wrong, the database cannot be used, or a value is none.
pub fn run(args: Args) -> Result<ExitCode> {
    serve::log_to_stderr("warn", serve::Lines::ForPeople);
    serve::runtime()?.block_on(async {
        match args.command {
            QuotaCommand::Set(args) => set(args).await,
            QuotaCommand::List(args) => list(args).await,
            QuotaCommand::Unset(args) => unset(args).await,
        }
    })
}

impl Config {
    async fn open(&self) -> Result<Store> {
        let settings = serve::settings(self.config.clone())?;
        let is_made = Store::is_made(&settings.database_url).await.context("looking for the database")?;
        ensure!(
            is_made,
            "there is no database yet: call this with the server's own settings, once it has been started"
        );
        Store::open_beside(&settings.database_url).await.context("opening the database")
    }
}

async fn set(args: SetArgs) -> Result<ExitCode> {
    let SetArgs { whose, actions, cpu, memory, storage, minutes, priority } = args;
    let mut wanted = Quota::default();
    for (name, text) in LIMITS.into_iter().zip([actions, cpu, memory, storage, minutes, priority]) {
        if let Some(text) = text {
            wanted.set(name, Some(QuotaValue::read(name, text.trim()).with_context(|| format!("--{name}"))?));
        }
    }
    ensure!(!wanted.is_empty(), "nothing to set: name a limit, such as --actions 10");
    let store = whose.config.open().await?;
    let scope = whose.scope(&store).await?;
    let quota = change(&store, &scope, |quota| {
        for name in LIMITS.into_iter().filter(|name| wanted.get(name).is_some()) {
            quota.set(name, wanted.get(name));
        }
    })
    .await?;
    store.close().await;
    writeln!(io::stdout(), "{scope}: {quota}")?;
    Ok(ExitCode::SUCCESS)
}

async fn unset(args: UnsetArgs) -> Result<ExitCode> {
    let store = args.whose.config.open().await?;
    let scope = args.whose.scope(&store).await?;
    let rows = store.read().await?.quotas().await?;
    if !rows.iter().any(|row| row.scope().as_ref() == Some(&scope)) {
        writeln!(io::stderr(), "there is no quota of {scope}")?;
        return Ok(ExitCode::FAILURE);
    }
    let all = args.limits.is_empty();
    let quota = change(&store, &scope, |quota| match all {
        true => *quota = Quota::default(),
        false => args.limits.iter().for_each(|name| quota.set(name, None)),
    })
    .await?;
    store.close().await;
    let left = if quota.is_empty() { "no quota".to_owned() } else { quota.to_string() };
    writeln!(io::stdout(), "{scope}: {left}")?;
    Ok(ExitCode::SUCCESS)
}

/// Changes a quota, and writes down who did so.
async fn change(store: &Store, scope: &QuotaScope, change: impl FnOnce(&mut Quota)) -> Result<Quota> {
    let now = Clock::System.now();
    let by = super::secret::who();
    let mut tx = store.write().await?;
    let rows = tx.quotas().await?;
    let mut quota =
        rows.iter().find(|row| row.scope().as_ref() == Some(scope)).map(QuotaRow::quota).unwrap_or_default();
    change(&mut quota);
    let outcome = if quota.is_empty() {
        tx.remove_quota(scope).await?;
        "taken away".to_owned()
    } else {
        tx.put_quota(scope, &quota, &by, now).await?;
        format!("set: {quota}")
    };
    let deed = Deed {
        who: by,
        way: "command".to_owned(),
        from: String::new(),
        what: "set a quota",
        repository: None,
        target: scope.to_string(),
    };
    tx.note(&deed, &outcome, now).await?;
    tx.commit().await?;
    Ok(quota)
}

async fn list(args: ListArgs) -> Result<ExitCode> {
    let store = args.config.open().await?;
    let rows = store.read().await?.quotas().await?;
    store.close().await;
    let known = rows.iter().filter_map(|row| Some((row.scope()?, row)));
    if args.json {
        let all: Vec<serde_json::Value> = known.map(|(scope, row)| json(&scope, row)).collect();
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&all)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        writeln!(io::stderr(), "there is no quota: everything starts at once")?;
    }
    for (scope, row) in known {
        writeln!(io::stdout(), "{scope}: {}; set by {}", row.quota(), row.changed_by)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn json(scope: &QuotaScope, row: &QuotaRow) -> serde_json::Value {
    let quota = row.quota();
    let limits = LIMITS.into_iter().map(|name| (name.to_owned(), quota.get(name).into()));
    let mut all: serde_json::Map<String, serde_json::Value> = limits.collect();
    all.insert("level".to_owned(), scope.level().into());
    all.insert("forge".to_owned(), scope.forge().map(ForgeKind::as_str).into());
    all.insert("name".to_owned(), scope.name().map(RepositoryName::as_str).into());
    all.insert("changed_by".to_owned(), row.changed_by.clone().into());
    all.into()
}

impl Whose {
    /// Whose it is, on the forge that is named, or on the only one that knows the name.
    async fn scope(&self, store: &Store) -> Result<QuotaScope> {
        let (level, text) = match (&self.repository, &self.owner) {
            (Some(name), _) => (SecretLevel::Repository, name),
            (None, Some(name)) => (SecretLevel::Owner, name),
            (None, None) if self.server => return Ok(QuotaScope::Server),
            (None, None) => bail!("whose? --server, --owner name, or --repo owner/name"),
        };
        let named = text.split_once('/').and_then(|(forge, rest)| Some((forge.parse::<ForgeKind>().ok()?, rest)));
        let (forge, name): (Option<ForgeKind>, RepositoryName) = match (self.forge, named) {
            (Some(forge), _) => (Some(forge), text.parse()?),
            (None, Some((forge, rest))) => (Some(forge), rest.parse()?),
            (None, None) => (None, text.parse()?),
        };
        let forge = match forge {
            Some(forge) => forge,
            None => only_forge(&mut store.read().await?, level, &name).await?,
        };
        Ok(match level {
            SecretLevel::Owner => QuotaScope::Owner(forge, name),
            SecretLevel::Repository => QuotaScope::Repository(forge, name),
        })
    }
}
