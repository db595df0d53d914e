//! `containerops`: parses arguments and calls a command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use containerops::{agent, command};

/// What a burst of work took goes back to the system when it is over: glibc's own allocator keeps most of it for ever.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A CI service for Git forges, on Kubernetes.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
#[command(after_help = "Examples:
  containerops demo    the whole path of a push on this machine
  containerops run     the flow of the repository you stand in
  containerops lint    what is wrong with its flow file")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service.
    Serve(command::serve::Args),
    /// Bring the database's schema up to date, as every start of the service does.
    Migrate(command::migrate::Args),
    /// Run the service with a sample repository on this machine, and push a commit to it.
    Demo(command::demo::Args),
    /// Run the flow of the repository you stand in.
    Run(command::run::Args),
    /// Run one component alone.
    Component(command::component::Args),
    /// Check flow files: all errors with line and column.
    Lint(command::lint::Args),
    /// Show what would run for an event, and its digest.
    Plan(command::plan::Args),
    /// Start flows that wait for a hand.
    Start(command::start::Args),
    /// Let a run of untrusted code go.
    Approve(command::trust::ApproveArgs),
    /// Show or set what becomes of untrusted code in a repository.
    Policy(command::trust::PolicyArgs),
    /// Set, list and remove the secrets of jobs.
    Secret(command::secret::Args),
    /// Show and set what organisations and repositories may use.
    Quota(command::quota::Args),
    /// Make, list and remove tokens for programs.
    Token(command::token::Args),
    /// Print the JSON Schema of flow files.
    Schema(command::schema::Args),
    /// Compare what forges were to be told of a commit with what they show.
    Report(command::report::Args),
    /// Register, check and repair webhooks.
    Hooks(command::hooks::Args),
    /// Copy everything that a server knows, while it runs.
    Backup(command::backup::Args),
    /// Put a backup into an empty server.
    Restore(command::restore::Args),
    /// Remove what is over its time, or say what would be removed.
    Gc(command::gc::Args),
    /// Check the set-up, and say what to do.
    Doctor(command::doctor::Args),
    /// What pods run.
    Agent(agent::command::Args),
    /// Plain Git repositories on this machine.
    Git(command::git::GitArgs),
    /// Registers a GitHub App.
    Github(command::github::GithubArgs),
}

fn main() -> ExitCode {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        unreachable!("nothing else installs a TLS provider")
    }
    let done = match Arguments::parse().command {
        Command::Serve(args) => command::serve::run(args),
        Command::Migrate(args) => command::migrate::run(args),
        Command::Demo(args) => command::demo::run(args),
        Command::Run(args) => command::run::run(args),
        Command::Component(args) => command::component::run(args),
        Command::Lint(args) => command::lint::run(args),
        Command::Plan(args) => command::plan::run(args),
        Command::Start(args) => command::start::run(args),
        Command::Approve(args) => command::trust::approve(args),
        Command::Policy(args) => command::trust::policy(args),
        Command::Secret(args) => command::secret::run(args),
        Command::Quota(args) => command::quota::run(args),
        Command::Token(args) => command::token::run(args),
        Command::Schema(args) => command::schema::run(args),
        Command::Report(args) => command::report::run(args),
        Command::Hooks(args) => command::hooks::run(args),
        Command::Backup(args) => command::backup::run(args),
        Command::Restore(args) => command::restore::run(args),
        Command::Gc(args) => command::gc::run(args),
        Command::Doctor(args) => command::doctor::run(args),
        Command::Agent(args) => return agent::command::run(args),
        Command::Git(args) => command::git::run(args),
        Command::Github(args) => command::github::run(args),
    };
    done.unwrap_or_else(|error| {
        // the one place where an error meets a person
        tracing::debug!(?error, "failed");
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("containerops: {error:#}\n"));
        ExitCode::FAILURE
    })
}
