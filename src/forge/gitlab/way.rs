//! Where states are shown. A commit of the project's own has them there; that of a fork is shown by its merge request
//! as the source project has it, where we may often not write, then as the target project has it, and else one comment
//! says what statuses would.

use serde::{Deserialize, Serialize};

use crate::{
    forge::Wanted,
    model::{Event, EventKind, PullRequest, Repository, RepositoryName},
};

/// GitLab takes no longer ref.
const LONGEST_REF: usize = 255;
/// Why a better way was not taken is said no longer.
const LONGEST_WHY: usize = 160;

/// One way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// A status of the commit in its own project.
    Here,
    /// A status of the commit in the project that a fork's merge request comes from.
    Source,
    /// A status of the commit in the project that it goes to.
    Target,
    /// A line of one comment below the merge request.
    Comment,
}

/// What later calls for a context need. Written as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) way: Way,
    /// Of a fork: the project that the code comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<RepositoryName>,
    /// In which pipeline the status is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pipeline: Option<u64>,
    /// What GitLab was told last, in its own word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) state: String,
    /// Why no better way was taken.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) why: String,
}

/// Where a status is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) project: RepositoryName,
    /// Without it GitLab takes any pipeline of the commit.
    pub(super) r#ref: Option<String>,
}

impl Known {
    pub(super) fn new(way: Way) -> Self {
        Self { way, source: None, pipeline: None, state: String::new(), why: String::new() }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The other way round.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A sentence for people, if the way is not the one where they look first.
    pub(super) fn sentence(&self) -> Option<String> {
        let source = self.source.as_ref().map_or_else(|| "the fork".to_owned(), ToString::to_string);
        let why: String = self.why.chars().take(LONGEST_WHY).collect();
        match self.way {
            Way::Here => None,
            Way::Source => Some(format!("GitLab shows the states in {source}, where the code comes from")),
            Way::Target => Some(format!("GitLab shows the states in this project, and not in {source}: {why}")),
            Way::Comment => Some(format!("A comment below the merge request shows the states: {why}")),
        }
    }
}

/// The ways that there are, best first.
pub(super) fn ways(event: Option<&Event>) -> &'static [Way] {
    match event.and_then(fork) {
        None => &[Way::Here],
        Some(PullRequest { head_repository: Some(_), .. }) => &[Way::Source, Way::Target, Way::Comment],
        Some(PullRequest { head_repository: None, .. }) => &[Way::Target, Way::Comment],
    }
}

/// The merge request, if it is of code from elsewhere.
pub(super) fn fork(event: &Event) -> Option<&PullRequest> {
    event.pull_request().filter(|pull| pull.head_repository.as_ref() != Some(&event.repository.name))
}

/// Where a way leads; a comment is no place for statuses.
pub(super) fn place(way: &Way, repository: &Repository, event: Option<&Event>) -> Option<Place> {
    let here = |name: Option<String>| Place { project: repository.name.clone(), r#ref: name.filter(is_short) };
    match way {
        Way::Here => Some(here(event.and_then(ref_of))),
        Way::Source => {
            let pull = fork(event?)?;
            Some(Place { project: pull.head_repository.clone()?, r#ref: Some(pull.branch.clone()).filter(is_short) })
        }
        Way::Target => Some(here(Some(format!("refs/merge-requests/{}/head", fork(event?)?.number)))),
        Way::Comment => None,
    }
}

/// Which merge request a comment is below.
pub(super) fn request(wanted: &Wanted<'_>) -> Option<u64> {
    wanted.event.and_then(fork).map(|pull| pull.number)
}

fn ref_of(event: &Event) -> Option<String> {
    match &event.kind {
        EventKind::Tag { tag } => Some(tag.clone()),
        EventKind::Push { .. }
        | EventKind::PullRequest(_)
        | EventKind::MergeGroup { .. }
        | EventKind::Schedule { .. }
        | EventKind::Manual { .. }
        | EventKind::Flow { .. } => event.branch().map(str::to_owned),
    }
}

#[expect(clippy::ptr_arg, reason = "it filters owned texts")]
fn is_short(name: &String) -> bool {
    name.len() <= LONGEST_REF
}
