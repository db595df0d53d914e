//! `/tokens`: one's own tokens. They are for who has signed in: a token makes no other tokens.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Answer, Problem,
    asked::{Asked, Cursor, Limit, List, Page, Sent, part},
    schema::At,
};
use crate::{
    model::{Scope, Scopes, TokenId},
    store::TokenRow,
    web::{Web, access::SignedIn, pages::Failure, tokens},
};

/// Which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TokensQuery {
    /// The `next` of an earlier answer: what follows it.
    #[param(value_type = Option<TokenId>)]
    cursor: Option<Cursor<TokenId>>,
    /// At most as many.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: Limit,
}

/// Tokens, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenPage)]
pub(super) struct Tokens {
    tokens: Vec<Token>,
    /// The `cursor` of what follows; `null`: nothing does.
    #[schema(required = true)]
    next: Option<String>,
}

/// What is known of a token. It is itself shown once, when it is made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Token {
    id: TokenId,
    #[schema(example = "deploy")]
    name: String,
    scopes: Scopes,
    created: At,
    expires: At,
    expired: bool,
    /// When it was used last, about.
    #[schema(required = true)]
    used: Option<At>,
    /// From which address; empty: from none.
    used_from: String,
}

/// A token that was made just now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NewToken {
    id: TokenId,
    /// It is shown now, and never again.
    #[schema(example = "cops_…")]
    token: String,
}

/// A token that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "deploy", "scopes": ["run"], "days": 30}))]
pub(super) struct TokenRequest {
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// What it is for, besides looking.
    #[serde(default)]
    scopes: Vec<Scope>,
    /// How long it lives.
    #[schema(minimum = 1, maximum = 365)]
    days: u64,
}

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenRemoved {
    id: TokenId,
    removed: bool,
}

impl List for Tokens {
    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// One's own tokens.
#[utoipa::path(get, path = "/tokens", tag = "people", operation_id = "listTokens", params(TokensQuery), responses((status = 200, description = "A page of tokens", body = Tokens)))]
pub(super) async fn list(
    who: SignedIn,
    State(web): State<Web>,
    Asked(asked): Asked<TokensQuery>,
) -> Result<Page<Tokens>, Problem> {
    let now = web.engine.clock.now();
    let mut rows = web.engine.store.read().await?.tokens(Some(who.id)).await?;
    rows.sort_by_key(|row| row.id);
    let (rows, next) = part(rows, asked.cursor.map(|cursor| cursor.0).as_ref(), asked.limit, |row| row.id);
    let token = |row: TokenRow| Token {
        id: row.id,
        name: row.name,
        scopes: row.scopes.0,
        created: At(row.created),
        expires: At(row.expires),
        expired: row.expires <= now,
        used: row.used.map(At),
        used_from: row.used_from,
    };
    Ok(Page(Tokens { tokens: rows.into_iter().map(token).collect(), next }))
}

/// Makes a token, and shows it this once.
#[utoipa::path(post, path = "/tokens", tag = "people", operation_id = "createToken", request_body(content = TokenRequest),
    responses(
        (status = 201, description = "The token", body = NewToken),
        (status = 409, description = "There are 100 already", body = super::problem::Body, content_type = "application/problem+json"),
    ))]
pub(super) async fn make(who: SignedIn, State(web): State<Web>, sent: Sent) -> Result<Response, Problem> {
    let asked: TokenRequest = sent.json(r#"`{"name": "…", "scopes": ["run" | "approve" | "admin"], "days": 30}`"#)?;
    let scopes = Scopes::new(asked.scopes);
    let (id, token) = tokens::make(&web, &who, asked.name.trim(), &scopes, Some(asked.days)).await?;
    Ok((StatusCode::CREATED, Json(NewToken { id, token })).into_response())
}

/// Removes a token: it is worth nothing from now on.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "people", operation_id = "removeToken", params(("id" = TokenId, Path, description = "The token's id")), responses((status = 200, description = "It is gone", body = TokenRemoved)))]
pub(super) async fn remove(who: SignedIn, State(web): State<Web>, Path(id): Path<String>) -> Answer<TokenRemoved> {
    let id: TokenId = id.parse().map_err(|_| Failure::Missing)?;
    tokens::remove(&web, &who, id).await?;
    Ok(Json(TokenRemoved { id, removed: true }))
}
