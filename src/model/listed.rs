//! What people look for in lists of runs.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Event, EventKind, NameError, PullRequest, RunState};

/// What a paused run is called in lists: it runs, and waits for people.
pub const PAUSED: &str = "paused";

/// The kinds of events by which runs are looked for, as [`Event::name`] has them.
pub const EVENTS: [&str; 7] = ["push", "tag", "pull_request", "merge_group", "schedule", "manual", "flow"];

/// What of an event people look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// As [`Event::name`] has it.
    pub kind: &'static str,
    /// The branch whose code it is. One of a fork has its owner's name before it: `mallory:fix`.
    pub branch: Option<String>,
    /// The tag.
    pub tag: Option<String>,
    /// The pull request's number.
    pub pull: Option<i64>,
    /// Who did it, in lower case, as forges compare names.
    pub actor: String,
    /// Who opened the pull request; without one who did it.
    pub author: String,
}

impl From<&Event> for Listed {
    fn from(event: &Event) -> Self {
        let pull = event.pull_request();
        let tag = match &event.kind {
            EventKind::Tag { tag } => Some(tag.clone()),
            EventKind::Push { .. }
            | EventKind::PullRequest(_)
            | EventKind::MergeGroup { .. }
            | EventKind::Schedule { .. }
            | EventKind::Manual { .. }
            | EventKind::Flow { .. } => None,
        };
        Self {
            kind: event.name(),
            branch: match pull {
                Some(pull) => branch_of(event, pull),
                None => event.branch().map(ToOwned::to_owned),
            },
            tag,
            pull: pull.map(|pull| i64::try_from(pull.number).unwrap_or(i64::MAX)),
            actor: event.actor.to_lowercase(),
            author: pull.map_or(&event.actor, |pull| &pull.author).to_lowercase(),
        }
    }
}

/// A fork's `main` is not this repository's.
fn branch_of(event: &Event, pull: &PullRequest) -> Option<String> {
    let head = pull.head_repository.as_ref()?;
    if *head == event.repository.name {
        return Some(pull.branch.clone());
    }
    let owner = head.as_str().rsplit_once('/').map_or(head.as_str(), |(owner, _)| owner);
    Some(format!("{owner}:{}", pull.branch))
}

/// The states by which runs are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateFilter {
    /// Whatever has not ended.
    Open,
    /// Nothing of it has started, or people are to answer.
    Waiting,
    /// Something has started.
    Running,
    /// Good, also with a warning.
    Success,
    /// Whatever ended badly: a failure, a time limit, the infrastructure.
    Failure,
    /// Good, with a warning.
    Warning,
    /// Over its time.
    TimedOut,
    /// Infrastructure, or us.
    Error,
    /// Somebody's wish.
    Cancelled,
    /// Left out.
    Skipped,
}

impl StateFilter {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 10] = [
        Self::Open,
        Self::Waiting,
        Self::Running,
        Self::Success,
        Self::Failure,
        Self::Warning,
        Self::TimedOut,
        Self::Error,
        Self::Cancelled,
        Self::Skipped,
    ];

    /// As an address has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Warning => "warning",
            Self::TimedOut => "timed_out",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Open => "not ended",
            Self::TimedOut => "timed out",
            Self::Error => "infrastructure",
            Self::Waiting
            | Self::Running
            | Self::Success
            | Self::Failure
            | Self::Warning
            | Self::Cancelled
            | Self::Skipped => self.as_str(),
        }
    }

    /// The labels of the runs that are in it; a label may stand there twice.
    pub const fn labels(self) -> [&'static str; 3] {
        match self {
            Self::Open => ["queued", "running", PAUSED],
            Self::Waiting => ["queued", PAUSED, PAUSED],
            Self::Running => ["running", PAUSED, PAUSED],
            Self::Success => ["success", "warning", "warning"],
            Self::Failure => ["failure", "timed_out", "error"],
            Self::Warning | Self::TimedOut | Self::Error | Self::Cancelled | Self::Skipped => [self.as_str(); 3],
        }
    }

    /// Whether a run in this state is in it; one that waits for people is `paused`.
    pub fn has(self, state: &RunState, paused: bool) -> bool {
        let label = if paused && *state == RunState::Running { PAUSED } else { state.label() };
        self.labels().contains(&label)
    }
}

impl fmt::Display for StateFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StateFilter {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        const EXPECTED: &str =
            "open, waiting, running, success, failure, warning, timed_out, error, cancelled or skipped";
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| NameError::new("state of a run", EXPECTED, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Conclusion;

    #[test]
    fn every_state_is_found_by_some_name_and_its_own() {
        let ends = [
            Conclusion::Success,
            Conclusion::Warning,
            Conclusion::Failure,
            Conclusion::TimedOut,
            Conclusion::Cancelled,
            Conclusion::Skipped,
            Conclusion::Error,
        ];
        for end in ends {
            let own: StateFilter = end.as_str().parse().expect("each end has its name");
            assert!(own.has(&RunState::Ended(end), false), "{own}");
            assert!(!StateFilter::Open.has(&RunState::Ended(end), false));
        }
        for (state, paused, found) in [
            (RunState::Queued, false, "open waiting"),
            (RunState::Running, false, "open running"),
            (RunState::Running, true, "open waiting running"),
        ] {
            let names = StateFilter::ALL.into_iter().filter(|filter| filter.has(&state, paused));
            assert_eq!(names.map(StateFilter::as_str).collect::<Vec<_>>().join(" "), found);
        }
        assert!("green".parse::<StateFilter>().is_err());
    }
}
