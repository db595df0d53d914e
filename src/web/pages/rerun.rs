//! The buttons that run something again.

use axum::{
    body::{Body, to_bytes},
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

/// More than two of the longest names.
const FORM_MAX: usize = 4 << 10;

/// `?what=failed&flow=newest`; without any of it, everything as it was.
#[derive(Deserialize)]
struct Pressed {
    what: Option<Part>,
    action: Option<ActionPath>,
    stage: Option<String>,
    flow: Option<FlowChoice>,
}

/// What one of many buttons of one form says: what it stands beside.
struct Beside {
    action: Option<ActionPath>,
    stage: Option<String>,
}

impl Beside {
    fn read(form: &[u8]) -> Result<Self, Failure> {
        let field = |wanted: &str| {
            let mut fields = url::form_urlencoded::parse(form);
            fields.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
        };
        let action = field("action").map(|path| path.parse()).transpose().map_err(|_| Failure::Query)?;
        Ok(Self { action, stage: field("stage") })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    Everything,
    Failed,
    Action,
    Stage,
}

impl Pressed {
    fn what(self, beside: Beside) -> Result<What, Failure> {
        match (self.what, self.action, self.stage) {
            (None, ..) => Ok(match (beside.action, beside.stage) {
                (Some(action), _) => What::Action(action),
                (None, Some(stage)) => What::Stage(stage),
                (None, None) => What::Everything,
            }),
            (Some(Part::Everything), ..) => Ok(What::Everything),
            (Some(Part::Failed), ..) => Ok(What::Failed),
            (Some(Part::Action), action, _) => action.map(What::Action).ok_or(Failure::Query),
            (Some(Part::Stage), _, stage) => stage.map(What::Stage).ok_or(Failure::Query),
        }
    }
}

/// `POST …/runs/{n}/rerun`, with `action` or `stage` as a form sends them if the query says of neither: leads to the new
/// run, or to the delivery that will tell of it.
pub(super) async fn press(
    web: &Web,
    of: &Granted,
    route: &Route,
    number: u64,
    (uri, body): (&Uri, Body),
) -> Result<Response, Failure> {
    let pressed: Pressed = query(uri)?;
    let body = to_bytes(body, FORM_MAX).await.map_err(|_| Failure::Words("the form is too long".to_owned()))?;
    let beside = Beside::read(&body)?;
    let flow = pressed.flow.unwrap_or(FlowChoice::Same);
    let wish = Wish { what: pressed.what(beside)?, flow, by: of.by() };
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
