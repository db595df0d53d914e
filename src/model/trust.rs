//! Whose code an event brings, and what may be done with it.
//!
//! What only trusted code may have is made of a witness: a [`TrustedEvent`], which no untrusted event gives, or a
//! [`Granted`], which is what a person with write access has put their name to. Neither can be made in another way, so a
//! place that forgets to ask does not compile.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Event, Sha, Vouched};

/// Whether the code of an event may be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// It comes from people with write access.
    Trusted,
    /// It does not.
    Untrusted(UntrustedReason),
}

/// Why code is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UntrustedReason {
    /// The head repository is not the base repository.
    Fork(String),
    /// The head repository was deleted, so nobody can say whose code it is.
    HeadRepositoryGone,
    /// It changes a flow file, and who asks for that, by this name, may not write to the repository.
    FlowFile(String),
}

impl std::fmt::Display for UntrustedReason {
    /// The rest of a sentence that begins "the code …".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fork(fork) => write!(f, "comes from the fork {fork}"),
            Self::HeadRepositoryGone => f.write_str("comes from a repository that was deleted"),
            Self::FlowFile(author) => write!(f, "changes the flow file, and {author} may not write to the repository"),
        }
    }
}

/// Proof that an event is trusted: [`Event::trusted`] alone makes one.
#[derive(Debug, Clone, Copy)]
pub struct TrustedEvent<'a>(&'a Event);

impl Event {
    /// The proof, if it is trusted.
    pub fn trusted(&self) -> Option<TrustedEvent<'_>> {
        match self.trust {
            Trust::Trusted => Some(TrustedEvent(self)),
            Trust::Untrusted(_) => None,
        }
    }
}

impl<'a> TrustedEvent<'a> {
    /// Which event it is about.
    pub const fn event(self) -> &'a Event {
        self.0
    }
}

/// The names of the secrets that an approval gives to an untrusted run, usually none. [`Vouched::for_run`] alone makes
/// one, and only for the commit and the flow file that were vouched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    secrets: BTreeSet<String>,
}

impl Granted {
    /// The names.
    pub const fn secrets(&self) -> &BTreeSet<String> {
        &self.secrets
    }
}

impl Vouched {
    /// What a run of this commit by this flow file is granted; `None`: that is not what was vouched for.
    pub fn for_run(&self, sha: &Sha, flow: &str) -> Option<Granted> {
        (self.sha == *sha && self.flow == flow).then(|| Granted { secrets: self.secrets.clone() })
    }
}
