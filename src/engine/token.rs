//! Job tokens: made from the server's key and the job's id, so that they need not be stored to be made again after a
//! crash. The database knows only hashes.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::{Digest, Sha256};

use crate::model::JobId;

/// Keeps the tokens of events apart from those of claims.
const EVENTS: &[u8] = b"containerops event token\0";

/// The server's own key: 32 bytes that never leave it.
#[derive(Clone)]
pub struct Key(SecretSlice<u8>);

impl Key {
    /// From at least 32 bytes.
    pub const fn new(bytes: SecretSlice<u8>) -> Self {
        Self(bytes)
    }

    /// What tells this server's pods from another's in the same namespace. It says nothing about the key.
    pub fn server(&self) -> String {
        let mac = self.start(b"containerops server id\0");
        hex::encode(&mac.finalize().into_bytes()[..8])
    }

    /// The token for a job's first claim.
    pub fn job_token(&self, job: JobId) -> SecretString {
        SecretString::from(hex::encode(self.mac(b"containerops job token\0", job).finalize().into_bytes()))
    }

    /// The token of a job's event URLs. It is shown to the job, so it is good for nothing else.
    pub fn event_token(&self, job: JobId) -> SecretString {
        SecretString::from(hex::encode(self.mac(EVENTS, job).finalize().into_bytes()))
    }

    /// Whether this is the token of a job's event URLs; in constant time.
    pub fn is_event_token(&self, job: JobId, token: &str) -> bool {
        hex::decode(token).is_ok_and(|token| self.mac(EVENTS, job).verify_slice(&token).is_ok())
    }

    /// What proves that we have said something, for this purpose.
    pub fn proof(&self, purpose: &str, said: &str) -> String {
        hex::encode(self.said(purpose, said).finalize().into_bytes())
    }

    /// Whether it proves that; in constant time.
    pub fn proves(&self, purpose: &str, said: &str, proof: &str) -> bool {
        hex::decode(proof).is_ok_and(|proof| self.said(purpose, said).verify_slice(&proof).is_ok())
    }

    fn said(&self, purpose: &str, said: &str) -> Hmac<Sha256> {
        let mut mac = self.start(b"containerops proof\0");
        mac.update(purpose.as_bytes());
        mac.update(b"\0");
        mac.update(said.as_bytes());
        mac
    }

    fn mac(&self, purpose: &[u8], job: JobId) -> Hmac<Sha256> {
        let mut mac = self.start(purpose);
        mac.update(&job.as_i64().to_be_bytes());
        mac
    }

    fn start(&self, purpose: &[u8]) -> Hmac<Sha256> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.update(purpose);
        mac
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// What the database keeps of a token or a session. Both have 256 bits of chance, so no salt is needed.
pub fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}
