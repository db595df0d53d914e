//! `containerops migrate`: the database's schema.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result};

use super::serve;
use crate::store::Store;

/// Bring the database's schema up to date. `serve` does so by itself at its start; this is for those who would have it
/// done before. Servers may be running: only columns and tables are added. May be repeated.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  containerops migrate
  CONTAINEROPS_DATABASE_URL=postgres://ci@db/ci containerops migrate")]
pub struct Args {
    /// Settings under the `CONTAINEROPS_*` variables [default: containerops.toml, if there is one].
    #[arg(long, env = "CONTAINEROPS_CONFIG")]
    config: Option<PathBuf>,
}

/// Migrates.
///
/// # Errors
/// If the settings are wrong, or the database cannot be reached, cannot be used, or is of a newer release.
pub fn run(args: Args) -> Result<ExitCode> {
    serve::log_to_stderr("warn", serve::Lines::ForPeople);
    let settings = serve::settings(args.config)?;
    std::fs::create_dir_all(&settings.data).with_context(|| format!("making {}", settings.data.display()))?;
    let version = serve::runtime()?.block_on(async {
        let store = Store::open_beside(&settings.database_url).await.context("opening the database")?;
        let version = store.version().await?;
        store.close().await;
        anyhow::Ok(version)
    })?;
    writeln!(io::stdout(), "The database's schema is version {version}.")?;
    Ok(ExitCode::SUCCESS)
}
