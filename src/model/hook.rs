//! What is known of a repository's webhook.

use serde::{Deserialize, Serialize};

/// How a repository's webhook is, as its forge says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum HookState {
    /// It brings us all that we need, as far as the forge tells.
    Good,
    /// There is none.
    Missing,
    /// It does not.
    Faulty {
        /// Why not; never empty.
        faults: Vec<HookFault>,
    },
    /// We may not see it.
    Unseen {
        /// In the forge's words.
        reason: String,
    },
}

/// What is wrong with a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct HookFault {
    /// What kind of fault.
    pub kind: HookFaultKind,
    /// A sentence without a full stop.
    pub words: String,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum HookFaultKind {
    /// It is switched off, by a person or by the forge.
    Disabled,
    /// It does not deliver what we need, or not as we need it.
    Wrong,
    /// Its last delivery has failed.
    Failing,
    /// It must be mended on the forge's own pages; the words say how.
    ByHand,
}

impl HookFault {
    /// It is switched off.
    pub fn disabled(words: impl Into<String>) -> Self {
        Self { kind: HookFaultKind::Disabled, words: words.into() }
    }

    /// It does not deliver what we need.
    pub fn wrong(words: impl Into<String>) -> Self {
        Self { kind: HookFaultKind::Wrong, words: words.into() }
    }

    /// Its last delivery has failed.
    pub fn failing(words: impl Into<String>) -> Self {
        Self { kind: HookFaultKind::Failing, words: words.into() }
    }

    /// It must be mended by hand.
    pub fn by_hand(words: impl Into<String>) -> Self {
        Self { kind: HookFaultKind::ByHand, words: words.into() }
    }
}

impl HookState {
    /// Whether a repair would change anything.
    pub fn may_be_repaired(&self) -> bool {
        match self {
            Self::Good | Self::Unseen { .. } => false,
            Self::Missing => true,
            Self::Faulty { faults } => faults.iter().any(|fault| fault.kind != HookFaultKind::ByHand),
        }
    }

    /// What is wrong, in sentences; none if nothing is, or nothing is known.
    pub fn troubles(&self) -> Vec<String> {
        match self {
            Self::Good | Self::Unseen { .. } => Vec::new(),
            Self::Missing => vec!["there is no webhook: nothing tells us of its events".to_owned()],
            Self::Faulty { faults } => faults.iter().map(|fault| fault.words.clone()).collect(),
        }
    }
}
