//! `containerops plan`: what an event would run, without running it.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};

use crate::{
    flow::{self, Circumstances, Decision, Flow, GraphFormat},
    model::{ChangedFiles, Event, ForgeKind, Repository, RepositoryName, Sha, Trust, Visibility, Wants},
};

use super::{
    event::{EventArgs, fitting},
    lint, local,
};

/// Print what an event would run, with everything written out, and the plan's digest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops plan                                        a push to main
  containerops plan --event pull_request --branch fix --base main
  containerops plan --event tag --tag v1.2 --json
  containerops plan --graph dot | dot -Tsvg > flow.svg
  containerops plan .containerops/release.yml --branch release/2
  containerops plan --changed src/main.rs --changed docs/a.md
  containerops plan --event manual --input level=debug

The digest is the same on every machine for the same file, repository and event.")]
pub struct Args {
    /// The file; default: .containerops.yml, or the only one of .containerops/*.yml
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    event: EventArgs,
    /// A file that the event changed; without any, they are not known, and nothing is left out for them
    #[arg(long, value_name = "PATH")]
    changed: Vec<String>,
    /// owner/name; default: what the remote `origin` is called, else the folder's name
    #[arg(long)]
    repository: Option<RepositoryName>,
    /// Print a picture of the flow instead: its stages, actions and links
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "mermaid", value_name = "FORMAT", conflicts_with = "json")]
    graph: Option<GraphName>,
    /// Print {"plan": …, "digest": …}, or {"left_out": reason}
    #[arg(long)]
    json: bool,
}

/// How a picture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum GraphName {
    /// For Markdown
    Mermaid,
    /// For Graphviz
    Dot,
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
    let flow = match flow::read_given(&path, &repository, &bytes, &args.event.given()) {
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
    let decision = flow.plan_in(&event(&args, &flow, repository)?, &circumstances);
    let text = match (&args.graph, &decision) {
        (Some(GraphName::Mermaid), Decision::Run(plan)) => flow::graph(plan, GraphFormat::Mermaid),
        (Some(GraphName::Dot), Decision::Run(plan)) => flow::graph(plan, GraphFormat::Dot),
        _ if args.json => json(&decision, flow.wants())?,
        _ => readable(&decision, flow.wants()),
    };
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

fn event(args: &Args, flow: &Flow, name: RepositoryName) -> anyhow::Result<Event> {
    let kind = fitting(args.event.kind(&name, "main"), std::slice::from_ref(flow));
    let sha: Sha = "0".repeat(40).parse()?;
    let repository = Repository {
        forge: ForgeKind::Git,
        name,
        default_branch: "main".to_owned(),
        clone_url: String::new(),
        web_url: String::new(),
        installation: None,
        visibility: Visibility::default(),
    };
    let (actor, title) = (String::new(), String::new());
    Ok(Event { repository, kind, sha, base_sha: None, actor, title, trust: Trust::Trusted, message: None })
}

fn json(decision: &Decision, wants: &Wants) -> anyhow::Result<String> {
    let value = match decision {
        Decision::Run(plan) if wants.is_empty() => serde_json::json!({"plan": plan, "digest": plan.digest()}),
        // they are beside the plan, never in it
        Decision::Run(plan) => serde_json::json!({"plan": plan, "digest": plan.digest(), "secrets": wants}),
        Decision::Broken(diagnostic) => serde_json::json!({"error": diagnostic.message}),
        Decision::LeftOut { reason } | Decision::Unasked { reason } => serde_json::json!({"left_out": reason}),
    };
    Ok(serde_json::to_string_pretty(&value)?)
}

fn readable(decision: &Decision, wants: &Wants) -> String {
    match decision {
        Decision::Run(plan) => format!("# digest: {}\n{}", plan.digest(), flow::full_form_with(plan, wants)),
        Decision::Broken(diagnostic) => format!("nothing can be planned: {}", diagnostic.message),
        Decision::LeftOut { reason } | Decision::Unasked { reason } => format!("nothing would run: {reason}"),
    }
}
