//! Stages that wait for a person: what they ask, and how that was answered.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::Time;

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

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The form of a run's page.
    Page,
    /// The API.
    Api,
}

/// As a run keeps and shows it, and no more than is known.
impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.via, self.name.as_str()) {
            (Via::Page, "") => f.write_str("someone on the run's page"),
            (Via::Api, "") => f.write_str("a call of the API"),
            (Via::Page, name) => write!(f, "{name} (by their own word, on the run's page)"),
            (Via::Api, name) => write!(f, "{name} (by the word of a call of the API)"),
        }
    }
}

/// Words that name many, and not one person.
const ROLES: [&str; 4] = ["owners", "maintainers", "writers", "readers"];

impl Approval {
    /// Whether someone may answer. As long as nobody signs in, roles cannot be checked; but whoever says to be someone
    /// who is not named is taken at their word.
    pub fn takes(&self, approver: &Approver) -> bool {
        let is_role = |name: &String| ROLES.contains(&name.as_str());
        approver.name.is_empty()
            || self.by.is_empty()
            || self.by.iter().any(is_role)
            || self.by.contains(&approver.name)
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
