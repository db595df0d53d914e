//! Tokens: how they are made. What is shown once is not kept.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

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
