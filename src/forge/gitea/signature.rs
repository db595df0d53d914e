//! Whether a delivery is Gitea's or Forgejo's: HMAC-SHA256 over the raw body, compared in constant time.
//!
//! Both send their signature under several names. The most particular one that is there decides alone: a wrong one is
//! not mended by a right one under another name, nor is an empty one.

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::forge::Authentic;

/// Where a signature may be, and what stands before its hexadecimal digits.
const SIGNATURES: [(&str, &str); 3] =
    [("x-forgejo-signature", ""), ("x-gitea-signature", ""), ("x-hub-signature-256", "sha256=")];
/// By these names both say what they deliver; Forgejo says all three.
const FAMILIES: [&str; 3] = ["forgejo", "gitea", "github"];
/// Ids are UUIDs and events short words; what is longer is neither's. The signature does not cover the headers.
const LONGEST_NAME: usize = 100;

/// The delivery's names, if one of the secrets signed its body.
pub(super) fn authenticate(secrets: &[SecretString], headers: &HeaderMap, body: &[u8]) -> Option<Authentic> {
    let (name, prefix) = SIGNATURES.into_iter().find(|(name, _)| headers.contains_key(*name))?;
    let signature = hex::decode(headers.get(name)?.to_str().ok()?.strip_prefix(prefix)?).ok()?;
    if !secrets.iter().any(|secret| signed(secret, &signature, body)) {
        return None;
    }
    let said = |what: &str| FAMILIES.iter().find_map(|family| text(headers, &format!("x-{family}-{what}")));
    // neither says which hook it was
    Some(Authentic { hook: String::new(), delivery: said("delivery")?, event: said("event")? })
}

fn signed(secret: &SecretString, signature: &[u8], body: &[u8]) -> bool {
    Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .is_ok_and(|mac| mac.chain_update(body).verify_slice(signature).is_ok())
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    (!text.is_empty() && text.len() <= LONGEST_NAME).then(|| text.to_owned())
}
