//! What somebody asks us to change: for the audit log.

use super::RepositoryId;

/// Somebody's wish to change something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Who: `github/alice`, or what else is known of them.
    pub who: String,
    /// By what way: `page`, `API`, `GitHub comment`, `button of a GitHub check`, `command`, or the token's name.
    pub way: String,
    /// From which address; empty where there is none.
    pub from: String,
    /// What they want: `cancel`, `approve`, …
    pub what: &'static str,
    /// Whose it is; `None`: the server's.
    pub repository: Option<RepositoryId>,
    /// What it is done to, in words.
    pub target: String,
}
