//! Where branches, tags and pull requests are, and webhooks made of that: for all that was lost on the way, for neither
//! Gitea nor Forgejo delivers anything twice.

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Api, Call};
use crate::{
    forge::{
        ForgeError, Head, Heads, Webhook,
        swept::{self, BRANCHES, Commit, PULLS, Pull, TAGS},
    },
    model::{Repository, Sha},
};

/// How many branches, tags and pull requests are read.
const MOST: usize = 1000;

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

/// All heads; see the trait.
pub(super) async fn heads(api: &Api, repository: &Repository) -> Result<Heads, ForgeError> {
    let name = &repository.name;
    let (branches, more_branches) = api.pages::<Branch>(&format!("/repos/{name}/branches?"), MOST).await?;
    let (tags, more_tags) = api.pages::<Tag>(&format!("/repos/{name}/tags?"), MOST).await?;
    let (pulls, more_pulls) = api.pages::<Pull>(&format!("/repos/{name}/pulls?state=open&"), MOST).await?;
    let heads = branches.into_iter().map(Branch::head).chain(tags.into_iter().map(Tag::head));
    let heads = heads.chain(pulls.iter().map(Pull::head));
    Ok(swept::found(heads, [(BRANCHES, more_branches), (TAGS, more_tags), (PULLS, more_pulls)]))
}

/// The number of the open pull request from this branch of this repository into it.
pub(super) async fn open_pull_request(
    api: &Api,
    repository: &Repository,
    branch: &str,
) -> Result<Option<u64>, ForgeError> {
    let list = format!("/repos/{}/pulls?state=open&", repository.name);
    let (pulls, _) = api.pages::<Pull>(&list, MOST).await?;
    Ok(pulls.iter().find_map(|pull| pull.if_own_branch(branch)))
}

/// The webhook of one head; see the trait.
pub(super) async fn webhook(
    api: &Api,
    repository: &Repository,
    head: &Head,
    before: &Sha,
) -> Result<Webhook, ForgeError> {
    if head.name.starts_with(PULLS) {
        return Ok(swept::pull_request(repository, head, before, "synchronized"));
    }
    let commit = head.told.as_str().unwrap_or(head.sha.as_str());
    let path = format!("/repos/{}/git/commits/{commit}", repository.name);
    let commit: Commit = api.send(&Call::get(path).without_redirects()).await?.json()?;
    Ok(swept::push(repository, head, before, &commit))
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
