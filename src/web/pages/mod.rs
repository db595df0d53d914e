//! The pages: rendered here, complete without a script, with no inline script or style in them. What a repository,
//! a forge or a job says is text for us, wherever it stands.

mod artifact;
mod delivery;
mod dry_run;
mod failure;
mod hook;
mod job;
mod live;
mod mark;
mod pause;
mod queue;
mod receivers;
mod rerun;
mod route;
mod run;
mod runs;
mod secret;
mod start;
mod trigger;

use askama::Template;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Uri, header},
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};

pub use failure::Failure;
pub use live::log_text;
pub use mark::{Mark, Moment, Took, elapsed};
pub use route::{JobPlace, NoRoute, Place, Route, RunPlace};

use super::{Web, assets};
use crate::{
    executor::ExecutorKind,
    model::Answer,
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
}

/// The pages' routes. Whatever no other route takes is looked for under the forges' names.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/", get(runs::all))
        .route("/deliveries", get(delivery::list))
        .route("/deliveries/{id}", get(delivery::one))
        .route("/deliveries/{id}/replay", post(delivery::replay))
        .route("/deliveries/{id}/dry-run", post(dry_run::page))
        .route("/static/{digest}/{name}", get(assets::serve))
        .fallback(place)
        .method_not_allowed_fallback(async || Failure::Method)
}

async fn place(State(web): State<Web>, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let route: Route = parts.uri.path().parse()?;
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    match (&route.place, reads) {
        (Place::Runs, true) => runs::of_repository(&web, &route, &parts.uri).await,
        (Place::Runs, false) => {
            same_site(&parts.headers)?;
            start::press(&web, &route, body).await
        }
        (Place::Run(number, RunPlace::Page), true) => run::page(&web, &route, *number).await,
        (Place::Run(number, RunPlace::Cancel), false) => {
            same_site(&parts.headers)?;
            let run = find_run(&mut web.engine.store.read().await?, &route, *number).await?.1;
            web.engine.cancel(run.id, "someone on the run's page").await?;
            Ok(Redirect::to(&run_url(&route, *number)).into_response())
        }
        (Place::Run(number, RunPlace::Rerun), false) => {
            same_site(&parts.headers)?;
            rerun::press(&web, &route, *number, &parts.uri).await
        }
        (Place::Run(number, RunPlace::Approve), false) => {
            same_site(&parts.headers)?;
            pause::answer(&web, &route, *number, Answer::Approved, body).await
        }
        (Place::Run(number, RunPlace::Reject), false) => {
            same_site(&parts.headers)?;
            pause::answer(&web, &route, *number, Answer::Rejected, body).await
        }
        (Place::Job(number, path, JobPlace::Page), true) => job::page(&web, &route, *number, path, &parts.uri).await,
        (Place::Job(number, path, JobPlace::Raw), true) => live::raw(&web, &route, *number, path, &parts).await,
        (Place::Job(number, path, JobPlace::Stream), true) => live::stream(&web, &route, *number, path, &parts).await,
        (Place::Artifact(number, path, name), true) => artifact::page(&web, &route, *number, path, name, &parts).await,
        _ => Err(Failure::Method),
    }
}

/// Headers that all pages have, and whatever else a browser may be led to; and a page's failure becomes a page.
pub(super) async fn dress(State(web): State<Web>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<failure::Problem>() {
        response = problem.page(&web);
    }
    let headers = response.headers_mut();
    // what a job has left brings a stricter one
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    for (name, value) in [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::REFERRER_POLICY, "same-origin")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    response
}

/// Refuses what another site's page makes a browser send. A program sends none of these headers, and may pass.
pub(super) fn same_site(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let foreign = match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), _, _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin), host) => origin.split_once("://").map(|(_, origin)| origin) != host,
        (None, None, _) => false,
    };
    if foreign { Err(Failure::CrossSite) } else { Ok(()) }
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
    /// Around a page of this title; `mark` becomes its icon.
    pub(super) fn new(web: &Web, title: String, mark: &Mark) -> Self {
        Self {
            title,
            favicon: mark.favicon(),
            style: assets::path("app.css"),
            script: assets::path("app.js"),
            unisolated: web.engine.executor.kind() == ExecutorKind::Process,
            live: false,
        }
    }

    /// The script fetches it again and again.
    const fn live(mut self, ended: bool) -> Self {
        self.live = !ended;
        self
    }
}
