//! Which head a delivery tells of. Only the events that start runs tell that a head has moved: a comment on a pull
//! request names its head, too, though nothing may ever have run there.

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    payload::{self, PULL_ACTIONS},
    time,
};
use crate::{
    forge::{Moved, swept},
    model::{RepositoryName, Sha, Time},
};

#[derive(Deserialize)]
struct Push {
    r#ref: String,
    after: Sha,
    repository: Repository,
}

#[derive(Deserialize)]
struct Repository {
    full_name: RepositoryName,
    pushed_at: Option<Moment>,
}

/// GitHub writes times as text, but for those of a push, which are Unix seconds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Text(Timestamp),
    Seconds(i64),
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
    let queued = push.r#ref.strip_prefix("refs/heads/").is_some_and(|branch| branch.starts_with(payload::QUEUE));
    let head = push.r#ref.starts_with("refs/heads/") || push.r#ref.starts_with("refs/tags/");
    (head && !queued && !push.after.is_zero()).then(|| Moved {
        repository: push.repository.full_name,
        name: push.r#ref,
        sha: push.after,
        happened: push.repository.pushed_at.map(|moment| match moment {
            Moment::Text(moment) => time(moment),
            Moment::Seconds(seconds) => Time::from_millis(seconds.saturating_mul(1000)),
        }),
    })
}
