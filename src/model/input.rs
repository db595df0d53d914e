//! What a job's `CO_DATA` is built of.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Output;

/// One link into a job's `CO_DATA`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Where the value comes from.
    pub from: Source,
    /// Where it goes: names of objects in objects.
    pub to: Vec<String>,
    /// Whether the job runs without it if it is not there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// Where a value comes from, and its path there: names of objects and places in lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// What an earlier job said.
    Output {
        /// Which output.
        output: Output,
        /// The path in it; empty: all of it.
        path: Vec<String>,
    },
    /// The webhook that started the run.
    Event {
        /// The path in its payload.
        path: Vec<String>,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self {
            Self::Output { output, path } => {
                write!(f, "{output}")?;
                path
            }
            Self::Event { path } => {
                f.write_str("event")?;
                path
            }
        };
        path.iter().try_for_each(|part| write!(f, ".{part}"))
    }
}
