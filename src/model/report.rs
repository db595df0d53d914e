//! What a forge is to be told: one [`Report`] per (repository, commit, context).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Button, Level, Time};

/// `containerops/<flow>/pr`, or `containerops/<flow>/pr/<stage>/<action>`. Stands still from run to run, so that a
/// branch can require it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Context(pub String);

impl Context {
    /// The context of a whole run.
    pub fn of_run(flow: &str, suffix: &str) -> Self {
        Self(format!("containerops/{flow}/{suffix}"))
    }

    /// The context of one action.
    pub fn of_action(flow: &str, suffix: &str, stage: &str, action: &str) -> Self {
        Self(format!("containerops/{flow}/{suffix}/{stage}/{action}"))
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How something ended, in the words that forges know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Good.
    Success,
    /// Failed, and was allowed to: good, with a warning.
    Warning,
    /// The author's code failed.
    Failure,
    /// Over its time.
    TimedOut,
    /// Somebody's wish.
    Cancelled,
    /// Left out, with a reason.
    Skipped,
    /// Infrastructure, or us.
    Error,
}

impl Conclusion {
    /// One word, for queries and styles.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Error => "error",
        }
    }

    /// Whether what needs this may start.
    pub const fn lets_go_on(self) -> bool {
        match self {
            Self::Success | Self::Warning | Self::Skipped => true,
            Self::Failure | Self::TimedOut | Self::Cancelled | Self::Error => false,
        }
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "timed out",
            Self::Error => "infrastructure",
            Self::Success | Self::Warning | Self::Failure | Self::Cancelled | Self::Skipped => self.as_str(),
        })
    }
}

/// How far something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(tag = "progress", content = "conclusion", rename_all = "snake_case")]
pub enum Progress {
    /// Not started.
    Queued,
    /// Not started, and nothing starts until somebody has said so.
    Asks,
    /// Under way.
    Running,
    /// Over.
    Done(Conclusion),
}

impl Progress {
    /// Whether it is the last word.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Done(_) => true,
            Self::Queued | Self::Asks | Self::Running => false,
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queued => f.write_str("queued"),
            Self::Asks => f.write_str("waiting for approval"),
            Self::Running => f.write_str("running"),
            Self::Done(conclusion) => conclusion.fmt(f),
        }
    }
}

/// What a report is about. The whole comes before its parts where a forge takes only so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A run: what a branch requires.
    Run,
    /// One action of it.
    Action,
}

/// Everything a forge is told about one context of one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How far it is.
    pub progress: Progress,
    /// One line, at most 140 characters: a status's description, a check's title.
    pub title: String,
    /// Markdown for a check: stages as a table, the first failed job's last lines. May be longer than a forge takes;
    /// its module cuts it.
    pub summary: String,
    /// The page with the whole story.
    pub url: String,
    /// Ours: comes back when someone presses re-run. An [`ExternalId`](super::ExternalId).
    pub external_id: String,
    /// What the forge offers once it is over, where it can: at most three.
    #[serde(default)]
    pub buttons: Vec<Button>,
    /// When it started.
    pub started: Option<Time>,
    /// When it ended.
    pub ended: Option<Time>,
    /// Remarks on lines of files, in their order. May be more than a forge takes; its module leaves the last ones out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
}

impl Report {
    /// What people read first.
    pub fn headline(&self) -> Headline {
        Headline { progress: self.progress, title: self.title.clone() }
    }
}

/// A report in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Headline {
    /// How far it is.
    pub progress: Progress,
    /// One line.
    pub title: String,
}

/// A remark on lines of a file of the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Annotation {
    /// The file's path in the repository.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// The last line, if that is another one; else 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub end_line: usize,
    /// From 1, in characters; 0 if the whole line is meant.
    pub column: usize,
    /// How many characters are meant; 0 if it has no extent.
    pub length: usize,
    /// How bad it is.
    pub severity: Level,
    /// What it is called; empty: it is named by its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// What is to be said. May be longer than a forge takes; its module cuts it.
    pub message: String,
}

impl Annotation {
    /// `src/lib.rs:3:13`.
    pub fn place(&self) -> String {
        let Self { path, line, column, .. } = self;
        if *column == 0 { format!("{path}:{line}") } else { format!("{path}:{line}:{column}") }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}
