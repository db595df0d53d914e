//! Comments: who wrote them, and the answer. All went well: a thumb up below the comment; something did not: a comment
//! that says why. What is said about a commit takes no thumbs, so there a word stands for it.

use gitlab::api::{
    common::{NameOrId, SortOrder},
    projects::{
        members::AllProjectMember,
        merge_requests::{
            MergeRequestState, MergeRequests,
            notes::{CreateMergeRequestNote, MergeRequestNotes, awards::CreateMergeRequestNoteAward},
        },
        repository::commits::{CommentOnCommit, CommitComments},
    },
    users::Users,
};
use serde::Deserialize;

use super::api::Api;
use crate::{
    forge::ForgeError,
    model::{CommentPlace, Repository, Role, Thread},
};

/// An answer that was given moments ago is among the newest.
const NOTES: usize = 300;
/// The comments of a commit come from the oldest on.
const COMMENTS: usize = 2000;
const THUMB: &str = "thumbsup";

/// What someone may do in a project, by the highest of all memberships, inherited ones too. `#7` is the account 7.
pub(super) async fn role(api: &Api, repository: &Repository, login: &str) -> Result<Option<Role>, ForgeError> {
    #[derive(Deserialize)]
    struct Member {
        access_level: u64,
        /// `active`, `blocked`, `awaiting`.
        state: Option<String>,
    }
    let user = match login.strip_prefix('#').and_then(|id| id.parse().ok()) {
        Some(id) => Some(id),
        None => account(api, login).await?,
    };
    let Some(user) = user else { return Ok(None) };
    let call = AllProjectMember::builder().project(repository.name.as_str()).user(user).build();
    let member: Option<Member> = api.find(call).await?;
    let active = member.filter(|member| member.state.as_deref().is_none_or(|state| state == "active"));
    Ok(active.and_then(|member| granted(member.access_level)))
}

/// Whether a merge request of someone's has been merged: of commits GitLab knows no more than an address that anybody
/// can write into them.
pub(super) async fn has_contributed(api: &Api, repository: &Repository, login: &str) -> Result<bool, ForgeError> {
    #[derive(Deserialize)]
    struct Request {
        state: Option<String>,
        author: Option<Author>,
    }
    #[derive(Deserialize)]
    struct Author {
        id: u64,
        username: String,
    }
    let number = login.strip_prefix('#').and_then(|id| id.parse::<u64>().ok());
    let author = number.map_or_else(|| NameOrId::from(login), NameOrId::from);
    let project = repository.name.as_str();
    let call = MergeRequests::builder().project(project).state(MergeRequestState::Merged).author(author).build();
    let (merged, _) = api.list::<Request, _>(call, 1).await?;
    // a filter that GitLab does not understand is ignored by it, and all merge requests come back
    let is_theirs = |author: Author| match number {
        Some(id) => author.id == id,
        None => author.username.eq_ignore_ascii_case(login),
    };
    let merged = merged.into_iter().filter(|request| request.state.as_deref() == Some("merged"));
    Ok(merged.filter_map(|request| request.author).any(is_theirs))
}

/// Developers may push, and what they push is trusted.
const fn granted(access_level: u64) -> Option<Role> {
    match access_level {
        50.. => Some(Role::Owner),
        40..50 => Some(Role::Maintainer),
        30..40 => Some(Role::Writer),
        // guests, planners and reporters
        10..30 => Some(Role::Reader),
        _ => None,
    }
}

/// An account's number; logins are the same in any case.
async fn account(api: &Api, login: &str) -> Result<Option<u64>, ForgeError> {
    #[derive(Deserialize)]
    struct User {
        id: u64,
        username: String,
    }
    let users: Vec<User> = api.get(Users::builder().username(login).build()).await?;
    Ok(users.into_iter().find(|user| user.username.eq_ignore_ascii_case(login)).map(|user| user.id))
}

/// Answers a comment; `mark` is what finds the answer again, if it may have been given already.
pub(super) async fn reply(
    api: &Api,
    place: &CommentPlace,
    (words, mark): (&str, &str),
    again: bool,
) -> Result<(), ForgeError> {
    let project = place.repository.name.as_str();
    match &place.thread {
        Thread::PullRequest(number) if words.is_empty() => thumb(api, project, *number, place.id).await,
        Thread::PullRequest(number) => {
            let (number, body) = (*number, format!("{words}\n\n{mark}"));
            if again && is_noted(api, project, number, mark).await? {
                return Ok(());
            }
            let note = CreateMergeRequestNote::builder().project(project).merge_request(number).body(body).build();
            api.send(note).await
        }
        Thread::Commit(sha) => {
            let words = if words.is_empty() { "👍" } else { words };
            if again && is_said(api, project, sha.as_str(), mark).await? {
                return Ok(());
            }
            let note = format!("{words}\n\n{mark}");
            api.send(CommentOnCommit::builder().project(project).commit(sha.as_str()).note(note).build()).await
        }
    }
}

/// GitLab answers 404 to a thumb that is there already.
async fn thumb(api: &Api, project: &str, number: u64, note: u64) -> Result<(), ForgeError> {
    let award = CreateMergeRequestNoteAward::builder();
    match api.send(award.clone().project(project).merge_request(number).note(note).name(THUMB).build()).await {
        Err(ForgeError::Refused { status: 404, message, .. }) if message.contains("taken") => Ok(()),
        answer => answer,
    }
}

async fn is_noted(api: &Api, project: &str, number: u64, mark: &str) -> Result<bool, ForgeError> {
    #[derive(Deserialize)]
    struct Note {
        body: String,
    }
    let notes = MergeRequestNotes::builder();
    let notes = notes.clone().project(project).merge_request(number).sort(SortOrder::Descending).build();
    let (notes, _): (Vec<Note>, _) = api.list(notes, NOTES).await?;
    Ok(notes.iter().any(|note| note.body.contains(mark)))
}

async fn is_said(api: &Api, project: &str, sha: &str, mark: &str) -> Result<bool, ForgeError> {
    #[derive(Deserialize)]
    struct Comment {
        note: String,
    }
    let (said, _): (Vec<Comment>, _) =
        api.list(CommitComments::builder().project(project).commit(sha).build(), COMMENTS).await?;
    Ok(said.iter().any(|comment| comment.note.contains(mark)))
}
