//! The App as it signs its own calls: by a JWT, made for GitHub's clock and not for ours.
//!
//! GitHub takes none that was made in its future or that lives for more than ten minutes, so that a machine whose clock
//! is wrong would be nobody there. Each answer says what time it is at GitHub; what we know of that is used.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
};

use jiff::Timestamp;
use octocrab::jsonwebtoken::{self, Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

/// A JWT is made out from so long ago, in seconds, for clocks that go a little slow,
const BEFORE: i64 = 60;
/// and for so long: GitHub takes ten minutes in all.
const AFTER: i64 = 9 * 60;
/// Clocks are this far apart without its meaning anything, in seconds: an answer takes its time.
const USUAL: i64 = 20;

/// The App and its key.
pub(super) struct AppKey {
    id: u64,
    key: EncodingKey,
    /// By how many seconds our clock is ahead of GitHub's, as far as we know.
    ahead: AtomicI64,
}

/// As GitHub wants it.
#[derive(Debug, Serialize)]
struct Claims {
    iss: u64,
    iat: i64,
    exp: i64,
}

impl AppKey {
    /// Reads the key, which is RSA in PEM.
    pub(super) fn new(id: u64, pem: &SecretString) -> Result<Self, jsonwebtoken::errors::Error> {
        let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes())?;
        Ok(Self { id, key, ahead: AtomicI64::new(0) })
    }

    /// GitHub's time, when ours is this.
    pub(super) fn time_there(&self, ours: Timestamp) -> i64 {
        ours.as_second().saturating_sub(self.ahead.load(Ordering::Relaxed))
    }

    /// A JWT for a call that is made now.
    pub(super) fn jwt(&self, ours: Timestamp) -> Result<SecretString, jsonwebtoken::errors::Error> {
        let now = self.time_there(ours);
        let claims = Claims { iss: self.id, iat: now.saturating_sub(BEFORE), exp: now.saturating_add(AFTER) };
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key).map(SecretString::from)
    }

    /// An answer came when it was this time here and that there. Whether it was not known that the clocks are so far apart.
    pub(super) fn heard(&self, ours: Timestamp, theirs: i64) -> bool {
        let ahead = ours.as_second().saturating_sub(theirs);
        let ahead = if ahead.abs() > USUAL { ahead } else { 0 };
        let before = self.ahead.swap(ahead, Ordering::Relaxed);
        before.abs_diff(ahead) > USUAL.unsigned_abs()
    }
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppKey(App {})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::{AsDer as _, Pkcs8V1Der},
        rsa::{KeyPair, KeySize},
    };
    use base64::{Engine as _, engine::general_purpose};
    use serde_json::Value;

    use super::*;

    fn key() -> AppKey {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("in DER");
        let digits = general_purpose::STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = digits.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("ASCII")).collect();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        AppKey::new(7, &pem.into()).expect("a key")
    }

    fn claims(of: &AppKey, ours: i64) -> (Value, Value) {
        let jwt = of.jwt(Timestamp::from_second(ours).expect("a time")).expect("signed");
        let payload = jwt.expose_secret().split('.').nth(1).expect("a payload").to_owned();
        let bytes = general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64");
        let claims: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(claims["iss"], 7);
        (claims["iat"].clone(), claims["exp"].clone())
    }

    #[test]
    fn it_signs_for_githubs_clock_as_soon_as_that_is_known() {
        const NOW: i64 = 1_772_357_400;
        let key = key();
        let ours = |seconds: i64| Timestamp::from_second(seconds).expect("a time");
        assert_eq!(claims(&key, NOW), ((NOW - 60).into(), (NOW + 540).into()));
        // ours is an hour ahead, and then set right
        assert!(key.heard(ours(NOW + 3600), NOW));
        assert_eq!(claims(&key, NOW + 3600), ((NOW - 60).into(), (NOW + 540).into()));
        assert!(!key.heard(ours(NOW + 3605), NOW + 3), "that is known");
        assert!(key.heard(ours(NOW + 10), NOW + 9), "and is not so any more");
        assert_eq!(claims(&key, NOW + 10), ((NOW - 50).into(), (NOW + 550).into()));
        assert!(!key.heard(ours(NOW + 10), NOW), "an answer takes its time");
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }
}
