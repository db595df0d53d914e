//! What runs beside an action's jobs: a database, a server that they test.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::JobPlan;

/// How much of a command is told.
const MOST_SHOWN: usize = 60;

/// A container that runs beside jobs, in the same pod, and is ended when the last of them has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its container. Its name is a host name for the jobs; what only jobs have is empty.
    pub job: JobPlan,
    /// When it counts as ready. Until then no job that comes after it starts.
    pub ready: Ready,
    /// How many of the action's jobs end before it starts.
    #[serde(default, skip_serializing_if = "is_none")]
    pub after: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_none(count: &usize) -> bool {
    *count == 0
}

/// When a service is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// What must go well.
    pub check: Check,
    /// By when, from its start.
    pub within: Duration,
}

impl Ready {
    /// Without another word a service has this long.
    pub const WITHIN: Duration = Duration::from_secs(60);
}

impl Default for Ready {
    fn default() -> Self {
        Self { check: Check::Started, within: Self::WITHIN }
    }
}

/// What is tried until it goes well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Nothing: it is ready as soon as it has started.
    Started,
    /// Something listens on this port.
    Tcp(u16),
    /// A GET is answered with a status of 200 to 399.
    Http {
        /// Where.
        port: u16,
        /// With its first slash.
        path: String,
    },
    /// A program and its arguments, run in the service's container, exit with 0.
    Command(Vec<String>),
    /// A text for `/bin/sh -e` does.
    Script(String),
}

/// What is waited for.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("its start"),
            Self::Tcp(port) => write!(f, "TCP port {port}"),
            Self::Http { port, path } => write!(f, "HTTP port {port}, {path}"),
            Self::Command(words) => write!(f, "`{}`", shown(&words.join(" "))),
            Self::Script(text) => write!(f, "`{}`", shown(text)),
        }
    }
}

fn shown(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
