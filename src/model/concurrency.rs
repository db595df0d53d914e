//! Which runs may be under way beside each other, and what a run waits for.

use std::{fmt, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use super::Question;

/// The group that a run belongs to, and how the runs of that group stand to each other. A group is its repository's:
/// the same name in another repository is another group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Concurrency {
    /// At most 200 characters.
    pub group: String,
    /// What happens when there is no room.
    pub policy: Policy,
    /// How many runs of the group may be under way at once; `None`: any number.
    #[cfg_attr(feature = "server", schema(value_type = Option<u32>, minimum = 1))]
    pub limit: Option<NonZeroU32>,
}

/// What happens to the runs of a group for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The newest run: older ones are cancelled.
    Cancel,
    /// First come, first served: newer ones wait.
    Queue,
    /// All at once. With a limit, those over it wait as in a queue.
    Parallel,
}

impl Policy {
    /// As flow files have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Queue => "queue",
            Self::Parallel => "parallel",
        }
    }
}

/// What a run waits for that has not started, or that only a person can let go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// Other runs of its group.
    Queue(QueuePlace),
    /// Its source is not fetched yet.
    Source {
        /// What is in the way; empty if nothing is.
        trouble: String,
    },
    /// A person.
    Approval(Question),
    /// Room in a quota.
    Quota {
        /// Whose, and what of it is in use.
        message: String,
    },
    /// The executor: a place, an image, a quota.
    Executor {
        /// What it says.
        message: String,
    },
}

/// Where a run stands among those of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePlace {
    /// Which group.
    pub group: String,
    /// How many may be under way at once.
    pub limit: Option<NonZeroU32>,
    /// From 1, among those that wait.
    pub position: usize,
    /// How many wait.
    pub length: usize,
    /// The numbers of the runs before it: those under way, then those that wait, in order.
    pub ahead: Vec<i64>,
}

/// More runs than this ahead are not counted for a forge: each number would be one more call.
const COUNTED: usize = 9;

impl Waiting {
    /// One word, for programs.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::Source { .. } => "source",
            Self::Approval(_) => "approval",
            Self::Quota { .. } => "quota",
            Self::Executor { .. } => "executor",
        }
    }

    /// Whether it is more than the usual moment before a start.
    pub const fn is_trouble(&self) -> bool {
        match self {
            Self::Queue(_) | Self::Approval(_) | Self::Quota { .. } | Self::Executor { .. } => true,
            Self::Source { trouble } => !trouble.is_empty(),
        }
    }
}

/// Changes seldom, because a forge is told of every change.
impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(place) => place.fmt(f),
            Self::Source { trouble } if trouble.is_empty() => f.write_str("its source is being fetched"),
            Self::Source { trouble } => f.write_str(trouble),
            Self::Approval(question) => question.fmt(f),
            Self::Quota { message } | Self::Executor { message } => f.write_str(message),
        }
    }
}

impl fmt::Display for QueuePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ahead.len() {
            1 => write!(f, "1 run ahead")?,
            few if few <= COUNTED => write!(f, "{few} runs ahead")?,
            _ => write!(f, "more than {COUNTED} runs ahead")?,
        }
        write!(f, " in group {}", self.group)
    }
}
