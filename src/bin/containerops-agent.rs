//! The agent alone: the small static program that an init container copies into every pod.

use std::process::ExitCode;

use clap::Parser;
use containerops::agent;

/// Runs one job of ContainerOps and tells the server what became of it.
#[derive(Parser)]
#[command(name = "containerops-agent", version)]
struct Cli {
    #[command(flatten)]
    args: agent::command::Args,
}

fn main() -> ExitCode {
    agent::run(Cli::parse().args)
}
