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
    /// Where it stands, and how bad it is.
    pub(super) fn margin(&self) -> String {
        let Self { path, start_line, end_line, annotation_level, title, .. } = self;
        format!("{annotation_level} {path}:{start_line}-{end_line} [{}]", title.as_deref().unwrap_or_default())
    }

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
