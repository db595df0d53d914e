//! What an examination of our own set-up finds.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// It works, or may, and somebody should look at it.
    Warning,
    /// Something cannot work.
    Error,
}

/// One line of an examination. No secret is ever in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub about: &'static str,
    /// How it is.
    pub health: Health,
    /// What was found.
    pub message: String,
    /// What to do; empty if nothing is to be done.
    pub advice: String,
}

impl Finding {
    /// All is well.
    pub fn ok(about: &'static str, message: impl Into<String>) -> Self {
        Self { about, health: Health::Ok, message: message.into(), advice: String::new() }
    }

    /// Somebody should look at it.
    pub fn warning(about: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { about, health: Health::Warning, message: message.into(), advice: advice.into() }
    }

    /// It cannot work.
    pub fn error(about: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { about, health: Health::Error, message: message.into(), advice: advice.into() }
    }
}
