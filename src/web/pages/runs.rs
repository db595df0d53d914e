//! Lists of runs.

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use serde::Deserialize;

use super::{
    Chrome, Failure, Mark, Moment, Place, Route, RunPlace, Took, find_repository,
    hook::{HookView, hook},
    query,
    queue::{QueueView, queues},
    render,
    secret::{SecretView, secrets},
    start::{StartView, forms},
};
use crate::{
    model::{Event, EventKind, ForgeKind, Repository, RunId, Time},
    store::{RunFilter, RunSummary},
    web::Web,
};

/// Runs on one page.
const PAGE: i64 = 50;

#[derive(Debug, Deserialize)]
struct ListQuery {
    before: Option<RunId>,
}

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    chrome: Chrome,
    repository: Option<RepositoryView>,
    queues: Vec<QueueView>,
    starts: Vec<StartView>,
    /// The page's own address.
    here: String,
    runs: Vec<RunLine>,
    older: Option<String>,
    older_page: bool,
}

struct RepositoryView {
    name: String,
    forge: ForgeKind,
    web_url: Option<String>,
    hook: Option<HookView>,
    secrets: Vec<SecretView>,
}

/// A run in a list.
pub(super) struct RunLine {
    pub(super) mark: Mark,
    pub(super) url: String,
    pub(super) title: String,
    pub(super) repository: String,
    pub(super) repository_url: String,
    pub(super) flow: String,
    pub(super) number: i64,
    pub(super) event: String,
    pub(super) sha: String,
    pub(super) actor: String,
    pub(super) reason: String,
    pub(super) created: Moment,
    pub(super) took: Option<Took>,
}

/// `GET /`.
pub(super) async fn all(State(web): State<Web>, uri: Uri) -> Result<Response, Failure> {
    list(&web, None, &uri).await
}

/// `GET /{forge}/{repository}`.
pub(super) async fn of_repository(web: &Web, route: &Route, uri: &Uri) -> Result<Response, Failure> {
    list(web, Some(route), uri).await
}

async fn list(web: &Web, route: Option<&Route>, uri: &Uri) -> Result<Response, Failure> {
    let ListQuery { before } = query(uri)?;
    let mut tx = web.engine.store.read().await?;
    let repository = match route {
        Some(route) => Some(find_repository(&mut tx, route).await?),
        None => None,
    };
    let filter = RunFilter { repository: repository.as_ref().map(|row| row.id), before, limit: PAGE + 1 };
    let mut rows = tx.runs(&filter).await?;
    let more = rows.len() as i64 > PAGE;
    rows.truncate(PAGE as usize);
    let older = rows.last().filter(|_| more).map(|last| format!("{}?before={}", uri.path(), last.id));
    let queues = match (route, &repository) {
        (Some(route), Some(row)) if before.is_none() => queues(&mut tx, route, row.id).await?,
        (Some(_) | None, _) => Vec::new(),
    };
    let starts = match &repository {
        Some(row) if before.is_none() => forms(&mut tx, row).await?,
        Some(_) | None => Vec::new(),
    };
    let now = web.engine.clock.now();
    let runs: Vec<RunLine> = rows.iter().map(|row| RunLine::new(row, now)).collect();
    let newest = runs.first().map_or_else(Mark::none, |run| run.mark.clone());
    let title = repository.as_ref().map_or_else(|| "Runs".to_owned(), |row| row.name.to_string());
    let chrome = Chrome::new(web, title, &newest).live(before.is_some());
    let hook = match &repository {
        Some(row) if before.is_none() => hook(&mut tx, row).await?,
        Some(_) | None => None,
    };
    let secrets = match &repository {
        Some(row) if before.is_none() => secrets(web, &mut tx, row).await?,
        Some(_) | None => Vec::new(),
    };
    let repository = repository.map(|row| RepositoryView {
        name: row.name.to_string(),
        forge: row.forge,
        web_url: web_link(&row.facts, ""),
        hook,
        secrets,
    });
    render(&RunsPage {
        chrome,
        repository,
        queues,
        starts,
        here: uri.path().to_owned(),
        runs,
        older,
        older_page: before.is_some(),
    })
}

impl RunLine {
    pub(super) fn new(row: &RunSummary, now: Time) -> Self {
        let place = Place::Run(row.number.cast_unsigned(), RunPlace::Page);
        let route = Route { forge: row.forge, repository: row.name.clone(), place };
        Self {
            mark: Mark::from(&row.state.0),
            url: route.to_string(),
            title: first_line(&row.event.title),
            repository: row.name.to_string(),
            repository_url: Route { place: Place::Runs, ..route }.to_string(),
            flow: row.flow.clone(),
            number: row.number,
            event: event_words(&row.event),
            sha: row.sha.short().to_owned(),
            actor: row.event.actor.clone(),
            reason: row.reason.clone(),
            created: Moment(row.created),
            took: Took::of(row.started, row.ended, now),
        }
    }
}

/// A title to click on, even where the forge gave none.
pub(super) fn first_line(title: &str) -> String {
    let line = title.lines().next().unwrap_or("").trim();
    if line.is_empty() { "(no title)".to_owned() } else { line.chars().take(200).collect() }
}

/// What happened, in a few words.
pub(super) fn event_words(event: &Event) -> String {
    match &event.kind {
        EventKind::Push { branch } => format!("push to {branch}"),
        EventKind::Tag { tag } => format!("tag {tag}"),
        EventKind::PullRequest(pull) => format!("pull request #{}: {} into {}", pull.number, pull.branch, pull.base),
        EventKind::MergeGroup { base, .. } => format!("merge queue of {base}"),
        EventKind::Schedule { branch, cron } => format!("schedule {cron} of {branch}"),
        EventKind::Manual { branch, .. } => format!("started by hand on {branch}"),
        EventKind::Flow { branch, after, .. } => format!("after {after}, on {branch}"),
    }
}

/// A page of the repository on its forge. Only of the web: what a payload calls a URL may be anything.
pub(super) fn web_link(repository: &Repository, path: &str) -> Option<String> {
    let url = repository.web_url.trim_end_matches('/');
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    is_web.then(|| format!("{url}{path}"))
}
