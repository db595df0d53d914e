//! How long the engine waits for what may not come.

use std::time::Duration;

/// How long the engine waits for what may not come; the defaults fit most clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the last attempt at an action, after two that died by nobody's fault.
    pub retry: Duration,
    /// For the first word of an agent whose turn it is, once its pod runs.
    pub agent: Duration,
    /// For room in a quota, for each attempt.
    pub room: Duration,
    /// For an agent that was told to stop and does not answer, before it is taken away.
    pub stop: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retry: Duration::from_secs(30),
            agent: Duration::from_secs(5 * 60),
            room: Duration::from_secs(3600),
            stop: Duration::from_secs(60),
        }
    }
}
