//! Heads in the shape that GitHub, Gitea and Forgejo share: those that were found by looking, the webhooks made of them,
//! and those of which a delivery tells.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Head, Heads, Moved, Webhook, payload};
use crate::model::{EventKind, Repository, RepositoryName, Sha, Time};

pub(super) const BRANCHES: &str = "refs/heads/";
pub(super) const TAGS: &str = "refs/tags/";
pub(super) const PULLS: &str = "refs/pull/";

/// A commit that a head points to.
#[derive(Deserialize)]
pub(super) struct Commit {
    sha: Sha,
    commit: CommitData,
    author: Option<Account>,
}

#[derive(Deserialize)]
struct CommitData {
    #[serde(default)]
    message: String,
    committer: Option<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    date: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

/// What an open pull request has of use to us; its head keeps it for the webhook.
#[derive(Deserialize)]
pub(super) struct Pull {
    number: u64,
    title: String,
    #[serde(default)]
    draft: bool,
    user: Option<Account>,
    labels: Option<Vec<payload::Label>>,
    head: PullHead,
    base: PullHead,
    updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct PullHead {
    r#ref: String,
    sha: Sha,
    repo: Option<PullRepository>,
}

#[derive(Deserialize)]
struct PullRepository {
    id: u64,
    full_name: String,
}

/// What was found: the heads, and of which kinds there may be more.
pub(super) fn found(heads: impl Iterator<Item = Head>, cut: [(&'static str, bool); 3]) -> Heads {
    Heads {
        heads: heads.filter(|head| head.name.len() <= payload::LONGEST_REF).collect(),
        cut: cut.into_iter().filter_map(|(kind, more)| more.then_some(kind)).collect(),
    }
}

/// The push that moved a branch or a tag.
pub(super) fn push(repository: &Repository, head: &Head, before: &Sha, commit: &Commit) -> Webhook {
    let date = commit.commit.committer.as_ref().and_then(|committer| committer.date.as_deref());
    let body = json!({
        "ref": head.name,
        "before": before,
        "after": head.sha,
        "created": before.is_zero(),
        "deleted": false,
        "head_commit": { "id": commit.sha, "message": commit.commit.message, "timestamp": date },
        "repository": described(repository),
        "sender": commit.author.as_ref().map(|author| json!({"login": author.login})),
        "installation": installation(repository),
    });
    let happened = date.and_then(|date| date.parse().ok()).map(time);
    Webhook { event: "push".to_owned(), body: body.to_string().into_bytes(), happened }
}

/// The delivery about a pull request, by what its head keeps. `moved` is the forge's word for new code.
pub(super) fn pull_request(repository: &Repository, head: &Head, before: &Sha, moved: &str) -> Webhook {
    let updated = head.told["updated_at"].as_str().and_then(|text| text.parse().ok()).map(time);
    let body = json!({
        "action": if before.is_zero() { "opened" } else { moved },
        "number": head.told["number"],
        "pull_request": head.told,
        "repository": described(repository),
        "sender": mover(repository, head),
        "installation": installation(repository),
    });
    Webhook { event: "pull_request".to_owned(), body: body.to_string().into_bytes(), happened: updated }
}

/// The head of which a delivery about a pull request tells, if its action is one that brings new code.
pub(super) fn moved_pull(body: &[u8], actions: &[&str]) -> Option<Moved> {
    #[derive(Deserialize)]
    struct Delivery {
        action: String,
        pull_request: MovedPull,
        repository: Named,
    }
    #[derive(Deserialize)]
    struct MovedPull {
        number: u64,
        head: MovedHead,
        updated_at: Option<Timestamp>,
    }
    #[derive(Deserialize)]
    struct MovedHead {
        sha: Sha,
    }
    #[derive(Deserialize)]
    struct Named {
        full_name: RepositoryName,
    }
    let Delivery { action, pull_request: pull, repository } = serde_json::from_slice(body).ok()?;
    actions.contains(&action.as_str()).then(|| Moved {
        repository: repository.full_name,
        name: format!("{PULLS}{}", pull.number),
        sha: pull.head.sha,
        happened: pull.updated_at.map(time),
    })
}

/// The refs by which an event's commit can be had; `pulls` is what pull requests are below.
pub(super) fn refs(kind: &EventKind, pulls: &str) -> Vec<String> {
    match kind {
        EventKind::Push { branch }
        | EventKind::MergeGroup { branch, .. }
        | EventKind::Schedule { branch, .. }
        | EventKind::Manual { branch, .. }
        | EventKind::Flow { branch, .. } => vec![format!("{BRANCHES}{branch}")],
        EventKind::Tag { tag } => vec![format!("{TAGS}{tag}")],
        EventKind::PullRequest(pull) => vec![format!("{pulls}{}/head", pull.number)],
    }
}

/// A moment as forges write it.
pub(super) fn time(moment: Timestamp) -> Time {
    Time::from_millis(moment.as_millisecond())
}

/// Who has moved a pull request's head, as far as that is known. Whoever opened it need not have pushed to a fork of
/// somebody else's; that one's owner lets others do so.
fn mover(repository: &Repository, head: &Head) -> Value {
    let fork = head.told["head"]["repo"]["full_name"].as_str().filter(|name| *name != repository.name.as_str());
    match fork.and_then(|name| name.split('/').next()) {
        Some(owner) => json!({"login": owner}),
        None => head.told["user"].clone(),
    }
}

fn described(repository: &Repository) -> Value {
    json!({
        "full_name": repository.name,
        "default_branch": repository.default_branch,
        "clone_url": repository.clone_url,
        "html_url": repository.web_url,
    })
}

fn installation(repository: &Repository) -> Option<Value> {
    repository.installation.map(|id| json!({ "id": id }))
}

impl Pull {
    pub(super) fn head(&self) -> Head {
        Head { name: format!("{PULLS}{}", self.number), sha: self.head.sha.clone(), told: self.told() }
    }

    /// Its number, if it is from this branch of the repository that it goes to.
    pub(super) fn if_own_branch(&self, branch: &str) -> Option<u64> {
        let (head, base) = (self.head.repo.as_ref()?, self.base.repo.as_ref()?);
        (self.head.r#ref == branch && head.id == base.id).then_some(self.number)
    }

    fn told(&self) -> Value {
        let labels = self.labels.iter().flatten().map(|label| json!({"name": label.name}));
        json!({
            "number": self.number,
            "title": self.title,
            "draft": self.draft,
            "user": self.user.as_ref().map(|user| json!({"login": user.login})),
            "labels": labels.collect::<Vec<_>>(),
            "head": self.head.told(),
            "base": self.base.told(),
            "updated_at": self.updated_at,
        })
    }
}

impl PullHead {
    fn told(&self) -> Value {
        let repo = self.repo.as_ref().map(|repo| json!({"id": repo.id, "full_name": repo.full_name}));
        json!({ "ref": self.r#ref, "sha": self.sha, "repo": repo })
    }
}
