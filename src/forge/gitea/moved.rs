//! Which head a delivery tells of. Only the events that start runs tell that a head has moved.

use jiff::Timestamp;
use serde::Deserialize;

use super::{payload::PULL_ACTIONS, time};
use crate::{
    forge::{Moved, swept},
    model::{RepositoryName, Sha},
};

#[derive(Deserialize)]
struct Push {
    r#ref: String,
    before: Sha,
    after: Sha,
    repository: Repository,
}

#[derive(Deserialize)]
struct Repository {
    full_name: RepositoryName,
    updated_at: Option<Timestamp>,
}

/// Whatever cannot be read tells of nothing; intake says why.
pub(super) fn moved(event: &str, body: &[u8]) -> Option<Moved> {
    match event {
        "push" => push(serde_json::from_slice(body).ok()?),
        "pull_request" => swept::moved_pull(body, &PULL_ACTIONS),
        _ => None,
    }
}

fn push(push: Push) -> Option<Moved> {
    let head = push.r#ref.starts_with("refs/heads/") || push.r#ref.starts_with("refs/tags/");
    (head && !push.after.is_zero() && push.before != push.after).then(|| Moved {
        repository: push.repository.full_name,
        name: push.r#ref,
        sha: push.after,
        happened: push.repository.updated_at.map(time),
    })
}
