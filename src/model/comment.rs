//! What people tell us to do in comments on a forge.

use serde::{Deserialize, Serialize};

use super::{Repository, Sha};

/// A comment has no more orders: what follows is not read.
const MOST: usize = 10;
/// The most characters of what follows an order.
const WORDS: usize = 500;

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
    /// `/retest`: what failed runs again.
    Retest,
    /// `/cancel`: what runs is stopped.
    Cancel,
}

impl Verb {
    const ALL: [Self; 4] = [Self::Approve, Self::Reject, Self::Retest, Self::Cancel];

    /// As it is written, without the slash.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Retest => "retest",
            Self::Cancel => "cancel",
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

/// The orders of a comment's text, which is Markdown: quotes and code are somebody else's words.
pub fn orders(text: &str) -> Vec<Order> {
    let mut fence: Option<&str> = None;
    let mut found = Vec::new();
    for line in text.lines() {
        let begin = line.trim_start_matches(' ');
        let is_code = line.len() - begin.len() > 3 || begin.starts_with('\t');
        match (fence, fence_of(begin)) {
            (None, Some(opening)) if !is_code => fence = Some(opening),
            (Some(opening), Some(closing)) if closing.starts_with(opening) && begin.trim() == closing => fence = None,
            (None, None) if !is_code => found.extend(order(begin)),
            (Some(_) | None, _) => {}
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

/// The run of backticks or tildes that a line begins with, if it is long enough to fence code.
fn fence_of(line: &str) -> Option<&str> {
    let length = |mark: char| line.len() - line.trim_start_matches(mark).len();
    let longest = length('`').max(length('~'));
    (longest >= 3).then(|| &line[..longest])
}

fn order(line: &str) -> Option<Order> {
    let line = line.strip_prefix('/')?;
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let verb = Verb::ALL.into_iter().find(|verb| verb.as_str() == word)?;
    Some(Order { verb, words: rest.trim().chars().take(WORDS).collect() })
}
