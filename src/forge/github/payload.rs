//! What a delivery means. GitHub adds events, actions and fields without notice, so only what starts runs is read,
//! and everything else is named as starting nothing.

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::button;
use crate::{
    forge::{Reading, Unreadable},
    model::{
        Audience, Button, Closing, Comment, CommentForm, CommentPlace, Event, EventKind, ForgeKind, NameError, PullEnd,
        PullRequest, Repository, RepositoryName, Rerun, Sha, Thread, Trust, UntrustedReason, Visibility, orders,
    },
};

/// Who did it when GitHub does not say: its own name for accounts that are gone.
const GHOST: &str = "ghost";
/// The branches on which a merge queue tries its merges; `merge_group` tells about them.
pub(super) const QUEUE: &str = "gh-readonly-queue/";
/// What happens to a pull request that gives it code to run.
pub(super) const PULL_ACTIONS: [&str; 3] = ["opened", "reopened", "synchronize"];
/// What happens to a pull request that is open no longer.
const CLOSED: &str = "closed";
/// No forge takes a longer ref.
pub(super) const LONGEST_REF: usize = 1024;
const LONGEST_TITLE: usize = 200;
/// What is said further on in a message is not looked at.
pub(super) const LONGEST_MESSAGE: usize = 16_384;
/// A GitHub login has at most 39 characters, and `[bot]` behind them.
const LONGEST_LOGIN: usize = 100;

/// GitHub takes 100 of 50 characters each.
const MOST_LABELS: usize = 100;
const LONGEST_LABEL: usize = 100;

/// Every payload has these.
#[derive(Deserialize)]
struct Common {
    repository: RepositoryPayload,
    sender: Option<Account>,
    installation: Option<Id>,
}

#[derive(Deserialize)]
struct RepositoryPayload {
    full_name: FullName,
    default_branch: Ref,
    clone_url: String,
    html_url: String,
    private: Option<bool>,
    /// `internal` is for all of an enterprise, and `private` then.
    visibility: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    login: String,
    r#type: Option<String>,
}

#[derive(Deserialize)]
struct Id {
    id: u64,
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
}

#[derive(Deserialize)]
struct Commit {
    id: Sha,
    message: String,
}

#[derive(Deserialize)]
struct PullRequestPayload {
    pull_request: Pull,
    /// Only of `synchronize`.
    before: Option<Sha>,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    title: String,
    #[serde(default)]
    draft: bool,
    user: Option<Account>,
    #[serde(default)]
    labels: Vec<Label>,
    head: Head,
    base: Base,
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
struct Base {
    r#ref: Ref,
    sha: Sha,
    repo: PullRepository,
}

#[derive(Deserialize)]
struct PullRepository {
    id: u64,
    full_name: FullName,
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
struct MergeGroupPayload {
    merge_group: MergeGroup,
}

#[derive(Deserialize)]
struct DestroyedPayload {
    merge_group: MergeGroup,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct MergeGroup {
    head_sha: Sha,
    head_ref: Ref,
    base_sha: Sha,
    base_ref: Ref,
    head_commit: Commit,
}

#[derive(Deserialize)]
struct CheckRunPayload {
    check_run: CheckRun,
}

#[derive(Deserialize)]
struct CheckRun {
    head_sha: Sha,
    external_id: Option<String>,
}

/// Of a `requested_action` event.
#[derive(Deserialize)]
struct Requested {
    requested_action: RequestedAction,
}

#[derive(Deserialize)]
struct RequestedAction {
    identifier: String,
}

#[derive(Deserialize)]
struct IssueCommentPayload {
    issue: Issue,
    comment: CommentPayload,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    /// Only of pull requests.
    pull_request: Option<IgnoredAny>,
}

/// Of a comment beside a line.
#[derive(Deserialize)]
struct LineCommentPayload {
    pull_request: Numbered,
    comment: CommentPayload,
}

/// A review's own words; what it says of lines comes in deliveries of its own.
#[derive(Deserialize)]
struct ReviewPayload {
    pull_request: Numbered,
    review: CommentPayload,
}

#[derive(Deserialize)]
struct Numbered {
    number: u64,
}

#[derive(Deserialize)]
struct CommitCommentPayload {
    comment: CommitComment,
}

#[derive(Deserialize)]
struct CommitComment {
    commit_id: Sha,
    #[serde(flatten)]
    comment: CommentPayload,
}

#[derive(Deserialize)]
struct CommentPayload {
    id: u64,
    body: Option<String>,
    user: Option<Account>,
}

#[derive(Deserialize)]
struct CheckSuitePayload {
    check_suite: CheckSuite,
}

#[derive(Deserialize)]
struct CheckSuite {
    head_sha: Sha,
}

/// `owner/repository`: on GitHub, names do not nest.
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

/// Whether a delivery of this event may start runs.
pub(super) fn may_start_runs(event: &str, action: Option<&str>) -> bool {
    match (event, action) {
        ("push", _) | ("merge_group", Some("checks_requested" | "destroyed")) => true,
        ("pull_request", Some(action)) => action == CLOSED || PULL_ACTIONS.contains(&action),
        ("repository", Some(action)) => audience(action).is_some(),
        ("issue_comment" | "commit_comment" | "pull_request_review_comment", Some("created")) => true,
        ("pull_request_review", Some("submitted")) => true,
        ("check_run" | "check_suite", Some("rerequested")) | ("check_run", Some("requested_action")) => true,
        _ => false,
    }
}

/// Reads a delivery of this event.
pub(super) fn read(event: &str, body: &[u8]) -> Result<Reading, Unreadable> {
    serde_json::from_slice::<IgnoredAny>(body).map_err(|e| not_json(&e, body))?;
    match event {
        "push" => Ok(push(shaped(event, body)?, shaped(event, body)?)),
        "pull_request"
        | "merge_group"
        | "check_run"
        | "check_suite"
        | "issue_comment"
        | "commit_comment"
        | "pull_request_review"
        | "pull_request_review_comment"
        | "repository" => {
            let Acted { action } = shaped(event, body)?;
            acted(event, &action, body)
        }
        "ping" => nothing("GitHub asks whether we are there"),
        _ => nothing(format!("`{event}` events start nothing")),
    }
}

fn acted(event: &str, action: &str, body: &[u8]) -> Result<Reading, Unreadable> {
    match (event, action) {
        ("pull_request", action) if PULL_ACTIONS.contains(&action) => {
            Ok(pull_request(shaped(event, body)?, shaped(event, body)?))
        }
        ("pull_request", CLOSED) => Ok(closed(shaped(event, body)?, shaped(event, body)?)),
        ("merge_group", "checks_requested") => Ok(merge_group(shaped(event, body)?, shaped(event, body)?)),
        ("merge_group", "destroyed") => Ok(destroyed(shaped(event, body)?, shaped(event, body)?)),
        ("check_run", "rerequested") => Ok(check_run(shaped(event, body)?, shaped(event, body)?, None)),
        ("check_run", "requested_action") => {
            let Requested { requested_action: RequestedAction { identifier } } = shaped(event, body)?;
            match button::of(&identifier) {
                Some(button) => Ok(check_run(shaped(event, body)?, shaped(event, body)?, Some(button))),
                None => nothing(format!("the button `{}` is none of ours", start_of(&identifier, 20))),
            }
        }
        ("issue_comment", "created") => Ok(issue_comment(shaped(event, body)?, shaped(event, body)?)),
        ("commit_comment", "created") => Ok(commit_comment(shaped(event, body)?, shaped(event, body)?)),
        ("repository", action) => match audience(action) {
            Some(told) => Ok(Reading::Audience(Audience { repository: named(event, body)?, told })),
            None => nothing(format!("`repository` events with the action `{}` start nothing", start_of(action, 40))),
        },
        ("pull_request_review_comment", "created") => Ok(line_comment(shaped(event, body)?, shaped(event, body)?)),
        ("pull_request_review", "submitted") => Ok(review(shaped(event, body)?, shaped(event, body)?)),
        ("check_suite", "rerequested") => Ok(check_suite(shaped(event, body)?, shaped(event, body)?)),
        _ => nothing(format!("`{event}` events with the action `{}` start nothing", start_of(action, 40))),
    }
}

fn push(common: Common, payload: PushPayload) -> Reading {
    let Ref(full) = payload.r#ref;
    if payload.after.is_zero() {
        return Reading::Nothing(format!("{full} was deleted"));
    }
    let (kind, sha) = if let Some(branch) = full.strip_prefix("refs/heads/") {
        if branch.starts_with(QUEUE) {
            return Reading::Nothing(format!("{branch} is a merge queue's; its `merge_group` event counts"));
        }
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
    Reading::Event(Event { message, ..common.event(kind, sha, base_sha, title, Trust::Trusted) })
}

fn pull_request(common: Common, payload: PullRequestPayload) -> Reading {
    let pull = payload.pull_request;
    let trust = trust(pull.head.repo.as_ref(), &pull.base.repo);
    let kind = EventKind::PullRequest(PullRequest {
        number: pull.number,
        branch: pull.head.r#ref.0,
        base: pull.base.r#ref.0,
        head_repository: pull.head.repo.map(|repository| repository.full_name.0),
        author: login(pull.user),
        draft: pull.draft,
        before: payload.before,
        labels: pull.labels.into_iter().take(MOST_LABELS).map(|label| start_of(&label.name, LONGEST_LABEL)).collect(),
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

fn named(event: &str, body: &[u8]) -> Result<RepositoryName, Unreadable> {
    let common: Common = shaped(event, body)?;
    Ok(common.repository.full_name.0)
}

/// What is told of who may see a repository by something that happens to it.
fn audience(action: &str) -> Option<Visibility> {
    match action {
        "privatized" | "deleted" => Some(Visibility::Private),
        "publicized" => Some(Visibility::Public),
        _ => None,
    }
}

/// The ids decide: a name can be given to another repository.
fn trust(head: Option<&PullRepository>, base: &PullRepository) -> Trust {
    match head {
        Some(head) if head.id == base.id => Trust::Trusted,
        Some(head) => Trust::Untrusted(UntrustedReason::Fork(head.full_name.0.to_string())),
        None => Trust::Untrusted(UntrustedReason::HeadRepositoryGone),
    }
}

/// Only who may write to the repository can put a pull request in its queue.
fn merge_group(common: Common, payload: MergeGroupPayload) -> Reading {
    let group = payload.merge_group;
    let kind = EventKind::MergeGroup { base: branch(group.base_ref), branch: branch(group.head_ref) };
    let title = first_line(&group.head_commit.message);
    Reading::Event(common.event(kind, group.head_sha, Some(group.base_sha), title, Trust::Trusted))
}

/// The queue wants to know no more: it was merged, or something before it failed.
fn destroyed(common: Common, payload: DestroyedPayload) -> Reading {
    let reason = start_of(&payload.reason.unwrap_or_default(), 40);
    let actor = if reason.is_empty() { "the merge queue".to_owned() } else { format!("the merge queue: {reason}") };
    let rerun = common.rerun(payload.merge_group.head_sha, None);
    Reading::Rerun(Rerun { button: Some(Button::Cancel), actor, ..rerun })
}

fn check_run(common: Common, payload: CheckRunPayload, button: Option<Button>) -> Reading {
    let run = payload.check_run;
    match run.external_id.filter(|id| !id.is_empty()) {
        Some(id) => Reading::Rerun(Rerun { button, ..common.rerun(run.head_sha, Some(id)) }),
        None => Reading::Nothing("the check to run again is none of ours: it has no `external_id`".to_owned()),
    }
}

fn check_suite(common: Common, payload: CheckSuitePayload) -> Reading {
    Reading::Rerun(common.rerun(payload.check_suite.head_sha, None))
}

fn issue_comment(common: Common, payload: IssueCommentPayload) -> Reading {
    let IssueCommentPayload { issue, comment } = payload;
    match issue.pull_request {
        Some(IgnoredAny) => common.comment(comment, Thread::PullRequest(issue.number), CommentForm::Below),
        None => Reading::Nothing("the comment is not below a pull request".to_owned()),
    }
}

fn commit_comment(common: Common, payload: CommitCommentPayload) -> Reading {
    let CommitComment { commit_id, comment } = payload.comment;
    common.comment(comment, Thread::Commit(commit_id), CommentForm::Below)
}

fn line_comment(common: Common, payload: LineCommentPayload) -> Reading {
    common.comment(payload.comment, Thread::PullRequest(payload.pull_request.number), CommentForm::Beside)
}

fn review(common: Common, payload: ReviewPayload) -> Reading {
    common.comment(payload.review, Thread::PullRequest(payload.pull_request.number), CommentForm::Review)
}

impl Common {
    /// A program's words are no orders, and least of all our own.
    fn comment(self, comment: CommentPayload, thread: Thread, form: CommentForm) -> Reading {
        let CommentPayload { id, body, user } = comment;
        let orders = orders(&body.unwrap_or_default());
        if orders.is_empty() {
            return Reading::Nothing("the comment does not tell us to do anything".to_owned());
        }
        if user.as_ref().is_some_and(|user| user.r#type.as_deref() == Some("Bot")) {
            return Reading::Nothing("the comment is a program's".to_owned());
        }
        let (repository, _) = self.taken_apart();
        let place = CommentPlace { repository, thread, id, form };
        Reading::Comment(Comment { place, author: login(user), orders })
    }

    fn event(self, kind: EventKind, sha: Sha, base_sha: Option<Sha>, title: String, trust: Trust) -> Event {
        let (repository, actor) = self.taken_apart();
        Event { repository, kind, sha, base_sha, actor, title, trust, message: None }
    }

    fn rerun(self, sha: Sha, external_id: Option<String>) -> Rerun {
        let (repository, actor) = self.taken_apart();
        Rerun { repository, sha, external_id, button: None, actor }
    }

    fn taken_apart(self) -> (Repository, String) {
        let visibility = visibility(self.repository.private, self.repository.visibility.as_deref());
        let repository = Repository {
            forge: ForgeKind::Github,
            visibility,
            name: self.repository.full_name.0,
            default_branch: self.repository.default_branch.0,
            clone_url: self.repository.clone_url,
            web_url: self.repository.html_url,
            installation: self.installation.map(|installation| installation.id),
        };
        (repository, login(self.sender))
    }
}

/// Who may see a repository. What says nothing of it is no word at all.
pub(super) fn visibility(private: Option<bool>, visibility: Option<&str>) -> Visibility {
    match (private, visibility) {
        (Some(false), None | Some("public")) => Visibility::Public,
        (None, None) => Visibility::Unknown,
        (Some(_) | None, _) => Visibility::Private,
    }
}

fn login(account: Option<Account>) -> String {
    account.map_or_else(|| GHOST.to_owned(), |account| start_of(&account.login, LONGEST_LOGIN))
}

fn branch(Ref(full): Ref) -> String {
    full.strip_prefix("refs/heads/").map_or(full.clone(), str::to_owned)
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
        let hint = "it is a form: set the webhook's content type to application/json";
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
