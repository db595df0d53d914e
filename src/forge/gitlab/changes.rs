//! What an event changed, and what its head commit says.
//!
//! A push's payload names at most 20 commits, so the paths come from a comparison, which GitLab cuts where it has too
//! many files, or too much to show. Nothing in it says so but its length.

use gitlab::api::{
    common::NameOrId,
    endpoint_prelude::{Cow, Endpoint, Method},
    projects::{
        merge_requests::MergeRequestDiffs,
        repository::commits::{Commit, CompareCommits},
    },
};
use serde::Deserialize;

use super::api::Api;
use crate::{
    forge::{ForgeError, payload},
    model::{ChangedFiles, Event, EventKind, Repository, Sha},
};

/// GitLab shows at most so many files of a comparison, unless its administrator has said otherwise.
const MOST_OF_COMPARISON: usize = 1000;
/// We read so many of a merge request.
const MOST_OF_REQUEST: usize = 3000;

#[derive(Deserialize)]
struct Changed {
    new_path: String,
    old_path: String,
}

#[derive(Deserialize)]
struct Comparison {
    #[serde(default)]
    diffs: Vec<Changed>,
    #[serde(default)]
    compare_timeout: bool,
}

#[derive(Deserialize)]
struct Changes {
    #[serde(default)]
    changes: Vec<Changed>,
    #[serde(default)]
    overflow: bool,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

/// What instances before 15.7 have instead of a list of diffs.
struct OldChanges<'a> {
    project: NameOrId<'a>,
    number: u64,
}

impl Endpoint for OldChanges<'_> {
    fn method(&self) -> Method {
        Method::GET
    }

    fn endpoint(&self) -> Cow<'static, str> {
        format!("projects/{}/merge_requests/{}/changes", self.project, self.number).into()
    }
}

/// A commit's message.
pub(super) async fn message(api: &Api, repository: &Repository, sha: &Sha) -> Result<String, ForgeError> {
    let call = Commit::builder().project(repository.name.as_str()).commit(sha.as_str()).build();
    let Message { message } = api.get(call).await?;
    Ok(message.chars().take(payload::LONGEST_MESSAGE).collect())
}

/// What an event changed.
pub(super) async fn files(api: &Api, event: &Event) -> Result<ChangedFiles, ForgeError> {
    let repository = &event.repository;
    let found = match (&event.kind, &event.base_sha) {
        (EventKind::PullRequest(pull), _) => of_request(api, repository, pull.number).await,
        (EventKind::Push { .. } | EventKind::MergeGroup { .. }, Some(base)) => {
            compared(api, repository, base.as_str(), &event.sha).await
        }
        (EventKind::Push { branch }, None) if *branch != repository.default_branch => {
            compared(api, repository, &repository.default_branch, &event.sha).await
        }
        _ => Ok(ChangedFiles::unknown(format!("this {} is compared with nothing", event.name()))),
    };
    match found {
        // our own no: all of the changes together are longer than an answer may be
        Err(ForgeError::Refused { status: 0, message, .. }) => Ok(ChangedFiles::unknown(message)),
        found => found,
    }
}

async fn of_request(api: &Api, repository: &Repository, number: u64) -> Result<ChangedFiles, ForgeError> {
    let project = repository.name.as_str();
    let call = MergeRequestDiffs::builder().project(project).merge_request(number).build();
    match api.list(call, MOST_OF_REQUEST).await {
        Ok((files, more)) => Ok(known(files, more.then_some(MOST_OF_REQUEST))),
        Err(ForgeError::Refused { status: 404, .. }) => {
            let call = OldChanges { project: project.into(), number };
            let Changes { changes, overflow } = api.get(Ok::<_, String>(call)).await?;
            let cut = overflow.then_some(changes.len());
            Ok(known(changes, cut))
        }
        Err(error) => Err(error),
    }
}

async fn compared(api: &Api, repository: &Repository, base: &str, head: &Sha) -> Result<ChangedFiles, ForgeError> {
    let call = CompareCommits::builder().project(repository.name.as_str()).from(base).to(head.as_str()).build();
    let Comparison { diffs, compare_timeout } = api.get(call).await?;
    if compare_timeout {
        return Ok(ChangedFiles::unknown("GitLab has found the comparison too long"));
    }
    let cut = (diffs.len() >= MOST_OF_COMPARISON).then_some(diffs.len());
    Ok(known(diffs, cut))
}

fn known(files: Vec<Changed>, cut: Option<usize>) -> ChangedFiles {
    let gap = cut.map(|most| format!("GitLab lists only {most} of them"));
    let mut paths = Vec::with_capacity(files.len());
    for file in files {
        if file.old_path != file.new_path {
            paths.push(file.old_path);
        }
        paths.push(file.new_path);
    }
    ChangedFiles { paths, gap }
}
