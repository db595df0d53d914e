//! The App that the model knows: its key is made when a test starts, so that none is ever committed.

use std::sync::OnceLock;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use octocrab::jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

/// The App's id.
pub(crate) const APP: u64 = 29310;

struct Keys {
    private_pem: String,
    public_pem: String,
}

/// The App's private key, in PEM.
pub(crate) fn private_pem() -> &'static str {
    &keys().private_pem
}

/// Whether GitHub would take this JWT: signed by the App's key, issued by the App, and short-lived.
pub(super) fn is_jwt_of_app(jwt: &str, now: Timestamp) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        iss: u64,
        iat: i64,
        exp: i64,
    }
    let key = DecodingKey::from_rsa_pem(keys().public_pem.as_bytes()).expect("our own key");
    let mut validation = Validation::new(Algorithm::RS256);
    // our own time is not this machine's
    validation.validate_exp = false;
    let Ok(token) = decode::<Claims>(jwt, &key, &validation) else { return false };
    let (now, Claims { iss, iat, exp }) = (now.as_second(), token.claims);
    iss == APP && iat <= now && (1..=600).contains(&(exp - now))
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let private: Pkcs8V1Der<'_> = pair.as_der().expect("in DER");
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("in DER");
        Keys { private_pem: pem("PRIVATE KEY", private.as_ref()), public_pem: pem("PUBLIC KEY", public.as_ref()) }
    })
}

fn pem(label: &str, der: &[u8]) -> String {
    let digits = STANDARD.encode(der);
    let lines: Vec<&str> = digits.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
