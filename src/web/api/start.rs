//! `POST /api/v1/starts`: flows are started by hand. The answer is 202 with the delivery that tells what comes of it.

use std::collections::BTreeMap;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, find_repository};
use crate::{
    model::{ForgeKind, RepositoryName, Right, Wanted},
    web::{Web, access::Visitor, delivery, pages::Failure, start},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    forge: Option<ForgeKind>,
    repository: RepositoryName,
    branch: Option<String>,
    flow: Option<String>,
    #[serde(default)]
    inputs: BTreeMap<String, String>,
}

type Started = (StatusCode, [(header::HeaderName, String); 1], Json<Value>);

/// With `Idempotency-Key` a request may be repeated, and is one start.
pub(super) async fn start(
    visitor: Visitor,
    State(web): State<Web>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Started, Problem> {
    let asked: Asked = serde_json::from_slice(&body).map_err(|error| {
        let form = r#"`{"repository": "owner/name", "forge": …, "branch": …, "flow": …, "inputs": {"name": "text"}}`"#;
        Failure::Words(format!("{form} is expected, with `repository` at least: {error}"))
    })?;
    let key = headers.get("idempotency-key").map(|key| key.to_str().map_err(|_| Failure::Query)).transpose()?;
    let wish = delivery::wish(key, web.engine.clock.now())?;
    let of = find_repository(&web, &visitor, (asked.forge, &asked.repository), Right::Run).await?;
    let wanted = Wanted { branch: asked.branch, flow: asked.flow, inputs: asked.inputs, by: of.by() };
    let id = start::start(&web, &of, &wanted, &wish).await?;
    let url = format!("/api/v1/deliveries/{id}");
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, url.clone())], Json(json!({"delivery": id, "url": url}))))
}
