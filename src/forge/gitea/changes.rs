//! What an event changed, and what its head commit says.
//!
//! A comparison lists the files of each commit, and not of all of them together: a file that was changed and changed
//! back counts as changed, which is the safe side of a filter.

use serde::Deserialize;

use super::call::{Api, encoded};
use crate::{
    forge::{ForgeError, payload},
    model::{ChangedFiles, Event, EventKind, Repository, Sha},
};

/// What is behind so many is not looked at.
const MOST: usize = 3000;

#[derive(Deserialize)]
struct Changed {
    filename: String,
    /// Of one that was moved.
    previous_filename: Option<String>,
}

#[derive(Deserialize)]
struct Comparison {
    #[serde(default)]
    total_commits: usize,
    commits: Option<Vec<Compared>>,
    /// Of all commits together, where the forge is new enough to say it.
    files: Option<Vec<Changed>>,
}

#[derive(Deserialize)]
struct Compared {
    files: Option<Vec<Changed>>,
}

#[derive(Deserialize)]
struct Commit {
    commit: Message,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

/// A commit's message.
pub(super) async fn message(api: &Api, repository: &Repository, sha: &Sha) -> Result<String, ForgeError> {
    let Commit { commit } = api.get(format!("/repos/{}/git/commits/{sha}", repository.name)).await?;
    Ok(commit.message.chars().take(payload::LONGEST_MESSAGE).collect())
}

/// What an event changed.
pub(super) async fn files(api: &Api, event: &Event) -> Result<ChangedFiles, ForgeError> {
    let repository = &event.repository;
    match (&event.kind, &event.base_sha) {
        (EventKind::PullRequest(pull), _) => of_pull(api, repository, pull.number).await,
        (EventKind::Push { .. }, Some(base)) => compared(api, repository, base.as_str(), &event.sha).await,
        (EventKind::Push { branch }, None) if *branch != repository.default_branch => {
            compared(api, repository, &encoded(&repository.default_branch), &event.sha).await
        }
        _ => Ok(ChangedFiles::unknown(format!("this {} is compared with nothing", event.name()))),
    }
}

async fn of_pull(api: &Api, repository: &Repository, number: u64) -> Result<ChangedFiles, ForgeError> {
    let list = format!("/repos/{}/pulls/{number}/files?", repository.name);
    let (files, more) = api.pages::<Changed>(&list, MOST).await?;
    let gap = more.then(|| format!("only {MOST} of them are looked at"));
    Ok(ChangedFiles { paths: names(files), gap })
}

async fn compared(api: &Api, repository: &Repository, base: &str, head: &Sha) -> Result<ChangedFiles, ForgeError> {
    let comparison = api.get(format!("/repos/{}/compare/{base}...{head}", repository.name)).await;
    Ok(match comparison {
        Ok(comparison) => known(comparison),
        // a branch that was pushed over has left its commit behind, and the forge may have forgotten it
        Err(ForgeError::Refused { status: 404, .. }) => {
            ChangedFiles::unknown(format!("Gitea does not compare {head} with {base}"))
        }
        Err(error) => return Err(error),
    })
}

fn known(comparison: Comparison) -> ChangedFiles {
    if let Some(files) = comparison.files {
        return ChangedFiles::all(names(files));
    }
    let commits = comparison.commits.unwrap_or_default();
    let gap = match comparison.total_commits.saturating_sub(commits.len()) {
        0 if commits.iter().all(|commit| commit.files.is_some()) => None,
        0 => Some("Gitea does not say which files a commit changed".to_owned()),
        missing => Some(format!("Gitea leaves {missing} commits out")),
    };
    let mut paths: Vec<String> = commits.into_iter().filter_map(|commit| commit.files).flat_map(names).collect();
    paths.sort_unstable();
    paths.dedup();
    ChangedFiles { paths, gap }
}

fn names(files: Vec<Changed>) -> Vec<String> {
    let both = |file: Changed| {
        let moved = file.previous_filename.filter(|previous| !previous.is_empty() && *previous != file.filename);
        std::iter::once(file.filename).chain(moved)
    };
    files.into_iter().flat_map(both).collect()
}
