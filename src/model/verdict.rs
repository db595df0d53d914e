//! How a job ended. Success is one of many, and needs evidence; every other end has a name.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::Conclusion;

/// How a job ended, and the words for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Exit code 0 by the agent's own record, and no result that says otherwise.
    Success {
        /// Something people should know all the same, such as a child that was killed for memory.
        warning: Option<String>,
    },
    /// The process ended with another exit code.
    Exit {
        /// 1 to 255; 75 means "temporary, try again".
        code: i32,
    },
    /// The process was ended by a signal that we did not send.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// Exit code 0, but a `CO_RESULT` that is not `true`.
    ResultFalse {
        /// What it was, cut at 200 characters.
        value: String,
    },
    /// Exit code 0, but it posted a `CO_TASK_STATUS` with `status: false`.
    StatusFalse {
        /// The event's `result`, cut at 200 characters.
        result: String,
    },
    /// Killed because it used more memory than its limit.
    OutOfMemory {
        /// The limit in bytes, where there was one.
        limit: Option<u64>,
        /// The most it had in bytes, where the machine tells.
        peak: Option<u64>,
    },
    /// It ran longer than it may.
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// Someone cancelled it, or a sibling's failure did.
    Cancelled {
        /// Who or what.
        by: String,
    },
    /// It was never started, because something before it failed.
    Skipped {
        /// What.
        reason: String,
    },
    /// The container is there, but the program in it cannot be started: no such file, not executable, a missing
    /// output that it subscribes to. The author's mistake.
    CannotStart {
        /// What the system said.
        message: String,
    },
    /// The image does not exist or its name is wrong. The author's mistake.
    ImageNotFound {
        /// As the flow names it.
        image: String,
        /// What the registry or cluster said.
        message: String,
    },
    /// Not the author's doing; the action is tried again, at most twice.
    Infrastructure {
        /// Which.
        kind: Infrastructure,
        /// The cluster's own words.
        message: String,
    },
}

/// Deaths that are nobody's code's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Infrastructure {
    /// The image exists, or may, but could not be fetched.
    ImagePull,
    /// No node takes the pod.
    Unschedulable,
    /// The node took its resources back.
    Evicted,
    /// A more important pod took its place.
    Preempted,
    /// The node went away.
    NodeLost,
    /// Someone deleted the pod, or killed the process tree from outside.
    Deleted,
    /// The container ended without the agent's end record, or the agent stopped speaking.
    AgentLost,
    /// The executor refused or failed.
    Executor,
}

impl Infrastructure {
    /// For sentences: "infrastructure: node lost".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImagePull => "image not pulled",
            Self::Unschedulable => "not scheduled",
            Self::Evicted => "evicted",
            Self::Preempted => "preempted",
            Self::NodeLost => "node lost",
            Self::Deleted => "pod deleted",
            Self::AgentLost => "agent lost",
            Self::Executor => "executor failed",
        }
    }
}

impl Verdict {
    /// The plain success.
    pub const fn success() -> Self {
        Self::Success { warning: None }
    }

    /// The colour of it.
    pub const fn conclusion(&self) -> Conclusion {
        match self {
            Self::Success { .. } => Conclusion::Success,
            Self::Exit { .. }
            | Self::Signal { .. }
            | Self::ResultFalse { .. }
            | Self::StatusFalse { .. }
            | Self::OutOfMemory { .. }
            | Self::CannotStart { .. }
            | Self::ImageNotFound { .. } => Conclusion::Failure,
            Self::TimedOut { .. } => Conclusion::TimedOut,
            Self::Cancelled { .. } => Conclusion::Cancelled,
            Self::Skipped { .. } => Conclusion::Skipped,
            Self::Infrastructure { .. } => Conclusion::Error,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success { warning: None } => f.write_str("success"),
            Self::Success { warning: Some(warning) } => write!(f, "success, but {warning}"),
            Self::Exit { code: 75 } => f.write_str("exit code 75 (temporary failure)"),
            Self::Exit { code } => write!(f, "exit code {code}"),
            Self::Signal { signal } => write!(f, "killed by signal {signal}"),
            Self::ResultFalse { value } => write!(f, "CO_RESULT = {value}"),
            Self::StatusFalse { result } if result.is_empty() => f.write_str("CO_TASK_STATUS = false"),
            Self::StatusFalse { result } => write!(f, "CO_TASK_STATUS = false: {result}"),
            Self::OutOfMemory { limit, peak } => {
                f.write_str("out of memory")?;
                match (peak, limit) {
                    (Some(peak), Some(limit)) => write!(f, " (peak {} of {} MiB)", peak >> 20, limit >> 20),
                    (Some(peak), None) => write!(f, " (peak {} MiB)", peak >> 20),
                    (None, Some(limit)) => write!(f, " (limit {} MiB)", limit >> 20),
                    (None, None) => Ok(()),
                }
            }
            Self::TimedOut { after } => write!(f, "timed out after {}", Span(*after)),
            Self::Cancelled { by } => write!(f, "cancelled by {by}"),
            Self::Skipped { reason } => write!(f, "skipped: {reason}"),
            Self::CannotStart { message } => write!(f, "cannot start: {message}"),
            Self::ImageNotFound { image, message } => write!(f, "image {image} not found: {message}"),
            Self::Infrastructure { kind, message } => write!(f, "infrastructure: {}: {message}", kind.as_str()),
        }
    }
}

/// A duration for people: `850 ms`, `12 s`, `3 min 5 s`, `2 h 10 min`.
#[derive(Debug, Clone, Copy)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0.as_secs();
        match s {
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..60 => write!(f, "{s} s"),
            60..3600 => write!(f, "{} min {} s", s / 60, s % 60),
            _ => write!(f, "{} h {} min", s / 3600, s % 3600 / 60),
        }
    }
}
