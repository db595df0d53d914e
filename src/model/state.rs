//! Where things stand. A state carries only what is true in it.

use serde::{Deserialize, Serialize};

use super::{Conclusion, Verdict};

/// A delivery's way through intake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeliveryState {
    /// Committed, not looked at yet, or to be looked at again.
    Pending,
    /// It started these many runs.
    Started {
        /// How many.
        runs: usize,
    },
    /// It told us to do something, and that was done.
    Obeyed {
        /// What.
        what: String,
    },
    /// Authentic, and it starts nothing.
    Nothing {
        /// Why.
        reason: String,
    },
    /// Authentic, but we cannot read it.
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// The [`DeliveryState`]s by name, for lists of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub enum DeliveryPhase {
    /// To be looked at, or to be looked at again: [`DeliveryState::Pending`].
    Pending,
    /// It started runs: [`DeliveryState::Started`].
    Started,
    /// It told us to do something, and that was done: [`DeliveryState::Obeyed`].
    Obeyed,
    /// It started nothing: [`DeliveryState::Nothing`].
    Nothing,
    /// We cannot read it: [`DeliveryState::Unreadable`].
    Unreadable,
}

impl DeliveryPhase {
    /// All of them, in the order of a delivery's way.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Started, Self::Obeyed, Self::Nothing, Self::Unreadable];

    /// As [`DeliveryState::phase`] has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Started => "started",
            Self::Obeyed => "obeyed",
            Self::Nothing => "nothing",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A run, from its making to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(tag = "state", content = "conclusion", rename_all = "snake_case")]
pub enum RunState {
    /// Nothing has started.
    Queued,
    /// Something has started.
    Running,
    /// Nothing will start any more.
    Ended(Conclusion),
}

/// An action of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(tag = "state", content = "conclusion", rename_all = "snake_case")]
pub enum ActionState {
    /// Something before it has not ended.
    Waiting,
    /// It may start: someone should claim it.
    Queued,
    /// An attempt is under way.
    Running,
    /// No attempt will follow.
    Ended(Conclusion),
}

/// One attempt at an action: one pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AttemptState {
    /// The executor was asked, or is about to be.
    Starting,
    /// An agent has spoken.
    Running,
    /// All its jobs have ended; the executor may still hold what is left of it.
    Ended,
    /// Ended, and nothing is left of it.
    Removed,
}

/// One job of one attempt: one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(tag = "state", content = "verdict", rename_all = "snake_case")]
pub enum JobState {
    /// Its turn has not come.
    Waiting,
    /// Its agent was told to start it.
    Running,
    /// It ended like this.
    Ended(Verdict),
}

impl AttemptState {
    /// Whether some of its jobs have not ended.
    pub const fn is_under_way(&self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

macro_rules! phases {
    ($($state:ident { $($pattern:pat => $phase:literal),+ $(,)? })*) => {$(
        impl $state {
            /// One word, for queries and styles.
            pub const fn phase(&self) -> &'static str {
                match self { $($pattern => $phase),+ }
            }
        }
    )*};
}

phases! {
    DeliveryState {
        Self::Pending => "pending", Self::Started { .. } => "started",
        Self::Obeyed { .. } => "obeyed", Self::Nothing { .. } => "nothing", Self::Unreadable { .. } => "unreadable",
    }
    RunState { Self::Queued => "queued", Self::Running => "running", Self::Ended(_) => "ended" }
    ActionState {
        Self::Waiting => "waiting", Self::Queued => "queued", Self::Running => "running", Self::Ended(_) => "ended",
    }
    AttemptState {
        Self::Starting => "starting", Self::Running => "running", Self::Ended => "ended", Self::Removed => "removed",
    }
    JobState { Self::Waiting => "waiting", Self::Running => "running", Self::Ended(_) => "ended" }
}

impl RunState {
    /// How it ended, once it has.
    pub const fn conclusion(&self) -> Option<Conclusion> {
        match self {
            Self::Ended(conclusion) => Some(*conclusion),
            Self::Queued | Self::Running => None,
        }
    }

    /// What pages show and styles are named by: `queued`, `running`, or the conclusion.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Ended(conclusion) => conclusion.as_str(),
            Self::Queued | Self::Running => self.phase(),
        }
    }
}

impl ActionState {
    /// How it ended, once it has.
    pub const fn conclusion(&self) -> Option<Conclusion> {
        match self {
            Self::Ended(conclusion) => Some(*conclusion),
            Self::Waiting | Self::Queued | Self::Running => None,
        }
    }

    /// What pages show and styles are named by.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Ended(conclusion) => conclusion.as_str(),
            Self::Waiting | Self::Queued | Self::Running => self.phase(),
        }
    }
}

impl JobState {
    /// How it ended, once it has.
    pub const fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Ended(verdict) => Some(verdict),
            Self::Waiting | Self::Running => None,
        }
    }

    /// What pages show and styles are named by.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Ended(verdict) => verdict.conclusion().as_str(),
            Self::Waiting | Self::Running => self.phase(),
        }
    }
}
