//! Branches, tags, pull requests and commits of the model, and what changed between them.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::Response,
    routing::get,
};
use containerops::model::{Clock, Sha};
use serde_json::{Value, json};

use super::{
    ModelGitea, State as World_, World,
    routes::{Model, Name, Page, Refusal, full, not_found},
};
use crate::harness::github::repository::{Pull, Repository, Tree};

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/repos/{owner}/{name}/branches", get(branches))
        .route("/repos/{owner}/{name}/branches/{*branch}", get(branch))
        .route("/repos/{owner}/{name}/tags", get(tags))
        .route("/repos/{owner}/{name}/pulls", get(pulls))
        .route("/repos/{owner}/{name}/pulls/{number}/files", get(pull_files))
        .route("/repos/{owner}/{name}/compare/{range}", get(compare))
        .route("/repos/{owner}/{name}/git/commits/{sha}", get(commit))
}

impl ModelGitea {
    /// From now on things happen by this clock.
    pub(crate) fn set_clock(&self, clock: &Clock) {
        self.state().clock = Some(clock.clone());
    }

    /// Makes an annotated tag of a branch's newest commit; nobody hears of it. The object that it is.
    pub(crate) fn make_tag(&self, repository: &str, branch: &str, tag: &str) -> Sha {
        let mut state = self.state();
        let sha = state.repositories[repository].tip(branch);
        let object: Sha = format!("{:040x}", state.next_id()).parse().expect("a sha");
        state.tags.insert((repository.to_owned(), tag.to_owned()), (object.clone(), sha));
        object
    }
}

impl World_ {
    fn known(&self, name: &str) -> Result<&Repository, Refusal> {
        self.repositories.get(name).ok_or_else(not_found)
    }

    pub(super) fn message(&self, repository: &str, sha: &Sha) -> String {
        let known = self.repositories.get(repository).and_then(|here| here.messages.get(sha));
        known.cloned().unwrap_or_else(|| "Change 1 files\n\nWith a body.\n".to_owned())
    }

    /// As the API and webhooks describe a pull request.
    pub(super) fn pull(&self, name: &str, pull: &Pull) -> Value {
        let (here, from) = (&self.repositories[name], &self.repositories[&pull.head_repository]);
        let owner = pull.head_repository.split('/').next().filter(|_| pull.head_repository != name);
        let merged = self.merged.contains(&pull.number);
        let author = pull.author.as_deref().or(owner).unwrap_or("ada");
        let end = |repository: &Repository, branch: &str, name: &str| {
            json!({"label": branch, "ref": branch, "sha": repository.tip(branch), "repo_id": repository.id,
                   "repo": {"id": repository.id, "full_name": name}})
        };
        json!({
            "number": pull.number, "title": "Count widgets twice", "draft": false, "user": {"login": author},
            "state": if merged { "closed" } else { "open" }, "merged": merged, "labels": [{"name": "counting"}], "updated_at": self.now(),
            "head": end(from, &pull.branch, &pull.head_repository), "base": end(here, &pull.base, name),
        })
    }
}

async fn branches(State(world): Model, Path(name): Name, Query(page): Query<Page>) -> Result<Response, Refusal> {
    let all: Vec<Value> = {
        let state = world.state();
        let here = state.known(&full(name))?;
        here.branches.keys().map(|branch| json!({"name": branch, "commit": {"id": here.tip(branch)}})).collect()
    };
    Ok(page.of(&world, &all))
}

async fn branch(
    State(world): Model,
    Path((owner, name, branch)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let here = state.known(&full((owner, name)))?;
    let tip = here.branches.get(&branch).and_then(|commits| commits.last()).ok_or_else(not_found)?;
    Ok(Json(json!({"name": branch, "commit": {"id": tip, "message": "Change"}})))
}

async fn tags(State(world): Model, Path(name): Name, Query(page): Query<Page>) -> Result<Response, Refusal> {
    let name = full(name);
    let all: Vec<Value> = {
        let state = world.state();
        state.known(&name)?;
        let here = state.tags.iter().filter(|((repository, _), _)| *repository == name);
        let tag = |((_, tag), (id, sha)): (&(String, String), &(Sha, Sha))| json!({"name": tag, "message": "a note", "id": id, "commit": {"sha": sha, "url": ""}});
        here.map(tag).collect()
    };
    Ok(page.of(&world, &all))
}

#[derive(serde::Deserialize)]
struct OfState {
    state: Option<String>,
}

/// As an older release, which knows no `poster`.
async fn pulls(
    State(world): Model,
    Path(name): Name,
    Query(page): Query<Page>,
    Query(filter): Query<OfState>,
) -> Result<Response, Refusal> {
    let name = full(name);
    let all: Vec<Value> = {
        let state = world.state();
        let here = state.known(&name)?;
        let all = here.pulls.iter().rev().map(|pull| state.pull(&name, pull));
        all.filter(|pull| filter.state.as_ref().is_none_or(|wanted| pull["state"] == *wanted)).collect()
    };
    Ok(page.of(&world, &all))
}

async fn pull_files(
    State(world): Model,
    Path((owner, name, number)): Path<(String, String, u64)>,
    Query(page): Query<Page>,
) -> Result<Response, Refusal> {
    let all: Vec<Value> = {
        let state = world.state();
        let here = state.known(&full((owner, name)))?;
        let pull = here.pulls.iter().find(|pull| pull.number == number).ok_or_else(not_found)?;
        let from = &state.repositories[&pull.head_repository];
        changed(&here.trees[&here.tip(&pull.base)], &from.trees[&from.tip(&pull.branch)])
    };
    Ok(page.of(&world, &all))
}

/// The files stand with the commits, and the two ends are all the commits that the model compares.
async fn compare(
    State(world): Model,
    Path((owner, name, range)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let here = state.known(&full((owner, name)))?;
    let (base, head) = range.split_once("...").ok_or_else(not_found)?;
    let (base, head) = (tree(here, base).ok_or_else(not_found)?, tree(here, head).ok_or_else(not_found)?);
    Ok(Json(json!({"total_commits": 1, "commits": [{"files": changed(base, head)}]})))
}

fn tree<'r>(repository: &'r Repository, name: &str) -> Option<&'r Tree> {
    let tip = repository.branches.get(name).and_then(|commits| commits.last()).cloned();
    repository.trees.get(&tip.or_else(|| name.parse().ok())?)
}

fn changed(base: &Tree, head: &Tree) -> Vec<Value> {
    let paths: BTreeSet<&String> = base.keys().chain(head.keys()).collect();
    let differ = paths.into_iter().filter(|path| base.get(*path) != head.get(*path));
    differ.map(|path| json!({"filename": path, "status": "modified"})).collect()
}

async fn commit(
    State(world): Model,
    Path((owner, name, sha)): Path<(String, String, Sha)>,
) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let name = full((owner, name));
    if !state.known(&name)?.trees.contains_key(&sha) {
        return Err(not_found());
    }
    let who = json!({"name": "Ada", "email": "ada@example.com", "date": state.now()});
    let data = json!({"message": state.message(&name, &sha), "author": who, "committer": who});
    Ok(Json(json!({"sha": sha, "commit": data, "author": {"login": "ada"}, "committer": null})))
}
