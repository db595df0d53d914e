//! Lists of runs.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, Uri, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
};

use super::{
    Chrome, Failure, Mark, Moment, Place, Route, RunPlace, Took,
    beside::Beside,
    filters::FilterView,
    news, nothing_new, query,
    queue::{QueueView, queues},
    quota::{self, Bar},
    render, secret,
    start::{StartView, forms},
    summary::SummaryView,
    visible,
};
use crate::{
    model::{Event, EventKind, ForgeKind, Repository, RepositoryName, Right, Time},
    store::{RepositoryRow, RunSummary, Tx},
    web::{
        Web,
        access::{Granted, Visitor},
        filter::{Filter, RunsQuery, address},
    },
};

/// Runs on one page.
const PAGE: i64 = 50;

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    chrome: Chrome,
    repository: Option<RepositoryView>,
    queues: Vec<QueueView>,
    starts: Vec<StartView>,
    /// The page's own address.
    here: String,
    filter: FilterView,
    runs: Vec<RunLine>,
    turns: Turns,
    /// Whether deliveries have something for who looks.
    keeps: bool,
}

/// Where the list goes on.
struct Turns {
    newest: Option<String>,
    newer: Option<String>,
    older: Option<String>,
}

struct RepositoryView {
    name: String,
    forge: ForgeKind,
    /// Whose it is: the name, and the address of all of theirs.
    owner: Option<(String, String)>,
    web_url: Option<String>,
    /// Of its newest runs, and its badge.
    summary: Option<SummaryView>,
    /// What it counts for, as far as that is limited, by whose quota it is.
    uses: Vec<(String, Vec<Bar>)>,
    /// For those who maintain it.
    beside: Beside,
    /// Where they are set; empty: not by whoever looks.
    secrets_url: String,
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

/// `GET /`. A repository that is looked for has a page of its own.
pub(super) async fn all(
    visitor: Visitor,
    State(web): State<Web>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let filter = Filter::try_from(query::<RunsQuery>(&uri)?)?;
    if let Some(name) = &filter.repository {
        let found = named(&web, &visitor, filter.forge, name).await?;
        if let [one] = found.as_slice() {
            let route = Route { forge: one.forge, repository: one.name.clone(), place: Place::Runs };
            return Ok(Redirect::to(&filter.within().address(&route.to_string())).into_response());
        }
        let view = FilterView::of_several(&filter, &found);
        return list_of_none(&web, &visitor, view);
    }
    match news(&web, &headers, "") {
        Some(seen) => list(&web, &visitor, None, Wanted { uri: &uri, filter, seen, beside: Beside::default() }).await,
        None => Ok(nothing_new()),
    }
}

/// `GET /{forge}/{repository}`.
pub(super) async fn of_repository(
    web: &Web,
    of: &Granted,
    route: &Route,
    request: &Parts,
) -> Result<Response, Failure> {
    let filter = Filter::try_from(query::<RunsQuery>(&request.uri)?)?.within();
    let keeps = filter.is_everything() && of.may(Right::Maintain);
    let beside = if keeps { Beside::read(web, &of.repository).await? } else { Beside::default() };
    match news(web, &request.headers, &beside.seen()) {
        Some(seen) => {
            list(web, &of.visitor, Some((of, route)), Wanted { uri: &request.uri, filter, seen, beside }).await
        }
        None => Ok(nothing_new()),
    }
}

/// The repositories of this name that somebody may see.
async fn named(
    web: &Web,
    visitor: &Visitor,
    forge: Option<ForgeKind>,
    name: &RepositoryName,
) -> Result<Vec<RepositoryRow>, Failure> {
    let found = web.engine.store.read().await?.repositories_named(name).await?;
    let mut seen = Vec::new();
    for row in found.into_iter().filter(|row| forge.is_none_or(|forge| row.forge == forge)) {
        if visitor.may(web, &row, Right::See).await {
            seen.push(row);
        }
    }
    Ok(seen)
}

/// The page of a repository that is none, or several.
fn list_of_none(web: &Web, visitor: &Visitor, filter: FilterView) -> Result<Response, Failure> {
    render(&RunsPage {
        chrome: Chrome::new(web, "Runs".to_owned(), &Mark::none()),
        repository: None,
        queues: Vec::new(),
        starts: Vec::new(),
        here: "/".to_owned(),
        filter,
        runs: Vec::new(),
        turns: Turns { newest: None, newer: None, older: None },
        keeps: visitor.face(web).keeps,
    })
}

/// What a list shows.
struct Wanted<'a> {
    uri: &'a Uri,
    filter: Filter,
    /// What its script has seen then.
    seen: String,
    beside: Beside,
}

async fn list(
    web: &Web,
    visitor: &Visitor,
    of: Option<(&Granted, &Route)>,
    Wanted { uri, filter, seen, beside }: Wanted<'_>,
) -> Result<Response, Failure> {
    let id = of.map(|(granted, _)| granted.repository.id);
    let (mut rows, further) = visible(web, visitor, &filter.rows(id, PAGE + 1)).await?;
    let more = rows.len() as i64 > PAGE;
    match filter.after {
        // the one too many is the newest
        Some(_) if more => drop(rows.remove(0)),
        Some(_) | None => rows.truncate(PAGE as usize),
    }
    if rows.is_empty() && filter.after.is_some() {
        return Ok(Redirect::to(&filter.address(uri.path())).into_response());
    }
    let turns = turns(&filter, uri.path(), &rows, more, further);
    let now = web.engine.clock.now();
    let runs: Vec<RunLine> = rows.iter().map(|row| RunLine::new(row, now)).collect();
    let newest = runs.first().map_or_else(Mark::none, |run| run.mark.clone());
    let mut tx = web.engine.store.read().await?;
    let view = FilterView::new(&mut tx, &filter, of.map(|(granted, _)| &granted.repository), uri.path()).await?;
    let title = of.map_or_else(|| "Runs".to_owned(), |(granted, _)| granted.repository.name.to_string());
    let title = match runs.first() {
        _ if !view.words.is_empty() => format!("{title}: {}", view.words),
        Some(run) => format!("{}: {title}", run.mark.word),
        None => title,
    };
    let chrome = Chrome::new(web, title, &newest);
    let chrome = if filter.is_newest() { chrome.live_since(&seen) } else { chrome };
    let (queues, starts) = match of.filter(|_| filter.is_everything()) {
        Some((granted, route)) => around(&mut tx, granted, route).await?,
        None => (Vec::new(), Vec::new()),
    };
    let repository = match of {
        Some((granted, route)) => Some(repository(web, &mut tx, (granted, route), &filter, beside).await?),
        None => None,
    };
    let (here, keeps) = (uri.path().to_owned(), visitor.face(web).keeps);
    render(&RunsPage { chrome, repository, queues, starts, here, filter: view, runs, turns, keeps })
}

fn turns(filter: &Filter, path: &str, rows: &[RunSummary], more: bool, further: Option<crate::model::RunId>) -> Turns {
    let at = |name: &'static str, id: crate::model::RunId| {
        let fields = filter.fields().into_iter().chain([(name, id.to_string())]).collect();
        address(path, fields)
    };
    let (first, last) = (rows.first().map(|row| row.id), rows.last().map(|row| row.id));
    let backwards = filter.after.is_none();
    let older = if backwards && !more { further } else { last };
    let newer = if backwards { filter.before.and(first) } else { first.filter(|_| more) };
    Turns {
        newest: (!filter.is_newest()).then(|| filter.address(path)),
        newer: newer.map(|id| at("after", id)),
        older: older.map(|id| at("before", id)),
    }
}

/// What stands above a repository's newest runs.
async fn around(tx: &mut Tx, of: &Granted, route: &Route) -> Result<(Vec<QueueView>, Vec<StartView>), Failure> {
    let queues = queues(tx, route, of.repository.id).await?;
    let starts = if of.may(Right::Run) { forms(tx, &of.repository).await? } else { Vec::new() };
    Ok((queues, starts))
}

async fn repository(
    web: &Web,
    tx: &mut Tx,
    (of, route): (&Granted, &Route),
    filter: &Filter,
    beside: Beside,
) -> Result<RepositoryView, Failure> {
    let row = &of.repository;
    let kept = filter.is_everything() && of.may(Right::Maintain);
    let summary = match filter.is_newest() {
        true => Some(SummaryView::new(tx, row, route, &web.engine.settings.public_url).await?),
        false => None,
    };
    let uses = if filter.is_newest() { quota::of_repository(web, tx, row).await? } else { Vec::new() };
    Ok(RepositoryView {
        uses,
        name: row.name.to_string(),
        forge: row.forge,
        owner: owner(row),
        web_url: web_link(&row.facts, ""),
        summary,
        beside,
        secrets_url: if kept { secret::address(row.forge, &row.name) } else { String::new() },
    })
}

fn owner(row: &RepositoryRow) -> Option<(String, String)> {
    let (owner, _) = row.name.as_str().rsplit_once('/')?;
    let route = Route { forge: row.forge, repository: owner.parse().ok()?, place: Place::Runs };
    Some((owner.to_owned(), route.to_string()))
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
