//! Comments: who wrote them, and the answer. All went well: a thumb up below the comment; something did not, or it is a
//! review, to which nobody can react: a comment.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{api::Api, call::Call, files::encoded};
use crate::{
    forge::ForgeError,
    model::{CommentForm, CommentPlace, Repository, Role, Thread},
};

/// What stands for a thumb up where there is nothing to put it below.
const DONE: &str = "👍";

/// As many as GitHub puts on one page; an answer that was given moments ago is among the newest.
const PER_PAGE: usize = 100;
/// How many pages of a thread are read.
const PAGES: usize = 20;

/// What someone may do in a repository. `maintain` and `triage` are roles, and no permissions.
pub(super) async fn role(api: &Api, repository: &Repository, login: &str) -> Result<Option<Role>, ForgeError> {
    #[derive(Deserialize)]
    struct Permission {
        permission: String,
        #[serde(default)]
        role_name: String,
    }
    let path = format!("/repos/{}/collaborators/{}/permission", repository.name, encoded(login));
    let answer = api.send(repository, &Call::get(path)).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let Permission { permission, role_name } = answer.json()?;
    Ok(match (permission.as_str(), role_name.as_str()) {
        ("admin", _) => Some(Role::Owner),
        ("write", "maintain") => Some(Role::Maintainer),
        ("write", _) => Some(Role::Writer),
        ("read", _) => Some(Role::Reader),
        _ => None,
    })
}

/// Whether the default branch has a commit of this account.
pub(super) async fn has_contributed(api: &Api, repository: &Repository, login: &str) -> Result<bool, ForgeError> {
    #[derive(Deserialize)]
    struct Commit {
        author: Option<Author>,
    }
    #[derive(Deserialize)]
    struct Author {
        login: Option<String>,
    }
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("author", login)
        .append_pair("per_page", "1")
        .finish();
    let commits: Vec<Commit> = api.get(repository, format!("/repos/{}/commits?{query}", repository.name)).await?;
    // a filter that GitHub does not understand is ignored by it, and all commits come back
    let is_theirs = |author: Author| author.login.is_some_and(|name| name.eq_ignore_ascii_case(login));
    Ok(commits.into_iter().filter_map(|commit| commit.author).any(is_theirs))
}

/// Answers a comment; `mark` is what finds the answer again, if it may have been given already.
pub(super) async fn reply(
    api: &Api,
    place: &CommentPlace,
    (words, mark): (&str, &str),
    again: bool,
) -> Result<(), ForgeError> {
    let repository = &place.repository;
    if let Some(reactions) = reactions(place).filter(|_| words.is_empty()) {
        let call = Call::post(reactions, json!({"content": "+1"}));
        return api.send(repository, &call).await?.checked().map(drop);
    }
    if again && is_given(api, place, mark).await? {
        return Ok(());
    }
    let words = if words.is_empty() { DONE } else { words };
    let call = Call::post(thread(place), json!({"body": format!("{words}\n\n{mark}")}));
    api.send(repository, &call).await?.checked().map(drop)
}

async fn is_given(api: &Api, place: &CommentPlace, mark: &str) -> Result<bool, ForgeError> {
    #[derive(Deserialize)]
    struct Given {
        id: u64,
        body: Option<String>,
    }
    // what is written beside a line, or as a review, is numbered by itself
    let after = if place.form == CommentForm::Below { place.id } else { 0 };
    // GitHub lists comments of a thread from the oldest on: the pages before the comment are of no use, and are few
    for page in 1.. {
        let path = format!("{}?per_page={PER_PAGE}&page={page}", thread(place));
        let given: Vec<Given> = api.get(&place.repository, path).await?;
        let ours = |given: &Given| given.id > after && given.body.as_ref().is_some_and(|body| body.contains(mark));
        if given.iter().any(ours) {
            return Ok(true);
        }
        if given.len() < PER_PAGE || page == PAGES {
            break;
        }
    }
    Ok(false)
}

/// Where people react to a comment, if they can.
fn reactions(place: &CommentPlace) -> Option<String> {
    let (name, id) = (&place.repository.name, place.id);
    match (&place.thread, place.form) {
        (_, CommentForm::Review) => None,
        (_, CommentForm::Beside) => Some(format!("/repos/{name}/pulls/comments/{id}/reactions")),
        (Thread::PullRequest(_), CommentForm::Below) => Some(format!("/repos/{name}/issues/comments/{id}/reactions")),
        (Thread::Commit(_), CommentForm::Below) => Some(format!("/repos/{name}/comments/{id}/reactions")),
    }
}

fn thread(place: &CommentPlace) -> String {
    let name = &place.repository.name;
    match &place.thread {
        Thread::PullRequest(number) => format!("/repos/{name}/issues/{number}/comments"),
        Thread::Commit(sha) => format!("/repos/{name}/commits/{sha}/comments"),
    }
}
