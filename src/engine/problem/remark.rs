//! Remarks as they are found, before anybody has looked at their paths.

use crate::model::{Annotation, Level};

/// A remark on a line of what a tool calls a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) end_line: usize,
    pub(super) column: usize,
    pub(super) length: usize,
    pub(super) level: Level,
    pub(super) title: String,
    pub(super) message: String,
    /// The line of the log that it begins at, from 1.
    pub(super) at: u64,
}

impl Remark {
    pub(super) fn new(path: &str, line: usize, column: usize, level: Level, message: &str) -> Self {
        let (path, message) = (path.to_owned(), message.trim_end().to_owned());
        Self { path, line, end_line: 0, column, length: 0, level, title: String::new(), message, at: 0 }
    }

    pub(super) fn titled(mut self, title: &str) -> Self {
        self.title = title.trim().to_owned();
        self
    }

    pub(super) fn at(mut self, at: u64) -> Self {
        self.at = at;
        self
    }

    /// What is told, of this file.
    pub(super) fn of(self, path: String) -> Annotation {
        let Self { line, end_line, column, length, level, title, message, .. } = self;
        let message = if message.trim().is_empty() { level.as_str().to_owned() } else { message };
        Annotation { path, line, end_line, column, length, severity: level, title, message }
    }
}
