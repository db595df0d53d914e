//! Where branches, tags and pull requests are, and webhooks made of that: for pushes that were larger than GitHub
//! delivers, for more than three tags pushed at once, and for all that was lost on the way.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    api::Api,
    call::{Call, refused},
    files::encoded,
    payload,
};
use crate::{
    forge::{
        ForgeError, Head, Heads, Webhook,
        swept::{self, BRANCHES, Commit, PULLS, Pull, TAGS},
    },
    model::{Repository, Sha},
};

/// As many as GitHub puts on one page.
const PER_PAGE: usize = 100;
/// How many pages of branches, and of pull requests, are read.
const PAGES: usize = 10;

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

/// All heads; see the trait. A merge queue's branches are left out: its own events count.
pub(super) async fn heads(api: &Api, repository: &Repository) -> Result<Heads, ForgeError> {
    let name = &repository.name;
    let (branches, more_branches) = pages::<Branch>(api, repository, &format!("/repos/{name}/branches?")).await?;
    let (pulls, more_pulls) = pages::<Pull>(api, repository, &format!("/repos/{name}/pulls?state=open&")).await?;
    let (tags, more_tags) = tags(api, repository).await?;
    let branches = branches.into_iter().filter(|branch| !branch.name.starts_with(payload::QUEUE));
    let heads = branches.map(Branch::head).chain(tags.into_iter().map(Tag::head)).chain(pulls.iter().map(Pull::head));
    Ok(swept::found(heads, [(BRANCHES, more_branches), (TAGS, more_tags), (PULLS, more_pulls)]))
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
        return Ok(swept::pull_request(repository, head, before, "synchronize"));
    }
    let what = match (head.name.strip_prefix(TAGS), head.told.as_str()) {
        // the object is a note about the commit, and has a name of its own
        (Some(tag), Some("tag")) => format!("tags/{tag}"),
        (Some(_), Some("commit")) | (None, _) => head.sha.to_string(),
        (Some(tag), _) => return Err(refused(0, format!("the tag {tag} does not name a commit"))),
    };
    let path = format!("/repos/{}/commits/{}", repository.name, encoded(&what).replace('/', "%2F"));
    let commit: Commit = api.send(repository, &Call::get(path).without_redirects()).await?.json()?;
    Ok(swept::push(repository, head, before, &commit))
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
