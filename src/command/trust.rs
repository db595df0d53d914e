//! `containerops approve` and `containerops policy`: untrusted code, on the server's machine. They work on the database of the
//! settings, beside a server that runs or without one; whoever may read that file is asked nothing more.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};

use super::serve;
use crate::{
    app::App,
    engine::{Engine, rule::RuleMaker, vetting::Ballot},
    executor::{Process, UntrustedCode},
    model::{Answer, Clock, Deed, ForgeKind, RepositoryId, RepositoryName, Sha, UntrustedPolicy},
    settings::Settings,
    store::{RepositoryRow, RunRow, Store},
};

/// Let a run of untrusted code go, for one commit that you have looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the server's own database: call it where the server runs, with its settings.

Examples:
  containerops approve acme/shop 17 --sha 6113728f27ae82c7b1a177c8d03f9e96e0adf246 --as ada
  containerops approve acme/shop 17 --sha 6113728f27ae82c7b1a177c8d03f9e96e0adf246 --as ada --secret NPM_READ
  containerops approve acme/shop 17 --sha 6113728f27ae82c7b1a177c8d03f9e96e0adf246 --as ada --reject --note 'mines coins'")]
pub struct ApproveArgs {
    /// owner/name
    #[arg(value_name = "REPO")]
    repository: RepositoryName,
    /// The run's number
    number: i64,
    /// The commit that you have looked at, whole
    #[arg(long)]
    sha: Sha,
    /// The flow file's digest, as the run's page shows it; refused if it is another one by now
    #[arg(long)]
    flow: Option<String>,
    /// Who you are: kept with the run, and shown
    #[arg(long = "as", value_name = "NAME")]
    name: String,
    /// A secret that the run gets [default: none]
    #[arg(long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
    /// It is not to run at all
    #[arg(long)]
    reject: bool,
    /// What you say besides
    #[arg(long, default_value = "")]
    note: String,
    /// Its forge, if several have one of that name
    #[arg(long)]
    forge: Option<ForgeKind>,
    /// A file of settings
    #[arg(long, env = "CONTAINEROPS_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Show or set what becomes of untrusted code in a repository.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Rules:
  never           it is not run
  approval        it is run when somebody with write access has looked at it
  contributors    at once, if the repository has commits of its author; else as approval
  always          at once
  …+head          by the pull request's own flow file, and not the base branch's

Examples:
  containerops policy acme/shop
  containerops policy acme/shop contributors --as ada
  containerops policy acme/shop --reset --as ada")]
pub struct PolicyArgs {
    /// owner/name
    #[arg(value_name = "REPO")]
    repository: RepositoryName,
    /// The rule
    rule: Option<UntrustedPolicy>,
    /// The setting's rule again
    #[arg(long, conflicts_with = "rule")]
    reset: bool,
    /// Who you are: kept with the rule
    #[arg(long = "as", value_name = "NAME", default_value = "the server's machine")]
    name: String,
    /// Its forge, if several have one of that name
    #[arg(long)]
    forge: Option<ForgeKind>,
    /// A file of settings
    #[arg(long, env = "CONTAINEROPS_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Answers for a run.
///
/// # Errors
/// If the run does not wait for that, or is of another commit.
pub fn approve(args: ApproveArgs) -> Result<ExitCode> {
    let settings = serve::settings(args.config.clone())?;
    serve::runtime()?.block_on(async {
        let engine = engine(&settings).await?;
        let run = run_of(&engine.store, &args).await?;
        let ballot = Ballot {
            sha: args.sha.clone(),
            flow: args.flow.clone(),
            answer: if args.reject { Answer::Rejected } else { Answer::Approved },
            secrets: args.secrets.iter().cloned().collect::<BTreeSet<_>>(),
            by: format!("{} (on the server's machine)", args.name),
            note: args.note.clone(),
        };
        let engine = engine.doing(deed(&args.name, "answer for untrusted code", run.repository_id, run.words()));
        engine.vet(run.id, &ballot).await?;
        let what = ballot.answer.as_str();
        writeln!(io::stdout(), "#{} of {} at {}: {what}", run.number, args.repository, run.sha.short())?;
        engine.store.close().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Shows or sets a rule.
///
/// # Errors
/// If nobody knows the repository.
pub fn policy(args: PolicyArgs) -> Result<ExitCode> {
    let settings = serve::settings(args.config.clone())?;
    serve::runtime()?.block_on(async {
        let engine = engine(&settings).await?;
        let row = known(&engine.store, &args.repository, args.forge).await?;
        let rule = if args.reset || args.rule.is_some() {
            let target = args.rule.map_or_else(|| "the setting's".to_owned(), |rule| format!("`{rule}`"));
            let engine = engine.doing(deed(&args.name, "set the rule for untrusted code", row.id, target));
            engine.set_rule(&row, args.rule, &RuleMaker { name: args.name.clone(), is_admin: true }).await?
        } else {
            engine.rule(&row).await?
        };
        engine.store.close().await;
        match rule.set_by {
            Some(by) => writeln!(io::stdout(), "{} (by {by})", rule.policy)?,
            None => writeln!(io::stdout(), "{} (by the setting)", rule.policy)?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn deed(name: &str, what: &'static str, repository: RepositoryId, target: String) -> Deed {
    Deed {
        who: format!("{name} on the server's machine"),
        way: "command".to_owned(),
        from: String::new(),
        what,
        repository: Some(repository),
        target,
    }
}

/// An engine that decides and drives nothing: no executor of it places anything.
async fn engine(settings: &Settings) -> Result<Engine> {
    let nowhere = Process::new(settings.data.join("attempts"), Vec::new()).with(UntrustedCode::Refused);
    let limits = crate::app::limits(settings, &format!("http://{}", settings.listen));
    let forges = std::collections::BTreeMap::new();
    let app = App::of_parts(settings, std::sync::Arc::new(nowhere), forges, limits, Clock::System).await?;
    Ok(app.engine)
}

async fn run_of(store: &Store, args: &ApproveArgs) -> Result<RunRow> {
    let row = known(store, &args.repository, args.forge).await?;
    let run = store.read().await?.run_numbered(row.id, args.number).await?;
    run.with_context(|| format!("{} has no run #{}", args.repository, args.number))
}

async fn known(store: &Store, name: &RepositoryName, forge: Option<ForgeKind>) -> Result<RepositoryRow> {
    let mut rows = store.read().await?.repositories_named(name).await?;
    rows.retain(|row| forge.is_none_or(|forge| forge == row.forge));
    let mut rows = rows.into_iter();
    match (rows.next(), rows.next()) {
        (Some(row), None) => Ok(row),
        (None, _) => bail!("nothing has happened in {name} yet, so that nobody knows it"),
        (Some(_), Some(_)) => bail!("several forges have a {name}: say which with --forge"),
    }
}
