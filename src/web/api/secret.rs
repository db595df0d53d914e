//! `/secrets`: their names, whose they are and whom they are for. A value is taken, and never given.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Answer, Problem,
    asked::{Asked, Cursor, Limit, List, Page, Sent, part},
    schema::At,
};
use crate::{
    engine::Kept,
    model::{ForgeKind, RepositoryName, SecretLevel, SecretLimits, SecretName},
    store::SecretRow,
    web::{
        Web,
        access::{Known, Visitor},
        mistake::Mistake,
        pages::Failure,
        secrets::{Keeper, SecretsQuery},
    },
};

/// Whose secrets: one of `repository` and `owner`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// The forge.
    forge: ForgeKind,
    /// Those of a repository, with those of its owners.
    repository: Option<RepositoryName>,
    /// Those of an owner, which are for all of its repositories: an administrator's to keep.
    owner: Option<RepositoryName>,
}

/// Whose secrets, and which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The forge.
    forge: ForgeKind,
    /// Those of a repository, with those of its owners.
    repository: Option<RepositoryName>,
    /// Those of an owner, which are for all of its repositories: an administrator's to keep.
    owner: Option<RepositoryName>,
    /// The `next` of an earlier answer: what follows it.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<String>>,
    /// At most as many.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: Limit,
}

/// What is known of secrets, the nearest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecretPage)]
pub(super) struct Secrets {
    secrets: Vec<Secret>,
    /// The `cursor` of what follows; `null`: nothing does.
    #[schema(required = true)]
    next: Option<String>,
}

/// What is known of a secret. Its value is never shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Secret {
    name: SecretName,
    forge: ForgeKind,
    /// Whose it is, if it is a repository's.
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<RepositoryName>,
    /// Whose it is, if it is an owner's.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<RepositoryName>,
    /// Whom it is for; what is empty limits nothing.
    limits: SecretLimits,
    created: At,
    changed: At,
    changed_by: String,
    /// When a job was given it last.
    #[schema(required = true)]
    used: Option<At>,
}

/// A secret that is to be.
#[derive(Deserialize, ToSchema)]
#[schema(as = SecretRequest)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"value": "correct horse battery staple", "events": ["push"], "branches": ["main"]}))]
pub(super) struct NewSecret {
    /// 4 characters to 64 KiB of text.
    #[schema(min_length = 4, max_length = 65536, write_only)]
    value: String,
    /// For events of these names alone.
    #[serde(default)]
    events: Vec<String>,
    /// For branches of these patterns alone.
    #[serde(default)]
    branches: Vec<String>,
    /// For jobs of these images alone.
    #[serde(default)]
    images: Vec<String>,
}

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecretRemoved)]
pub(super) struct Removed {
    name: SecretName,
    removed: bool,
}

impl List for Secrets {
    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// What is known of secrets.
#[utoipa::path(get, path = "/secrets", tag = "secrets", operation_id = "listSecrets", params(ListQuery), responses((status = 200, description = "A page of secrets", body = Secrets)))]
pub(super) async fn list(
    Known(visitor): Known,
    State(web): State<Web>,
    Asked(query): Asked<ListQuery>,
) -> Result<Page<Secrets>, Problem> {
    let ListQuery { forge, repository, owner, cursor, limit } = query;
    let keeper = keeper(&web, visitor, Whose { forge, repository, owner }).await?;
    let mut rows = keeper.all(&mut web.engine.store.read().await?).await?;
    // the nearest owner has the longest name
    let key = |row: &SecretRow| {
        let distance = usize::from(row.level == SecretLevel::Owner) * (1000 - row.scope.as_str().len());
        format!("{distance:04}{}", row.name)
    };
    rows.sort_by_key(key);
    let (rows, next) = part(rows, cursor.map(|cursor| cursor.0).as_ref(), limit, key);
    Ok(Page(Secrets { secrets: rows.iter().map(Secret::of).collect(), next }))
}

/// Keeps a secret, or another value for one.
#[utoipa::path(put, path = "/secrets/{name}", tag = "secrets", operation_id = "setSecret", params(("name" = SecretName, Path, description = "Its name"), Whose), request_body(content = NewSecret),
    responses(
        (status = 200, description = "It has another value now", body = Secret),
        (status = 201, description = "It is new", body = Secret),
    ))]
pub(super) async fn set(
    Known(visitor): Known,
    State(web): State<Web>,
    Path(name): Path<String>,
    Asked(whose): Asked<Whose>,
    sent: Sent,
) -> Result<Response, Problem> {
    let keeper = keeper(&web, visitor, whose).await?;
    let name: SecretName = name.parse().map_err(|error| Failure::Words(format!("{error}")))?;
    // what the reader says of it might show what was to be a secret
    let form = r#"`{"value": "…", "events": […], "branches": […], "images": […]}`, with `value` at least,"#;
    let NewSecret { value: secret, events, branches, images } = sent.secret_json(form)?;
    let (secret, limits) = (SecretString::from(secret), SecretLimits { events, branches, images });
    let acting = keeper.does(&web, "set a secret", &name);
    let set = acting.engine.set_secret((&keeper.scope, &name), limits, &secret, &keeper.visitor.name()).await;
    let (kept, row) = acting.came_to(set).await?;
    let status = if kept == Kept::New { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Secret::of(&row))).into_response())
}

/// Removes a secret.
#[utoipa::path(delete, path = "/secrets/{name}", tag = "secrets", operation_id = "removeSecret", params(("name" = SecretName, Path, description = "Its name"), Whose), responses((status = 200, description = "It is gone", body = Removed)))]
pub(super) async fn remove(
    Known(visitor): Known,
    State(web): State<Web>,
    Path(name): Path<String>,
    Asked(whose): Asked<Whose>,
) -> Answer<Removed> {
    let keeper = keeper(&web, visitor, whose).await?;
    let name: SecretName = name.parse().map_err(|_| Failure::Missing)?;
    let acting = keeper.does(&web, "remove a secret", &name);
    acting.came_to(acting.engine.remove_secret(&keeper.scope, &name).await).await?;
    Ok(Json(Removed { name, removed: true }))
}

async fn keeper(web: &Web, visitor: Visitor, whose: Whose) -> Result<Keeper, Failure> {
    if whose.repository.is_some() == whose.owner.is_some() {
        return Err(Mistake::of_query("repository", "one of `repository` and `owner` is expected").into());
    }
    let text = |name: Option<RepositoryName>| name.map(|name| name.to_string()).unwrap_or_default();
    let asked = SecretsQuery {
        forge: whose.forge.to_string(),
        repository: text(whose.repository),
        owner: text(whose.owner),
        ..SecretsQuery::default()
    };
    asked.keeper(web, visitor).await
}

impl Secret {
    pub(super) fn of(row: &SecretRow) -> Self {
        let is_of = |level| (row.level == level).then(|| row.scope.clone());
        Self {
            name: row.name.clone(),
            forge: row.forge,
            repository: is_of(SecretLevel::Repository),
            owner: is_of(SecretLevel::Owner),
            limits: row.limits.0.clone(),
            created: At(row.created),
            changed: At(row.changed),
            changed_by: row.changed_by.clone(),
            used: row.used.map(At),
        }
    }
}
