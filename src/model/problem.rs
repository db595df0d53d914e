//! What the tools that a job runs find wrong with lines of files.

use serde::{Deserialize, Serialize};

use super::{Annotation, Conclusion, Severity};

/// How bad a remark on a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing.
    Notice,
    /// Worth mending.
    Warning,
    /// To be mended.
    Error,
}

impl Level {
    /// One word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The mark in a table or a list that people read.
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Notice => Conclusion::Skipped.as_str(),
            Self::Warning => Conclusion::Warning.as_str(),
            Self::Error => Conclusion::Failure.as_str(),
        }
    }
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Error => Self::Error,
            Severity::Warning => Self::Warning,
        }
    }
}

/// A remark that stands in a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Remark))]
pub struct Problem {
    /// What it says of which line. Its path is empty if the job named no file.
    #[serde(flatten)]
    pub remark: Annotation,
    /// The line of the log that it begins at, from 1.
    pub at: u64,
}
