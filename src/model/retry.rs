//! Which failures of its own a job wants to be tried again after.

use serde::{Deserialize, Serialize};

use super::Verdict;

/// How often, and after what, a job's action is tried again. What is nobody's fault is tried again besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How many attempts may follow the first.
    pub max: u32,
    /// After which ends.
    pub on: Vec<RetryOn>,
}

/// Ends after which a job may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryOn {
    /// Exit code 75: the job itself says that it is temporary.
    Transient,
    /// Whatever its process did wrong, exit code 75 included.
    Failure,
    /// It was over its time.
    Timeout,
    /// It was over its memory.
    OutOfMemory,
}

impl Retry {
    /// Whether a job that ended like this is to be tried again.
    pub fn heeds(&self, verdict: &Verdict) -> bool {
        self.on.iter().any(|on| on.meets(verdict))
    }
}

impl RetryOn {
    /// All of them, in the order of the documents.
    pub const ALL: [Self; 4] = [Self::Transient, Self::Failure, Self::Timeout, Self::OutOfMemory];

    /// As flow files have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out-of-memory",
        }
    }

    const fn meets(self, verdict: &Verdict) -> bool {
        match self {
            Self::Transient => matches!(verdict, Verdict::Exit { code: 75 }),
            Self::Failure => matches!(
                verdict,
                Verdict::Exit { .. }
                    | Verdict::Signal { .. }
                    | Verdict::ResultFalse { .. }
                    | Verdict::StatusFalse { .. }
                    | Verdict::NoResult
            ),
            Self::Timeout => matches!(verdict, Verdict::TimedOut { .. }),
            Self::OutOfMemory => matches!(verdict, Verdict::OutOfMemory { .. }),
        }
    }
}
