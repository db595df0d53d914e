//! One comment below a fork's merge request, kept up to date, where GitLab takes statuses neither in the fork nor here.
//!
//! Each line has what it says a second time, for us, in a comment that nobody sees. The comment is about the newest code
//! alone: what is still told of older code is dropped.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gitlab::api::{
    common::{NameOrId, SortOrder},
    endpoint_prelude::{Cow, Endpoint, Method},
    projects::merge_requests::{
        MergeRequest,
        notes::{CreateMergeRequestNote, EditMergeRequestNote, MergeRequestNotes},
    },
    users::CurrentUser,
};
use serde::{Deserialize, Serialize};

use super::{
    Gitlab,
    api::{Api, refused},
    slot::Slot,
    way::{self, Known, Way},
};
use crate::{
    forge::{ForgeError, Shown, Wanted},
    model::{Context, Event, RepositoryName, Sha},
};

const MARK: &str = "<!-- containerops states -->";
const LINE: &str = "<!-- containerops state ";
const END: &str = " -->";
/// GitLab takes a million characters.
const LONGEST: usize = 900_000;
/// So many notes are looked through for ours.
const NOTES: usize = 1000;

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    context: Context,
    sha: Sha,
    state: String,
    title: String,
    url: String,
}

#[derive(Deserialize)]
struct Note {
    id: u64,
    body: String,
    author: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    id: u64,
}

/// One note by its number, which the crate does not ask for.
struct OneNote<'a> {
    project: NameOrId<'a>,
    request: u64,
    id: u64,
}

impl Endpoint for OneNote<'_> {
    fn method(&self) -> Method {
        Method::GET
    }

    fn endpoint(&self) -> Cow<'static, str> {
        format!("projects/{}/merge_requests/{}/notes/{}", self.project, self.request, self.id).into()
    }
}

/// Says one state; its word. The caller has the commit's turn; two commits of one merge request are told apart by which
/// is its head.
pub(super) async fn write(
    gitlab: &Gitlab,
    slot: &mut Slot,
    wanted: &Wanted<'_>,
    what: Shown,
) -> Result<String, ForgeError> {
    let request = way::request(wanted).ok_or_else(|| refused(0, "there is no merge request".to_owned()))?;
    let project = &wanted.repository.name;
    let state = what.state.clone();
    if head(&gitlab.api, project, request).await? != *wanted.sha {
        return Ok(state);
    }
    let note = ours(gitlab, slot.note, project, request).await?;
    let mut lines = note.as_ref().map_or_else(Vec::new, |note| lines(&note.body));
    lines.retain(|line| line.sha == *wanted.sha && line.context != what.context);
    lines.push(Line {
        context: what.context,
        sha: wanted.sha.clone(),
        state: what.state,
        title: what.title,
        url: what.url,
    });
    lines.sort_by(|a, b| a.context.cmp(&b.context));
    let body = body(wanted.sha, &lines);
    if body.len() > LONGEST {
        return Err(refused(0, "the comment would be longer than GitLab takes".to_owned()));
    }
    match note {
        Some(note) if note.body == body => slot.note = Some(note.id),
        Some(note) => {
            let call = EditMergeRequestNote::builder()
                .project(project.as_str())
                .merge_request(request)
                .note(note.id)
                .body(body)
                .build();
            gitlab.api.send(call).await?;
            slot.note = Some(note.id);
        }
        None => {
            let call =
                CreateMergeRequestNote::builder().project(project.as_str()).merge_request(request).body(body).build();
            let new: Note = gitlab.api.get(call).await?;
            slot.note = Some(new.id);
        }
    }
    Ok(state)
}

/// What our comment says of a commit; `None`: it is about other code by now.
pub(super) async fn shown(gitlab: &Gitlab, event: &Event, sha: &Sha) -> Result<Option<Vec<Shown>>, ForgeError> {
    let Some(pull) = way::fork(event) else { return Ok(Some(Vec::new())) };
    let Some(note) = ours(gitlab, None, &event.repository.name, pull.number).await? else {
        return Ok(Some(Vec::new()));
    };
    let lines = lines(&note.body);
    if lines.iter().any(|line| line.sha != *sha) {
        return Ok(None);
    }
    let known = Known { source: pull.head_repository.clone(), ..Known::new(Way::Comment) };
    Ok(Some(lines.into_iter().map(|line| line.shown(&known)).collect()))
}

/// Our own comment: others may have copied it.
async fn ours(
    gitlab: &Gitlab,
    id: Option<u64>,
    project: &RepositoryName,
    request: u64,
) -> Result<Option<Note>, ForgeError> {
    if let Some(id) = id {
        let call = OneNote { project: project.as_str().into(), request, id };
        let found: Option<Note> = gitlab.api.find(Ok::<_, String>(call)).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let call = MergeRequestNotes::builder()
        .project(project.as_str())
        .merge_request(request)
        .sort(SortOrder::Ascending)
        .build();
    let (notes, _): (Vec<Note>, _) = gitlab.api.list(call, NOTES).await?;
    let mut marked = notes.into_iter().filter(|note| note.body.starts_with(MARK)).peekable();
    if marked.peek().is_none() {
        return Ok(None);
    }
    let me = gitlab.me().await?;
    Ok(marked.find(|note| note.author.as_ref().is_some_and(|author| author.id == me)))
}

async fn head(api: &Api, project: &RepositoryName, request: u64) -> Result<Sha, ForgeError> {
    #[derive(Deserialize)]
    struct Request {
        sha: Sha,
    }
    let call = MergeRequest::builder().project(project.as_str()).merge_request(request).build();
    let Request { sha } = api.get(call).await?;
    Ok(sha)
}

/// Who we are, by number.
pub(super) async fn me(api: &Api) -> Result<u64, ForgeError> {
    let Author { id } = api.get(CurrentUser::builder().build()).await?;
    Ok(id)
}

fn body(sha: &Sha, lines: &[Line]) -> String {
    let head = format!(
        "{MARK}\nWe may write commit statuses neither in the fork nor here, so this comment says what they would. It is \
         about `{}`.\n\n",
        sha.short()
    );
    lines.iter().fold(head, |text, line| text + &line.markdown())
}

fn lines(body: &str) -> Vec<Line> {
    // what people see of a line stands before it, and may say anything
    let hidden = body.lines().filter_map(|line| line.rsplit_once(LINE)?.1.strip_suffix(END));
    hidden.filter_map(|text| serde_json::from_slice(&BASE64_STANDARD.decode(text).ok()?).ok()).collect()
}

impl Line {
    fn markdown(&self) -> String {
        let hidden = BASE64_STANDARD.encode(serde_json::to_vec(self).unwrap_or_default());
        let sign = match self.state.as_str() {
            "success" => "✅",
            "failed" => "❌",
            "canceled" => "🚫",
            "skipped" => "⏭️",
            _ => "⏳",
        };
        let name = plain(&self.context.0);
        let name = if self.url.starts_with("http") && !self.url.contains([')', ' ', '<', '\n']) {
            format!("[`{name}`]({})", self.url)
        } else {
            format!("`{name}`")
        };
        format!("- {sign} {name}: `{}` {LINE}{hidden}{END}\n", plain(&self.title))
    }

    fn shown(self, known: &Known) -> Shown {
        Shown {
            context: self.context,
            known: Some(Known { state: self.state.clone(), ..known.clone() }.text()),
            state: self.state,
            title: self.title,
            url: self.url,
            external_id: String::new(),
            summary: String::new(),
            annotations: 0,
        }
    }
}

/// A text that stays within its backticks: it calls nobody and does nothing.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c == '`' { '\'' } else { c }).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_comment_says_is_read_again_whatever_it_says() {
        let sha: Sha = "a".repeat(40).parse().expect("a sha");
        let line = |title: &str| Line {
            context: Context("containerops/ci/pr".to_owned()),
            sha: sha.clone(),
            state: "failed".to_owned(),
            title: title.to_owned(),
            url: "https://ci.example.com/1".to_owned(),
        };
        for title in ["exit code 1", "--> <b>`@all`\n/close", "<!-- containerops state eyJ9 -->", ""] {
            let body = body(&sha, &[line(title)]);
            assert_eq!(lines(&body), [line(title)], "{body}");
            // whatever it is, it is one line, which is no quick action and calls nobody
            assert_eq!(body.lines().count(), 4, "{body}");
            assert!(!body.contains("``@"), "{body}");
        }
    }
}
