//! Every webhook that was authentic, and what became of it; and the button that plays one again.

use askama::Template;
use axum::{
    Form,
    extract::{State, rejection::FormRejection},
    http::Uri,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{Chrome, Failure, Mark, Moment, query, render, runs::RunLine};
use crate::{
    model::{DeliveryId, DeliveryPhase, DeliveryState, ForgeKind, Late, Right, Time},
    store::{DeliveryShown, DeliverySummary},
    web::{
        Web,
        access::{Maintain, OfDelivery, See, Visitor},
        delivery::{self, Body, ListQuery},
        log::ansi,
    },
};

/// Deliveries on one page.
const PAGE: i64 = 50;
/// Replays that a page names.
const REPLAYS: i64 = 20;

/// A delivery in a list, and at the head of its page.
pub(super) struct DeliveryView {
    pub(super) id: DeliveryId,
    pub(super) mark: Mark,
    pub(super) forge: ForgeKind,
    pub(super) event: String,
    delivery: String,
    repository: String,
    reason: String,
    tries: String,
    next_try: Option<Moment>,
    replays: Option<DeliveryId>,
    received: Moment,
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct DeliveriesPage {
    chrome: Chrome,
    deliveries: Vec<DeliveryView>,
    asked: ListQuery,
    chooses: bool,
    states: Vec<(&'static str, String)>,
    forges: Vec<ForgeKind>,
    older: Option<String>,
    hooks_url: String,
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct DeliveryPage {
    chrome: Chrome,
    d: DeliveryView,
    hook: String,
    runs: Vec<RunLine>,
    replayed_by: Vec<DeliveryId>,
    late: Option<Late>,
    /// `None` if it waits to be handled, or somebody else keeps it: it cannot be replayed.
    wish: Option<String>,
    /// Whether whoever looks keeps the repository.
    keeps: bool,
    /// Name and value, as HTML.
    headers: Vec<(String, String)>,
    /// As HTML.
    body: String,
    body_length: i64,
    body_left_out: i64,
}

/// The form behind the button.
#[derive(Debug, Deserialize)]
pub(super) struct ReplayForm {
    /// Names the wish, so that a second click on one page means the first's replay.
    wish: Option<String>,
}

/// `GET /deliveries`.
pub(super) async fn list(visitor: Visitor, State(web): State<Web>, uri: Uri) -> Result<Response, Failure> {
    let asked: ListQuery = query(&uri)?;
    let filter = asked.filter(PAGE + 1)?;
    let (mut rows, looked) = delivery::visible(&web, &visitor, filter).await?;
    let more = rows.len() as i64 > PAGE;
    rows.truncate(PAGE as usize);
    let last = if more { rows.last().map(|last| last.id) } else { looked };
    let older = last.map(|last| older_url(&asked, last));
    let state = |phase: DeliveryPhase| (phase.as_str(), phase_words(phase).to_owned());
    let newest = rows.first().map_or_else(Mark::none, |row| Mark::from(&row.state.0));
    let title = if rows.is_empty() { "Deliveries".to_owned() } else { format!("{}: deliveries", newest.word) };
    render(&DeliveriesPage {
        chrome: Chrome::new(&web, title, &newest).live(asked.before.is_some()),
        deliveries: rows.into_iter().map(DeliveryView::from).collect(),
        chooses: asked.chooses() || asked.before.is_some(),
        states: DeliveryPhase::ALL.into_iter().map(state).collect(),
        forges: web.engine.forges.keys().copied().collect(),
        asked,
        older,
        hooks_url: web.engine.settings.public_url.clone(),
    })
}

/// `GET /deliveries/{id}`.
pub(super) async fn one(of: OfDelivery<See>, State(web): State<Web>) -> Result<Response, Failure> {
    let row = delivery::find(&web, of.id).await?;
    let keeps = of.granted.as_ref().is_none_or(|granted| granted.may(Right::Maintain));
    let now: Time = web.engine.clock.now();
    let mut tx = web.engine.store.read().await?;
    let id = row.summary.id;
    let runs = tx.runs_of_delivery(id).await?.iter().map(|run| RunLine::new(run, now)).collect();
    let pending = row.summary.state.0 == DeliveryState::Pending;
    let mark = Mark::from(&row.summary.state.0);
    let title = format!("{}: {} {}", mark.word, row.summary.forge, row.summary.event);
    render(&DeliveryPage {
        chrome: Chrome::new(&web, title, &mark).live(!pending),
        runs,
        replayed_by: tx.replays_of(id, REPLAYS).await?,
        late: tx.late(Some(id)).await?,
        wish: (!pending && keeps).then(|| delivery::new_wish(now)),
        keeps,
        headers: delivery::headers(&row).iter().map(|(name, value)| (ansi::block(name), ansi::block(value))).collect(),
        body: ansi::block(&body(&row)),
        body_length: row.length,
        body_left_out: row.length - row.start.len() as i64,
        hook: row.hook,
        d: DeliveryView::from(row.summary),
    })
}

/// `POST /deliveries/{id}/replay`: leads to the replay's page.
pub(super) async fn replay(
    of: OfDelivery<Maintain>,
    State(web): State<Web>,
    form: Result<Form<ReplayForm>, FormRejection>,
) -> Result<Response, Failure> {
    let wish = form.ok().and_then(|Form(form)| form.wish);
    let wish = delivery::wish(wish.as_deref(), web.engine.clock.now())?;
    let (_, replay) = delivery::replay(&web, &of, &wish).await?;
    Ok(Redirect::to(&format!("/deliveries/{replay}")).into_response())
}

impl From<DeliverySummary> for DeliveryView {
    fn from(row: DeliverySummary) -> Self {
        Self {
            mark: Mark::from(&row.state.0),
            reason: reason(&row.state, &row.trouble),
            tries: match row.tries {
                0 => String::new(),
                1 => "tried once".to_owned(),
                tries => format!("tried {tries} times"),
            },
            next_try: delivery::next_try(&row).map(Moment),
            id: row.id,
            forge: row.forge,
            event: row.event,
            delivery: row.delivery,
            repository: row.repository.map(|name| name.to_string()).unwrap_or_default(),
            replays: row.replays,
            received: Moment(row.received),
        }
    }
}

fn reason(state: &DeliveryState, trouble: &str) -> String {
    match state {
        DeliveryState::Obeyed { what: reason }
        | DeliveryState::Nothing { reason }
        | DeliveryState::Unreadable { reason } => reason.clone(),
        DeliveryState::Pending if !trouble.is_empty() => format!("not handled yet: {trouble}"),
        DeliveryState::Pending | DeliveryState::Started { .. } => String::new(),
    }
}

const fn phase_words(phase: DeliveryPhase) -> &'static str {
    match phase {
        DeliveryPhase::Pending => "waiting",
        DeliveryPhase::Started => "started runs",
        DeliveryPhase::Obeyed => "did as it says",
        DeliveryPhase::Nothing => "started nothing",
        DeliveryPhase::Unreadable => "unreadable",
    }
}

fn older_url(asked: &ListQuery, last: DeliveryId) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("state", &asked.state), ("forge", &asked.forge), ("repository", &asked.repository)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    format!("/deliveries?{}", query.append_pair("before", &last.to_string()).finish())
}

/// JSON with line breaks, text as it is, and of anything else what is text in it.
fn body(row: &DeliveryShown) -> String {
    match Body::of(row) {
        Body::Json(value) => serde_json::to_string_pretty(&value).unwrap_or_default(),
        Body::Text(text) => text,
        Body::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    }
}
