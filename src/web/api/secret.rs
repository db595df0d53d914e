//! `/secrets`: their names, whose they are and whom they are for. A value is taken, and never given.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Problem, time};
use crate::{
    engine::Kept,
    model::{SecretLimits, SecretName},
    store::SecretRow,
    web::{
        Web,
        access::Visitor,
        pages::Failure,
        secrets::{Keeper, SecretsQuery},
    },
};

type Asked = Result<Query<SecretsQuery>, QueryRejection>;

/// `GET /secrets?forge=…&repository=…`, with those of its owners; or `…&owner=…`.
pub(super) async fn list(visitor: Visitor, State(web): State<Web>, query: Asked) -> Answer {
    let keeper = keeper(&web, visitor, query).await?;
    let rows = keeper.all(&mut web.engine.store.read().await?).await?;
    Ok(Json(json!({"secrets": rows.iter().map(value).collect::<Vec<_>>()})))
}

/// What is put: `{"value": "…", "events": […], "branches": […], "images": […]}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    value: String,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    branches: Vec<String>,
    #[serde(default)]
    images: Vec<String>,
}

/// `PUT /secrets/{name}?forge=…&repository=…`. 201 if there was none of that name, else 200.
pub(super) async fn set(
    visitor: Visitor,
    State(web): State<Web>,
    Path(name): Path<String>,
    query: Asked,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let keeper = keeper(&web, visitor, query).await?;
    let name: SecretName = name.parse().map_err(|error| Failure::Words(format!("{error}")))?;
    let Put { value: secret, events, branches, images } = serde_json::from_slice(&body).map_err(|_| {
        // what the reader says of it might show what was to be a secret
        let form = r#"`{"value": "…", "events": […], "branches": […], "images": […]}`"#;
        Failure::Words(format!("{form} is expected, of which `value` is needed"))
    })?;
    let (secret, limits) = (SecretString::from(secret), SecretLimits { events, branches, images });
    let acting = keeper.does(&web, "set a secret", &name);
    let set = acting.engine.set_secret((&keeper.scope, &name), limits, &secret, &keeper.visitor.name()).await;
    let (kept, row) = acting.came_to(set).await?;
    let status = if kept == Kept::New { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(value(&row))))
}

/// `DELETE /secrets/{name}?forge=…&repository=…`.
pub(super) async fn remove(visitor: Visitor, State(web): State<Web>, Path(name): Path<String>, query: Asked) -> Answer {
    let keeper = keeper(&web, visitor, query).await?;
    let name: SecretName = name.parse().map_err(|_| Failure::Missing)?;
    let acting = keeper.does(&web, "remove a secret", &name);
    acting.came_to(acting.engine.remove_secret(&keeper.scope, &name).await).await?;
    Ok(Json(json!({"name": name, "removed": true})))
}

async fn keeper(web: &Web, visitor: Visitor, query: Asked) -> Result<Keeper, Failure> {
    let Query(asked) = query.map_err(|_| Failure::Query)?;
    asked.keeper(web, visitor).await
}

fn value(row: &SecretRow) -> Value {
    json!({
        "name": row.name, "forge": row.forge, row.level.as_str(): row.scope, "limits": row.limits.0,
        "created": time(row.created), "changed": time(row.changed), "changed_by": row.changed_by,
        "used": row.used.map(time),
    })
}
