//! The event that `plan` and `run` play: no forge tells of it, so its words come from the command line.

use clap::ValueEnum;

use super::start;
use crate::{
    flow::{Flow, Given},
    model::{EventKind, PullRequest, RepositoryName, Starter},
};

/// Which event.
#[derive(Debug, clap::Args)]
pub(super) struct EventArgs {
    /// What happens
    #[arg(long, value_enum, default_value_t = EventName::Push)]
    event: EventName,
    /// The branch with the code [default: the one that is checked out for `run`, main for `plan`]
    #[arg(long)]
    branch: Option<String>,
    /// The tag of a tag event
    #[arg(long, required_if_eq("event", "tag"))]
    tag: Option<String>,
    /// The branch that a pull request or a merge group is to be merged into
    #[arg(long, default_value = "main")]
    base: String,
    /// An input of a start by hand
    #[arg(long = "input", value_name = "NAME=TEXT", value_parser = start::pair)]
    inputs: Vec<(String, String)>,
    /// The line of a schedule [default: the file's first]
    #[arg(long, value_name = "LINE")]
    cron: Option<String>,
    /// The uri of the flow that has succeeded [default: the first that the file follows]
    #[arg(long, value_name = "URI")]
    after: Option<String>,
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

impl EventArgs {
    /// The event in a repository, where the branch is `here` if nobody says otherwise.
    pub(super) fn kind(&self, repository: &RepositoryName, here: &str) -> EventKind {
        let branch = self.branch.clone().unwrap_or_else(|| here.to_owned());
        let base = self.base.clone();
        match self.event {
            EventName::Push => EventKind::Push { branch },
            EventName::Tag => EventKind::Tag { tag: self.tag.clone().unwrap_or_default() },
            EventName::Schedule => EventKind::Schedule { branch, cron: self.cron.clone().unwrap_or_default() },
            EventName::Manual => EventKind::Manual { branch, inputs: self.inputs.iter().cloned().collect() },
            EventName::Flow => {
                EventKind::Flow { branch, after: self.after.clone().unwrap_or_default(), chain: Vec::new() }
            }
            EventName::MergeGroup => EventKind::MergeGroup { base, branch },
            EventName::PullRequest => EventKind::PullRequest(PullRequest {
                number: 1,
                branch,
                base,
                head_repository: Some(repository.clone()),
                author: String::new(),
                draft: false,
                before: None,
                labels: Vec::new(),
            }),
        }
    }

    /// What a file is read with.
    pub(super) fn given(&self) -> Given {
        Given { inputs: self.inputs.iter().cloned().collect(), ..Given::default() }
    }
}

/// The same event with the first schedule, or the first flow to follow, of these flows, if nobody has named one. A
/// schedule may be named by its cron line alone.
pub(super) fn fitting(kind: EventKind, flows: &[Flow]) -> EventKind {
    let mut starters = flows.iter().flat_map(Flow::starters);
    match kind {
        EventKind::Schedule { branch, cron } => {
            let is_meant = |starter: &Starter| match starter {
                Starter::Schedule(schedule) => cron.is_empty() || schedule.cron == cron,
                Starter::Manual(_) | Starter::Flow(_) => false,
            };
            let meant = starters.find(is_meant).map(|starter| starter.name());
            EventKind::Schedule { branch, cron: meant.unwrap_or(cron) }
        }
        EventKind::Flow { branch, after, chain } if after.is_empty() => {
            let first = starters.find(|starter| matches!(starter, Starter::Flow(_)));
            EventKind::Flow { branch, after: first.map(|starter| starter.name()).unwrap_or_default(), chain }
        }
        EventKind::Push { .. }
        | EventKind::Tag { .. }
        | EventKind::PullRequest(_)
        | EventKind::MergeGroup { .. }
        | EventKind::Manual { .. }
        | EventKind::Flow { .. } => kind,
    }
}
