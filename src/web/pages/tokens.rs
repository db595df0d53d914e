//! Somebody's tokens: the list, and the form that makes one.

use std::time::Duration;

use askama::Template;
use axum::{
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};

use super::{Chrome, Failure, Mark, Moment, render};
use crate::{
    engine::hash,
    model::{Scope, Scopes, TokenId},
    store::{NewToken, TokenRow},
    web::{Web, access::SignedIn, new_token},
};

/// The longest name.
const NAME: usize = 64;
/// The longest life, in days.
const DAYS: u64 = 365;
/// Nobody needs more.
const MOST: usize = 100;

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
    if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
        return Err(Failure::Words(format!("a token has a name of 1 to {NAME} characters")));
    }
    let chosen = fields().filter(|(name, _)| name == "scope").map(|(_, scope)| scope.parse::<Scope>());
    let scopes = Scopes::new(chosen.collect::<Result<Vec<_>, _>>().map_err(Failure::Words)?);
    let days = field("days").and_then(|days| days.parse::<u64>().ok()).filter(|days| (1..=DAYS).contains(days));
    let days = days.ok_or_else(|| Failure::Words(format!("a token lives for 1 to {DAYS} days")))?;
    let secret = new_token().ok_or(Failure::Busy)?;
    let now = web.engine.clock.now();
    let expires = now.after(Duration::from_secs(days * 24 * 3600));
    let acting = who.visitor.does(&web, "make a token", format!("`{name}` for `{scopes}`, {days} days"));
    let mut tx = acting.engine.store.write().await?;
    if tx.tokens(Some(who.id)).await?.len() >= MOST {
        return Err(Failure::Conflict(format!("you have {MOST} tokens: remove some first")));
    }
    let new = NewToken { hash: &hash(&secret), name: &name, person: Some(who.id), scopes: &scopes, expires, now };
    let id = tx.insert_token(&new).await?;
    acting.engine.note(&mut tx, &format!("made as {id}")).await?;
    tx.commit().await?;
    show(&web, &who, Some(secret)).await
}

/// `POST /tokens/{id}/remove`.
pub(super) async fn remove(who: SignedIn, State(web): State<Web>, Path(id): Path<String>) -> Result<Response, Failure> {
    let id: TokenId = id.parse().map_err(|_| Failure::Missing)?;
    let acting = who.visitor.does(&web, "remove a token", id.to_string());
    let mut tx = acting.engine.store.write().await?;
    if !tx.remove_token(id, Some(who.id)).await? {
        return Err(Failure::Missing);
    }
    acting.engine.note(&mut tx, "done").await?;
    tx.commit().await?;
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
