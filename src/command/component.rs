//! `containerops component run`: one component alone, without a repository, a flow or a server, for who writes one.

mod account;

use std::{path::Path, process::ExitCode};

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;

use super::{
    run::{self, Amount, Here, Wanted, place},
    serve,
};
use crate::{flow::Given, model::Conclusion};

/// Components: images that do one task.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  containerops component run acme/python-flake8:1 --data \"entry-path=src\" --executor kubernetes")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one component alone, and show its log, its outputs, the events that it posted and how it ended.
    Run(RunArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  containerops component run acme/python-flake8:1 --data \"git-url=https://example.org/x.git entry-path=src\"
  containerops component run acme/tool:2 --env LEVEL=debug --json
  containerops component run busybox:1.37 --run 'echo \"[COUT] A=1\"' --executor kubernetes

It gets what a job gets, and an empty workspace. The exit code is 0 only if it succeeded.")]
struct RunArgs {
    /// The component's image.
    image: String,
    /// What it finds in CO_DATA. Several are joined by blanks
    #[arg(long, value_name = "K=V …")]
    data: Vec<String>,
    /// Another variable. May be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = run::pair)]
    environments: Vec<(String, String)>,
    /// A script instead of the image's own program
    #[arg(long, value_name = "SCRIPT")]
    run: Option<String>,
    /// An output that it writes into the file CO_OUTPUT; those of its log are all found. May be repeated
    #[arg(long = "output", value_name = "KEY")]
    outputs: Vec<String>,
    /// The time that it may take
    #[arg(long, default_value = "1h")]
    timeout: String,
    /// Where it runs. A process uses no image, and so needs --run
    #[arg(long, value_enum, default_value_t = place::Name::Kubernetes)]
    executor: place::Name,
    /// Print one object with all of it, and nothing else
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If the component cannot be started, or standard output is gone.
pub fn run(args: Args) -> Result<ExitCode> {
    let Command::Run(args) = args.command;
    serve::log_to_stderr("error", serve::Lines::ForPeople);
    let good = serve::runtime()?.block_on(run_alone(&args))?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run_alone(args: &RunArgs) -> Result<bool> {
    let amount = if args.json { Amount::Nothing } else { Amount::Logs };
    let wanted = Wanted { given: Given::default(), secrets: Vec::new(), executor: args.executor, amount };
    let here = async |data: &Path| Here::alone(&flow_of(args), data).await;
    let (conclusions, account) = run::conduct(here, wanted, account::read).await?;
    if args.json {
        account.print_json(&args.image)?;
    } else {
        account.print()?;
    }
    Ok(conclusions.iter().all(|conclusion| *conclusion == Conclusion::Success))
}

/// A flow of one job. It has the original's shape: there an `@` means itself, and names that begin with `CO_` are free.
fn flow_of(args: &RunArgs) -> String {
    let name = name_of(&args.image);
    let mut environments: serde_json::Map<String, serde_json::Value> =
        args.environments.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    if !args.data.is_empty() {
        environments.insert("CO_DATA".to_owned(), json!(args.data.join(" ")));
    }
    let mut job = json!({
        "name": name,
        "type": "component",
        "image": args.image,
        "environments": environments,
        "outputs": args.outputs,
        "timeout": args.timeout,
    });
    if let Some(script) = &args.run {
        job["run"] = json!(script);
    }
    let stage = json!({"name": name, "sequencing": "sequence", "actions": [{"name": name, "jobs": [job]}]});
    // every JSON is YAML
    json!({"uri": format!("local/component/{name}"), "stages": [stage]}).to_string()
}

/// The last part of an image's path, as a name.
fn name_of(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or_default();
    let name: String = last
        .chars()
        .take_while(|c| !matches!(c, ':' | '@'))
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(63)
        .collect();
    let name = name.trim_start_matches('-');
    if name.is_empty() { "component".to_owned() } else { name.to_owned() }
}
