//! Whether a delivery is GitHub's: HMAC-SHA256 over the raw body, compared in constant time.

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::forge::Authentic;

/// GitHub's ids are UUIDs and its events short words; what is longer is not GitHub's. The signature does not cover
/// the headers.
const LONGEST_NAME: usize = 100;

/// The delivery's names, if one of the secrets signed its body.
pub(super) fn authenticate(secrets: &[SecretString], headers: &HeaderMap, body: &[u8]) -> Option<Authentic> {
    let signature = hex::decode(text(headers, "x-hub-signature-256")?.strip_prefix("sha256=")?).ok()?;
    if !secrets.iter().any(|secret| signed(secret, &signature, body)) {
        return None;
    }
    Some(Authentic {
        hook: text(headers, "x-github-hook-id").unwrap_or_default().to_owned(),
        delivery: text(headers, "x-github-delivery")?.to_owned(),
        event: text(headers, "x-github-event")?.to_owned(),
    })
}

fn signed(secret: &SecretString, signature: &[u8], body: &[u8]) -> bool {
    Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .is_ok_and(|mac| mac.chain_update(body).verify_slice(signature).is_ok())
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().filter(|text| !text.is_empty() && text.len() <= LONGEST_NAME)
}
