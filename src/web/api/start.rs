//! `POST /starts`: flows are started by hand. The answer is 202 with the delivery that tells what comes of it.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    asked::{Sent, idempotency_key},
    repository::find,
};
use crate::{
    model::{DeliveryId, ForgeKind, RepositoryName, Right, Wanted},
    web::{Web, access::Known, delivery, start},
};

/// What is to start.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = StartRequest)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"repository": "acme/shop", "branch": "main", "flow": "deploy", "inputs": {"TARGET": "staging"}}))]
pub(super) struct NewStart {
    /// The repository's forge; needed if several have one of this name.
    forge: Option<ForgeKind>,
    repository: RepositoryName,
    /// The branch whose newest commit is built; without it, the default branch's.
    #[schema(min_length = 1, max_length = 1024, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    branch: Option<String>,
    /// The flow; without it, all that can be started by hand.
    #[schema(min_length = 1, max_length = 1024, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    flow: Option<String>,
    /// What it asks for; what is left out has its default. At most 50, of 10,000 bytes.
    #[serde(default)]
    inputs: BTreeMap<String, String>,
}

/// The delivery tells what comes of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StartAccepted)]
pub(super) struct Started {
    delivery: DeliveryId,
    /// Where it is.
    #[schema(example = "/api/v1/deliveries/01pn6v3kq4h2c")]
    url: String,
}

/// Starts flows by hand.
///
/// With `Idempotency-Key` a request may be repeated, and is one start.
#[utoipa::path(post, path = "/starts", tag = "runs", operation_id = "startFlows",
    params(("Idempotency-Key" = Option<String>, Header, pattern = "^[A-Za-z0-9._:-]{1,64}$", description = "The request's name: 1 to 64 letters, digits and `-_.:`", example = "deploy-2026-03-01")),
    request_body(content = NewStart),
    responses((status = 202, description = "It is on its way", body = Started, headers(("Location" = String, description = "The delivery that tells what comes of it")))))]
pub(super) async fn start(
    Known(visitor): Known,
    State(web): State<Web>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Response, Problem> {
    let form = r#"`{"repository": "owner/name", "forge": …, "branch": …, "flow": …, "inputs": {"name": "text"}}`, with `repository` at least,"#;
    let asked: NewStart = sent.json(form)?;
    let wish = delivery::wish(idempotency_key(&headers)?, web.engine.clock.now())?;
    let of = find(&web, &visitor, (asked.forge, &asked.repository), Right::Run).await?;
    let wanted = Wanted { branch: asked.branch, flow: asked.flow, inputs: asked.inputs, by: of.by() };
    let id = start::start(&web, &of, &wanted, &wish).await?;
    let url = format!("/api/v1/deliveries/{id}");
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, url.clone())], Json(Started { delivery: id, url })).into_response())
}
