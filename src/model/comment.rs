//! What people tell us to do in comments on a forge.

use serde::{Deserialize, Serialize};

use super::{Repository, Sha};

/// A comment that tells us to do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Where the comment is.
    pub place: CommentPlace,
    /// Who wrote it, by the forge's word.
    pub author: String,
    /// What it says, in order; never empty.
    pub orders: Vec<Order>,
}

impl Comment {
    /// What its author wants, in a sentence.
    pub fn words(&self) -> String {
        let orders: Vec<String> = self.orders.iter().map(|order| format!("`/{}`", order.verb.as_str())).collect();
        format!("{} says {}", self.author, orders.join(", "))
    }
}

/// Where a comment is, for whoever answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentPlace {
    /// In which repository.
    pub repository: Repository,
    /// Below what.
    pub thread: Thread,
    /// The comment's id on the forge.
    pub id: u64,
    /// How it is written.
    #[serde(default, skip_serializing_if = "CommentForm::is_below")]
    pub form: CommentForm,
}

/// How a comment is written, which decides how it can be answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommentForm {
    /// Below what it is about.
    #[default]
    Below,
    /// Beside a line of a pull request's code.
    Beside,
    /// As the words of a review, to which nobody can react.
    Review,
}

impl CommentForm {
    const fn is_below(&self) -> bool {
        matches!(self, Self::Below)
    }
}

/// What a comment is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thread {
    /// A pull request, by its number.
    PullRequest(u64),
    /// A commit.
    Commit(Sha),
}

/// One line of a comment that tells us to do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What.
    pub verb: Verb,
    /// The rest of the line.
    pub words: String,
}

/// What can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `/approve [STAGE|SHA] [NOTE]`: what waits for people goes on.
    Approve,
    /// `/reject [STAGE|SHA] [NOTE]`: it does not.
    Reject,
    /// `/test [STAGE]`: everything runs again, or a stage.
    Test,
    /// `/retest`: what failed runs again.
    Retest,
    /// `/cancel`: what runs is stopped.
    Cancel,
    /// `/skip [REASON]`: what has not succeeded is not needed.
    Skip,
}

impl Verb {
    pub(super) const ALL: [Self; 6] = [Self::Approve, Self::Reject, Self::Test, Self::Retest, Self::Cancel, Self::Skip];

    /// As it is written, without the slash.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Test => "test",
            Self::Retest => "retest",
            Self::Cancel => "cancel",
            Self::Skip => "skip",
        }
    }
}

/// What a forge lets someone do in a repository; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See it.
    Reader,
    /// Push to it.
    Writer,
    /// Manage it.
    Maintainer,
    /// Everything.
    Owner,
}

impl Role {
    /// The role that a word of an `approval` names.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "readers" => Some(Self::Reader),
            "writers" => Some(Self::Writer),
            "maintainers" => Some(Self::Maintainer),
            "owners" => Some(Self::Owner),
            _ => None,
        }
    }
}
