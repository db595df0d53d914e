//! Repositories: all that somebody may see, those of one owner, and where a path leads that is no repository's.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{Chrome, Failure, Mark, Moment, Place, Route, news, nothing_new, query, render, spark::Spark};
use crate::{
    model::{ForgeKind, RepositoryName, Right},
    store::{ListedRepository, Tx},
    web::{Web, access::Visitor, filter::address},
};

/// On one page.
const PAGE: usize = 50;

#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    /// A part of the name.
    q: Option<String>,
    page: Option<usize>,
}

#[derive(Template)]
#[template(path = "repositories.html")]
struct RepositoriesPage {
    chrome: Chrome,
    owner: Option<String>,
    /// The page's own path.
    here: String,
    q: String,
    lines: Vec<RepositoryLine>,
    newer: Option<String>,
    older: Option<String>,
    keeps: bool,
}

struct RepositoryLine {
    name: String,
    forge: ForgeKind,
    url: String,
    /// Its newest run, if there is one.
    newest: Option<Newest>,
    spark: Spark,
}

struct Newest {
    mark: Mark,
    url: String,
    title: String,
    created: Moment,
}

/// `GET /repositories`.
pub(super) async fn page(
    visitor: Visitor,
    State(web): State<Web>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    match news(&web, &headers, "") {
        Some(seen) => list(&web, &visitor, None, &uri, &seen).await,
        None => Ok(nothing_new()),
    }
}

/// What a path leads to that is no repository's, or none's that its visitor may see: the repositories of an owner, or a
/// repository whose own name reads as a place below another one.
pub(super) async fn instead(web: &Web, visitor: &Visitor, route: &Route, uri: &Uri) -> Result<Response, Failure> {
    match route.place {
        Place::Runs => list(web, visitor, Some((route.forge, &route.repository)), uri, "").await,
        Place::Statistics | Place::Search => {
            let last = if route.place == Place::Search { "search" } else { "statistics" };
            let name = format!("{}/{last}", route.repository).parse().map_err(|_| Failure::Missing)?;
            let whole = Route { forge: route.forge, repository: name, place: Place::Runs };
            visitor.at(web, &whole, Right::See).await?;
            Ok(Redirect::to(&whole.to_string()).into_response())
        }
        Place::Badge | Place::Run(..) | Place::Job(..) | Place::Artifact(..) => Err(Failure::Missing),
    }
}

async fn list(
    web: &Web,
    visitor: &Visitor,
    of: Option<(ForgeKind, &RepositoryName)>,
    uri: &Uri,
    seen: &str,
) -> Result<Response, Failure> {
    let ListQuery { q, page } = query(uri)?;
    let (q, page) = (q.unwrap_or_default().trim().to_owned(), page.unwrap_or(1).clamp(1, 1_000_000));
    let all = web.engine.store.read().await?.repositories(of).await?;
    let wanted = |listed: &ListedRepository| listed.row.name.as_str().to_lowercase().contains(&q.to_lowercase());
    let mut found = Vec::new();
    for listed in all.into_iter().filter(wanted) {
        if found.len() > page * PAGE {
            break;
        }
        if visitor.may(web, &listed.row, Right::See).await {
            found.push(listed);
        }
    }
    if of.is_some() && found.is_empty() && q.is_empty() {
        return Err(Failure::Missing);
    }
    let more = found.len() > page * PAGE;
    let at = |page: usize| turn(uri.path(), &q, page);
    let mut tx = web.engine.store.read().await?;
    let mut lines = Vec::new();
    for listed in found.iter().skip((page - 1) * PAGE).take(PAGE) {
        lines.push(line(&mut tx, listed).await?);
    }
    let owner = of.map(|(_, owner)| owner.to_string());
    let title = owner.clone().unwrap_or_else(|| "Repositories".to_owned());
    let chrome = Chrome::new(web, title, &Mark::none());
    render(&RepositoriesPage {
        chrome: if seen.is_empty() { chrome } else { chrome.live_since(seen) },
        owner,
        here: uri.path().to_owned(),
        newer: (page > 1).then(|| at(page - 1)),
        older: more.then(|| at(page + 1)),
        keeps: visitor.face(web).keeps,
        lines,
        q,
    })
}

fn turn(path: &str, q: &str, page: usize) -> String {
    let q = (!q.is_empty()).then(|| ("q", q.to_owned()));
    let page = (page > 1).then(|| ("page", page.to_string()));
    address(path, q.into_iter().chain(page).collect())
}

async fn line(tx: &mut Tx, listed: &ListedRepository) -> Result<RepositoryLine, Failure> {
    let row = &listed.row;
    let spark = Spark::of(&tx.newest_figures(row.id, Spark::RUNS).await?);
    let newest = match listed.newest {
        Some(id) => tx.run_summaries(&[id]).await?.pop(),
        None => None,
    };
    let newest = newest.map(|run| {
        let line = super::runs::RunLine::new(&run, run.created);
        Newest { mark: line.mark, url: line.url, title: line.title, created: line.created }
    });
    let url = Route { forge: row.forge, repository: row.name.clone(), place: Place::Runs }.to_string();
    Ok(RepositoryLine { name: row.name.to_string(), forge: row.forge, url, newest, spark })
}
