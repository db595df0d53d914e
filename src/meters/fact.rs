//! What is counted once it is committed.

use std::time::Duration;

use crate::model::ForgeKind;

/// Something that a transaction makes true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A delivery is in, or was in already.
    Delivered {
        /// From where.
        forge: ForgeKind,
        /// The forge's name for what happened.
        event: String,
        /// `new`, `again` or `unreadable`.
        outcome: &'static str,
    },
    /// It was handled.
    Handled {
        /// From where.
        forge: ForgeKind,
        /// Its state's name.
        outcome: &'static str,
        /// Since it came.
        after: Duration,
    },
    /// A forge has taken the first state of a run.
    FirstState {
        /// Which.
        forge: ForgeKind,
        /// Since its delivery came.
        after: Duration,
    },
    /// A forge has taken the last state of a run.
    FinalState {
        /// Which.
        forge: ForgeKind,
        /// Since the run's end.
        after: Duration,
    },
    /// An action's lease: `taken`, `lost` or `fenced`.
    Claimed(&'static str),
    /// A job ended so.
    JobEnded(&'static str),
    /// A run ended so.
    RunEnded(&'static str),
    /// A log grew by so much.
    Logged(u64),
}

/// What became of a call that told a forge a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TellEnd {
    /// It was taken.
    Taken,
    /// A part of it was taken.
    Partly,
    /// The forge has room for no more states of this name.
    Full,
    /// The forge did not answer.
    Away,
    /// The forge wants fewer calls.
    Limited,
    /// The forge will not have it.
    Refused,
}

impl TellEnd {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Partly => "partly",
            Self::Full => "full",
            Self::Away => "away",
            Self::Limited => "limited",
            Self::Refused => "refused",
        }
    }
}

/// The events that have a label of their own. Whatever else there is goes by one name together: nobody makes labels by
/// sending events.
const EVENTS: [&str; 31] = [
    "push",
    "create",
    "delete",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_comment",
    "pull_request_sync",
    "issue_comment",
    "commit_comment",
    "merge_group",
    "check_run",
    "check_suite",
    "installation",
    "installation_repositories",
    "repository",
    "ping",
    "release",
    "status",
    "Push Hook",
    "Tag Push Hook",
    "Merge Request Hook",
    "Note Hook",
    "System Hook",
    "Pipeline Hook",
    "rerun",
    "schedule",
    "manual",
    "flow",
    "trigger",
    "",
];

/// The event's label.
pub(super) fn event(name: &str) -> &'static str {
    match EVENTS.iter().find(|known| **known == name) {
        Some(&"") => "unknown",
        Some(known) => known,
        None => "other",
    }
}
