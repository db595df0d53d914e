//! The event that `plan` and `run` play: no forge tells of it, so its words come from the command line.

use clap::ValueEnum;

use crate::model::{EventKind, PullRequest, RepositoryName};

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
}

/// The events of a forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum EventName {
    Push,
    PullRequest,
    Tag,
    MergeGroup,
}

impl EventArgs {
    /// The event in a repository, where the branch is `here` if nobody says otherwise.
    pub(super) fn kind(&self, repository: &RepositoryName, here: &str) -> EventKind {
        let branch = self.branch.clone().unwrap_or_else(|| here.to_owned());
        let base = self.base.clone();
        match self.event {
            EventName::Push => EventKind::Push { branch },
            EventName::Tag => EventKind::Tag { tag: self.tag.clone().unwrap_or_default() },
            EventName::MergeGroup => EventKind::MergeGroup { base, branch },
            EventName::PullRequest => EventKind::PullRequest(PullRequest {
                number: 1,
                branch,
                base,
                head_repository: Some(repository.clone()),
                author: String::new(),
                draft: false,
                before: None,
            }),
        }
    }
}
