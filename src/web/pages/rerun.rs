//! The buttons that run something again.

use axum::{
    http::Uri,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{Failure, Route, find_run, query, run_url};
use crate::{
    engine::rerun::Begun,
    model::{ActionPath, FlowChoice, What, Wish},
    web::{Web, access::Granted},
};

/// `?what=failed&flow=newest`; without any of it, everything as it was.
#[derive(Deserialize)]
struct Pressed {
    what: Option<Part>,
    action: Option<ActionPath>,
    stage: Option<String>,
    flow: Option<FlowChoice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    Everything,
    Failed,
    Action,
    Stage,
}

/// `POST …/runs/{n}/rerun`: leads to the new run, or to the delivery that will tell of it.
pub(super) async fn press(web: &Web, of: &Granted, route: &Route, number: u64, uri: &Uri) -> Result<Response, Failure> {
    let Pressed { what, action, stage, flow } = query(uri)?;
    let what = match (what.unwrap_or(Part::Everything), action) {
        (Part::Everything, _) => What::Everything,
        (Part::Failed, _) => What::Failed,
        (Part::Action, action) => What::Action(action.ok_or(Failure::Query)?),
        (Part::Stage, _) => What::Stage(stage.ok_or(Failure::Query)?),
    };
    let wish = Wish { what, flow: flow.unwrap_or(FlowChoice::Same), by: of.by() };
    let run = find_run(&mut web.engine.store.read().await?, route, number).await?.1;
    let acting = of.does(web, "run again", run.words());
    let to = match acting.came_to(acting.engine.rerun(run.id, &wish).await).await? {
        Begun::Run(id) => run_url(route, web.engine.store.read().await?.run_number(id).await?.cast_unsigned()),
        Begun::Asked(delivery) => format!("/deliveries/{delivery}"),
    };
    Ok(Redirect::to(&to).into_response())
}

/// The address of a button of a run's page.
pub(super) fn address(run_url: &str, what: &What, flow: FlowChoice) -> String {
    let what = match what {
        What::Everything => "everything".to_owned(),
        What::Failed => "failed".to_owned(),
        // names are of characters that need no escape
        What::Action(path) => format!("action&action={path}"),
        What::Stage(name) => format!("stage&stage={name}"),
        // no page offers it
        What::Nothing => "everything".to_owned(),
    };
    match flow {
        FlowChoice::Same => format!("{run_url}/rerun?what={what}"),
        FlowChoice::Newest => format!("{run_url}/rerun?what={what}&flow=newest"),
    }
}
