//! What a delivery means. Gitea and Forgejo send the same shapes and add to them without notice, so only what starts
//! runs is read, and everything else is named as starting nothing.

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{
    forge::{Reading, Unreadable},
    model::{
        Closing, Comment, CommentForm, CommentPlace, Event, EventKind, ForgeKind, NameError, PullEnd, PullRequest,
        Repository, RepositoryName, Sha, Thread, Trust, UntrustedReason, Visibility, orders,
    },
};

/// Who did it when the forge does not say: its own name for accounts that are gone.
const GHOST: &str = "Ghost";
/// What happens to a pull request that gives it code to run. Gitea says `synchronized`.
pub(super) const PULL_ACTIONS: [&str; 3] = ["opened", "reopened", "synchronized"];
/// No forge takes a longer ref.
pub(super) const LONGEST_REF: usize = 1024;
const LONGEST_TITLE: usize = 200;
/// What is said further on in a message is not looked at.
pub(super) const LONGEST_MESSAGE: usize = 16_384;
const LONGEST_LOGIN: usize = 100;
/// With these a title says that it is a draft, where the forge has no word of its own for it.
const DRAFTS: [&str; 2] = ["WIP:", "[WIP]"];
/// The ref of a pull request's head, where that is no branch: of code that was pushed for review (AGit), for which
/// nobody needs to be let write.
const NO_BRANCH: &str = "refs/pull/";
/// What our own answers have in them.
const OURS: &str = "<!-- containerops ";
const MOST_LABELS: usize = 100;
const LONGEST_LABEL: usize = 100;

/// Every payload has these.
#[derive(Deserialize)]
struct Common {
    repository: RepositoryPayload,
    sender: Option<Account>,
}

#[derive(Deserialize)]
struct RepositoryPayload {
    full_name: FullName,
    default_branch: Ref,
    clone_url: String,
    html_url: String,
    #[serde(flatten)]
    seen: Seen,
}

/// Who may see a repository: it may be private itself, or its owner hidden from everybody or from strangers.
#[derive(Deserialize)]
pub(super) struct Seen {
    private: Option<bool>,
    internal: Option<bool>,
    owner: Option<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    visibility: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    login: String,
    /// What `login` was called before.
    #[serde(default)]
    username: String,
}

/// Of which action an event is.
#[derive(Deserialize)]
struct Acted {
    action: String,
}

#[derive(Deserialize)]
struct PushPayload {
    r#ref: Ref,
    before: Sha,
    after: Sha,
    head_commit: Option<Commit>,
    pusher: Option<Account>,
}

#[derive(Deserialize)]
struct Commit {
    id: Sha,
    #[serde(default)]
    message: String,
}

/// `create` and `delete` name what came and went.
#[derive(Deserialize)]
struct RefPayload {
    r#ref: Ref,
    #[serde(default)]
    ref_type: String,
}

#[derive(Deserialize)]
struct PullRequestPayload {
    pull_request: Pull,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    title: String,
    #[serde(default)]
    draft: bool,
    user: Option<Account>,
    labels: Option<Vec<Label>>,
    head: Head,
    base: Head,
}

#[derive(Deserialize)]
struct ClosedPayload {
    pull_request: Closed,
}

#[derive(Deserialize)]
struct Closed {
    number: u64,
    #[serde(default)]
    merged: bool,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

#[derive(Deserialize)]
struct Head {
    r#ref: Ref,
    sha: Sha,
    repo: Option<PullRepository>,
}

#[derive(Deserialize)]
struct PullRepository {
    id: u64,
    full_name: FullName,
}

#[derive(Deserialize)]
struct IssueCommentPayload {
    issue: Issue,
    comment: CommentPayload,
    #[serde(default)]
    is_pull: bool,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    pull_request: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct CommentPayload {
    id: u64,
    #[serde(default)]
    body: String,
    user: Option<Account>,
}

/// A review, with words of its own.
#[derive(Deserialize)]
struct ReviewPayload {
    pull_request: Numbered,
    review: Option<Review>,
}

#[derive(Deserialize)]
struct Numbered {
    number: u64,
}

#[derive(Deserialize)]
struct Review {
    #[serde(default)]
    content: String,
}

/// `owner/name`: neither Gitea nor Forgejo has groups within groups.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct FullName(RepositoryName);

impl TryFrom<String> for FullName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let name: RepositoryName = text.parse().map_err(|e: NameError| e.to_string())?;
        if name.owner().is_empty() || name.owner().contains('/') {
            return Err(format!("`{name}` is no `owner/repository`"));
        }
        Ok(Self(name))
    }
}

/// A ref or a branch's name, of a length and of characters that Git allows.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Ref(String);

impl TryFrom<String> for Ref {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let good = !text.is_empty() && text.len() <= LONGEST_REF && !text.chars().any(char::is_control);
        if good { Ok(Self(text)) } else { Err("a ref of 1 to 1024 printable characters is expected") }
    }
}

/// Reads a delivery of this event.
pub(super) fn read(event: &str, body: &[u8]) -> Result<Reading, Unreadable> {
    serde_json::from_slice::<IgnoredAny>(body).map_err(|e| not_json(&e, body))?;
    match event {
        "push" => Ok(push(shaped(event, body)?, shaped(event, body)?)),
        "create" | "delete" => Ok(created(event, &shaped(event, body)?)),
        "pull_request" | "issue_comment" => {
            let Acted { action } = shaped(event, body)?;
            acted(event, &action, body)
        }
        // a comment is whatever else the review says of the code
        "pull_request_comment" | "pull_request_approved" | "pull_request_rejected" => {
            Ok(review(shaped(event, body)?, shaped(event, body)?))
        }
        _ => nothing(format!("`{}` events start nothing", start_of(event, 40))),
    }
}

fn acted(event: &str, action: &str, body: &[u8]) -> Result<Reading, Unreadable> {
    match (event, action) {
        ("pull_request", action) if PULL_ACTIONS.contains(&action) => {
            Ok(pull_request(shaped(event, body)?, shaped(event, body)?))
        }
        ("pull_request", "closed") => Ok(closed(shaped(event, body)?, shaped(event, body)?)),
        ("issue_comment", "created") => Ok(issue_comment(shaped(event, body)?, shaped(event, body)?)),
        _ => nothing(format!("`{event}` events with the action `{}` start nothing", start_of(action, 40))),
    }
}

fn push(common: Common, payload: PushPayload) -> Reading {
    let Ref(full) = payload.r#ref;
    if payload.before == payload.after {
        return Reading::Nothing("it is a test of the webhook: no commit is new".to_owned());
    }
    if payload.after.is_zero() {
        return Reading::Nothing(format!("{full} was deleted"));
    }
    let (kind, sha) = if let Some(branch) = full.strip_prefix("refs/heads/") {
        (EventKind::Push { branch: branch.to_owned() }, payload.after)
    } else if let Some(tag) = full.strip_prefix("refs/tags/") {
        // an annotated tag is an object of its own, and `after` names that; the commit is what it points to
        let commit = payload.head_commit.as_ref().map(|commit| commit.id.clone());
        (EventKind::Tag { tag: tag.to_owned() }, commit.unwrap_or(payload.after))
    } else {
        return Reading::Nothing(format!("{full} is neither a branch nor a tag"));
    };
    let title = payload.head_commit.as_ref().map_or_else(String::new, |commit| first_line(&commit.message));
    let base_sha = Some(payload.before).filter(|before| !before.is_zero());
    let message = payload.head_commit.map(|commit| start_of(&commit.message, LONGEST_MESSAGE));
    let common = Common { sender: common.sender.or(payload.pusher), ..common };
    Reading::Event(Event { message, ..common.event(kind, sha, base_sha, title, Trust::Trusted) })
}

/// Each comes beside a `push`, which says more: of an annotated tag `create` does not name the commit.
fn created(event: &str, RefPayload { r#ref: Ref(name), ref_type }: &RefPayload) -> Reading {
    let what = if ref_type == "tag" { "tag" } else { "branch" };
    let verb = if event == "create" { "made" } else { "deleted" };
    Reading::Nothing(format!("the {what} {name} was {verb}; its `push` event counts"))
}

fn pull_request(common: Common, payload: PullRequestPayload) -> Reading {
    let pull = payload.pull_request;
    let trust = trust(&pull);
    let draft = pull.draft || DRAFTS.iter().any(|prefix| pull.title.starts_with(prefix));
    let labels = pull.labels.unwrap_or_default();
    let kind = EventKind::PullRequest(PullRequest {
        number: pull.number,
        branch: pull.head.r#ref.0,
        base: pull.base.r#ref.0,
        head_repository: pull.head.repo.map(|repository| repository.full_name.0),
        author: login(pull.user),
        draft,
        // neither says where the head was
        before: None,
        labels: labels.into_iter().take(MOST_LABELS).map(|label| start_of(&label.name, LONGEST_LABEL)).collect(),
    });
    let title = first_line(&pull.title);
    Reading::Event(common.event(kind, pull.head.sha, Some(pull.base.sha), title, trust))
}

fn closed(common: Common, payload: ClosedPayload) -> Reading {
    let Closed { number, merged } = payload.pull_request;
    let (repository, actor) = common.taken_apart();
    let end = if merged { PullEnd::Merged } else { PullEnd::Closed };
    Reading::Closed(Closing { repository, number, end, actor })
}

/// The ids decide: a name can be given to another repository.
fn trust(pull: &Pull) -> Trust {
    let reason = match (&pull.head.repo, &pull.base.repo) {
        (Some(head), Some(base)) if head.id == base.id => {
            if !pull.head.r#ref.0.starts_with(NO_BRANCH) {
                return Trust::Trusted;
            }
            UntrustedReason::Fork(format!("{} (pushed for review)", head.full_name.0))
        }
        (Some(head), _) => UntrustedReason::Fork(head.full_name.0.to_string()),
        (None, _) => UntrustedReason::HeadRepositoryGone,
    };
    Trust::Untrusted(reason)
}

fn issue_comment(common: Common, payload: IssueCommentPayload) -> Reading {
    let IssueCommentPayload { issue, comment: CommentPayload { id, body, user }, is_pull } = payload;
    if !is_pull && issue.pull_request.is_none() {
        return Reading::Nothing("the comment is not below a pull request".to_owned());
    }
    common.comment(issue.number, (id, CommentForm::Below), &body, login(user))
}

/// A review has no id to which anybody could react: it is answered by a comment.
fn review(mut common: Common, payload: ReviewPayload) -> Reading {
    let words = payload.review.map(|review| review.content).unwrap_or_default();
    let author = login(common.sender.take());
    common.comment(payload.pull_request.number, (0, CommentForm::Review), &words, author)
}

impl Common {
    /// Our own words are no orders.
    fn comment(self, number: u64, (id, form): (u64, CommentForm), text: &str, author: String) -> Reading {
        if text.contains(OURS) {
            return Reading::Nothing("the comment is our own".to_owned());
        }
        let orders = orders(text);
        if orders.is_empty() {
            return Reading::Nothing("the comment does not tell us to do anything".to_owned());
        }
        let (repository, _) = self.taken_apart();
        Reading::Comment(Comment {
            place: CommentPlace { repository, thread: Thread::PullRequest(number), id, form },
            author,
            orders,
        })
    }

    fn event(self, kind: EventKind, sha: Sha, base_sha: Option<Sha>, title: String, trust: Trust) -> Event {
        let (repository, actor) = self.taken_apart();
        Event { repository, kind, sha, base_sha, actor, title, trust, message: None }
    }

    fn taken_apart(self) -> (Repository, String) {
        let repository = Repository {
            forge: ForgeKind::Gitea,
            visibility: self.repository.seen.visibility(),
            name: self.repository.full_name.0,
            default_branch: self.repository.default_branch.0,
            clone_url: self.repository.clone_url,
            web_url: self.repository.html_url,
            installation: None,
        };
        (repository, login(self.sender))
    }
}

impl Seen {
    /// What says nothing of it is no word at all.
    pub(super) fn visibility(&self) -> Visibility {
        let owner = self.owner.as_ref().and_then(|owner| owner.visibility.as_deref()).unwrap_or("public");
        match (self.private, self.internal.unwrap_or(false), owner) {
            (Some(false), false, "public") => Visibility::Public,
            (None, false, "public") => Visibility::Unknown,
            (Some(_) | None, _, _) => Visibility::Private,
        }
    }
}

fn login(account: Option<Account>) -> String {
    let name = account.map(|account| if account.login.is_empty() { account.username } else { account.login });
    let name = name.filter(|name| !name.is_empty());
    name.map_or_else(|| GHOST.to_owned(), |name| start_of(&name, LONGEST_LOGIN))
}

fn first_line(text: &str) -> String {
    start_of(text.lines().next().unwrap_or_default().trim_end(), LONGEST_TITLE)
}

fn start_of(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

fn nothing(why: impl Into<String>) -> Result<Reading, Unreadable> {
    Ok(Reading::Nothing(why.into()))
}

fn not_json(error: &serde_json::Error, body: &[u8]) -> Unreadable {
    if body.starts_with(b"payload=") {
        let hint = "it is a form: set the webhook's POST content type to application/json";
        return Unreadable::NotJson(hint.to_owned());
    }
    Unreadable::NotJson(error.to_string())
}

/// Reads a body that is known to be JSON; an error says where it is not of our shape.
fn shaped<T: DeserializeOwned>(event: &str, body: &[u8]) -> Result<T, Unreadable> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| Unreadable::Shape {
        event: event.to_owned(),
        message: format!("{}: {}", error.path(), error.inner()),
    })
}
