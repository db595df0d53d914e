//! The pages: rendered here, complete without a script, with no inline script or style in them. What a repository,
//! a forge or a job says is text for us, wherever it stands.

mod across;
mod artifact;
mod audit;
mod badge;
mod beside;
mod delivery;
mod dry_run;
mod failure;
mod filters;
mod hook;
mod job;
mod kept;
mod live;
mod mark;
mod pause;
mod queue;
mod quota;
mod raw;
mod receivers;
mod repositories;
mod rerun;
mod room;
mod route;
mod rows;
mod rule;
mod run;
mod runs;
mod search;
mod secret;
mod sign_in;
mod spark;
mod start;
mod statistics;
mod summary;
mod tested;
mod timeline;
mod tokens;
mod trigger;
mod vetting;
mod view;
mod visible;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
};

pub use failure::Failure;
pub use mark::{Mark, Moment, Took, elapsed};
pub use raw::log_text;
pub use route::{JobPlace, NoRoute, Place, Route, RunPlace};
pub(in crate::web) use vetting::{Looked, flow_diff, vet};

pub(super) use job::known_fault;
pub(super) use kept::{Kept, still_kept};
pub(super) use mark::css as marks_css;
pub(super) use room::Rooms;
pub(super) use search::{PATIENCE, SEARCHES, look_through, turn};
pub(super) use visible::visible;

use super::{
    Web,
    access::{FACE, Face, Routes, Visitor},
    assets, metrics, tag,
};
use crate::{
    executor::ExecutorKind,
    model::{Answer, Right},
    store::{RepositoryRow, RunRow, Tx},
};

/// Only our own files, and no frame around us: whatever a log brings, a browser does not run it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What stands around every page.
#[derive(Debug, Clone)]
pub struct Chrome {
    title: String,
    favicon: String,
    style: String,
    script: String,
    unisolated: bool,
    live: bool,
    /// What [`Bell::runs`](crate::store::Bell::runs) said before the page was made: its script asks no more than whether
    /// that has changed. Empty: the script fetches the page to find out.
    seen: String,
    face: Face,
}

/// The pages' routes. Whatever no other route takes is looked for under the forges' names.
pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/", runs::all)
        .get("/repositories", repositories::page)
        .get("/deliveries", delivery::list)
        .get("/deliveries/{id}", delivery::one)
        .post("/deliveries/{id}/replay", delivery::replay)
        .post("/deliveries/{id}/dry-run", dry_run::page)
        .get("/audit", audit::page)
        .get("/admin/quotas", quota::page)
        .post("/admin/quotas", quota::change)
        .post("/policy", rule::press)
        .get("/sign-in", sign_in::choose)
        .get("/sign-in/{forge}", sign_in::go)
        .get("/sign-in/{forge}/callback", sign_in::back)
        .post("/sign-out", sign_in::out)
        .get("/secrets", secret::page)
        .post("/secrets", secret::change)
        .get("/tokens", tokens::page)
        .post("/tokens", tokens::make)
        .post("/tokens/{id}/remove", tokens::remove)
        .get("/static/{digest}/{name}", assets::serve)
        .or(place)
        .refusing(None::<fn() -> Failure>, || Failure::Method)
}

impl Place {
    /// What whoever asks for it must be allowed to do there; `None`: it is not asked for in this way.
    const fn needs(&self, reads: bool) -> Option<Right> {
        match (self, reads) {
            (Self::Runs, false) | (Self::Run(_, RunPlace::Cancel), false) | (Self::Run(_, RunPlace::Rerun), false) => {
                Some(Right::Run)
            }
            (Self::Run(_, RunPlace::Approve | RunPlace::Reject), false) => Some(Right::Approve),
            (Self::Runs | Self::Statistics | Self::Search | Self::Badge, true)
            | (
                Self::Run(_, RunPlace::Page | RunPlace::Picture | RunPlace::Timeline)
                | Self::Job(..)
                | Self::Artifact(..),
                true,
            ) => Some(Right::See),
            (
                Self::Statistics
                | Self::Search
                | Self::Badge
                | Self::Run(_, RunPlace::Page | RunPlace::Picture | RunPlace::Timeline)
                | Self::Job(..)
                | Self::Artifact(..),
                false,
            )
            | (Self::Run(_, RunPlace::Cancel | RunPlace::Rerun | RunPlace::Approve | RunPlace::Reject), true) => None,
        }
    }
}

async fn place(visitor: Visitor, State(web): State<Web>, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let route: Route = parts.uri.path().parse()?;
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    let right = route.place.needs(reads).ok_or(Failure::Method)?;
    if route.place == Place::Badge {
        return badge::picture(&web, &visitor, &route, &parts).await;
    }
    let of = match visitor.at(&web, &route, right).await {
        Err(Failure::Missing) if reads => return repositories::instead(&web, &visitor, &route, &parts.uri).await,
        of => of?,
    };
    match (&route.place, reads) {
        (Place::Runs, true) => runs::of_repository(&web, &of, &route, &parts).await,
        (Place::Statistics, _) => statistics::page(&web, &of, &route, &parts.uri).await,
        (Place::Search, _) => across::page(&web, &of, &route, &parts.uri).await,
        (Place::Badge, _) => Err(Failure::Missing),
        (Place::Runs, false) => start::press(&web, &of, body).await,
        (Place::Run(number, RunPlace::Page), _) => run::page(&web, &of, &route, *number, &parts.uri).await,
        (Place::Run(number, RunPlace::Picture), _) => run::picture(&web, &of, &route, *number, &parts.headers).await,
        (Place::Run(number, RunPlace::Timeline), _) => timeline::page(&web, &route, *number, &parts.uri).await,
        (Place::Run(number, RunPlace::Cancel), _) => {
            let run = find_run(&mut web.engine.store.read().await?, &route, *number).await?.1;
            let acting = of.does(&web, "cancel", run.words());
            acting.came_to(acting.engine.cancel(run.id, &of.by()).await).await?;
            Ok(Redirect::to(&run_url(&route, *number)).into_response())
        }
        (Place::Run(number, RunPlace::Rerun), _) => rerun::press(&web, &of, &route, *number, (&parts.uri, body)).await,
        (Place::Run(number, RunPlace::Approve), _) => {
            pause::answer(&web, &of, &route, *number, Answer::Approved, body).await
        }
        (Place::Run(number, RunPlace::Reject), _) => {
            pause::answer(&web, &of, &route, *number, Answer::Rejected, body).await
        }
        (Place::Job(number, path, JobPlace::Page), _) => job::page(&web, &route, *number, path, &parts.uri).await,
        (Place::Job(number, path, JobPlace::Raw), _) => raw::page(&web, &route, *number, path, &parts).await,
        (Place::Job(number, path, JobPlace::Stream), _) => live::stream(&web, &route, *number, path, &parts).await,
        (Place::Artifact(number, path, name), _) => artifact::page(&web, &route, *number, path, name, &parts).await,
    }
}

/// Headers that all pages have, and whatever else a browser may be led to; and a page's failure becomes a page. It is
/// found out once who looks.
pub(super) async fn dress(State(web): State<Web>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let known = parts.headers.get(header::IF_NONE_MATCH).cloned();
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    // nobody looks at these, or they are asked for in a way of their own
    let is_no_page = parts.uri.path().starts_with("/static/") || metrics::shows_token(&web, &parts);
    // who cannot be known is told so by the route's guard
    let visitor = if is_no_page { None } else { Visitor::of(&web, &parts).await.ok() };
    let face = visitor.as_ref().map(|visitor| visitor.face(&web)).unwrap_or_default();
    if let Some(visitor) = visitor {
        parts.extensions.insert(visitor);
    }
    let mut response = FACE.scope(face.clone(), next.run(Request::from_parts(parts, body))).await;
    if let Some(problem) = response.extensions_mut().remove::<failure::Problem>() {
        response = FACE.sync_scope(face, || problem.page(&web));
    }
    let is_page = tag::is(response.headers(), "text/html");
    if is_page && reads && response.status() == StatusCode::OK {
        response = tag::tagged(response, "text/html", known.as_ref()).await;
    }
    let headers = response.headers_mut();
    if is_page {
        headers.entry(header::VARY).or_insert(HeaderValue::from_static("Authorization, Cookie"));
    }
    // what a job has left brings a stricter one
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    for (name, value) in [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::REFERRER_POLICY, "same-origin")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    response
}

/// Refuses what another site's page makes a browser send. A program sends none of these headers, and may pass. A proxy
/// may give us another name than browsers know.
pub(super) fn same_site(headers: &HeaderMap, public_url: &str) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let foreign = match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), _, _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin), host) => {
            origin.split_once("://").map(|(_, origin)| origin) != host && origin != public_url
        }
        (None, None, _) => false,
    };
    if foreign { Err(Failure::CrossSite) } else { Ok(()) }
}

/// Named by a page's script that only wants to know whether something has changed.
const SEEN: HeaderName = HeaderName::from_static("containerops-seen");

/// The number of what was seen, for a page that shows runs, and a word for what it shows beside them; `None`: its script
/// has seen all of it, and is to be told so, which costs us next to nothing however many watch.
fn news(web: &Web, headers: &HeaderMap, beside: &str) -> Option<String> {
    let seen = format!("{}{beside}", web.engine.store.bell().runs());
    let known = headers.get(SEEN).is_some_and(|value| value.as_bytes() == seen.as_bytes());
    (!known).then_some(seen)
}

/// What a script is told that has seen all.
fn nothing_new() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn render(template: &impl Template) -> Result<Response, Failure> {
    Ok(Html(template.render()?).into_response())
}

fn query<T: serde::de::DeserializeOwned>(uri: &Uri) -> Result<T, Failure> {
    let query = axum::extract::Query::try_from_uri(uri).map_err(|_| Failure::Query)?;
    let axum::extract::Query(query) = query;
    Ok(query)
}

async fn find_repository(tx: &mut Tx, route: &Route) -> Result<RepositoryRow, Failure> {
    tx.repository_named(route.forge, &route.repository).await?.ok_or(Failure::Missing)
}

async fn find_run(tx: &mut Tx, route: &Route, number: u64) -> Result<(RepositoryRow, RunRow), Failure> {
    let repository = find_repository(tx, route).await?;
    let number = i64::try_from(number).map_err(|_| Failure::Missing)?;
    let run = tx.run_numbered(repository.id, number).await?.ok_or(Failure::Missing)?;
    Ok((repository, run))
}

fn run_url(route: &Route, number: u64) -> String {
    Route { place: Place::Run(number, RunPlace::Page), ..route.clone() }.to_string()
}

impl Chrome {
    /// Where whoever has not signed in does so; empty if there is nowhere.
    fn sign_in(&self) -> &'static str {
        if self.face.sign_in { "/sign-in" } else { "" }
    }

    /// Around a page of this title; `mark` becomes its icon.
    pub(super) fn new(web: &Web, title: String, mark: &Mark) -> Self {
        Self {
            title,
            favicon: mark.favicon(),
            style: assets::path("app.css"),
            script: assets::path("app.js"),
            unisolated: web.engine.executor.kind() == ExecutorKind::Process,
            live: false,
            seen: String::new(),
            face: FACE.try_with(Face::clone).unwrap_or_default(),
        }
    }

    /// The script fetches it again and again.
    const fn live(mut self, ended: bool) -> Self {
        self.live = !ended;
        self
    }

    /// The script fetches it when any run has changed.
    fn live_since(self, seen: &str) -> Self {
        Self { live: true, seen: seen.to_owned(), ..self }
    }
}
