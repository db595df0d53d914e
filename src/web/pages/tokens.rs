//! Somebody's tokens: the list, and the form that makes one.

use askama::Template;
use axum::{
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};

use super::{Chrome, Failure, Mark, Moment, render};
use crate::{
    model::{Scope, Scopes, TokenId},
    store::TokenRow,
    web::{Web, access::SignedIn, tokens},
};

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    chrome: Chrome,
    login: String,
    /// A token that was made just now.
    secret: Option<String>,
    scopes: Vec<&'static str>,
    tokens: Vec<TokenView>,
    /// Whether the audit log is theirs to read.
    audits: bool,
}

struct TokenView {
    id: TokenId,
    name: String,
    scopes: String,
    created: Moment,
    expires: Moment,
    expired: bool,
    used: Option<Moment>,
    used_from: String,
}

/// `GET /tokens`.
pub(super) async fn page(who: SignedIn, State(web): State<Web>) -> Result<Response, Failure> {
    show(&web, &who, None).await
}

/// `POST /tokens`, with `name`, `scope` as often as it is chosen, and `days`.
pub(super) async fn make(who: SignedIn, State(web): State<Web>, body: Bytes) -> Result<Response, Failure> {
    let fields = || url::form_urlencoded::parse(&body);
    let field = |wanted: &str| fields().find(|(name, _)| name == wanted).map(|(_, value)| value.trim().to_owned());
    let name = field("name").unwrap_or_default();
    let chosen = fields().filter(|(name, _)| name == "scope").map(|(_, scope)| scope.parse::<Scope>());
    let scopes = Scopes::new(chosen.collect::<Result<Vec<_>, _>>().map_err(Failure::Words)?);
    let days = field("days").and_then(|days| days.parse::<u64>().ok());
    let (_, secret) = tokens::make(&web, &who, &name, &scopes, days).await?;
    show(&web, &who, Some(secret)).await
}

/// `POST /tokens/{id}/remove`.
pub(super) async fn remove(who: SignedIn, State(web): State<Web>, Path(id): Path<String>) -> Result<Response, Failure> {
    let id: TokenId = id.parse().map_err(|_| Failure::Missing)?;
    tokens::remove(&web, &who, id).await?;
    Ok(Redirect::to("/tokens").into_response())
}

async fn show(web: &Web, who: &SignedIn, secret: Option<String>) -> Result<Response, Failure> {
    let now = web.engine.clock.now();
    let rows = web.engine.store.read().await?.tokens(Some(who.id)).await?;
    let view = |row: TokenRow| TokenView {
        id: row.id,
        name: row.name,
        scopes: row.scopes.to_string(),
        created: Moment(row.created),
        expires: Moment(row.expires),
        expired: row.expires <= now,
        used: row.used.map(Moment),
        used_from: row.used_from,
    };
    render(&TokensPage {
        chrome: Chrome::new(web, "Tokens".to_owned(), &Mark::none()),
        login: who.login.to_string(),
        secret,
        scopes: Scope::ALL.into_iter().filter(|scope| *scope != Scope::Read).map(Scope::as_str).collect(),
        tokens: rows.into_iter().map(view).collect(),
        audits: who.visitor.is_admin(web),
    })
}
