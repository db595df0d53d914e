//! What the `post-receive` hook sends for each ref that was updated.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::{RepositoryName, Sha, Time};

/// The header with the signature over the raw body: `sha256=` and 64 hexadecimal digits.
pub const SIGNATURE_HEADER: &str = "x-containerops-signature-256";
/// The header with the delivery's id.
pub const DELIVERY_HEADER: &str = "x-containerops-delivery";
/// The header with the event's name, which is `push`.
pub const EVENT_HEADER: &str = "x-containerops-event";

/// One updated ref. Everything about it that needs the repository is looked up by the hook, so that reading a
/// delivery needs none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// `owner/name`.
    pub repository: RepositoryName,
    /// Where it lies under the root: the name, or the name and `.git`.
    pub directory: String,
    /// The branch that `HEAD` names.
    pub default_branch: String,
    /// `refs/heads/…`, `refs/tags/…` or another.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What it named before: zeros if it is new.
    pub before: Sha,
    /// What it names now: zeros if it was deleted.
    pub after: Sha,
    /// The commit that `after` is, or that the tag `after` is of; none if it is of something else.
    pub commit: Option<Commit>,
    /// The user who pushed, as the machine knows them.
    pub pusher: String,
    /// When, in Unix milliseconds.
    pub time: Time,
}

/// What people want to know of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its name.
    pub sha: Sha,
    /// The first line of its message, at most 200 characters.
    pub title: String,
    /// Its author's name, at most 200 characters.
    pub author: String,
}

/// The id of the delivery with this body: the same whenever and however often it is sent. As the body holds the
/// repository, the ref, both commits and the time, no other delivery has it.
pub fn id(body: &[u8]) -> String {
    hex::encode(&Sha256::digest(body)[..16])
}

/// The value of [`SIGNATURE_HEADER`] for this body.
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(mac(secret, body).finalize().into_bytes()))
}

/// Whether `signature` was made of `body` with one of the secrets. An empty secret proves nothing.
pub fn verify(secrets: &[SecretString], signature: &str, body: &[u8]) -> bool {
    let Some(Ok(signature)) = signature.strip_prefix("sha256=").map(hex::decode) else { return false };
    let mut proved = false;
    for secret in secrets.iter().filter(|secret| !secret.expose_secret().is_empty()) {
        // every secret is tried, so that the time tells nothing about which one it was
        proved |= mac(secret, body).verify_slice(&signature).is_ok();
    }
    proved
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac(secret: &SecretString, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("any key is good");
    mac.update(body);
    mac
}
