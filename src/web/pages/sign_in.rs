//! Signing in with a forge's account, and out.
//!
//! What a browser brings back must be what it was given: `state` is bound to a cookie of ours by the server's key, for ten
//! minutes, and PKCE's verifier is made of it, so that nothing need be kept meanwhile.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse as _, Redirect, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Chrome, Failure, Mark, query, render};
use crate::{
    engine::hash,
    forge::oauth::{Account, OAuth, OAuthError},
    model::{ForgeKind, Time},
    web::{
        Web,
        access::{SESSION_LIFE, Visitor, cookie, cookie_value, no_cookie, session_cookie, sign_in_cookie},
        tokens::secret,
    },
};

/// How long a sign-in may take.
const LIFE: Duration = Duration::from_secs(600);
/// No address of ours is longer.
const LONGEST_NEXT: usize = 1000;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    chrome: Chrome,
    /// Each with its address.
    forges: Vec<(ForgeKind, String)>,
}

#[derive(Deserialize)]
struct NextQuery {
    #[serde(default)]
    next: String,
}

/// What a forge sends a browser back with.
#[derive(Deserialize)]
struct BackQuery {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// A sign-in that is under way, as its cookie has it: `state.end.next.proof`.
struct UnderWay {
    state: String,
    next: String,
}

/// `GET /sign-in`: with what.
pub(super) async fn choose(_: Visitor, State(web): State<Web>, uri: Uri) -> Result<Response, Failure> {
    let NextQuery { next } = query(&uri)?;
    let next: String = url::form_urlencoded::byte_serialize(own(&next).as_bytes()).collect();
    let forges = web.access.settings.forges.keys();
    render(&SignInPage {
        chrome: Chrome::new(&web, "Sign in".to_owned(), &Mark::none()),
        forges: forges.map(|&forge| (forge, format!("/sign-in/{forge}?next={next}"))).collect(),
    })
}

/// `GET /sign-in/{forge}`: leads to the forge.
pub(super) async fn go(
    visitor: Visitor,
    State(web): State<Web>,
    Path(forge): Path<String>,
    uri: Uri,
) -> Result<Response, Failure> {
    let (forge, oauth) = find(&web, &forge)?;
    slow_down(&web, &visitor)?;
    let NextQuery { next } = query(&uri)?;
    let state = secret().ok_or(Failure::Busy)?;
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier(&web, &state)));
    let to = oauth.address(&back_url(&web, forge), &state, &challenge).ok_or(Failure::Missing)?;
    let under_way = UnderWay { state, next: own(&next).to_owned() };
    let value = under_way.write(&web, forge, web.engine.clock.now().after(LIFE));
    let secure = web.is_secure();
    Ok(leads(&to, [cookie(sign_in_cookie(secure), &value, LIFE, secure)]))
}

/// `GET /sign-in/{forge}/callback`: whoever comes back is who the forge says.
pub(super) async fn back(
    visitor: Visitor,
    State(web): State<Web>,
    Path(forge): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Failure> {
    let (forge, oauth) = find(&web, &forge)?;
    slow_down(&web, &visitor)?;
    let asked: BackQuery = query(&uri)?;
    let under_way =
        UnderWay::read(&web, forge, &headers).filter(|under_way| under_way.state == asked.state).ok_or_else(|| {
            Failure::SignIn("this sign-in was not begun in this browser, or took too long: begin again".to_owned())
        })?;
    let code = match (asked.code, asked.error) {
        (Some(code), None) => code,
        (_, error) => {
            let why = asked.error_description.or(error).unwrap_or_else(|| "it gave no reason".to_owned());
            let why: String = why.chars().take(300).collect();
            return Err(Failure::SignIn(format!("{forge} did not sign you in: {why}")));
        }
    };
    let verifier = verifier(&web, &under_way.state);
    let account = oauth.account(&code, &back_url(&web, forge), &verifier).await.map_err(|error| {
        tracing::warn!(%forge, %error, "nobody has signed in");
        match error {
            OAuthError::Refused { .. } => Failure::SignIn(format!("{error}; begin again")),
            OAuthError::Away { .. } => Failure::Unknown(forge),
        }
    })?;
    let session = begin(&web, &visitor, &account).await?;
    let secure = web.is_secure();
    let cookies =
        [cookie(session_cookie(secure), &session, SESSION_LIFE, secure), no_cookie(sign_in_cookie(secure), secure)];
    Ok(leads(&under_way.next, cookies))
}

/// `POST /sign-out`.
pub(super) async fn out(visitor: Visitor, State(web): State<Web>, headers: HeaderMap) -> Result<Response, Failure> {
    let secure = web.is_secure();
    if let Some(session) = cookie_value(&headers, session_cookie(secure)) {
        let acting = visitor.does(&web, "sign out", String::new());
        let mut tx = acting.engine.store.write().await?;
        tx.end_session(&hash(session)).await?;
        if visitor.login().is_some() {
            acting.engine.note(&mut tx, "done").await?;
        }
        tx.commit().await?;
    }
    Ok(leads("/", [no_cookie(session_cookie(secure), secure)]))
}

async fn begin(web: &Web, visitor: &Visitor, account: &Account) -> Result<String, Failure> {
    let (session, now) = (secret().ok_or(Failure::Busy)?, web.engine.clock.now());
    let mut acting = visitor.does(web, "sign in", String::new());
    acting.is(account.login.to_string());
    let mut tx = acting.engine.store.write().await?;
    let person = tx.person_signs_in(&account.login, &account.id, now).await?;
    tx.begin_session(&hash(&session), person, now.after(SESSION_LIFE), now).await?;
    acting.engine.note(&mut tx, "done").await?;
    tx.commit().await?;
    Ok(session)
}

fn find<'a>(web: &'a Web, forge: &str) -> Result<(ForgeKind, &'a OAuth), Failure> {
    let forge: ForgeKind = forge.parse().map_err(|_| Failure::Missing)?;
    Ok((forge, web.access.settings.forges.get(&forge).ok_or(Failure::Missing)?))
}

fn slow_down(web: &Web, visitor: &Visitor) -> Result<(), Failure> {
    let over = web.access.attempts.counts(&visitor.from, web.engine.clock.now());
    if over { Err(Failure::TooMany) } else { Ok(()) }
}

fn back_url(web: &Web, forge: ForgeKind) -> String {
    format!("{}/sign-in/{forge}/callback", web.engine.settings.public_url)
}

/// A secret of this sign-in, which only we can make of its state.
fn verifier(web: &Web, state: &str) -> String {
    web.engine.key.proof("sign-in verifier", state)
}

/// Where to go on: on this server only, whatever was asked for.
fn own(next: &str) -> &str {
    let is_own = next.starts_with('/')
        && !next[1..].starts_with(['/', '\\'])
        && next.len() <= LONGEST_NEXT
        && next.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if is_own { next } else { "/" }
}

fn leads<const N: usize>(to: &str, cookies: [Option<HeaderValue>; N]) -> Response {
    let mut response = Redirect::to(to).into_response();
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl UnderWay {
    fn write(&self, web: &Web, forge: ForgeKind, end: Time) -> String {
        let next = BASE64_URL_SAFE_NO_PAD.encode(&self.next);
        let said = format!("{}.{}.{next}", self.state, end.as_millis());
        let proof = web.engine.key.proof("sign-in", &format!("{forge} {said}"));
        format!("{said}.{proof}")
    }

    fn read(web: &Web, forge: ForgeKind, headers: &HeaderMap) -> Option<Self> {
        let value = cookie_value(headers, sign_in_cookie(web.is_secure()))?;
        let (said, proof) = value.rsplit_once('.')?;
        if !web.engine.key.proves("sign-in", &format!("{forge} {said}"), proof) {
            return None;
        }
        let mut parts = said.split('.');
        let (state, end, next) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let next = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(next).ok()?).ok()?;
        let in_time = Time::from_millis(end) > web.engine.clock.now();
        in_time.then(|| Self { state: state.to_owned(), next: own(&next).to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::own;

    #[test]
    fn nobody_is_led_elsewhere() {
        for good in ["/", "/github/acme/widget/runs/1?attempt=2", "/a#b", "/%2F%2Fevil.example"] {
            assert_eq!(own(good), good);
        }
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil",
            "/a\\b",
            "evil",
        ] {
            assert_eq!(own(bad), "/", "{bad}");
        }
    }
}
