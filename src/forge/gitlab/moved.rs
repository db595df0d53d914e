//! Which head a delivery tells of. Only the events that start runs tell that a head has moved: a comment on a merge
//! request names its head, too, though nothing may ever have run there.

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    payload::{self, Kind},
    time,
};
use crate::{
    forge::Moved,
    model::{RepositoryName, Sha},
};

#[derive(Deserialize)]
struct Push {
    r#ref: String,
    after: Sha,
    checkout_sha: Option<Sha>,
    project: Project,
}

#[derive(Deserialize)]
struct MergeRequest {
    object_attributes: Request,
    project: Project,
}

#[derive(Deserialize)]
struct Request {
    iid: u64,
    #[serde(default)]
    action: String,
    oldrev: Option<Sha>,
    last_commit: Option<Commit>,
    updated_at: Option<String>,
}

#[derive(Deserialize)]
struct Commit {
    id: Sha,
}

#[derive(Deserialize)]
struct Project {
    path_with_namespace: RepositoryName,
}

/// Whatever cannot be read tells of nothing; intake says why.
pub(super) fn moved(body: &[u8]) -> Option<Moved> {
    match payload::kind(body)? {
        Kind::Push | Kind::Tag => push(serde_json::from_slice(body).ok()?),
        Kind::MergeRequest => merge_request(serde_json::from_slice(body).ok()?),
        Kind::Note | Kind::Project | Kind::Other(_) => None,
    }
}

fn push(push: Push) -> Option<Moved> {
    let is_tag = push.r#ref.starts_with("refs/tags/");
    let head = is_tag || push.r#ref.starts_with("refs/heads/");
    // the list of tags has their commits
    let sha = push.checkout_sha.filter(|_| is_tag).unwrap_or_else(|| push.after.clone());
    (head && !push.after.is_zero()).then_some(Moved {
        repository: push.project.path_with_namespace,
        name: push.r#ref,
        sha,
        // a push does not say when it was made
        happened: None,
    })
}

fn merge_request(MergeRequest { object_attributes: request, project }: MergeRequest) -> Option<Moved> {
    if !payload::tells_of_code(&request.action, request.oldrev.is_some()) {
        return None;
    }
    Some(Moved {
        repository: project.path_with_namespace,
        name: format!("refs/pull/{}", request.iid),
        sha: request.last_commit?.id,
        happened: request.updated_at.as_deref().and_then(moment).map(time),
    })
}

/// Older instances write `2026-03-01 09:30:00 UTC`.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| format!("{}Z", text.strip_suffix(" UTC")?).parse().ok())
}
