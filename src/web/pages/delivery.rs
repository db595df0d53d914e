//! Every webhook that was authentic, and what became of it.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::Uri,
    response::Response,
};
use serde::Deserialize;

use super::{Chrome, Failure, Mark, Moment, query, render, runs::RunLine};
use crate::{
    model::{DeliveryId, DeliveryState, ForgeKind, Late, Time},
    web::Web,
};

/// Deliveries on one page.
const PAGE: i64 = 50;
/// More of a body is not shown; it may have 26 MiB.
const BODY_SHOWN: usize = 64 << 10;

#[derive(Debug, Deserialize)]
struct ListQuery {
    before: Option<DeliveryId>,
}

struct DeliveryView {
    id: DeliveryId,
    mark: Mark,
    forge: ForgeKind,
    event: String,
    delivery: String,
    reason: String,
    received: Moment,
    late: Option<Late>,
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct DeliveriesPage {
    chrome: Chrome,
    deliveries: Vec<DeliveryView>,
    older: Option<String>,
    older_page: bool,
    hooks_url: String,
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct DeliveryPage {
    chrome: Chrome,
    d: DeliveryView,
    runs: Vec<RunLine>,
    headers: Vec<(String, String)>,
    body: String,
    body_cut: usize,
}

/// `GET /deliveries`.
pub(super) async fn list(State(web): State<Web>, uri: Uri) -> Result<Response, Failure> {
    let ListQuery { before } = query(&uri)?;
    let mut rows = web.engine.store.read().await?.deliveries(before, PAGE + 1).await?;
    let more = rows.len() as i64 > PAGE;
    rows.truncate(PAGE as usize);
    let older = rows.last().filter(|_| more).map(|last| format!("/deliveries?before={}", last.id));
    let view = |row: crate::store::DeliverySummary| DeliveryView {
        mark: Mark::from(&row.state.0),
        reason: reason(&row.state, &row.trouble),
        id: row.id,
        forge: row.forge,
        event: row.event,
        delivery: row.delivery,
        received: Moment(row.received),
        late: None,
    };
    render(&DeliveriesPage {
        chrome: Chrome::new(&web, "Deliveries".to_owned(), &Mark::none()).live(before.is_some()),
        deliveries: rows.into_iter().map(view).collect(),
        older,
        older_page: before.is_some(),
        hooks_url: web.engine.settings.public_url.clone(),
    })
}

/// `GET /deliveries/{id}`.
pub(super) async fn one(State(web): State<Web>, Path(id): Path<String>) -> Result<Response, Failure> {
    let id: DeliveryId = id.parse().map_err(|_| Failure::Missing)?;
    let mut tx = web.engine.store.read().await?;
    let row = tx.delivery(id).await?.ok_or(Failure::Missing)?;
    let late = tx.late(Some(id)).await?;
    let now: Time = web.engine.clock.now();
    let runs = tx.runs_of_delivery(id).await?.iter().map(|run| RunLine::new(run, now)).collect();
    let mark = Mark::from(&row.state.0);
    let shown = &row.body[..row.body.len().min(BODY_SHOWN)];
    render(&DeliveryPage {
        chrome: Chrome::new(&web, format!("{} {}", row.forge, row.event), &mark)
            .live(row.state.0 != DeliveryState::Pending),
        runs,
        body: pretty(&row.body).unwrap_or_else(|| String::from_utf8_lossy(shown).into_owned()),
        body_cut: if row.body.len() > BODY_SHOWN { row.body.len() - BODY_SHOWN } else { 0 },
        headers: row.headers.0,
        d: DeliveryView {
            id,
            mark,
            forge: row.forge,
            event: row.event,
            delivery: row.delivery,
            reason: reason(&row.state, &row.trouble),
            received: Moment(row.received),
            late,
        },
    })
}

fn reason(state: &DeliveryState, trouble: &str) -> String {
    match state {
        DeliveryState::Nothing { reason } | DeliveryState::Unreadable { reason } => reason.clone(),
        DeliveryState::Pending if !trouble.is_empty() => format!("not handled yet: {trouble}"),
        DeliveryState::Pending | DeliveryState::Started { .. } => String::new(),
    }
}

/// Small JSON with line breaks.
fn pretty(body: &[u8]) -> Option<String> {
    let small = body.len() <= BODY_SHOWN;
    let value: serde_json::Value = small.then(|| serde_json::from_slice(body).ok()).flatten()?;
    serde_json::to_string_pretty(&value).ok()
}
