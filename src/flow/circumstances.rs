//! What is known of an event besides itself, when it is planned.

use crate::model::{ChangedFiles, Event, EventKind};

/// What a forge had to be asked for.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// What the event changed.
    pub changes: ChangedFiles,
    /// Why nothing of it is to run, whatever the files say.
    pub skip: Option<String>,
}

/// Nobody was asked.
impl Default for Circumstances {
    fn default() -> Self {
        Self { changes: ChangedFiles::unknown("nobody was asked for them"), skip: None }
    }
}

/// What a commit's message says so that nothing runs, in whatever case it is written.
const MARKS: [&str; 2] = ["[skip ci]", "[ci skip]"];

/// Whether the head commit's message is asked for, whether it wants to be skipped: that of a push or a pull request.
pub fn heeds_message(event: &Event) -> bool {
    match event.kind {
        EventKind::Push { .. } | EventKind::PullRequest(_) => true,
        EventKind::Tag { .. }
        | EventKind::MergeGroup { .. }
        | EventKind::Schedule { .. }
        | EventKind::Manual { .. }
        | EventKind::Flow { .. } => false,
    }
}

/// Why a commit with this message is not to be run; `None`: it is.
pub fn skip_of(message: &str) -> Option<String> {
    let message = message.to_ascii_lowercase();
    let mark = MARKS.iter().find(|mark| message.contains(**mark))?;
    Some(format!("the head commit's message says {mark}"))
}

#[cfg(test)]
mod tests {
    use super::skip_of;

    #[test]
    fn a_message_says_that_it_is_to_be_skipped_anywhere_and_in_any_case() {
        for skipped in ["[skip ci] Typo", "Typo\n\nIt is only a word. [CI Skip]\n"] {
            assert!(skip_of(skipped).is_some(), "{skipped}");
        }
        for run in ["", "skip ci", "[skip-ci]", "[skip  ci]"] {
            assert!(skip_of(run).is_none(), "{run}");
        }
    }
}
