//! `containerops plan`: what an event would run, without running it.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use crate::{
    flow::{self, Circumstances, Decision, Flow},
    model::{ChangedFiles, Event, EventKind, ForgeKind, PullRequest, Repository, RepositoryName, Sha, Starter, Trust},
};

use super::{lint, local};

/// Print what an event would run, with everything written out, and the plan's digest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops plan                                        a push to main
  containerops plan --event pull_request --branch fix --base main
  containerops plan --event tag --tag v1.2 --json
  containerops plan .containerops/release.yml --branch release/2
  containerops plan --changed src/main.rs --changed docs/a.md
  containerops plan --event manual --input level=debug

The digest is the same on every machine for the same file, repository and event.")]
pub struct Args {
    /// The file; default: .containerops.yml, or the only one of .containerops/*.yml
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// What happens
    #[arg(long, value_enum, default_value_t = EventName::Push)]
    event: EventName,
    /// The branch with the code
    #[arg(long, default_value = "main")]
    branch: String,
    /// The tag of a tag event
    #[arg(long, required_if_eq("event", "tag"))]
    tag: Option<String>,
    /// The branch that a pull request or a merge group is to be merged into
    #[arg(long, default_value = "main")]
    base: String,
    /// A file that the event changed; without any, they are not known, and nothing is left out for them
    #[arg(long, value_name = "PATH")]
    changed: Vec<String>,
    /// An input of a start by hand
    #[arg(long = "input", value_name = "NAME=TEXT", value_parser = super::start::pair)]
    inputs: Vec<(String, String)>,
    /// The line of a schedule; default: the file's first
    #[arg(long, value_name = "LINE")]
    cron: Option<String>,
    /// The uri of the flow that has succeeded; default: the first that the file follows
    #[arg(long, value_name = "URI")]
    after: Option<String>,
    /// owner/name; default: what the remote `origin` is called, else the folder's name
    #[arg(long)]
    repository: Option<RepositoryName>,
    /// Print {"plan": …, "digest": …}, or {"left_out": reason}
    #[arg(long)]
    json: bool,
}

/// The events of a forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum EventName {
    Push,
    PullRequest,
    Tag,
    MergeGroup,
    Schedule,
    Manual,
    Flow,
}

/// Prints the plan.
///
/// # Errors
/// There is no flow file or not just one, it cannot be read, or standard output is gone.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let here = Path::new(".");
    let file = args.file.clone().map_or_else(|| only_file(here), Ok)?;
    let named = args.repository.clone().or_else(|| local::repository_name(here));
    let repository = named.map_or_else(|| "local/repository".parse(), Ok)?;
    let bytes = local::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let path = file.to_string_lossy();
    let inputs: BTreeMap<String, String> = args.inputs.iter().cloned().collect();
    let flow = match flow::read_with(&path, &repository, &bytes, &inputs) {
        Ok(flow) => flow,
        Err(diagnostics) => {
            let text = flow::paint(&path, &diagnostics, lint::palette(&io::stderr()));
            write!(io::stderr(), "{text}")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let changes = if args.changed.is_empty() {
        ChangedFiles::unknown("none was named")
    } else {
        ChangedFiles::all(args.changed.clone())
    };
    let circumstances = Circumstances { changes, skip: None };
    let decision = flow.plan_in(&event(&args, &flow, inputs, repository)?, &circumstances);
    let text = if args.json { json(&decision)? } else { readable(&decision) };
    writeln!(io::stdout(), "{}", text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn only_file(folder: &Path) -> anyhow::Result<PathBuf> {
    let files = local::flow_files(folder)?;
    match files.as_slice() {
        [file] => Ok(file.clone()),
        [] => bail!("there is no .containerops.yml here, and no .containerops/*.yml; name a file"),
        several => {
            let names: Vec<String> = several.iter().map(|file| file.display().to_string()).collect();
            bail!("there are several flows; name one of {}", names.join(", "))
        }
    }
}

fn event(args: &Args, flow: &Flow, inputs: BTreeMap<String, String>, name: RepositoryName) -> anyhow::Result<Event> {
    let first = |of: fn(Starter) -> Option<String>| flow.starters().into_iter().find_map(of).unwrap_or_default();
    let branch = args.branch.clone();
    let base = args.base.clone();
    let kind = match args.event {
        EventName::Push => EventKind::Push { branch },
        EventName::Tag => EventKind::Tag { tag: args.tag.clone().unwrap_or_default() },
        EventName::Schedule => {
            let cron = args.cron.clone().unwrap_or_else(|| {
                first(|starter| match starter {
                    Starter::Schedule(schedule) => Some(schedule.words()),
                    Starter::Manual(_) | Starter::Flow(_) => None,
                })
            });
            EventKind::Schedule { branch, cron }
        }
        EventName::Manual => EventKind::Manual { branch, inputs },
        EventName::Flow => {
            let after = args.after.clone().unwrap_or_else(|| {
                first(|starter| match starter {
                    Starter::Flow(uri) => Some(uri),
                    Starter::Schedule(_) | Starter::Manual(_) => None,
                })
            });
            EventKind::Flow { branch, after, chain: Vec::new() }
        }
        EventName::MergeGroup => EventKind::MergeGroup { base, branch },
        EventName::PullRequest => EventKind::PullRequest(PullRequest {
            number: 1,
            branch,
            base,
            head_repository: Some(name.clone()),
            author: String::new(),
            draft: false,
            before: None,
            labels: Vec::new(),
        }),
    };
    let sha: Sha = "0".repeat(40).parse()?;
    let repository = Repository {
        forge: ForgeKind::Git,
        name,
        default_branch: "main".to_owned(),
        clone_url: String::new(),
        web_url: String::new(),
        installation: None,
    };
    let (actor, title) = (String::new(), String::new());
    Ok(Event { repository, kind, sha, base_sha: None, actor, title, trust: Trust::Trusted, message: None })
}

fn json(decision: &Decision) -> anyhow::Result<String> {
    let value = match decision {
        Decision::Run(plan) => serde_json::json!({"plan": plan, "digest": plan.digest()}),
        Decision::Broken(diagnostic) => serde_json::json!({"error": diagnostic.message}),
        Decision::LeftOut { reason } | Decision::Unasked { reason } => serde_json::json!({"left_out": reason}),
    };
    Ok(serde_json::to_string_pretty(&value)?)
}

fn readable(decision: &Decision) -> String {
    match decision {
        Decision::Run(plan) => format!("# digest: {}\n{}", plan.digest(), flow::full_form(plan)),
        Decision::Broken(diagnostic) => format!("nothing can be planned: {}", diagnostic.message),
        Decision::LeftOut { reason } | Decision::Unasked { reason } => format!("nothing would run: {reason}"),
    }
}
