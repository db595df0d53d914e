//! Lists of runs.

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use serde::Deserialize;

use super::{
    Chrome, Failure, Mark, Moment, Place, Route, RunPlace, Took,
    hook::{HookView, hook},
    query,
    queue::{QueueView, queues},
    render,
    rule::RuleView,
    secret::{self, SecretView, secrets},
    start::{StartView, forms},
};
use crate::{
    model::{Event, EventKind, ForgeKind, Repository, Right, RunId, Time},
    store::{RunFilter, RunSummary},
    web::{
        Web,
        access::{Granted, Visitor},
    },
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
    /// Whether deliveries have something for who looks.
    keeps: bool,
}

struct RepositoryView {
    name: String,
    forge: ForgeKind,
    web_url: Option<String>,
    hook: Option<HookView>,
    secrets: Vec<SecretView>,
    /// What becomes of untrusted code, for those who maintain it.
    rule: Option<RuleView>,
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

/// `GET /`.
pub(super) async fn all(visitor: Visitor, State(web): State<Web>, uri: Uri) -> Result<Response, Failure> {
    list(&web, &visitor, None, &uri).await
}

/// `GET /{forge}/{repository}`.
pub(super) async fn of_repository(web: &Web, of: &Granted, route: &Route, uri: &Uri) -> Result<Response, Failure> {
    list(web, &of.visitor, Some((of, route)), uri).await
}

/// How many runs are looked through for those that somebody may see.
const LOOKED_AT: usize = 2000;
/// How many are read at once.
const STEP: i64 = 100;

/// The runs that a visitor may see, newest first. Where so many were looked through that it must be enough, the last of
/// those. A filter's repository is one that they may see.
pub(in crate::web) async fn visible(
    web: &Web,
    visitor: &Visitor,
    filter: RunFilter,
) -> Result<(Vec<RunSummary>, Option<RunId>), Failure> {
    if filter.repository.is_some() || visitor.is_admin(web) {
        return Ok((web.engine.store.read().await?.runs(&filter).await?, None));
    }
    let most = usize::try_from(filter.limit).unwrap_or_default();
    let (mut seen, mut sees, mut looked, mut before) = (Vec::new(), BTreeMap::new(), 0, filter.before);
    while seen.len() < most {
        let rows = web.engine.store.read().await?.runs(&RunFilter { before, limit: STEP, ..filter }).await?;
        let end = (rows.len() as i64) < STEP;
        looked += rows.len();
        for row in rows {
            before = Some(row.id);
            let of = (row.forge, row.name.to_string());
            let may = match sees.get(&of) {
                Some(may) => *may,
                None => *sees.entry(of).or_insert(seen_by(web, visitor, &row).await?),
            };
            if may && seen.len() < most {
                seen.push(row);
            }
        }
        if end {
            return Ok((seen, None));
        }
        if looked >= LOOKED_AT {
            return Ok((seen, before));
        }
    }
    Ok((seen, None))
}

async fn seen_by(web: &Web, visitor: &Visitor, run: &RunSummary) -> Result<bool, Failure> {
    let found = web.engine.store.read().await?.repository_named(run.forge, &run.name).await?;
    match found {
        Some(found) => Ok(visitor.may(web, &found, Right::See).await),
        None => Ok(false),
    }
}

async fn list(web: &Web, visitor: &Visitor, of: Option<(&Granted, &Route)>, uri: &Uri) -> Result<Response, Failure> {
    let ListQuery { before } = query(uri)?;
    let (route, repository) = (of.map(|(_, route)| route), of.map(|(granted, _)| granted.repository.clone()));
    let may_run = of.is_some_and(|(granted, _)| granted.may(Right::Run));
    let filter = RunFilter { repository: repository.as_ref().map(|row| row.id), before, limit: PAGE + 1 };
    let (mut rows, looked) = visible(web, visitor, filter).await?;
    let mut tx = web.engine.store.read().await?;
    let more = rows.len() as i64 > PAGE;
    rows.truncate(PAGE as usize);
    let last = if more { rows.last().map(|last| last.id) } else { looked };
    let older = last.map(|last| format!("{}?before={last}", uri.path()));
    let queues = match (route, &repository) {
        (Some(route), Some(row)) if before.is_none() => queues(&mut tx, route, row.id).await?,
        (Some(_) | None, _) => Vec::new(),
    };
    let starts = match &repository {
        Some(row) if before.is_none() && may_run => forms(&mut tx, row).await?,
        Some(_) | None => Vec::new(),
    };
    let now = web.engine.clock.now();
    let runs: Vec<RunLine> = rows.iter().map(|row| RunLine::new(row, now)).collect();
    let newest = runs.first().map_or_else(Mark::none, |run| run.mark.clone());
    let title = repository.as_ref().map_or_else(|| "Runs".to_owned(), |row| row.name.to_string());
    let chrome = Chrome::new(web, title, &newest).live(before.is_some());
    let keeps = visitor.face(web).keeps;
    let kept = of.map(|(granted, _)| granted).filter(|granted| before.is_none() && granted.may(Right::Maintain));
    let keeps_secrets = kept.is_some();
    let (hook, secrets) = match kept {
        Some(Granted { repository, .. }) => (hook(&mut tx, repository).await?, secrets(&mut tx, repository).await?),
        None => (None, Vec::new()),
    };
    drop(tx);
    let rule = match kept.filter(|granted| granted.repository.forge != ForgeKind::Git) {
        Some(Granted { repository, .. }) => Some(RuleView::new(repository, &web.engine.rule(repository).await?)),
        None => None,
    };
    let repository = repository.map(|row| RepositoryView {
        rule,
        name: row.name.to_string(),
        forge: row.forge,
        web_url: web_link(&row.facts, ""),
        hook,
        secrets,
        secrets_url: if keeps_secrets { secret::address(row.forge, &row.name) } else { String::new() },
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
        keeps,
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
