//! Which annotations the model takes.

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct AnnotationBody {
    path: String,
    start_line: u64,
    end_line: u64,
    start_column: Option<u64>,
    end_column: Option<u64>,
    annotation_level: String,
    pub(super) message: String,
    title: Option<String>,
}

impl AnnotationBody {
    pub(super) fn is_good(&self) -> bool {
        !self.path.is_empty()
            && (1..=self.end_line).contains(&self.start_line)
            && (self.start_column.is_none() || self.start_line == self.end_line)
            && self.start_column <= self.end_column
            && matches!(self.annotation_level.as_str(), "notice" | "warning" | "failure")
            && (1..=64 << 10).contains(&self.message.len())
            && self.title.as_ref().is_none_or(|title| title.chars().count() <= 255)
    }
}
