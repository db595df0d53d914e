//! `containerops git`: bare repositories whose pushes arrive here.

mod hook;
mod init;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use secrecy::SecretString;

use crate::model::Clock;

pub use hook::{HookError, hook};
pub use init::{Authority, HookSettings, InitError, Made, init};

/// Bare Git repositories on this machine, whose pushes arrive at ContainerOps.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  containerops git init containerops-data/git/team/app.git
  git clone containerops-data/git/team/app.git")]
pub struct GitArgs {
    #[command(subcommand)]
    command: GitSubcommand,
}

#[derive(Debug, Subcommand)]
enum GitSubcommand {
    /// Makes a bare repository under the Git root, with the hook that tells ContainerOps of every push.
    Init(InitArgs),
    /// The hook itself: reads what was pushed from its input. Git calls it in the repository.
    #[command(after_help = "Example, as Git does it in a bare repository:
  echo OLD NEW refs/heads/main | containerops git hook")]
    Hook,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  containerops git init containerops-data/git/team/app.git
  containerops git init --root /srv/git --url https://ci.example.com /srv/git/team/app.git

The same command again refreshes the hook of a repository that is there.")]
struct InitArgs {
    /// The repository's directory, under the Git root: its path from there, without `.git`, is its name.
    path: PathBuf,
    /// Where the hook finds ContainerOps [default: http:// and the listen address].
    #[arg(long, env = "CONTAINEROPS_PUBLIC_URL")]
    url: Option<String>,
    /// Where ContainerOps listens.
    #[arg(long, env = "CONTAINEROPS_LISTEN", default_value = "127.0.0.1:8080")]
    listen: String,
    /// The data directory.
    #[arg(long, env = "CONTAINEROPS_DATA", default_value = "./containerops-data")]
    data: PathBuf,
    /// Where the bare repositories are [default: `git` in the data directory].
    #[arg(long, env = "CONTAINEROPS_GIT_ROOT")]
    root: Option<PathBuf>,
    /// The secret that proves deliveries, or several, separated by blanks [default: one in the data directory].
    #[arg(long, env = "CONTAINEROPS_GIT_WEBHOOK_SECRET", hide_env_values = true)]
    secret: Option<SecretString>,
}

/// Does what was asked for.
///
/// # Errors
/// If the runtime cannot be started.
pub fn run(args: GitArgs) -> anyhow::Result<ExitCode> {
    Ok(super::serve::runtime()?.block_on(args.run()))
}

impl GitArgs {
    /// Does what was asked for. The hook always succeeds: a push must not look failed because CI is away.
    pub async fn run(self) -> ExitCode {
        match self.command {
            GitSubcommand::Init(args) => match args.run().await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    say(std::io::stderr(), &format!("containerops git init: {error}"));
                    ExitCode::FAILURE
                }
            },
            GitSubcommand::Hook => {
                // git runs the hook in the repository, and tells other programs of it by `GIT_DIR`
                let repository = std::env::var_os("GIT_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
                let mut said = std::io::stderr();
                if let Err(error) = hook(&repository, std::io::stdin().lock(), &mut said, &Clock::System).await {
                    say(said, &format!("ContainerOps: not told of this push: {error}"));
                }
                ExitCode::SUCCESS
            }
        }
    }
}

impl InitArgs {
    async fn run(self) -> Result<(), InitError> {
        let settings = HookSettings {
            program: std::env::current_exe()
                .map_err(|source| InitError::Disk { path: "/proc/self/exe".into(), source })?,
            url: self.url.unwrap_or_else(|| format!("http://{}", self.listen)),
            root: self.root.unwrap_or_else(|| self.data.join("git")),
            authority: self.secret.map_or(Authority::OfData(self.data), Authority::Given),
        };
        let made = init(Path::new(&self.path), &settings).await?;
        say(std::io::stdout(), &made.to_string());
        Ok(())
    }
}

/// Writes a line to a person. That nobody reads it is no failure.
fn say(mut to: impl std::io::Write, line: &str) {
    let _ = writeln!(to, "{line}");
}
