//! What an event changed, and what its head commit says.
//!
//! GitHub lists at most 3,000 files of a pull request, in pages, and 300 of a comparison of two commits, all of them on
//! its first page. A longer list is cut, and nothing in it says so but its length.

use serde::Deserialize;

use super::{api::Api, files::encoded};
use crate::{
    forge::{ForgeError, payload},
    model::{ChangedFiles, Event, EventKind, Repository, Sha},
};

const MOST_OF_PULL: usize = 3000;
const MOST_OF_COMPARISON: usize = 300;
const PAGE: usize = 100;

#[derive(Deserialize)]
struct Changed {
    filename: String,
    /// Of one that was moved.
    previous_filename: Option<String>,
}

#[derive(Deserialize)]
struct Comparison {
    #[serde(default)]
    files: Vec<Changed>,
}

#[derive(Deserialize)]
struct Commit {
    message: String,
}

/// A commit's message.
pub(super) async fn message(api: &Api, repository: &Repository, sha: &Sha) -> Result<String, ForgeError> {
    let Commit { message } = api.get(repository, format!("/repos/{}/git/commits/{sha}", repository.name)).await?;
    Ok(message.chars().take(payload::LONGEST_MESSAGE).collect())
}

/// What an event changed.
pub(super) async fn files(api: &Api, event: &Event) -> Result<ChangedFiles, ForgeError> {
    let repository = &event.repository;
    match (&event.kind, &event.base_sha) {
        (EventKind::PullRequest(pull), _) => of_pull(api, repository, pull.number).await,
        (EventKind::Push { .. } | EventKind::MergeGroup { .. }, Some(base)) => {
            compared(api, repository, base.as_str(), &event.sha).await
        }
        (EventKind::Push { branch }, None) if *branch != repository.default_branch => {
            compared(api, repository, &encoded(&repository.default_branch), &event.sha).await
        }
        _ => Ok(ChangedFiles::unknown(format!("this {} is compared with nothing", event.name()))),
    }
}

async fn of_pull(api: &Api, repository: &Repository, number: u64) -> Result<ChangedFiles, ForgeError> {
    let mut all = Vec::new();
    for page in 1..=MOST_OF_PULL / PAGE {
        let path = format!("/repos/{}/pulls/{number}/files?per_page={PAGE}&page={page}", repository.name);
        let files: Vec<Changed> = api.get(repository, path).await?;
        let last = files.len() < PAGE;
        all.extend(files);
        if last {
            break;
        }
    }
    Ok(known(all, MOST_OF_PULL))
}

async fn compared(api: &Api, repository: &Repository, base: &str, head: &Sha) -> Result<ChangedFiles, ForgeError> {
    // the files are all on the first page, whose commits nobody needs
    let path = format!("/repos/{}/compare/{base}...{head}?per_page=1&page=1", repository.name);
    let Comparison { files } = api.get(repository, path).await?;
    Ok(known(files, MOST_OF_COMPARISON))
}

fn known(files: Vec<Changed>, most: usize) -> ChangedFiles {
    let gap = (files.len() >= most).then(|| format!("GitHub lists only {most} of them"));
    let names = |file: Changed| std::iter::once(file.filename).chain(file.previous_filename);
    ChangedFiles { paths: files.into_iter().flat_map(names).collect(), gap }
}
