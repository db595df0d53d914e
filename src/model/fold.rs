//! Parts of a log that have a title.

use serde::{Deserialize, Serialize};

use super::Time;

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// Its first line, from 1: the one with its title.
    pub first: u64,
    /// Its last line.
    pub last: u64,
    /// What it is about.
    pub title: String,
    /// When its first line came.
    pub from: Time,
    /// When its last line came.
    pub to: Time,
}

impl Fold {
    /// How many lines it has, with its title.
    pub const fn lines(&self) -> u64 {
        self.last - self.first + 1
    }

    /// Whether a line is one of its own.
    pub const fn holds(&self, line: u64) -> bool {
        self.first <= line && line <= self.last
    }
}
