//! `containerops github`: how GitHub comes to know us.

mod keep;
mod setup;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

/// GitHub.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  containerops github setup --public-url https://ci.example.com
  containerops github setup --public-url https://ci.example.com --organization acme")]
pub struct GithubArgs {
    #[command(subcommand)]
    command: GithubSubcommand,
}

#[derive(Debug, Subcommand)]
enum GithubSubcommand {
    /// Registers a GitHub App, in your browser, step by step.
    Setup(setup::SetupArgs),
}

/// Does it.
///
/// # Errors
/// If the App is not made, or what GitHub gives for it cannot be kept.
pub fn run(args: GithubArgs) -> Result<ExitCode> {
    match args.command {
        GithubSubcommand::Setup(args) => setup::run(args),
    }
}
