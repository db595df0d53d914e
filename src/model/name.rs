//! Names that come from outside, made into types by parsing, so that whoever holds one need not check it again.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A name that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: {expected}")]
pub struct NameError {
    what: &'static str,
    expected: &'static str,
    text: String,
}

impl NameError {
    pub(super) fn new(what: &'static str, expected: &'static str, text: &str) -> Self {
        // what we refuse may be hostile and huge; a message needs only its beginning
        Self { what, expected, text: text.chars().take(80).collect() }
    }
}

/// Which kind of forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ForgeKind {
    /// github.com or GitHub Enterprise.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea and Forgejo.
    Gitea,
    /// Bare repositories on this machine's disk.
    Git,
}

impl ForgeKind {
    /// The first part of every route.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
            Self::Git => "git",
        }
    }

    /// Its name, for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Github => "GitHub",
            Self::Gitlab => "GitLab",
            Self::Gitea => "Gitea",
            Self::Git => "Git",
        }
    }
}

impl ForgeKind {
    /// The forge that stands before a colon, if one does, and what follows: of `github:acme/shop` both.
    ///
    /// # Errors
    /// [`NameError`], if what stands there is no forge.
    pub(super) fn before(text: &str) -> Result<(Option<Self>, &str), NameError> {
        match text.split_once(':') {
            Some((forge, rest)) => Ok((Some(forge.parse()?), rest)),
            None => Ok((None, text)),
        }
    }
}

impl fmt::Display for ForgeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ForgeKind {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "github" => Ok(Self::Github),
            "gitlab" => Ok(Self::Gitlab),
            "gitea" => Ok(Self::Gitea),
            "git" => Ok(Self::Git),
            _ => Err(NameError::new("forge", "github, gitlab, gitea or git", text)),
        }
    }
}

macro_rules! text_type {
    ($name:ident) => {
        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
    };
}

/// `owner/repository`; on GitLab `group/subgroup/repository`; a plain Git repository may stand alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RepositoryName(String);
text_type!(RepositoryName);

impl RepositoryName {
    /// All but the last part; empty for a repository that stands alone.
    pub fn owner(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(owner, _)| owner)
    }

    /// The last part.
    pub fn repository(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, name)| name)
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let part_is_good = |part: &str| {
            !part.is_empty()
                && !part.starts_with('-')
                && !matches!(part, "." | "..")
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        if text.len() <= 255 && text.split('/').count() <= 21 && text.split('/').all(part_is_good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::new("repository name", "owner/name of letters, digits, `.`, `_` and `-`", text))
        }
    }
}

/// A commit: 40 or 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Sha(String);
text_type!(Sha);

impl Sha {
    /// The first eight digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }

    /// All zeros: how Git and the forges say "there is none".
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|b| b == b'0')
    }
}

impl FromStr for Sha {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if matches!(text.len(), 40 | 64) && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::new("commit", "40 or 64 lower-case hexadecimal digits", text))
        }
    }
}

/// Where a job stands in its flow: `stage.action.job`, as subscriptions name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobPath {
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub action: String,
    /// The job's name.
    pub job: String,
}

impl fmt::Display for JobPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.stage, self.action, self.job)
    }
}
