//! What a run of untrusted code waits for: whose it is, what it changes of the flow file, and what was said.

use similar::{ChangeTag, TextDiff};

use super::Moment;
use crate::{
    engine::vetting::why,
    model::FlowFrom,
    store::{RunRow, Vetting, VettingRow},
};

/// More lines of a difference than anybody reads on this page.
const LINES: usize = 400;
/// Lines around a change that show where it is.
const AROUND: usize = 3;

/// A run of untrusted code.
pub(super) struct VettingView {
    /// What it waits for; empty if it waits no longer.
    pub(super) waits: String,
    /// The commit to be approved.
    pub(super) sha: String,
    /// How it came to run, or not to.
    pub(super) answer: String,
    /// When.
    pub(super) answered: Option<Moment>,
    /// Whose flow file it is.
    pub(super) whose: &'static str,
    /// The digest of the flow file, which an approval names.
    pub(super) flow: String,
    /// What the pull request changes of it.
    pub(super) diff: Vec<DiffLine>,
    /// Whether there is more.
    pub(super) more: bool,
}

/// A line of a difference.
pub(super) struct DiffLine {
    /// `added`, `removed` or `same`.
    pub(super) class: &'static str,
    /// `+`, `-` or a blank.
    pub(super) sign: char,
    pub(super) text: String,
}

impl VettingView {
    pub(super) fn new(run: &RunRow, row: &VettingRow) -> Self {
        let waits = row.standing() == Vetting::Waits && run.state.conclusion().is_none();
        let diff = diff(row.base_text.as_deref().unwrap_or_default(), row.head_text.as_deref().unwrap_or_default());
        Self {
            waits: why(&run.event).filter(|_| waits).unwrap_or_default(),
            sha: run.sha.to_string(),
            answer: words(row),
            answered: row.answered.map(Moment),
            whose: match row.flow_from() {
                FlowFrom::Base => "It is run by the flow file of the base branch.",
                FlowFrom::Head => "It is run by its own flow file.",
            },
            flow: row.flow_digest.clone(),
            more: diff.len() > LINES,
            diff: diff.into_iter().take(LINES).collect(),
        }
    }
}

fn words(row: &VettingRow) -> String {
    let note = if row.note.is_empty() { String::new() } else { format!(": {}", row.note) };
    match row.standing() {
        Vetting::Waits => String::new(),
        Vetting::Admitted => "the repository's rule lets such code run".to_owned(),
        standing @ (Vetting::Approved | Vetting::Rejected) => {
            format!("{} by {}{note}", standing.as_str(), row.answered_by)
        }
    }
}

/// The lines that differ, with some around them.
fn diff(base: &str, head: &str) -> Vec<DiffLine> {
    let diff = TextDiff::configure().timeout(std::time::Duration::from_millis(200)).diff_lines(base, head);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(AROUND) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (class, sign) = match change.tag() {
                ChangeTag::Delete => ("removed", '-'),
                ChangeTag::Insert => ("added", '+'),
                ChangeTag::Equal => ("same", ' '),
            };
            lines.push(DiffLine { class, sign, text: change.value().trim_end_matches(['\n', '\r']).to_owned() });
        }
    }
    lines
}
