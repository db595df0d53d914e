//! `containerops hooks`: registers, checks and repairs the webhooks of repositories.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;

use super::serve;
use crate::{
    app,
    forge::{Forge, Hook, HookKeeper},
    model::{ForgeKind, HookState, RepositoryName},
    settings::Settings,
};

/// Register, check and repair the webhooks by which forges tell us what happens.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  containerops hooks add gitea/team/app
  containerops hooks check github/acme/widget
  containerops hooks repair gitlab/group/sub/app --url https://ci.example.com")]
pub struct Args {
    #[command(subcommand)]
    command: HooksCommand,
}

#[derive(Debug, Subcommand)]
enum HooksCommand {
    /// Register a webhook, if there is none that delivers to us.
    #[command(after_help = ADD)]
    Add(Place),
    /// Say whether there is a webhook that brings all that we need; change nothing.
    #[command(after_help = CHECK)]
    Check(Place),
    /// Set all of a webhook again: events, JSON, the secret; switch it on; register one if there is none.
    #[command(after_help = REPAIR)]
    Repair(Place),
}

const ADD: &str = "\
Examples:
  containerops hooks add gitea/team/app
  containerops hooks add github/acme/widget --url https://ci.example.com

It is a hook of the repository that tells of pushes, pull requests and comments, with the first secret of the forge's
CONTAINEROPS_…_WEBHOOK_SECRET. Hooks that deliver elsewhere are nobody's business here, and are let be. With a GitHub App
whose own webhook delivers to us nothing is to be added.

Exit code: 0 if there is a good one now, 1 if not.";
const CHECK: &str = "\
Examples:
  containerops hooks check gitea/team/app
  containerops hooks check gitlab/group/sub/app || containerops hooks repair gitlab/group/sub/app

No forge tells what secret a webhook has: whether it is ours shows by its deliveries.

Exit code: 0 if it is good as far as the forge tells, 1 if not.";
const REPAIR: &str = "\
Examples:
  containerops hooks repair gitea/team/app

The secret is set again, because no forge tells what it is. Of several hooks that deliver to us one is kept; hooks that
deliver elsewhere are let be. It may be called again and again.

Exit code: 0 if there is a good one now, 1 if not.";

/// Whose webhook, and where it is to deliver.
#[derive(Debug, clap::Args)]
struct Place {
    /// forge/owner/name, as in the addresses of our pages: github/acme/widget, gitlab/group/sub/app, gitea/team/app
    #[arg(value_name = "REPO", value_parser = repository)]
    repository: (ForgeKind, RepositoryName),
    /// Where forges reach the service [default: CONTAINEROPS_PUBLIC_URL]
    #[arg(long, value_name = "URL", value_parser = address)]
    url: Option<String>,
    /// Settings under the `CONTAINEROPS_*` variables [default: containerops.toml, if there is one]
    #[arg(long, env = "CONTAINEROPS_CONFIG")]
    config: Option<PathBuf>,
}

fn repository(text: &str) -> Result<(ForgeKind, RepositoryName), String> {
    let (forge, name) = text.trim_matches('/').split_once('/').ok_or("forge/owner/name is expected")?;
    let forge = forge.parse().map_err(|_| format!("`{forge}` is no forge: github, gitlab or gitea is expected"))?;
    Ok((forge, name.parse().map_err(|error: crate::model::NameError| error.to_string())?))
}

fn address(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    let good = matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
    if good {
        Ok(url.as_str().trim_end_matches('/').to_owned())
    } else {
        Err("an http or https URL is expected".into())
    }
}

/// Looks, and changes what is to be changed.
///
/// # Errors
/// If the settings are wrong, or the forge does not let us.
pub fn run(args: Args) -> Result<ExitCode> {
    serve::log_to_stderr("warn", serve::Lines::ByReader);
    serve::runtime()?.block_on(async {
        match args.command {
            HooksCommand::Add(place) => Work::of(place)?.add().await,
            HooksCommand::Check(place) => Work::of(place)?.check().await,
            HooksCommand::Repair(place) => Work::of(place)?.repair().await,
        }
    })
}

/// One repository's webhook, and who looks after it.
struct Work {
    forge: Arc<dyn Forge>,
    name: RepositoryName,
    url: String,
}

impl Work {
    fn of(Place { repository: (kind, name), url, config }: Place) -> Result<Self> {
        let settings = serve::settings(config)?;
        if kind == ForgeKind::Git {
            bail!("plain repositories have no webhooks: `containerops git init` makes one whose pushes start runs");
        }
        let forge = app::forge(&settings, kind)?;
        let forge =
            forge.with_context(|| format!("{kind} is not set up here: see CONTAINEROPS_{}_*", capitals(kind)))?;
        let public = url.or_else(|| settings.public_url.clone());
        let public = public.context(
            "nobody says where forges reach us: set CONTAINEROPS_PUBLIC_URL, or say --url https://ci.example.com",
        )?;
        if app::is_here_alone(&public) && !is_here(&settings, kind) {
            tracing::warn!(url = public, "the forge is told an address that only this machine reaches");
        }
        Ok(Self { forge, name, url: format!("{public}/hooks/{kind}") })
    }

    fn keeper(&self) -> Result<&dyn HookKeeper> {
        let kind = self.forge.kind();
        self.forge
            .hook_keeper()
            .with_context(|| format!("to look after webhooks, set CONTAINEROPS_{}_TOKEN", capitals(kind)))
    }

    async fn hooks(&self) -> Result<Vec<Hook>> {
        Ok(self.keeper()?.hooks_at(&self.name, &self.url).await?)
    }

    async fn check(&self) -> Result<ExitCode> {
        let state = Hook::state(&self.hooks().await?);
        match &state {
            HookState::Good => self.say(&format!("its webhook delivers to {}", self.url))?,
            HookState::Missing => self.trouble(&state, "add")?,
            HookState::Faulty { .. } | HookState::Unseen { .. } => self.trouble(&state, "repair")?,
        }
        Ok(code(&state))
    }

    async fn add(&self) -> Result<ExitCode> {
        let before = self.hooks().await?;
        if before.is_empty() {
            self.keeper()?.add_hook(&self.name, &self.url).await?;
            return self.done("a webhook was added").await;
        }
        let state = Hook::state(&before);
        match &state {
            HookState::Good => self.say(&format!("its webhook is there already, and delivers to {}", self.url))?,
            HookState::Missing | HookState::Faulty { .. } | HookState::Unseen { .. } => {
                self.trouble(&state, "repair")?
            }
        }
        Ok(code(&state))
    }

    async fn repair(&self) -> Result<ExitCode> {
        let (keeper, before) = (self.keeper()?, self.hooks().await?);
        let Some((first, others)) = before.split_first() else {
            keeper.add_hook(&self.name, &self.url).await?;
            return self.done("a webhook was added").await;
        };
        keeper.set_hook(&self.name, &self.url, first).await?;
        for other in others {
            keeper.remove_hook(&self.name, other).await?;
        }
        let removed =
            if others.is_empty() { String::new() } else { format!(", and {} beside it removed", others.len()) };
        self.done(&format!("its webhook was set again{removed}")).await
    }

    /// What was done, and how it is now. That a delivery has failed before says nothing of those to come.
    async fn done(&self, what: &str) -> Result<ExitCode> {
        let state = without_past(Hook::state(&self.hooks().await?));
        match &state {
            HookState::Good => self.say(&format!("{what}; it delivers to {}", self.url))?,
            HookState::Missing | HookState::Faulty { .. } | HookState::Unseen { .. } => {
                self.say(what)?;
                self.troubles(&state)?;
            }
        }
        Ok(code(&state))
    }

    fn say(&self, words: &str) -> io::Result<()> {
        writeln!(io::stdout(), "{}/{}: {words}", self.forge.kind(), self.name)
    }

    fn troubles(&self, state: &HookState) -> io::Result<()> {
        state.troubles().iter().try_for_each(|trouble| self.say(trouble))
    }

    fn trouble(&self, state: &HookState, remedy: &str) -> io::Result<()> {
        self.troubles(state)?;
        match state.may_be_repaired() {
            true => writeln!(io::stdout(), "  → containerops hooks {remedy} {}/{}", self.forge.kind(), self.name),
            false => Ok(()),
        }
    }
}

fn without_past(state: HookState) -> HookState {
    let HookState::Faulty { mut faults } = state else { return state };
    faults.retain(|fault| fault.kind != crate::model::HookFaultKind::Failing);
    if faults.is_empty() { HookState::Good } else { HookState::Faulty { faults } }
}

fn code(state: &HookState) -> ExitCode {
    if *state == HookState::Good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn capitals(kind: ForgeKind) -> String {
    kind.as_str().to_uppercase()
}

/// Whether the forge itself is on this machine.
fn is_here(settings: &Settings, kind: ForgeKind) -> bool {
    let url = match kind {
        ForgeKind::Github => settings.github.as_ref().and_then(|github| github.api_url.clone()),
        ForgeKind::Gitea => settings.gitea.as_ref().map(|gitea| gitea.url.clone()),
        ForgeKind::Gitlab => settings.gitlab.as_ref().and_then(|gitlab| gitlab.url.clone()),
        ForgeKind::Git => None,
    };
    url.is_some_and(|url| app::is_here_alone(&url))
}
