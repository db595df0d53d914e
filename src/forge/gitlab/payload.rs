//! What a delivery means. GitLab adds events, actions and fields without notice, so only what starts runs is read, and
//! everything else is named as starting nothing.
//!
//! What a delivery is stands in its body, which a signature covers; the header says the same, and a system hook's says
//! less.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{
    forge::{Reading, Unreadable},
    model::{
        Audience, Closing, Comment, CommentForm, CommentPlace, Event, EventKind, ForgeKind, NameError, PullEnd,
        PullRequest, Repository, RepositoryName, Sha, Thread, Trust, UntrustedReason, Visibility, orders,
    },
};

/// Who did it when GitLab does not say: its own name for accounts that are gone.
const GHOST: &str = "ghost";
/// No forge takes a longer ref.
pub(super) const LONGEST_REF: usize = 1024;
const LONGEST_TITLE: usize = 200;
/// What is said further on in a message is not looked at.
pub(super) const LONGEST_MESSAGE: usize = 16_384;
/// GitLab takes 255 characters.
const LONGEST_LOGIN: usize = 255;
const MOST_LABELS: usize = 100;
const LONGEST_LABEL: usize = 255;

/// What a delivery is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Push,
    Tag,
    MergeRequest,
    Note,
    /// Of a system hook: who may see a project.
    Project,
    Other(String),
}

/// A system hook's push says `event_name`, and everything else `object_kind`.
#[derive(Deserialize)]
struct Kinds {
    object_kind: Option<String>,
    event_name: Option<String>,
}

#[derive(Deserialize)]
struct Project {
    path_with_namespace: FullName,
    /// Of a project without a commit there is none.
    default_branch: Option<Ref>,
    git_http_url: String,
    web_url: String,
    visibility_level: Option<u64>,
}

#[derive(Deserialize)]
struct Account {
    id: Option<u64>,
    username: Option<String>,
}

#[derive(Deserialize)]
struct PushPayload {
    project: Project,
    r#ref: Ref,
    before: Sha,
    after: Sha,
    /// Of an annotated tag: the commit, where `after` is the tag's own object.
    checkout_sha: Option<Sha>,
    user_username: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    commits: Vec<Commit>,
    #[serde(default, deserialize_with = "or_default")]
    push_options: PushOptions,
}

#[derive(Default, Deserialize)]
struct PushOptions {
    #[serde(default, deserialize_with = "or_default")]
    ci: CiOptions,
}

#[derive(Default, Deserialize)]
struct CiOptions {
    skip: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Commit {
    id: Sha,
    message: Option<String>,
}

#[derive(Deserialize)]
struct MergeRequestPayload {
    project: Project,
    user: Option<Account>,
    object_attributes: MergeRequest,
    #[serde(default, deserialize_with = "or_default")]
    labels: Vec<Label>,
}

#[derive(Deserialize)]
struct MergeRequest {
    iid: u64,
    /// Left out where a program makes the delivery.
    #[serde(default)]
    action: String,
    #[serde(default)]
    title: String,
    state: Option<String>,
    draft: Option<bool>,
    /// What old instances call a draft.
    work_in_progress: Option<bool>,
    author_id: Option<u64>,
    source_branch: Ref,
    target_branch: Ref,
    source_project_id: Option<u64>,
    target_project_id: u64,
    source: Option<SourceProject>,
    last_commit: Option<Commit>,
    /// Only where there is new code.
    oldrev: Option<Sha>,
}

#[derive(Deserialize)]
struct SourceProject {
    path_with_namespace: FullName,
}

/// `project_update` and `project_destroy`, which only system hooks bring.
#[derive(Deserialize)]
struct ProjectPayload {
    event_name: String,
    path_with_namespace: FullName,
    /// `public`; older instances say `visibilitylevel|public`.
    #[serde(default)]
    project_visibility: String,
}

#[derive(Deserialize)]
struct Label {
    title: String,
}

#[derive(Deserialize)]
struct NotePayload {
    project: Project,
    user: Option<Account>,
    object_attributes: Note,
    merge_request: Option<NotedRequest>,
    commit: Option<NotedCommit>,
}

#[derive(Deserialize)]
struct Note {
    id: u64,
    note: Option<String>,
    noteable_type: String,
    /// Old instances send only what is new, and do not say so.
    action: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    system: bool,
}

#[derive(Deserialize)]
struct NotedRequest {
    iid: u64,
}

#[derive(Deserialize)]
struct NotedCommit {
    id: Sha,
}

/// `group/project`, or `group/subgroup/…/project`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct FullName(RepositoryName);

impl TryFrom<String> for FullName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let name: RepositoryName = text.parse().map_err(|e: NameError| e.to_string())?;
        if name.owner().is_empty() { Err(format!("`{name}` is no `group/project`")) } else { Ok(Self(name)) }
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

/// What a body says that it is.
pub(super) fn kind(body: &[u8]) -> Option<Kind> {
    let kinds: Kinds = serde_json::from_slice(body).ok()?;
    let name = kinds.object_kind.or(kinds.event_name)?;
    Some(match name.as_str() {
        "push" => Kind::Push,
        "tag_push" => Kind::Tag,
        "merge_request" => Kind::MergeRequest,
        "note" => Kind::Note,
        "project_update" | "project_destroy" => Kind::Project,
        _ => Kind::Other(start_of(&name, 40)),
    })
}

/// Reads a delivery of this event.
pub(super) fn read(event: &str, body: &[u8]) -> Result<Reading, Unreadable> {
    serde_json::from_slice::<IgnoredAny>(body).map_err(|e| Unreadable::NotJson(e.to_string()))?;
    match kind(body) {
        Some(Kind::Push | Kind::Tag) => Ok(push(shaped(event, body)?)),
        Some(Kind::MergeRequest) => Ok(merge_request(shaped(event, body)?)),
        Some(Kind::Note) => Ok(note(shaped(event, body)?)),
        Some(Kind::Project) => Ok(audience(shaped(event, body)?)),
        Some(Kind::Other(kind)) => nothing(format!("`{kind}` events start nothing")),
        None => nothing("it does not say what it is: there is no `object_kind`"),
    }
}

fn push(payload: PushPayload) -> Reading {
    let Ref(full) = payload.r#ref;
    if payload.after.is_zero() {
        return Reading::Nothing(format!("{full} was deleted"));
    }
    if payload.push_options.ci.skip.is_some_and(|skip| skip != serde_json::Value::Bool(false)) {
        return Reading::Nothing("it was pushed with `-o ci.skip`".to_owned());
    }
    let (kind, sha) = if let Some(branch) = full.strip_prefix("refs/heads/") {
        (EventKind::Push { branch: branch.to_owned() }, payload.after)
    } else if let Some(tag) = full.strip_prefix("refs/tags/") {
        (EventKind::Tag { tag: tag.to_owned() }, payload.checkout_sha.unwrap_or(payload.after))
    } else {
        return Reading::Nothing(format!("{full} is neither a branch nor a tag"));
    };
    let message = payload.commits.into_iter().find(|commit| commit.id == sha).and_then(|commit| commit.message);
    Reading::Event(Event {
        repository: repository(payload.project),
        kind,
        sha,
        base_sha: Some(payload.before).filter(|before| !before.is_zero()),
        actor: login(payload.user_username),
        title: first_line(message.as_deref().unwrap_or_default()),
        trust: Trust::Trusted,
        message: message.map(|message| start_of(&message, LONGEST_MESSAGE)),
    })
}

fn merge_request(payload: MergeRequestPayload) -> Reading {
    let request = payload.object_attributes;
    let end = match request.action.as_str() {
        "close" => Some(PullEnd::Closed),
        "merge" => Some(PullEnd::Merged),
        _ => None,
    };
    if let Some(end) = end {
        let actor = login(payload.user.and_then(|user| user.username));
        return Reading::Closed(Closing { repository: repository(payload.project), number: request.iid, end, actor });
    }
    if let Err(why) = has_new_code(&request) {
        return Reading::Nothing(why);
    }
    let Some(head) = request.last_commit else {
        return Reading::Nothing("the merge request has no commit".to_owned());
    };
    let trust = trust(request.source_project_id, request.target_project_id, request.source.as_ref());
    let author = author(request.author_id, payload.user.as_ref());
    let kind = EventKind::PullRequest(PullRequest {
        number: request.iid,
        branch: request.source_branch.0,
        base: request.target_branch.0,
        head_repository: request.source.map(|source| source.path_with_namespace.0),
        author,
        draft: request.draft.or(request.work_in_progress).unwrap_or(false),
        before: request.oldrev,
        labels: payload
            .labels
            .into_iter()
            .take(MOST_LABELS)
            .map(|label| start_of(&label.title, LONGEST_LABEL))
            .collect(),
    });
    Reading::Event(Event {
        repository: repository(payload.project),
        kind,
        sha: head.id,
        base_sha: None,
        actor: login(payload.user.and_then(|user| user.username)),
        title: first_line(&request.title),
        trust,
        message: head.message.map(|message| start_of(&message, LONGEST_MESSAGE)),
    })
}

/// A project that is gone still is what it was; nobody need see it.
fn audience(payload: ProjectPayload) -> Reading {
    let level = payload.project_visibility.rsplit('|').next();
    let is_public = level == Some("public") && payload.event_name == "project_update";
    let told = if is_public { Visibility::Public } else { Visibility::Private };
    Reading::Audience(Audience { repository: payload.path_with_namespace.0, told })
}

/// Labels, titles and reviews are updates, too.
fn has_new_code(request: &MergeRequest) -> Result<(), String> {
    if request.state.as_deref().is_some_and(|state| state != "opened") {
        return Err(format!("the merge request is {}", start_of(request.state.as_deref().unwrap_or_default(), 40)));
    }
    match request.action.as_str() {
        action if tells_of_code(action, request.oldrev.is_some()) => Ok(()),
        "update" => Err("the merge request has no new code".to_owned()),
        other => Err(format!("merge requests with the action `{}` start nothing", start_of(other, 40))),
    }
}

/// Whether a merge request is of the kind that tells of new code.
pub(super) fn tells_of_code(action: &str, has_old: bool) -> bool {
    matches!(action, "open" | "reopen") || action == "update" && has_old
}

/// The ids decide: a name can be given to another project.
fn trust(source: Option<u64>, target: u64, project: Option<&SourceProject>) -> Trust {
    match (source, project) {
        (Some(source), _) if source == target => Trust::Trusted,
        (Some(_), Some(project)) => Trust::Untrusted(UntrustedReason::Fork(project.path_with_namespace.0.to_string())),
        (Some(_), None) | (None, _) => Trust::Untrusted(UntrustedReason::HeadRepositoryGone),
    }
}

/// Who opened it. GitLab names only who does something now, which may be somebody else: then it is the number of the
/// account, which no login looks like.
fn author(id: Option<u64>, user: Option<&Account>) -> String {
    match (id, user) {
        (Some(id), Some(Account { id: Some(user), username: Some(name) })) if id == *user => {
            start_of(name, LONGEST_LOGIN)
        }
        (Some(id), _) => format!("#{id}"),
        (None, _) => GHOST.to_owned(),
    }
}

fn note(payload: NotePayload) -> Reading {
    let note = payload.object_attributes;
    if note.system || note.action.is_some_and(|action| action != "create") {
        return Reading::Nothing("the comment is not a new one of a person".to_owned());
    }
    let thread = match (note.noteable_type.as_str(), payload.merge_request, payload.commit) {
        ("MergeRequest", Some(request), _) => Thread::PullRequest(request.iid),
        ("Commit", _, Some(commit)) => Thread::Commit(commit.id),
        _ => return Reading::Nothing("the comment is neither below a merge request nor below a commit".to_owned()),
    };
    let orders = orders(&note.note.unwrap_or_default());
    if orders.is_empty() {
        return Reading::Nothing("the comment does not tell us to do anything".to_owned());
    }
    let author = login(payload.user.and_then(|user| user.username));
    if is_bot(&author) {
        return Reading::Nothing("the comment is a program's".to_owned());
    }
    // a note beside a line is a note like any other, and takes thumbs like any other
    let form = CommentForm::Below;
    let place = CommentPlace { repository: repository(payload.project), thread, id: note.id, form };
    Reading::Comment(Comment { place, author, orders })
}

/// Whether a login is that of a project's or a group's access token: `project_7_bot_0a1b2c`.
fn is_bot(login: &str) -> bool {
    let rest = login.strip_prefix("project_").or_else(|| login.strip_prefix("group_"));
    rest.and_then(|rest| rest.split_once('_')).is_some_and(|(id, rest)| {
        !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) && (rest == "bot" || rest.starts_with("bot_"))
    })
}

fn repository(project: Project) -> Repository {
    Repository {
        forge: ForgeKind::Gitlab,
        name: project.path_with_namespace.0,
        default_branch: project.default_branch.map_or_else(|| "main".to_owned(), |branch| branch.0),
        clone_url: project.git_http_url,
        web_url: project.web_url,
        installation: None,
        visibility: visibility(project.visibility_level),
    }
}

/// What GitLab shows to all who sign in there is not for everybody.
const fn visibility(level: Option<u64>) -> Visibility {
    match level {
        Some(20) => Visibility::Public,
        Some(_) => Visibility::Private,
        None => Visibility::Unknown,
    }
}

fn login(name: Option<String>) -> String {
    name.filter(|name| !name.is_empty()).map_or_else(|| GHOST.to_owned(), |name| start_of(&name, LONGEST_LOGIN))
}

fn first_line(text: &str) -> String {
    start_of(text.lines().next().unwrap_or_default().trim_end(), LONGEST_TITLE)
}

fn start_of(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// GitLab writes `null` for what is empty, now and then.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(json: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(json)?.unwrap_or_default())
}

fn nothing(why: impl Into<String>) -> Result<Reading, Unreadable> {
    Ok(Reading::Nothing(why.into()))
}

/// Reads a body that is known to be JSON; an error says where it is not of our shape.
fn shaped<T: DeserializeOwned>(event: &str, body: &[u8]) -> Result<T, Unreadable> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| Unreadable::Shape {
        event: event.to_owned(),
        message: format!("{}: {}", error.path(), error.inner()),
    })
}
