//! What forges tell besides new code: a pull request is open no longer, other people may see a repository.

use super::{PullRequest, Repository, RepositoryName, Visibility};

/// A pull request that is open no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// Where.
    pub repository: Repository,
    /// Its number.
    pub number: u64,
    /// How it ended.
    pub end: PullEnd,
    /// Who ended it.
    pub actor: String,
}

/// How a pull request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullEnd {
    /// Its code is in the base branch.
    Merged,
    /// It is not.
    Closed,
}

/// Other people may see a repository than before, or soon will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// Which.
    pub repository: RepositoryName,
    /// Who, as the event tells.
    pub told: Visibility,
}

impl Closing {
    /// The line of its runs, as [`Event::line`](super::Event::line) has it.
    pub fn line(&self) -> String {
        PullRequest::line(self.number)
    }

    /// What has happened, in words.
    pub fn words(&self) -> String {
        format!("pull request #{} was {}", self.number, self.end.as_str())
    }

    /// Who ends what waits for it, in words.
    pub fn by(&self) -> String {
        format!("{}, who {} pull request #{}", self.actor, self.end.as_str(), self.number)
    }
}

impl PullEnd {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::Closed => "closed",
        }
    }
}
