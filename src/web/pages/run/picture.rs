//! The picture of a run: on its page, and by itself.

use std::fmt::Write as _;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::{
    super::{Failure, Place, Route, find_run, run_url},
    Gathered, Making,
    stages::{ActionView, Part, StageView},
};
use crate::{
    model::Plan,
    store::RunRow,
    web::{
        Web,
        access::Granted,
        links,
        picture::{Action, Link, Scene, Stage, draw, layout::layout},
    },
};

/// Where a picture's links lead: what stands before a place on the run's page, and before a job's log.
struct Bases {
    page: String,
    log: String,
}

/// `GET …/runs/{n}/picture.svg`: with its colours in it, for whatever shows pictures.
pub(in crate::web::pages) async fn alone(
    web: &Web,
    of: &Granted,
    route: &Route,
    number: u64,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let mut tx = web.engine.store.read().await?;
    let (_, run) = find_run(&mut tx, route, number).await?;
    let rows = Gathered::read(web, of, &mut tx, &run).await?;
    drop(tx);
    let making = Making { of, route, run: &run, rows, now: web.engine.clock.now() };
    let runs = Route { place: Place::Runs, ..route.clone() };
    let bases = Bases { page: run_url(route, number), log: format!("{runs}/runs/") };
    let scene = run.plan.as_ref().map(|plan| scene(&making, plan, &making.stages(plan), &bases)).unwrap_or_default();
    let svg = draw::alone(&layout(&scene), &title(&run))?;
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&svg)[..16]));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { svg.into_response() };
    let answer = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::ETAG, &tag),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::CONTENT_SECURITY_POLICY, &policy()),
    ] {
        answer.insert(name, HeaderValue::from_str(value).map_err(|_| Failure::Missing)?);
    }
    Ok(response)
}

/// On the run's page.
pub(super) fn in_page(making: &Making<'_>, plan: &Plan, stages: &[StageView]) -> Result<String, Failure> {
    let bases = Bases { page: String::new(), log: String::new() };
    Ok(draw::in_page(&layout(&scene(making, plan, stages, &bases)), &title(making.run))?)
}

/// Nothing but the picture's own style.
fn policy() -> String {
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(draw::style()));
    format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}

fn title(run: &RunRow) -> String {
    format!("{} #{}: {}", run.flow, run.number, run.state.label().replace('_', " "))
}

fn scene(making: &Making<'_>, plan: &Plan, views: &[StageView], bases: &Bases) -> Scene {
    let stages = plan.stages.iter().zip(views).enumerate().map(|(at, (stage, view))| Stage {
        name: stage.name.clone(),
        href: format!("{}#stage-{}", bases.page, at + 1),
        kind: stage.kind,
        order: stage.sequencing,
        mark: view.mark.clone(),
        needs: stage.needs.clone(),
        actions: actions(view, bases),
    });
    let links = links::all(plan, &making.rows.written).into_iter().filter_map(|link| {
        let target = if link.target == link.name { String::new() } else { format!(" → {}", link.target) };
        Some(Link { from: link.places.0?, to: link.places.1, words: format!("{}{target}", link.name) })
    });
    Scene { stages: stages.collect(), links: links.collect() }
}

fn actions(view: &StageView, bases: &Bases) -> Vec<Action> {
    let mut actions = Vec::new();
    for group in &view.groups {
        let matrix = group.matrix.as_ref().map(|matrix| matrix.name.clone());
        for part in &group.parts {
            let of_part = match part {
                Part::Lines(lines) => lines.actions.as_slice(),
                Part::Whole(action) => std::slice::from_ref(&**action),
            };
            actions.extend(of_part.iter().map(|action| Action { matrix: matrix.clone(), ..one(action, bases) }));
        }
    }
    actions
}

/// Its one job's log, or its place on the page.
fn one(action: &ActionView, bases: &Bases) -> Action {
    let mut href = format!("{}#{}", bases.page, action.anchor);
    if let [job] = action.jobs.as_slice()
        && let Some(url) = &job.url
    {
        href.clear();
        // writing to a String cannot fail
        let _ = write!(href, "{}{url}", bases.log);
    }
    let (name, mark, took) = (action.name.clone(), action.mark.clone(), action.took.clone());
    Action { place: action.place, name, matrix: None, href, mark, took }
}
