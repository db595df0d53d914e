//! What forges are told of a commit, and what they show of it.

use crate::model::{Context, Event, Report, Repository, Sha};

/// What a forge is to be told.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Where.
    pub repository: &'a Repository,
    /// On which commit.
    pub sha: &'a Sha,
    /// Why that commit is built, where a forge must be told whose it is: by the run that speaks.
    pub event: Option<&'a Event>,
    /// Under which name.
    pub context: &'a Context,
    /// What.
    pub report: &'a Report,
}

/// A forge's answer to a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It shows all that was wanted.
    Whole {
        /// What later calls for the same context need: a check run's id.
        known: Option<String>,
    },
    /// It shows a part: the call is made again, with this `known`, for the rest.
    Part {
        /// What the next call needs.
        known: String,
    },
    /// It took nothing, and will never take another state of this context on this commit.
    Full {
        /// In the forge's words.
        reason: String,
    },
}

/// Who pays for what a repository is told, and how much that may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Whose budget it is; unique over all forges. What one account waits for holds up no other.
    pub account: String,
    /// The most calls that write; `None`: no limit is known.
    pub writes: Option<Writes>,
    /// The most states of one context on one commit; `None`: no limit is known.
    pub states: Option<i64>,
    /// How many calls about one commit may be under way.
    pub at_once: AtOnce,
}

/// How many calls about one commit a forge takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtOnce {
    /// Any number.
    Many,
    /// One after the other. A commit that is slow to take them holds one of the account's hands, and no more.
    One,
}

/// The most calls that write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writes {
    /// In any minute.
    pub per_minute: i64,
    /// In any hour.
    pub per_hour: i64,
}

/// What a forge shows of one context of one commit, as far as it can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Under which name.
    pub context: Context,
    /// What calls for this context need.
    pub known: Option<String>,
    /// In the forge's own word: `in_progress`, `success`, …
    pub state: String,
    /// One line.
    pub title: String,
    /// Where it leads.
    pub url: String,
    /// Ours, as it was given; empty where the forge keeps none.
    pub external_id: String,
    /// Markdown; empty where the forge keeps none.
    pub summary: String,
    /// How many annotations it has.
    pub annotations: usize,
}

impl Shown {
    /// Whether this is what was expected. Forges change line ends and blanks, so words are compared; annotations of an
    /// earlier run stay where they are, so there may be more.
    pub fn is(&self, expected: &Self) -> bool {
        self.context == expected.context
            && self.state == expected.state
            && self.url == expected.url
            && self.external_id == expected.external_id
            && words(&self.title).eq(words(&expected.title))
            && words(&self.summary).eq(words(&expected.summary))
            && self.annotations >= expected.annotations
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_older_annotations_make_no_difference_and_everything_else_does() {
        let expected = Shown {
            context: Context("containerops/ci/push".to_owned()),
            known: None,
            state: "failure".to_owned(),
            title: "2 errors".to_owned(),
            url: "https://ci.example.com/1".to_owned(),
            external_id: "1".to_owned(),
            summary: "one\ntwo\n".to_owned(),
            annotations: 2,
        };
        let differing = |change: fn(&mut Shown)| {
            let mut shown = expected.clone();
            change(&mut shown);
            shown.is(&expected)
        };
        assert!(differing(|shown| shown.summary = "one\r\ntwo".to_owned()));
        assert!(differing(|shown| shown.annotations = 3));
        assert!(differing(|shown| shown.known = Some("7".to_owned())));
        assert!(!differing(|shown| shown.annotations = 1));
        assert!(!differing(|shown| shown.state = "success".to_owned()));
        assert!(!differing(|shown| shown.title = "3 errors".to_owned()));
        assert!(!differing(|shown| shown.url.clear()));
        assert!(!differing(|shown| shown.external_id = "2".to_owned()));
        assert!(!differing(|shown| shown.summary = "one".to_owned()));
        assert!(!differing(|shown| shown.context.0.clear()));
    }
}
