//! Comments: who wrote them, and the answer. All went well: a thumb up below the comment; something did not, or there is
//! nothing that could be reacted to: a comment.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::call::{Api, Call, encoded, refused};
use crate::{
    forge::ForgeError,
    model::{CommentPlace, Repository, Role, Thread},
};

/// What stands for a thumb up where there is no comment to put it below.
const DONE: &str = "👍";
/// More pull requests than this are not looked through.
const MOST_PULLS: usize = 100;
/// More comments than this are not looked through.
const MOST: usize = 2000;

/// What someone may do in a repository. An administrator of a repository is its maintainer: it is not theirs to give
/// away or to delete.
pub(super) async fn role(api: &Api, repository: &Repository, login: &str) -> Result<Option<Role>, ForgeError> {
    #[derive(Deserialize)]
    struct Permission {
        permission: String,
    }
    let path = format!("/repos/{}/collaborators/{}/permission", repository.name, encoded(login).replace('/', "%2F"));
    let answer = api.send(&Call::get(path)).await?;
    match answer.status {
        StatusCode::NOT_FOUND => return Ok(None),
        StatusCode::FORBIDDEN => {
            let remedy = "only an administrator of the repository may ask what others may do: let our account be one";
            return Err(refused(403, format!("{}; {remedy}", answer.message())));
        }
        _ => {}
    }
    let Permission { permission } = answer.json()?;
    Ok(match permission.as_str() {
        "owner" => Some(Role::Owner),
        "admin" => Some(Role::Maintainer),
        "write" => Some(Role::Writer),
        "read" => Some(Role::Reader),
        _ => None,
    })
}

/// Whether a pull request of someone's has been merged, among the last that were closed: of commits the forge knows no
/// more than an address that anybody can write into them.
pub(super) async fn has_contributed(api: &Api, repository: &Repository, login: &str) -> Result<bool, ForgeError> {
    #[derive(Deserialize)]
    struct Pull {
        #[serde(default)]
        merged: bool,
        user: Option<User>,
    }
    #[derive(Deserialize)]
    struct User {
        login: String,
    }
    // older releases know no `poster`, and all pull requests come back
    let poster: String = url::form_urlencoded::byte_serialize(login.as_bytes()).collect();
    let list = format!("/repos/{}/pulls?state=closed&sort=recentupdate&poster={poster}&", repository.name);
    let (closed, _) = api.pages::<Pull>(&list, MOST_PULLS).await?;
    let is_theirs = |user: User| user.login.eq_ignore_ascii_case(login);
    Ok(closed.into_iter().filter(|pull| pull.merged).filter_map(|pull| pull.user).any(is_theirs))
}

/// Answers a comment; `mark` is what finds the answer again, if it may have been given already.
pub(super) async fn reply(
    api: &Api,
    place: &CommentPlace,
    (words, mark): (&str, &str),
    again: bool,
) -> Result<(), ForgeError> {
    let name = &place.repository.name;
    let Thread::PullRequest(number) = &place.thread else {
        return Err(refused(0, "there are no comments on commits".to_owned()));
    };
    if words.is_empty() && place.id > 0 {
        let path = format!("/repos/{name}/issues/comments/{}/reactions", place.id);
        return api.send(&Call::post(path, json!({"content": "+1"}))).await?.checked().map(drop);
    }
    if again && is_given(api, place, *number, mark).await? {
        return Ok(());
    }
    let words = if words.is_empty() { DONE } else { words };
    let call =
        Call::post(format!("/repos/{name}/issues/{number}/comments"), json!({"body": format!("{words}\n\n{mark}")}));
    api.send(&call).await?.checked().map(drop)
}

async fn is_given(api: &Api, place: &CommentPlace, number: u64, mark: &str) -> Result<bool, ForgeError> {
    #[derive(Deserialize)]
    struct Given {
        id: u64,
        body: Option<String>,
    }
    let list = format!("/repos/{}/issues/{number}/comments?", place.repository.name);
    let (given, _) = api.pages::<Given>(&list, MOST).await?;
    Ok(given.iter().any(|given| given.id > place.id && given.body.as_ref().is_some_and(|body| body.contains(mark))))
}
