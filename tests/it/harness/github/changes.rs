//! What changed between the model's commits, and what they say.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::get,
};
use containerops::model::Sha;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ModelGithub, World,
    repository::{Repository, Tree},
    routes::{Refusal, full, not_found},
};

/// A comparison lists no more, whatever is asked for.
const MOST: usize = 300;

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/repos/{owner}/{name}/compare/{range}", get(compare))
        .route("/repos/{owner}/{name}/pulls/{number}/files", get(pull_files))
        .route("/repos/{owner}/{name}/git/commits/{sha}", get(commit))
}

impl ModelGithub {
    /// Has a branch's newest commit say this.
    pub(crate) fn says(&self, repository: &str, branch: &str, message: &str) {
        let mut state = self.state();
        let repository = state.repositories.get_mut(repository).expect("a repository");
        let tip = repository.tip(branch);
        repository.messages.insert(tip, message.to_owned());
    }
}

async fn compare(
    State(world): State<Arc<World>>,
    Path((owner, name, range)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let repository = state.repositories.get(&full((owner, name))).ok_or_else(not_found)?;
    let (base, head) = range.split_once("...").ok_or_else(not_found)?;
    let (base, head) = (tree(repository, base).ok_or_else(not_found)?, tree(repository, head).ok_or_else(not_found)?);
    let mut files = changed(base, head);
    files.truncate(MOST);
    Ok(Json(json!({"status": "ahead", "files": files})))
}

#[derive(Deserialize)]
struct Page {
    per_page: usize,
    page: usize,
}

async fn pull_files(
    State(world): State<Arc<World>>,
    Path((owner, name, number)): Path<(String, String, u64)>,
    Query(Page { per_page, page }): Query<Page>,
) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let repository = state.repositories.get(&full((owner, name))).ok_or_else(not_found)?;
    let pull = repository.pulls.iter().find(|pull| pull.number == number).ok_or_else(not_found)?;
    let head = &state.repositories[&pull.head_repository];
    let files = changed(&repository.trees[&repository.tip(&pull.base)], &head.trees[&head.tip(&pull.branch)]);
    Ok(Json(files.into_iter().skip((page - 1) * per_page).take(per_page).collect()))
}

async fn commit(
    State(world): State<Arc<World>>,
    Path((owner, name, sha)): Path<(String, String, Sha)>,
) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let repository = state.repositories.get(&full((owner, name))).ok_or_else(not_found)?;
    let message = repository.messages.get(&sha).map_or("Change files", String::as_str);
    Ok(Json(json!({"sha": sha, "message": message})))
}

/// The files of a commit, or of a branch's newest one.
fn tree<'r>(repository: &'r Repository, name: &str) -> Option<&'r Tree> {
    let tip = || repository.branches.get(name)?.last().cloned();
    repository.trees.get(&name.parse().ok().or_else(tip)?)
}

fn changed(base: &Tree, head: &Tree) -> Vec<Value> {
    let paths: BTreeSet<&String> = base.keys().chain(head.keys()).collect();
    let changed = paths.into_iter().filter(|path| base.get(*path) != head.get(*path));
    changed.map(|path| json!({"filename": path, "status": "modified"})).collect()
}
