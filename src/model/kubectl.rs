//! Jobs that need no container: manifests that the server itself applies to the cluster.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{ForgeKind, RepositoryName};

/// What a job of type `kubectl` applies, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kubectl {
    /// What is applied.
    pub manifest: Manifest,
    /// The namespace of all that is applied.
    pub namespace: String,
    /// How long it is waited until all of it runs; `None`: the server's own patience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
    /// Whether a failure brings back what was there before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub roll_back: bool,
}

/// Where YAML documents are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manifest {
    /// A file of the repository, or a directory whose `.yaml`, `.yml` and `.json` files are all applied.
    Path(String),
    /// An address.
    Url(String),
}

/// A namespace of the cluster that a repository's kubectl jobs may change, and as whom: what the service account of that
/// namespace may do is what they may do. Written `[forge:]owner/repository=namespace[:account]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedNamespace {
    /// At which forge; `None`: at any.
    pub forge: Option<ForgeKind>,
    /// Whose.
    pub repository: RepositoryName,
    /// Where.
    pub namespace: String,
    /// As whom.
    pub account: String,
}

/// The service account of kubectl jobs, where nobody names another.
const ACCOUNT: &str = "containerops-deployer";

impl FromStr for AllowedNamespace {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not `[forge:]owner/repository=namespace[:account]`");
        let (repository, place) = text.split_once('=').ok_or_else(wrong)?;
        let (forge, repository) = ForgeKind::before(repository).map_err(|_| wrong())?;
        let (namespace, account) = place.split_once(':').unwrap_or((place, ACCOUNT));
        let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_label = |text: &str, most: usize| {
            text.len() <= most
                && text.starts_with(is_edge)
                && text.ends_with(is_edge)
                && text.chars().all(|c| is_edge(c) || matches!(c, '-' | '.'))
        };
        if !is_label(namespace, 63) || namespace.contains('.') || !is_label(account, 253) {
            return Err(wrong());
        }
        let repository = repository.parse().map_err(|_| wrong())?;
        Ok(Self { forge, repository, namespace: namespace.to_owned(), account: account.to_owned() })
    }
}

impl fmt::Display for AllowedNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(forge) = self.forge {
            write!(f, "{forge}:")?;
        }
        write!(f, "{}={}:{}", self.repository, self.namespace, self.account)
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(text) | Self::Url(text) => f.write_str(text),
        }
    }
}
