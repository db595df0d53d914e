//! Deliveries as JSON, and once more.

use axum::{
    Json,
    body::Body as Bytes,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    Answer, Problem,
    asked::{Asked, Cursor, Limit, List, Page, cut, idempotency_key},
    run::Recovered,
    runs::RunInShort,
    schema::At,
};
use crate::{
    model::{DeliveryId, DeliveryPhase, DeliveryState, ForgeKind, RepositoryName},
    store::{DeliveryFilter, DeliveryShown, DeliverySummary, Tx},
    web::{
        Web,
        access::{Known, Maintain, OfDelivery, See},
        delivery::{self, Body},
    },
};

/// Replays that an answer names.
const REPLAYS: i64 = 100;

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveriesQuery {
    /// Those that are so far.
    #[param(inline)]
    state: Option<DeliveryPhase>,
    /// Those of one forge.
    forge: Option<ForgeKind>,
    /// Those of a repository of this name.
    repository: Option<RepositoryName>,
    /// Those before this one.
    before: Option<DeliveryId>,
    /// The `next` of an earlier answer: what follows it.
    #[param(value_type = Option<DeliveryId>)]
    cursor: Option<Cursor<DeliveryId>>,
    /// At most as many.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: Limit,
}

/// Deliveries, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryPage)]
pub(super) struct Deliveries {
    /// There may be fewer than asked for, and more all the same: `next` says so.
    deliveries: Vec<Delivery>,
    /// The `cursor` of what follows; `null`: nothing does.
    #[schema(required = true)]
    next: Option<String>,
}

/// A webhook, or what stands for one: a re-run, a start by hand, a schedule.
#[derive(Debug, Serialize, ToSchema)]
struct Delivery {
    id: DeliveryId,
    forge: ForgeKind,
    /// The forge's own name for it.
    delivery: String,
    /// The forge's own name for what happened.
    #[schema(example = "push")]
    event: String,
    #[schema(required = true)]
    repository: Option<RepositoryName>,
    received: At,
    state: DeliveryState,
    /// What is in the way; empty: nothing.
    trouble: String,
    tries: i64,
    /// When it is tried again.
    #[schema(required = true)]
    next_try: Option<At>,
    /// The delivery that it is a replay of.
    #[schema(required = true)]
    replay_of: Option<DeliveryId>,
}

/// A delivery, with what came and what came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryDetails)]
pub(super) struct WholeDelivery {
    #[serde(flatten)]
    delivery: Delivery,
    /// `null`, unless it was lost and found.
    #[schema(required = true)]
    recovered: Option<Recovered>,
    /// The forge's own name for the webhook; empty: it has not said.
    hook: String,
    /// Name and value; secrets are left out.
    #[schema(value_type = Vec<Vec<String>>)]
    headers: Vec<(String, String)>,
    body: DeliveryBody,
    /// What it started.
    runs: Vec<RunInShort>,
    /// What it was played again as; at most 100.
    replays: Vec<DeliveryId>,
}

/// What came.
#[derive(Debug, Serialize, ToSchema)]
struct DeliveryBody {
    /// `json`, `text` or `base64`: how `value` is to be read.
    form: &'static str,
    /// Its beginning, if it is long.
    value: Value,
    /// Bytes of all of it.
    length: i64,
    /// Whether `value` is its beginning.
    cut: bool,
    /// All of it.
    #[schema(example = "/api/v1/deliveries/01pn6v3kq4h2c/body")]
    url: String,
}

impl List for Deliveries {
    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// Deliveries, newest first.
///
/// All of them are for administrators, those of their repositories for who maintains one.
#[utoipa::path(get, path = "/deliveries", tag = "deliveries", operation_id = "listDeliveries", params(DeliveriesQuery), responses((status = 200, description = "A page of deliveries", body = Deliveries)))]
pub(super) async fn list(
    Known(visitor): Known,
    State(web): State<Web>,
    Asked(query): Asked<DeliveriesQuery>,
) -> Result<Page<Deliveries>, Problem> {
    let before = query.cursor.map(|cursor| cursor.0).or(query.before);
    let DeliveriesQuery { state: phase, forge, repository, limit, .. } = query;
    let filter = DeliveryFilter { phase, forge, repository, before, limit: limit.0 + 1 };
    let (mut rows, looked) = delivery::visible(&web, &visitor, filter).await?;
    let next = cut(&mut rows, limit, |row| row.id).or(looked.map(|last| Cursor(last).to_string()));
    Ok(Page(Deliveries { deliveries: rows.iter().map(Delivery::of).collect(), next }))
}

/// One delivery.
#[utoipa::path(get, path = "/deliveries/{id}", tag = "deliveries", operation_id = "getDelivery", params(("id" = DeliveryId, Path, description = "The delivery's id")), responses((status = 200, description = "The delivery", body = WholeDelivery)))]
pub(super) async fn one(OfDelivery { id, .. }: OfDelivery<See>, State(web): State<Web>) -> Answer<WholeDelivery> {
    let row = delivery::find(&web, id).await?;
    Ok(Json(WholeDelivery::of(&mut web.engine.store.read().await?, &row).await?))
}

/// What came, as it came.
///
/// Its raw bytes, as a file: whatever they are, no browser takes them for a page of ours.
#[utoipa::path(get, path = "/deliveries/{id}/body", tag = "deliveries", operation_id = "getDeliveryBody", params(("id" = DeliveryId, Path, description = "The delivery's id")), responses((status = 200, description = "The bytes", body = Vec<u8>, content_type = "application/octet-stream")))]
pub(super) async fn body(OfDelivery { id, .. }: OfDelivery<See>, State(web): State<Web>) -> Result<Response, Problem> {
    let row = delivery::find(&web, id).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, row.length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"delivery-{id}\"")),
    ];
    Ok((headers, Bytes::from_stream(delivery::body(web.engine.store.clone(), id))).into_response())
}

/// Puts a delivery in once more, which starts new runs.
///
/// With `Idempotency-Key` a request may be repeated, and is one replay.
#[utoipa::path(post, path = "/deliveries/{id}/replay", tag = "deliveries", operation_id = "replayDelivery",
    params(("id" = DeliveryId, Path, description = "The delivery's id"),
        ("Idempotency-Key" = Option<String>, Header, pattern = "^[A-Za-z0-9._:-]{1,64}$", description = "The request's name: 1 to 64 letters, digits and `-_.:`", example = "again-1")),
    responses(
        (status = 200, description = "The replay that an earlier request of this name has made", body = WholeDelivery, headers(("Location" = String, description = "Where it is"))),
        (status = 201, description = "The replay", body = WholeDelivery, headers(("Location" = String, description = "Where it is"))),
        (status = 409, description = "The delivery itself still waits", body = super::problem::Body, content_type = "application/problem+json"),
    ))]
pub(super) async fn replay(
    of: OfDelivery<Maintain>,
    State(web): State<Web>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wish = delivery::wish(idempotency_key(&headers)?, web.engine.clock.now())?;
    let (status, replay) = delivery::replay(&web, &of, &wish).await?;
    let row = delivery::find(&web, replay).await?;
    let value = WholeDelivery::of(&mut web.engine.store.read().await?, &row).await?;
    let location = [(header::LOCATION, format!("/api/v1/deliveries/{replay}"))];
    Ok((status, location, Json(value)).into_response())
}

impl Delivery {
    fn of(row: &DeliverySummary) -> Self {
        Self {
            id: row.id,
            forge: row.forge,
            delivery: row.delivery.clone(),
            event: row.event.clone(),
            repository: row.repository.clone(),
            received: At(row.received),
            state: row.state.0.clone(),
            trouble: row.trouble.clone(),
            tries: row.tries,
            next_try: delivery::next_try(row).map(At),
            replay_of: row.replays,
        }
    }
}

impl WholeDelivery {
    async fn of(tx: &mut Tx, row: &DeliveryShown) -> Result<Self, Problem> {
        let id = row.summary.id;
        let runs = tx.runs_of_delivery(id).await?;
        Ok(Self {
            delivery: Delivery::of(&row.summary),
            recovered: tx.late(Some(id)).await?.map(Recovered::of),
            hook: row.hook.clone(),
            headers: delivery::headers(row),
            body: DeliveryBody::of(row),
            runs: runs.iter().map(RunInShort::of).collect(),
            replays: tx.replays_of(id, REPLAYS).await?,
        })
    }
}

impl DeliveryBody {
    fn of(row: &DeliveryShown) -> Self {
        let (form, value) = match Body::of(row) {
            Body::Json(value) => ("json", value),
            Body::Text(text) => ("text", Value::String(text)),
            Body::Bytes(bytes) => ("base64", Value::String(STANDARD.encode(bytes))),
        };
        let url = format!("/api/v1/deliveries/{}/body", row.summary.id);
        Self { form, value, length: row.length, cut: delivery::is_cut(row), url }
    }
}
