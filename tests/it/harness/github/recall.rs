//! What the model remembers of its own deliveries and heads, and can be asked about afterwards. GitHub delivers nothing
//! again by itself: a test sends what the model was asked for.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use containerops::model::{Clock, Sha};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Delivery, INSTALLATION, ModelGithub, World,
    repository::{Pull, Repository},
    routes::{Refusal, full, not_found, refuse},
};

type Model = State<Arc<World>>;
type Name = Path<(String, String)>;

/// What the model remembers.
#[derive(Default)]
pub(super) struct Memory {
    clock: Option<Clock>,
    /// Oldest first.
    attempts: Vec<Attempt>,
    /// What was asked for and is not sent yet.
    asked: Vec<Delivery>,
    /// Whether the token may not see hooks.
    pub(super) hooks_hidden: bool,
    /// Tags by repository and name: where they are, and as what.
    tags: BTreeMap<(String, String), (Sha, &'static str)>,
    /// When commits were made.
    pub(super) made: BTreeMap<Sha, Timestamp>,
    /// Pages are no longer than this.
    page: Option<usize>,
}

struct Attempt {
    id: u64,
    at: Timestamp,
    status: u16,
    delivery: Delivery,
}

impl Memory {
    /// The story's time.
    pub(super) fn now(&self) -> Timestamp {
        let set = self.clock.as_ref().map(|clock| Timestamp::from_millisecond(clock.now().as_millis()));
        set.map_or_else(Timestamp::now, |time| time.expect("a time"))
    }

    fn tells(&self, sha: &Sha) -> Timestamp {
        self.made.get(sha).copied().unwrap_or_else(|| self.now())
    }
}

impl ModelGithub {
    /// From now on things happen by this clock.
    pub(crate) fn set_clock(&self, clock: &Clock) {
        self.state().memory.clock = Some(clock.clone());
    }

    /// Pages of lists have at most so many entries.
    pub(crate) fn page(&self, entries: usize) {
        self.state().memory.page = Some(entries);
    }

    /// This delivery was tried, and nobody took it.
    pub(crate) fn drops(&self, delivery: Delivery) {
        self.tried(delivery, 502);
    }

    /// This delivery was tried, and answered with this status.
    pub(crate) fn tried(&self, delivery: Delivery, status: u16) {
        let mut state = self.state();
        let (id, at) = (state.next_id(), state.memory.now());
        state.memory.attempts.push(Attempt { id, at, status, delivery });
    }

    /// The deliveries that were asked for since this was called last.
    pub(crate) fn asked(&self) -> Vec<Delivery> {
        std::mem::take(&mut self.state().memory.asked)
    }

    /// Hooks are not for the eyes of the token's owner.
    pub(crate) fn hide_hooks(&self) {
        self.state().memory.hooks_hidden = true;
    }

    /// Makes a tag of a branch's newest commit; nobody hears of it. Where it is.
    pub(crate) fn make_tag(&self, repository: &str, branch: &str, tag: &str) -> Sha {
        let mut state = self.state();
        let sha = state.repositories[repository].tip(branch);
        state.memory.tags.insert((repository.to_owned(), tag.to_owned()), (sha.clone(), "commit"));
        sha
    }

    /// Points a branch at a commit that it was at before; nobody hears of it.
    pub(crate) fn force(&self, repository: &str, branch: &str, sha: &Sha) {
        let mut state = self.state();
        let here = state.repositories.get_mut(repository).expect("a repository");
        here.branches.get_mut(branch).expect("a branch").push(sha.clone());
    }

    /// Removes a branch; nobody hears of it.
    pub(crate) fn remove_branch(&self, repository: &str, branch: &str) {
        self.state().repositories.get_mut(repository).expect("a repository").branches.remove(branch);
    }

    /// Removes a repository; nobody hears of it.
    pub(crate) fn remove_repository(&self, repository: &str) {
        self.state().repositories.remove(repository);
    }
}

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/app/hook/deliveries", get(app_attempts))
        .route("/app/hook/deliveries/{id}/attempts", post(again))
        .route("/repos/{owner}/{name}/hooks/{hook}/deliveries", get(hook_attempts))
        .route("/repos/{owner}/{name}/hooks/{hook}/deliveries/{id}/attempts", post(hook_again))
        .route("/repos/{owner}/{name}/branches", get(branches))
        .route("/repos/{owner}/{name}/git/matching-refs/tags", get(tags))
        .route("/repos/{owner}/{name}/commits/{reference}", get(commit))
}

#[derive(Deserialize)]
struct Cursor {
    per_page: usize,
    cursor: Option<String>,
}

async fn app_attempts(State(world): Model, Query(at): Query<Cursor>) -> Response {
    attempts(&world, "/app/hook/deliveries", &at)
}

async fn hook_attempts(
    State(world): Model,
    Path((owner, name, hook)): Path<(String, String, u64)>,
    Query(at): Query<Cursor>,
) -> Response {
    attempts(&world, &format!("/repos/{owner}/{name}/hooks/{hook}/deliveries"), &at)
}

/// Newest first; the cursor is the id of the first attempt that is not wanted any more.
fn attempts(world: &World, path: &str, at: &Cursor) -> Response {
    let state = world.state();
    let memory = &state.memory;
    let before = at.cursor.as_ref().map_or(u64::MAX, |cursor| cursor.parse().expect("our own cursor"));
    let size = at.per_page.min(memory.page.unwrap_or(100));
    let older: Vec<&Attempt> = memory.attempts.iter().rev().filter(|attempt| attempt.id < before).collect();
    let page: Vec<Value> = older.iter().take(size).map(|attempt| attempt.listed(memory)).collect();
    let next = older.get(size).map(|_| older[size - 1].id);
    let mut headers = HeaderMap::new();
    if let Some(next) = next {
        let link = format!("<https://api.github.com{path}?cursor={next}&per_page={size}>; rel=\"next\"");
        headers.insert(header::LINK, link.parse().expect("a header"));
    }
    (headers, Json(page)).into_response()
}

impl Attempt {
    fn listed(&self, memory: &Memory) -> Value {
        let text = |name: &str| self.delivery.headers[name].to_str().expect("ASCII");
        let body: Value = serde_json::from_slice(&self.delivery.body).expect("JSON");
        let first = memory.attempts.iter().find(|attempt| attempt.guid() == self.guid()).expect("itself");
        json!({
            "id": self.id, "guid": self.guid(), "delivered_at": self.at, "redelivery": first.id != self.id,
            "duration": 0.27, "status": if self.status < 300 { "OK" } else { "failed to connect to host" },
            "status_code": self.status, "event": text("x-github-event"), "action": body["action"],
            "installation_id": INSTALLATION, "repository_id": body["repository"]["id"], "throttled_at": null,
        })
    }

    fn guid(&self) -> &str {
        self.delivery.headers["x-github-delivery"].to_str().expect("ASCII")
    }
}

async fn again(State(world): Model, Path(id): Path<u64>) -> Result<impl IntoResponse, Refusal> {
    let mut state = world.state();
    let attempt = state.memory.attempts.iter().find(|attempt| attempt.id == id).ok_or_else(not_found)?;
    let delivery = attempt.delivery.clone();
    state.memory.asked.push(delivery);
    Ok((StatusCode::ACCEPTED, Json(json!({}))))
}

async fn hook_again(
    world: Model,
    Path((_, _, _, id)): Path<(String, String, u64, u64)>,
) -> Result<impl IntoResponse, Refusal> {
    again(world, Path(id)).await
}

#[derive(Deserialize)]
pub(super) struct Page {
    per_page: usize,
    #[serde(default = "first")]
    page: usize,
}

fn first() -> usize {
    1
}

impl Page {
    fn of(&self, all: impl Iterator<Item = Value>) -> Json<Value> {
        Json(all.skip((self.page - 1) * self.per_page).take(self.per_page).collect())
    }
}

async fn branches(State(world): Model, Path(name): Name, Query(page): Query<Page>) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let here = state.repositories.get(&full(name)).ok_or_else(not_found)?;
    let branch = |branch: &String| json!({"name": branch, "commit": {"sha": here.tip(branch)}, "protected": false});
    Ok(page.of(here.branches.keys().map(branch)))
}

async fn tags(State(world): Model, Path(name): Name) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let name = full(name);
    state.repositories.get(&name).ok_or_else(not_found)?;
    let here = state.memory.tags.iter().filter(|((repository, _), _)| *repository == name);
    let tag = |((_, tag), (sha, kind)): (&(String, String), &(Sha, &str))| json!({"ref": format!("refs/tags/{tag}"), "object": {"sha": sha, "type": kind}});
    Ok(Json(here.map(tag).collect()))
}

/// The open pull requests, whole.
pub(super) fn pulls(world: &World, name: &str, page: &Page) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let here = state.repositories.get(name).ok_or_else(not_found)?;
    let pull = |pull: &Pull| {
        let from = &state.repositories[&pull.head_repository];
        let (head, base) = (from.tip(&pull.branch), here.tip(&pull.base));
        let repo = |id: u64, name: &str| json!({"id": id, "full_name": name});
        let owner = pull.head_repository.split('/').next().filter(|_| pull.head_repository != name);
        let author = pull.author.as_deref().or(owner).unwrap_or("ada");
        json!({
            "number": pull.number, "title": "Count widgets twice", "draft": false, "user": {"login": author},
            "state": "open", "updated_at": state.memory.tells(&head), "labels": [{"id": 1, "name": "counting"}],
            "head": {"ref": pull.branch, "sha": head, "repo": repo(from.id, &pull.head_repository)},
            "base": {"ref": pull.base, "sha": base, "repo": repo(here.id, name)},
        })
    };
    Ok(page.of(here.pulls.iter().rev().map(pull)))
}

async fn commit(
    State(world): Model,
    Path((owner, name, reference)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let name = full((owner, name));
    let here: &Repository = state.repositories.get(&name).ok_or_else(not_found)?;
    let tagged = |tag: &str| state.memory.tags.get(&(name.clone(), tag.to_owned())).map(|(sha, _)| sha.clone());
    let sha = reference.strip_prefix("tags/").map_or_else(|| reference.parse().ok(), tagged);
    let sha = sha.filter(|sha| here.trees.contains_key(sha));
    let sha = sha.ok_or_else(|| refuse(422, format!("No commit found for SHA: {reference}")))?;
    let who = json!({"name": "Ada", "email": "ada@example.com", "date": state.memory.tells(&sha)});
    let data = json!({"message": "Change 1 files\n\nWith a body.", "author": who, "committer": who});
    Ok(Json(json!({"sha": sha, "commit": data, "author": {"login": "ada"}, "committer": null})))
}
