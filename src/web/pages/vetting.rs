//! What a run of untrusted code waits for: whose it is, what it changes of the flow file, and what was said.

use std::{collections::BTreeSet, time::Duration};

use similar::{ChangeTag, TextDiff};

use super::{Failure, Moment};
use crate::{
    engine::{
        closing::WAITS,
        vetting::{Ballot, why},
    },
    model::{Answer, FlowFrom, Right},
    store::{RunRow, Vetting, VettingRow},
    web::{Web, access::Granted},
};

/// More lines of a difference than anybody reads on this page.
const LINES: usize = 400;
/// Lines around a change that show where it is.
const AROUND: usize = 3;
/// A difference need not be the smallest if that takes longer to find.
const PATIENCE: Duration = Duration::from_millis(200);

/// A run of untrusted code.
pub(super) struct VettingView {
    /// What it waits for; empty if it waits no longer.
    pub(super) waits: String,
    /// Until when.
    pub(super) until: Moment,
    /// Whether whoever looks may answer.
    pub(super) may: bool,
    /// The secrets that its jobs ask for, and get only by name.
    pub(super) secrets: Vec<String>,
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
    pub(super) fn new(run: &RunRow, row: &VettingRow, of: &Granted) -> Self {
        let waits = row.standing() == Vetting::Waits && run.state.conclusion().is_none();
        let diff = diff(row.base_text.as_deref().unwrap_or_default(), row.head_text.as_deref().unwrap_or_default());
        Self {
            may: waits && of.allows(Right::Approve).and_then(|()| of.ranks(Right::Run)).is_ok(),
            secrets: run.wants.iter().flat_map(|wants| wants.names()).map(ToString::to_string).collect(),
            waits: why(&run.event).filter(|_| waits).unwrap_or_default(),
            until: Moment(row.asked.after(WAITS)),
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

/// What somebody has looked at, and what they say to it.
#[derive(Debug, Default)]
pub(in crate::web) struct Looked {
    /// The commit.
    pub(in crate::web) sha: String,
    /// The digest of the flow file; `None`: they do not say.
    pub(in crate::web) flow: Option<String>,
    /// The names of the secrets that they grant.
    pub(in crate::web) secrets: BTreeSet<String>,
    /// In words.
    pub(in crate::web) note: String,
}

/// Takes the answer of someone who may write to the repository.
pub(in crate::web) async fn vet(
    web: &Web,
    of: &Granted,
    run: &RunRow,
    answer: Answer,
    looked: Looked,
) -> Result<(), Failure> {
    of.ranks(Right::Run)?;
    let Looked { sha, flow, secrets, note } = looked;
    let sha = sha.parse().map_err(|error: crate::model::NameError| Failure::Words(error.to_string()))?;
    let acting = of.does(web, "answer for untrusted code", run.words());
    let ballot = Ballot { sha, flow, answer, secrets, by: of.by(), note };
    acting.came_to(acting.engine.vet(run.id, &ballot).await).await
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

/// What untrusted code changes of its flow file, for programs; `None`: nothing.
pub(in crate::web) fn flow_diff(row: &VettingRow, path: &str) -> Option<String> {
    let (base, head) = (row.base_text.as_deref().unwrap_or_default(), row.head_text.as_deref().unwrap_or_default());
    let (old, new) = (format!("a/{path}"), format!("b/{path}"));
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(base, head);
    (base != head).then(|| diff.unified_diff().context_radius(AROUND).header(&old, &new).to_string())
}

/// The lines that differ, with some around them.
fn diff(base: &str, head: &str) -> Vec<DiffLine> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(base, head);
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
