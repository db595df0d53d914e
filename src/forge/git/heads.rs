//! Where the refs of a bare repository are, and deliveries made of that: its hook may have found us away, and tells
//! only with the next push.

use std::path::Path;

use serde_json::json;

use super::{
    delivery::{Commit, Delivery},
    failed, refused,
};
use crate::{
    forge::{ForgeError, GitCommand, Head, Heads, Moved, Webhook},
    model::{Repository, Sha, Time},
};

/// For the list of all refs: enough for 20,000.
const LIST_MOST: usize = 8 << 20;
/// What is asked of each ref; of an annotated tag, what is asked of the commit that it is for, too.
const FIELDS: [&str; 11] = [
    "refname",
    "objectname",
    "objecttype",
    "authorname",
    "contents:subject",
    "committerdate:unix",
    "*objectname",
    "*objecttype",
    "*authorname",
    "*contents:subject",
    "*committerdate:unix",
];

/// All branches and tags of the bare repository in `directory`.
pub(super) async fn heads(directory: &Path) -> Result<Heads, ForgeError> {
    let format = format!("--format=%({})", FIELDS.join(")%00%("));
    let list = GitCommand::new("for-each-ref").git_dir(directory).args([&format, "refs/heads/", "refs/tags/"]);
    let list = list.run(LIST_MOST).await.map_err(failed)?;
    let list = String::from_utf8_lossy(&list);
    Ok(Heads { heads: list.lines().filter_map(head).collect(), cut: Vec::new() })
}

/// The delivery that the hook would have sent of a ref.
pub(super) fn webhook(
    directory: &Path,
    repository: &Repository,
    head: &Head,
    before: &Sha,
) -> Result<Webhook, ForgeError> {
    let happened = head.told["time"].as_i64().map(Time::from_millis);
    let commit = serde_json::from_value::<Option<Commit>>(head.told["commit"].clone());
    let commit = commit.map_err(|error| refused(error.to_string()))?;
    let name = &repository.name;
    let suffix = if directory.extension().is_some_and(|extension| extension == "git") { ".git" } else { "" };
    let delivery = Delivery {
        repository: name.clone(),
        directory: if name.as_str().ends_with(suffix) { name.to_string() } else { format!("{name}{suffix}") },
        default_branch: repository.default_branch.clone(),
        reference: head.name.clone(),
        before: before.clone(),
        after: head.sha.clone(),
        pusher: commit.as_ref().map_or_else(|| "unknown".to_owned(), |commit| commit.author.clone()),
        commit,
        time: happened.unwrap_or(Time::from_millis(0)),
    };
    let body = serde_json::to_vec(&delivery).map_err(|error| refused(error.to_string()))?;
    Ok(Webhook { event: "push".to_owned(), body, happened })
}

/// The head that a delivery tells of.
pub(super) fn moved(event: &str, body: &[u8]) -> Option<Moved> {
    let delivery: Delivery = (event == "push").then(|| serde_json::from_slice(body).ok()).flatten()?;
    let head = delivery.reference.starts_with("refs/heads/") || delivery.reference.starts_with("refs/tags/");
    (head && !delivery.after.is_zero()).then_some(Moved {
        repository: delivery.repository,
        name: delivery.reference,
        sha: delivery.after,
        happened: Some(delivery.time),
    })
}

/// One line of git's list.
fn head(line: &str) -> Option<Head> {
    let fields: Vec<&str> = line.split('\0').collect();
    let [name, object, kind, of_ref @ ..] = fields.as_slice() else { return None };
    let [author, title, date, commit, commit_kind, of_commit @ ..] = of_ref else { return None };
    let (sha, author, title, date) = match (*kind, *commit_kind, of_commit) {
        ("commit", ..) => (object, author, title, date),
        ("tag", "commit", [author, title, date]) => (commit, author, title, date),
        _ => return Some(Head { name: (*name).to_owned(), sha: object.parse().ok()?, told: json!({}) }),
    };
    let cut = |text: &str| text.chars().take(200).collect::<String>();
    let seconds = date.parse::<i64>().ok();
    let told = json!({
        "commit": { "sha": sha, "title": cut(title), "author": cut(author) },
        "time": seconds.map(|seconds| seconds.saturating_mul(1000)),
    });
    Some(Head { name: (*name).to_owned(), sha: object.parse().ok()?, told })
}
