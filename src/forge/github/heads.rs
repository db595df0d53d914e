//! Where branches, tags and pull requests are, and webhooks made of that: for pushes that were larger than GitHub
//! delivers, for more than three tags pushed at once, and for all that was lost on the way.

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    api::Api,
    call::{Call, refused},
    files::encoded,
    payload, time,
};
use crate::{
    forge::{ForgeError, Head, Heads, Webhook},
    model::{Repository, Sha},
};

/// As many as GitHub puts on one page.
const PER_PAGE: usize = 100;
/// How many pages of branches, and of pull requests, are read.
const PAGES: usize = 10;
const BRANCHES: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";
const PULLS: &str = "refs/pull/";

#[derive(Deserialize)]
struct Branch {
    name: String,
    commit: Named,
}

#[derive(Deserialize)]
struct Named {
    sha: Sha,
}

#[derive(Deserialize)]
struct Tag {
    r#ref: String,
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    sha: Sha,
    r#type: String,
}

#[derive(Deserialize)]
struct Commit {
    sha: Sha,
    commit: CommitData,
    author: Option<Account>,
}

#[derive(Deserialize)]
struct CommitData {
    message: String,
    committer: Option<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    date: Option<Timestamp>,
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

/// All heads; see the trait. A merge queue's branches are left out: its own events count.
pub(super) async fn heads(api: &Api, repository: &Repository) -> Result<Heads, ForgeError> {
    let name = &repository.name;
    let (branches, more_branches) = pages::<Branch>(api, repository, &format!("/repos/{name}/branches?")).await?;
    let (pulls, more_pulls) = pages::<Pull>(api, repository, &format!("/repos/{name}/pulls?state=open&")).await?;
    let (tags, more_tags) = tags(api, repository).await?;
    let branches = branches.into_iter().filter(|branch| !branch.name.starts_with(payload::QUEUE));
    let heads = branches.map(Branch::head).chain(tags.into_iter().map(Tag::head)).chain(pulls.iter().map(Pull::head));
    let cut = [(BRANCHES, more_branches), (TAGS, more_tags), (PULLS, more_pulls)];
    Ok(Heads {
        heads: heads.filter(|head| head.name.len() <= payload::LONGEST_REF).collect(),
        cut: cut.into_iter().filter_map(|(kind, more)| more.then_some(kind)).collect(),
    })
}

/// All tags: GitHub has no pages for them. Whether there are more than an answer may hold; then none are listed.
async fn tags(api: &Api, repository: &Repository) -> Result<(Vec<Tag>, bool), ForgeError> {
    let call = Call::get(format!("/repos/{}/git/matching-refs/tags", repository.name)).without_redirects();
    match api.send(repository, &call).await {
        Ok(answer) => Ok((answer.json()?, false)),
        // what we refuse ourselves
        Err(ForgeError::Refused { status: 0, .. }) => Ok((Vec::new(), true)),
        Err(error) => Err(error),
    }
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
    let what = match (head.name.strip_prefix(TAGS), head.told.as_str()) {
        // the object is a note about the commit, and has a name of its own
        (Some(tag), Some("tag")) => format!("tags/{tag}"),
        (Some(_), Some("commit")) | (None, _) => head.sha.to_string(),
        (Some(tag), _) => return Err(refused(0, format!("the tag {tag} does not name a commit"))),
    };
    let path = format!("/repos/{}/commits/{}", repository.name, encoded(&what).replace('/', "%2F"));
    let commit: Commit = api.send(repository, &Call::get(path).without_redirects()).await?.json()?;
    Ok(push(repository, head, before, &commit))
}

fn push(repository: &Repository, head: &Head, before: &Sha, commit: &Commit) -> Webhook {
    let date = commit.commit.committer.as_ref().and_then(|committer| committer.date);
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
    Webhook { event: "push".to_owned(), body: body.to_string().into_bytes(), happened: date.map(time) }
}

fn pull_request(repository: &Repository, head: &Head, before: &Sha) -> Webhook {
    let updated = head.told["updated_at"].as_str().and_then(|text| text.parse().ok()).map(time);
    let body = json!({
        "action": if before.is_zero() { "opened" } else { "synchronize" },
        "number": head.told["number"],
        "pull_request": head.told,
        "repository": described(repository),
        "sender": mover(repository, head),
        "installation": installation(repository),
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

fn installation(repository: &Repository) -> Option<Value> {
    repository.installation.map(|id| json!({ "id": id }))
}

impl Branch {
    fn head(self) -> Head {
        Head { name: format!("{BRANCHES}{}", self.name), sha: self.commit.sha, told: Value::Null }
    }
}

impl Tag {
    fn head(self) -> Head {
        Head { name: self.r#ref, sha: self.object.sha, told: json!(self.object.r#type) }
    }
}

impl Pull {
    fn head(&self) -> Head {
        Head { name: format!("{PULLS}{}", self.number), sha: self.head.sha.clone(), told: self.told() }
    }

    fn told(&self) -> Value {
        json!({
            "number": self.number,
            "title": self.title,
            "draft": self.draft,
            "user": self.user.as_ref().map(|user| json!({"login": user.login})),
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

/// The pages of a list, up to [`PAGES`], and whether there may be more.
async fn pages<T: DeserializeOwned>(
    api: &Api,
    repository: &Repository,
    list: &str,
) -> Result<(Vec<T>, bool), ForgeError> {
    let mut all = Vec::new();
    for page in 1..=PAGES {
        let call = Call::get(format!("{list}per_page={PER_PAGE}&page={page}")).without_redirects();
        let here: Vec<T> = api.send(repository, &call).await?.json()?;
        let last = here.len() < PER_PAGE;
        all.extend(here);
        if last {
            return Ok((all, false));
        }
    }
    Ok((all, true))
}
