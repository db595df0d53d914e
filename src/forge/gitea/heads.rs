//! Where branches, tags and pull requests are, and webhooks made of that: for all that was lost on the way, for neither
//! Gitea nor Forgejo delivers anything twice.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    call::{Api, Call},
    payload, time,
};
use crate::{
    forge::{ForgeError, Head, Heads, Webhook},
    model::{Repository, Sha},
};

/// How many branches, tags and pull requests are read.
const MOST: usize = 1000;
const BRANCHES: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";
const PULLS: &str = "refs/pull/";

#[derive(Deserialize)]
struct Branch {
    name: String,
    commit: BranchCommit,
}

#[derive(Deserialize)]
struct BranchCommit {
    id: Sha,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    /// Of an annotated one its own object.
    id: Sha,
    commit: TagCommit,
}

#[derive(Deserialize)]
struct TagCommit {
    sha: Sha,
}

#[derive(Deserialize)]
struct Commit {
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

/// What a pull request has of use to us; [`Pull::told`] keeps it for the webhook.
#[derive(Deserialize)]
struct Pull {
    number: u64,
    title: String,
    #[serde(default)]
    draft: bool,
    user: Option<Account>,
    labels: Option<Vec<Label>>,
    head: PullHead,
    base: PullHead,
    updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Label {
    name: String,
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

/// All heads; see the trait.
pub(super) async fn heads(api: &Api, repository: &Repository) -> Result<Heads, ForgeError> {
    let name = &repository.name;
    let (branches, more_branches) = api.pages::<Branch>(&format!("/repos/{name}/branches?"), MOST).await?;
    let (tags, more_tags) = api.pages::<Tag>(&format!("/repos/{name}/tags?"), MOST).await?;
    let (pulls, more_pulls) = api.pages::<Pull>(&format!("/repos/{name}/pulls?state=open&"), MOST).await?;
    let heads = branches.into_iter().map(Branch::head).chain(tags.into_iter().map(Tag::head));
    let heads = heads.chain(pulls.iter().map(Pull::head));
    let cut = [(BRANCHES, more_branches), (TAGS, more_tags), (PULLS, more_pulls)];
    Ok(Heads {
        heads: heads.filter(|head| head.name.len() <= payload::LONGEST_REF).collect(),
        cut: cut.into_iter().filter_map(|(kind, more)| more.then_some(kind)).collect(),
    })
}

/// The number of the open pull request from this branch of this repository into it.
pub(super) async fn open_pull_request(
    api: &Api,
    repository: &Repository,
    branch: &str,
) -> Result<Option<u64>, ForgeError> {
    let list = format!("/repos/{}/pulls?state=open&", repository.name);
    let (pulls, _) = api.pages::<Pull>(&list, MOST).await?;
    let is_ours = |pull: &Pull| {
        let (head, base) = (pull.head.repo.as_ref(), pull.base.repo.as_ref());
        pull.head.r#ref == branch && head.zip(base).is_some_and(|(head, base)| head.id == base.id)
    };
    Ok(pulls.into_iter().find(is_ours).map(|pull| pull.number))
}

/// The webhook of one head; see the trait.
pub(super) async fn webhook(
    api: &Api,
    repository: &Repository,
    head: &Head,
    before: &Sha,
) -> Result<Webhook, ForgeError> {
    if head.name.starts_with(PULLS) {
        return Ok(pull_request(repository, head, before));
    }
    let commit = head.told.as_str().unwrap_or(head.sha.as_str());
    let path = format!("/repos/{}/git/commits/{commit}", repository.name);
    let commit: Commit = api.send(&Call::get(path).without_redirects()).await?.json()?;
    Ok(push(repository, head, before, &commit))
}

fn push(repository: &Repository, head: &Head, before: &Sha, commit: &Commit) -> Webhook {
    let date = commit.commit.committer.as_ref().and_then(|committer| committer.date.clone());
    let body = json!({
        "ref": head.name,
        "before": before,
        "after": head.sha,
        "head_commit": { "id": commit.sha, "message": commit.commit.message, "timestamp": date },
        "repository": described(repository),
        "sender": commit.author.as_ref().map(|author| json!({"login": author.login})),
    });
    let happened = date.and_then(|date| date.parse().ok()).map(time);
    Webhook { event: "push".to_owned(), body: body.to_string().into_bytes(), happened }
}

fn pull_request(repository: &Repository, head: &Head, before: &Sha) -> Webhook {
    let updated = head.told["updated_at"].as_str().and_then(|text| text.parse().ok()).map(time);
    let body = json!({
        "action": if before.is_zero() { "opened" } else { "synchronized" },
        "number": head.told["number"],
        "pull_request": head.told,
        "repository": described(repository),
        "sender": mover(repository, head),
    });
    Webhook { event: "pull_request".to_owned(), body: body.to_string().into_bytes(), happened: updated }
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

impl Branch {
    fn head(self) -> Head {
        Head { name: format!("{BRANCHES}{}", self.name), sha: self.commit.id, told: Value::Null }
    }
}

impl Tag {
    fn head(self) -> Head {
        Head { name: format!("{TAGS}{}", self.name), sha: self.id, told: json!(self.commit.sha) }
    }
}

impl Pull {
    fn head(&self) -> Head {
        Head { name: format!("{PULLS}{}", self.number), sha: self.head.sha.clone(), told: self.told() }
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
