//! Jobs that start another flow.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{ForgeKind, RepositoryName};

/// What a job of type `trigger` starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Whose flow; `None`: the run's own repository's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<RepositoryName>,
    /// The flow's name.
    pub flow: String,
    /// At the newest commit of this branch; `None`: at the run's own commit, or that of another's default branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// What is given to it, besides what the job subscribes to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// Whether its end is the job's.
    pub wait: Wait,
}

/// Whether a job waits for the run that it has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// It ends when the run is made.
    No,
    /// It ends with the run.
    Yes,
    /// It ends with the run, if that ends in this time.
    Within(Duration),
}

/// That one repository's jobs may start flows of another. Written `[forge:]owner/repository=owner/other`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedTrigger {
    /// At which forge, both; `None`: at any.
    pub forge: Option<ForgeKind>,
    /// Whose jobs.
    pub from: RepositoryName,
    /// Whose flows.
    pub to: RepositoryName,
}

impl FromStr for AllowedTrigger {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not `[forge:]owner/repository=owner/other`");
        let (from, to) = text.split_once('=').ok_or_else(wrong)?;
        let (forge, from) = ForgeKind::before(from).map_err(|_| wrong())?;
        let repository = |text: &str| text.parse().map_err(|_| wrong());
        Ok(Self { forge, from: repository(from)?, to: repository(to)? })
    }
}

/// `acme/shop/deploy`, or `deploy` in the own repository.
impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.repository {
            Some(repository) => write!(f, "{repository}/{}", self.flow),
            None => f.write_str(&self.flow),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_start_whose_flows_is_read_or_refused() {
        let read = |text: &str| {
            text.parse::<AllowedTrigger>().map(|one| (one.forge, one.from.to_string(), one.to.to_string()))
        };
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let (from, to) = pair("acme/shop", "acme/infra");
        assert_eq!(read("acme/shop=acme/infra"), Ok((None, from.clone(), to.clone())));
        assert_eq!(read("github:acme/shop=acme/infra"), Ok((Some(ForgeKind::Github), from, to)));
        for text in ["", "acme/shop", "acme/shop=", "hub:acme/shop=acme/infra", "acme/shop=in fra"] {
            assert!(read(text).is_err_and(|error| error.contains("[forge:]")), "{text}");
        }
    }
}
