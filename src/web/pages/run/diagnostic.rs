//! What the flow file says.

use askama::Template;

use crate::model::{Diagnostic, Severity};

/// A diagnostic, with its line and a mark below the fault.
#[derive(Template)]
#[template(path = "diagnostic.html")]
pub(in crate::web::pages) struct DiagnosticView {
    label: &'static str,
    message: String,
    line: usize,
    column: usize,
    before: String,
    fault: String,
    after: String,
    caret: String,
    hint: Option<String>,
}

impl From<&Diagnostic> for DiagnosticView {
    fn from(d: &Diagnostic) -> Self {
        let at = d.column.saturating_sub(1);
        let part = |skip: usize, take: usize| d.source.chars().skip(skip).take(take).collect::<String>();
        // tabs stay tabs, so that the caret stands under its character
        let blank: String = part(0, at).chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        Self {
            label: match d.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: d.message.clone(),
            line: d.line,
            column: d.column,
            before: part(0, at),
            fault: part(at, d.length),
            after: part(at + d.length, usize::MAX),
            caret: format!("{blank}{}", "^".repeat(d.length.clamp(1, 200))),
            hint: d.hint.clone(),
        }
    }
}
