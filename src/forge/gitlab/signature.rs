//! Whether a delivery is GitLab's: by its signature as Standard Webhooks has it, or by the token that it sends in clear.
//!
//! The signature covers the time, so what was captured is worth nothing after five minutes. Where a signing token is
//! set and a signature comes, the signature alone decides: a wrong one is not made good by a right token.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::{Digest as _, Sha256};

use crate::{forge::Authentic, model::Time};

/// GitLab's ids are UUIDs and its events short words; what is longer is not GitLab's.
const LONGEST_NAME: usize = 100;
/// How far a signature's time may be from ours, either way.
const WINDOW_MS: u64 = 5 * 60 * 1000;
/// While a signing token is replaced there are two signatures.
const MOST_SIGNATURES: usize = 16;
/// What deliveries of a GitLab that sends no ids are told apart by.
const DIGEST: usize = 16;

/// What proves a delivery.
#[derive(Debug, Clone, Default)]
pub(super) struct Proofs {
    /// What comes in clear; all are valid at once.
    pub(super) tokens: Vec<SecretString>,
    /// What signs; all are valid at once.
    pub(super) keys: Vec<SecretSlice<u8>>,
}

impl Proofs {
    /// The delivery's names, if it is authentic at this time.
    pub(super) fn authenticate(&self, headers: &HeaderMap, body: &[u8], now: Time) -> Option<Authentic> {
        if !self.keys.is_empty() && headers.contains_key("webhook-signature") {
            let names = || names(headers, body);
            // the signature covers the id, and not which hook sent it: what is replayed under another is the same
            return self
                .is_signed(headers, body, now)
                .then(names)?
                .map(|names| Authentic { hook: String::new(), ..names });
        }
        if self.has_token(headers) { names(headers, body) } else { None }
    }

    fn is_signed(&self, headers: &HeaderMap, body: &[u8], now: Time) -> bool {
        let (Some(id), Some(time)) = (text(headers, "webhook-id"), text(headers, "webhook-timestamp")) else {
            return false;
        };
        let in_time = |seconds: i64| seconds.saturating_mul(1000).abs_diff(now.as_millis()) <= WINDOW_MS;
        if !time.parse().is_ok_and(in_time) {
            return false;
        }
        let all = headers.get_all("webhook-signature").iter().filter_map(|value| value.to_str().ok());
        let words = all.flat_map(str::split_ascii_whitespace).take(MOST_SIGNATURES);
        let signatures: Vec<Vec<u8>> =
            words.filter_map(|word| BASE64_STANDARD.decode(word.strip_prefix("v1,")?).ok()).collect();
        let signed = |key: &SecretSlice<u8>| {
            let mac = Hmac::<Sha256>::new_from_slice(key.expose_secret()).ok();
            let mac = mac.map(|mac| mac.chain_update(id).chain_update(".").chain_update(time));
            mac.map(|mac| mac.chain_update(".").chain_update(body))
        };
        let mut macs = self.keys.iter().filter_map(signed);
        macs.any(|mac| signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok()))
    }

    /// Compares digests: how long that takes says nothing of what is compared.
    fn has_token(&self, headers: &HeaderMap) -> bool {
        let Some(given) = headers.get("x-gitlab-token") else { return false };
        let digest =
            |token: &[u8]| Hmac::<Sha256>::new_from_slice(b"the same for both").ok().map(|mac| mac.chain_update(token));
        let Some(given) = digest(given.as_bytes()).map(|mac| mac.finalize().into_bytes()) else { return false };
        // every one is compared, so that it does not show which it was
        let equal = self.tokens.iter().filter(|token| {
            digest(token.expose_secret().as_bytes()).is_some_and(|mac| mac.verify_slice(&given).is_ok())
        });
        equal.count() > 0
    }
}

/// The delivery's id stays the same when GitLab tries again. Very old instances send none.
fn names(headers: &HeaderMap, body: &[u8]) -> Option<Authentic> {
    let event = text(headers, "x-gitlab-event")?;
    let hook = text(headers, "x-gitlab-webhook-uuid");
    let both = || Some(format!("{}/{}", hook?, text(headers, "x-gitlab-event-uuid")?));
    let id = text(headers, "webhook-id").or_else(|| text(headers, "idempotency-key")).map(str::to_owned);
    let digest = || hex::encode(&Sha256::digest(body)[..DIGEST]);
    Some(Authentic {
        hook: hook.unwrap_or_default().to_owned(),
        delivery: id.or_else(both).unwrap_or_else(digest),
        event: event.to_owned(),
    })
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().filter(|text| !text.is_empty() && text.len() <= LONGEST_NAME)
}
