//! What is in an action's workspace at the beginning.

use serde::{Deserialize, Serialize};

/// What is in a workspace at the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checkout {
    /// The commit that is built, without history, submodules and files kept by LFS.
    #[default]
    Commit,
    /// Nothing.
    Nothing,
    /// What these say.
    Of(CheckoutOptions),
}

/// What is checked out, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CheckoutOptions {
    /// Which commit.
    #[serde(rename = "ref")]
    pub reference: Reference,
    /// How many commits of history; 0: all, with all tags.
    pub depth: u32,
    /// Whose submodules.
    pub submodules: Submodules,
    /// Whether files that LFS keeps are there, and not only their pointers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lfs: bool,
}

/// Which commit is checked out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reference {
    /// The event's; of a pull request its merge into the base, where the forge offers one.
    #[default]
    Event,
    /// The event's; of a pull request its head.
    Head,
    /// The newest of a branch or a tag of the repository, or a commit.
    Named(String),
}

/// Which submodules are checked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Submodules {
    /// None: their directories are empty.
    #[default]
    None,
    /// The repository's own.
    Own,
    /// Those of submodules as well.
    Recursive,
}

impl Checkout {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What its own snapshot holds, if the run's is not the one.
    pub const fn options(&self) -> Option<&CheckoutOptions> {
        match self {
            Self::Commit | Self::Nothing => None,
            Self::Of(options) => Some(options),
        }
    }
}

impl Default for CheckoutOptions {
    fn default() -> Self {
        Self { reference: Reference::Event, depth: 1, submodules: Submodules::None, lfs: false }
    }
}

impl CheckoutOptions {
    /// The same text for the same options, for columns.
    pub fn key(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Submodules {
    /// As the flow file says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "false",
            Self::Own => "true",
            Self::Recursive => "recursive",
        }
    }
}
