//! Where branches, tags and merge requests are, and webhooks made of that: for pushes of more than three refs, of which
//! GitLab tells nobody, and for all that was lost on the way.

use gitlab::api::projects::{
    Project,
    merge_requests::{MergeRequestState, MergeRequests},
    repository::{branches::Branches, commits::Commit, tags::Tags},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    api::{Api, refused},
    time,
};
use crate::{
    forge::{ForgeError, Head, Heads, Webhook, payload},
    model::{Repository, Sha, Visibility},
};

/// So many of each kind are read.
const MOST: usize = 1000;
const BRANCHES: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";
const PULLS: &str = "refs/pull/";

/// A branch or a tag.
#[derive(Deserialize)]
struct Named {
    name: String,
    commit: NamedCommit,
}

#[derive(Deserialize)]
struct NamedCommit {
    id: Sha,
}

/// What a merge request has of use to us; the head keeps it for the webhook.
#[derive(Serialize, Deserialize)]
struct Request {
    iid: u64,
    title: String,
    /// Of one that GitLab has not looked at yet there is none.
    sha: Option<Sha>,
    #[serde(default)]
    draft: bool,
    author: Option<Author>,
    source_branch: String,
    target_branch: String,
    source_project_id: Option<u64>,
    target_project_id: u64,
    #[serde(default)]
    labels: Vec<String>,
    updated_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Author {
    id: u64,
    username: String,
}

#[derive(Deserialize)]
struct Described {
    message: String,
    author_name: Option<String>,
    committed_date: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Path {
    path_with_namespace: String,
}

/// All heads; see the trait.
pub(super) async fn heads(api: &Api, repository: &Repository) -> Result<Heads, ForgeError> {
    let (api, project) = (api.without_redirects(), repository.name.as_str());
    let (branches, more_branches): (Vec<Named>, _) =
        api.list(Branches::builder().project(project).build(), MOST).await?;
    let (tags, more_tags): (Vec<Named>, _) = api.list(Tags::builder().project(project).build(), MOST).await?;
    let open = MergeRequests::builder().project(project).state(MergeRequestState::Opened).build();
    let (requests, more_requests): (Vec<Request>, _) = api.list(open, MOST).await?;
    let named = |kind: &'static str| {
        move |named: Named| Head { name: format!("{kind}{}", named.name), sha: named.commit.id, told: Value::Null }
    };
    let heads = branches.into_iter().map(named(BRANCHES)).chain(tags.into_iter().map(named(TAGS)));
    let heads = heads.chain(requests.into_iter().filter_map(Request::head));
    let cut = [(BRANCHES, more_branches), (TAGS, more_tags), (PULLS, more_requests)];
    Ok(Heads {
        heads: heads.filter(|head| head.name.len() <= payload::LONGEST_REF).collect(),
        cut: cut.into_iter().filter_map(|(kind, more)| more.then_some(kind)).collect(),
    })
}

/// The webhook of one head; see the trait.
pub(super) async fn webhook(
    api: &Api,
    repository: &Repository,
    head: &Head,
    before: &Sha,
) -> Result<Webhook, ForgeError> {
    let api = api.without_redirects();
    if head.name.starts_with(PULLS) {
        let request = serde_json::from_value(head.told.clone());
        let request: Request = request.map_err(|e| refused(0, format!("the list of merge requests has {e}")))?;
        let source = source(&api, repository, &request).await?;
        return Ok(merge_request(repository, head, before, request, source));
    }
    let call = Commit::builder().project(repository.name.as_str()).commit(head.sha.as_str()).build();
    Ok(push(repository, head, before, &api.get(call).await?))
}

/// The name of the project that the code comes from; `None` if it was deleted, or is hidden from us.
async fn source(api: &Api, repository: &Repository, request: &Request) -> Result<Option<String>, ForgeError> {
    match request.source_project_id {
        Some(source) if source == request.target_project_id => Ok(Some(repository.name.to_string())),
        Some(source) => {
            let found: Option<Path> = api.find(Project::builder().project(source).build()).await?;
            Ok(found.map(|path| path.path_with_namespace))
        }
        None => Ok(None),
    }
}

fn push(repository: &Repository, head: &Head, before: &Sha, commit: &Described) -> Webhook {
    let is_tag = head.name.starts_with(TAGS);
    let (kind, event) = if is_tag { ("tag_push", "Tag Push Hook") } else { ("push", "Push Hook") };
    let body = json!({
        "object_kind": kind,
        "event_name": kind,
        "ref": head.name,
        "before": before,
        "after": head.sha,
        "checkout_sha": head.sha,
        "user_username": commit.author_name,
        "project": described(repository),
        "commits": [{ "id": head.sha, "message": commit.message, "timestamp": commit.committed_date }],
        "total_commits_count": 1,
    });
    let happened = commit.committed_date.map(time);
    Webhook { event: event.to_owned(), body: body.to_string().into_bytes(), happened }
}

fn merge_request(
    repository: &Repository,
    head: &Head,
    before: &Sha,
    request: Request,
    source: Option<String>,
) -> Webhook {
    let is_new = before.is_zero();
    let body = json!({
        "object_kind": "merge_request",
        "event_type": "merge_request",
        "user": request.author,
        "project": described(repository),
        "object_attributes": {
            "iid": request.iid,
            "action": if is_new { "open" } else { "update" },
            "oldrev": Some(before).filter(|_| !is_new),
            "state": "opened",
            "title": request.title,
            "draft": request.draft,
            "author_id": request.author.as_ref().map(|author| author.id),
            "source_branch": request.source_branch,
            "target_branch": request.target_branch,
            "source_project_id": request.source_project_id,
            "target_project_id": request.target_project_id,
            "source": source.map(|name| json!({ "path_with_namespace": name })),
            "last_commit": { "id": head.sha },
            "updated_at": request.updated_at,
        },
        "labels": request.labels.iter().map(|title| json!({ "title": title })).collect::<Vec<_>>(),
    });
    let happened = request.updated_at.map(time);
    Webhook { event: "Merge Request Hook".to_owned(), body: body.to_string().into_bytes(), happened }
}

fn described(repository: &Repository) -> Value {
    json!({
        "path_with_namespace": repository.name,
        "default_branch": repository.default_branch,
        "git_http_url": repository.clone_url,
        "web_url": repository.web_url,
        "visibility_level": match repository.visibility {
            Visibility::Public => Some(20),
            Visibility::Private => Some(0),
            Visibility::Unknown => None,
        },
    })
}

impl Request {
    fn head(self) -> Option<Head> {
        let told = serde_json::to_value(&self).ok()?;
        Some(Head { name: format!("{PULLS}{}", self.iid), sha: self.sha?, told })
    }
}
