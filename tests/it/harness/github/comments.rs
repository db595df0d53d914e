//! Comments on the model's pull requests and commits: who may say what, and what is said back.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Delivery, ModelGithub, World, fixture,
    routes::{Refusal, full, not_found},
};

/// What was said back to comments, and who may do what.
#[derive(Default)]
pub(super) struct Comments {
    /// Permission and role, by login.
    people: std::collections::BTreeMap<String, (&'static str, &'static str)>,
    /// Who has commits in the repositories.
    contributors: std::collections::BTreeSet<String>,
    /// `THREAD: text`, or `comment ID: reaction`.
    said: Vec<String>,
}

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/repos/{owner}/{name}/collaborators/{login}/permission", get(permission))
        .route("/repos/{owner}/{name}/commits", get(commits))
        .route("/repos/{owner}/{name}/issues/comments/{id}/reactions", post(react))
        .route("/repos/{owner}/{name}/comments/{id}/reactions", post(react))
        .route("/repos/{owner}/{name}/pulls/comments/{id}/reactions", post(react))
        .route("/repos/{owner}/{name}/issues/{thread}/comments", get(list).post(say))
        .route("/repos/{owner}/{name}/commits/{thread}/comments", get(list).post(say))
}

impl ModelGithub {
    /// Lets someone do something: `admin`, `maintain`, `write`, `triage`, `read`.
    pub(crate) fn allows(&self, login: &str, role: &'static str) {
        let permission = match role {
            "maintain" => "write",
            "triage" => "read",
            same => same,
        };
        self.state().comments.people.insert(login.to_owned(), (permission, role));
    }

    /// Someone has commits in the repositories.
    pub(crate) fn has_commits_of(&self, login: &str) {
        self.state().comments.contributors.insert(login.to_owned());
    }

    /// What we have said below comments since this was asked last, but for the marks that only we read.
    pub(crate) fn answers(&self) -> Vec<String> {
        let said = std::mem::take(&mut self.state().comments.said);
        said.iter().map(|said| said.split("\n\n<!--").next().unwrap_or_default().to_owned()).collect()
    }

    /// The delivery about someone's comment below a pull request.
    pub(crate) fn comment_on_pull(&self, repository: &str, number: u64, login: &str, text: &str) -> Delivery {
        let mut body = fixture("issue_comment_created");
        body["issue"]["number"] = json!(number);
        self.comment(body, "issue_comment", repository, login, text)
    }

    /// The delivery about someone's comment below a commit.
    pub(crate) fn comment_on_commit(&self, repository: &str, sha: &str, login: &str, text: &str) -> Delivery {
        let mut body = fixture("commit_comment_created");
        body["comment"]["commit_id"] = json!(sha);
        self.comment(body, "commit_comment", repository, login, text)
    }

    /// The delivery about someone's comment beside a line of a pull request.
    pub(crate) fn comment_on_line(&self, repository: &str, number: u64, login: &str, text: &str) -> Delivery {
        let mut body = fixture("pull_request_review_comment_created");
        body["pull_request"]["number"] = json!(number);
        self.comment(body, "pull_request_review_comment", repository, login, text)
    }

    /// The delivery about someone's review of a pull request, with these words.
    pub(crate) fn review(&self, repository: &str, number: u64, login: &str, text: &str) -> Delivery {
        let mut body = fixture("pull_request_review_submitted");
        body["pull_request"]["number"] = json!(number);
        body["review"]["body"] = if text.is_empty() { Value::Null } else { json!(text) };
        body["review"]["user"]["login"] = json!(login);
        self.place(&mut body, repository);
        self.signed("pull_request_review", &body)
    }

    fn comment(&self, mut body: Value, event: &str, repository: &str, login: &str, text: &str) -> Delivery {
        body["comment"]["body"] = json!(text);
        body["comment"]["user"]["login"] = json!(login);
        body["comment"]["user"]["type"] = json!(if login.ends_with("[bot]") { "Bot" } else { "User" });
        self.place(&mut body, repository);
        self.signed(event, &body)
    }
}

async fn permission(
    State(world): State<Arc<World>>,
    Path((owner, name, login)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refusal> {
    let state = world.state();
    let repository = state.repositories.contains_key(&full((owner, name)));
    // whoever the fixtures are of may write, unless a test says otherwise
    let known = state.comments.people.get(&login).copied().or((login == "ada").then_some(("write", "write")));
    let (permission, role) = known.filter(|_| repository).ok_or_else(not_found)?;
    Ok(Json(json!({"permission": permission, "role_name": role, "user": {"login": login}})))
}

#[derive(Deserialize)]
struct By {
    author: String,
}

/// The newest commits of somebody on the default branch.
async fn commits(State(world): State<Arc<World>>, axum::extract::Query(by): axum::extract::Query<By>) -> Json<Value> {
    let theirs = world.state().comments.contributors.contains(&by.author);
    let commit = json!({"sha": "f95f852bd8fca8fcc58a9a2d6c842781e32a215e", "author": {"login": by.author}});
    Json(if theirs { json!([commit]) } else { json!([]) })
}

#[derive(Deserialize)]
struct Reaction {
    content: String,
}

/// GitHub answers 200 to a reaction that is there already.
async fn react(
    State(world): State<Arc<World>>,
    Path((_, _, id)): Path<(String, String, u64)>,
    Json(reaction): Json<Reaction>,
) -> (StatusCode, Json<Value>) {
    let said = format!("comment {id}: {}", reaction.content);
    let mut state = world.state();
    let is_new = !state.comments.said.contains(&said);
    if is_new {
        state.comments.said.push(said);
    }
    (if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(json!({"id": 1, "content": reaction.content})))
}

#[derive(Deserialize)]
struct Said {
    body: String,
}

async fn say(
    State(world): State<Arc<World>>,
    Path((_, _, thread)): Path<(String, String, String)>,
    Json(Said { body }): Json<Said>,
) -> (StatusCode, Json<Value>) {
    world.state().comments.said.push(format!("{thread}: {body}"));
    (StatusCode::CREATED, Json(json!({"id": 1, "body": body})))
}

async fn list(
    State(world): State<Arc<World>>,
    Path((_, _, thread)): Path<(String, String, String)>,
) -> Json<Vec<Value>> {
    let begin = format!("{thread}: ");
    let said = world.state().comments.said.clone();
    let bodies = said.iter().filter_map(|said| said.strip_prefix(&begin));
    Json(bodies.map(|body| json!({"id": 4_000_000_000_u64, "body": body})).collect())
}
