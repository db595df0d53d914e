//! Cookies: that of a session, and that of a sign-in that is under way.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

/// How long somebody stays signed in.
pub(in crate::web) const SESSION_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The name of a session's cookie. Where we are reached by https, browsers take one of this name from nobody else.
pub(in crate::web) const fn session_cookie(secure: bool) -> &'static str {
    if secure { "__Host-containerops" } else { "containerops" }
}

/// The name of a sign-in's cookie.
pub(in crate::web) const fn sign_in_cookie(secure: bool) -> &'static str {
    if secure { "__Host-containerops-sign-in" } else { "containerops-sign-in" }
}

/// Sets a cookie that no script sees and no other site's form sends.
pub(in crate::web) fn cookie(name: &str, value: &str, life: Duration, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let age = life.as_secs();
    HeaderValue::from_str(&format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")).ok()
}

/// Removes a cookie.
pub(in crate::web) fn no_cookie(name: &str, secure: bool) -> Option<HeaderValue> {
    cookie(name, "", Duration::ZERO, secure)
}

/// What a request's cookie says.
pub(in crate::web) fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(of, _)| *of == name).map(|(_, value)| value)
}
