//! Tokens: how they are made and removed, by page and API. What is shown once is not kept.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{Web, access::SignedIn, pages::Failure};
use crate::{
    engine::hash,
    model::{Scopes, TokenId},
    store::NewToken,
};

/// The longest name.
const NAME: usize = 64;
/// The longest life, in days.
const DAYS: u64 = 365;
/// Nobody needs more.
const MOST: usize = 100;

/// Stands before every token, so that whoever finds one knows what it is, and scanners find it.
const PREFIX: &str = "cops_";

/// A text that nobody guesses.
pub(super) fn secret() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// A new token.
pub fn new_token() -> Option<String> {
    Some(format!("{PREFIX}{}", secret()?))
}

/// A token of somebody: its id, and the text that is shown once.
pub(super) async fn make(
    web: &Web,
    who: &SignedIn,
    name: &str,
    scopes: &Scopes,
    days: Option<u64>,
) -> Result<(TokenId, String), Failure> {
    if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
        return Err(Failure::Words(format!("a token has a name of 1 to {NAME} characters")));
    }
    let days = days.filter(|days| (1..=DAYS).contains(days));
    let days = days.ok_or_else(|| Failure::Words(format!("a token lives for 1 to {DAYS} days")))?;
    let secret = new_token().ok_or(Failure::Busy)?;
    let now = web.engine.clock.now();
    let expires = now.after(Duration::from_secs(days * 24 * 3600));
    let acting = who.visitor.does(web, "make a token", format!("`{name}` for `{scopes}`, {days} days"));
    let mut tx = acting.engine.store.write().await?;
    if tx.tokens(Some(who.id)).await?.len() >= MOST {
        return Err(Failure::Conflict(format!("you have {MOST} tokens: remove some first")));
    }
    let new = NewToken { hash: &hash(&secret), name, person: Some(who.id), scopes, expires, now };
    let id = tx.insert_token(&new).await?;
    acting.engine.note(&mut tx, &format!("made as {id}")).await?;
    tx.commit().await?;
    Ok((id, secret))
}

/// Removes a token of somebody.
pub(super) async fn remove(web: &Web, who: &SignedIn, id: TokenId) -> Result<(), Failure> {
    let acting = who.visitor.does(web, "remove a token", id.to_string());
    let mut tx = acting.engine.store.write().await?;
    if !tx.remove_token(id, Some(who.id)).await? {
        return Err(Failure::Missing);
    }
    acting.engine.note(&mut tx, "done").await?;
    tx.commit().await?;
    Ok(())
}
