//! Stages that wait for a person: what they ask, and how that was answered.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Role, Time};

/// What a stage of type `pause` asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who may answer: roles and names. Empty: whoever may see the run.
    pub by: Vec<String>,
    /// How long it waits.
    pub expires: Duration,
    /// The question, for people; empty if the file gives none.
    pub note: String,
}

/// How a question was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// What needs the stage may start.
    Approved,
    /// It may not.
    Rejected,
    /// Nobody answered in time.
    Expired,
    /// The run was stopped meanwhile.
    Withdrawn,
}

impl Answer {
    /// One word, for a column and for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Whoever answers, as far as a request can prove who that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// Who they say they are; empty if they don't.
    pub name: String,
    /// Where they say so.
    pub via: Via,
}

/// What stands behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nothing but its owner's word: nobody signs in.
    Word,
    /// They have signed in with their forge, or with the server's leave, and may do this there.
    Forge(Option<Role>),
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The form of a run's page.
    Page(Proof),
    /// The API.
    Api(Proof),
    /// A comment on a forge, which says who wrote it, and what they may do.
    Comment(Option<Role>),
}

/// As a run keeps and shows it, and no more than is known.
impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.via, self.name.as_str()) {
            (Via::Page(_), "") => f.write_str("someone on the run's page"),
            (Via::Api(_), "") => f.write_str("a call of the API"),
            (Via::Comment(_), name) => write!(f, "{name} (by a comment)"),
            (Via::Page(Proof::Forge(_)) | Via::Api(Proof::Forge(_)), name) => f.write_str(name),
            (Via::Page(Proof::Word), name) => write!(f, "{name} (by their own word, on the run's page)"),
            (Via::Api(Proof::Word), name) => write!(f, "{name} (by the word of a call of the API)"),
        }
    }
}

impl Approval {
    /// Whether someone may answer. A forge says who wrote a comment or has signed in, and what they may do. Where nobody
    /// signs in, roles cannot be checked; but whoever says to be someone who is not named is taken at their word.
    pub fn takes(&self, approver: &Approver) -> bool {
        let is_named = self.by.iter().any(|name| name.eq_ignore_ascii_case(&approver.name));
        match approver.via {
            Via::Comment(role) | Via::Page(Proof::Forge(role)) | Via::Api(Proof::Forge(role)) => {
                is_named || self.least().is_some_and(|least| role >= Some(least))
            }
            Via::Page(Proof::Word) | Via::Api(Proof::Word) => {
                let by_role = self.by.iter().any(|name| Role::named(name).is_some());
                approver.name.is_empty() || self.by.is_empty() || by_role || is_named
            }
        }
    }

    /// What whoever is not named must at least be allowed to do; `None`: nobody else may answer. Where nobody is named,
    /// whoever may change the code may answer.
    fn least(&self) -> Option<Role> {
        if self.by.is_empty() {
            return Some(Role::Writer);
        }
        self.by.iter().filter_map(|name| Role::named(name)).min()
    }

    /// Who may answer, in words.
    pub fn whom(&self) -> String {
        if self.by.is_empty() { "anyone".to_owned() } else { self.by.join(" or ") }
    }
}

/// A question that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The stage's name.
    pub stage: String,
    /// Who may answer, in words.
    pub by: String,
    /// What is asked; may be empty.
    pub note: String,
    /// Until when.
    pub expires: Time,
    /// The same, for people.
    pub until: String,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, by, note, until, .. } = self;
        write!(f, "for approval of `{stage}` by {by}, until {until}")?;
        if note.is_empty() { Ok(()) } else { write!(f, ": {note}") }
    }
}
