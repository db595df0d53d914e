//! Ids sort by the time they were made: 43 bits of milliseconds, then 20 bits that count.
//! They are written as 13 lower-case base32 characters, which are legal in a pod's name.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::Time;

/// 2026-01-01T00:00:00Z in Unix milliseconds: where ids begin to count.
const EPOCH_MS: i64 = 1_767_225_600_000;
const COUNTER_BITS: u32 = 20;
/// Crockford's base32 in lower case: no i, l, o, u, and in the order of the numbers it stands for.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 13;

/// A text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: 13 of 0-9 and a-z are expected")]
pub struct IdError(String);

fn mint(now: Time) -> i64 {
    static COUNTER: OnceLock<AtomicU64> = OnceLock::new();
    let counter = COUNTER.get_or_init(|| AtomicU64::new(getrandom::u64().unwrap_or_default()));
    let count = counter.fetch_add(1, Ordering::Relaxed) & ((1 << COUNTER_BITS) - 1);
    first_at(now) | count.cast_signed()
}

fn first_at(time: Time) -> i64 {
    time.as_millis().saturating_sub(EPOCH_MS).max(0) << COUNTER_BITS
}

fn write(id: i64) -> String {
    let mut rest = id.cast_unsigned();
    let mut text = [b'0'; LENGTH];
    for place in text.iter_mut().rev() {
        *place = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
    text.iter().map(|&c| char::from(c)).collect()
}

fn read(text: &str) -> Result<i64, IdError> {
    let wrong = || IdError(text.chars().take(40).collect());
    if text.len() != LENGTH {
        return Err(wrong());
    }
    let mut id: u64 = 0;
    for c in text.bytes() {
        let digit = ALPHABET.iter().position(|&a| a == c).ok_or_else(wrong)?;
        id = id.checked_mul(32).ok_or_else(wrong)? | digit as u64;
    }
    i64::try_from(id).map_err(|_| wrong())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(i64);

        impl $name {
            /// A new id, later than every id made before `now`.
            pub fn mint(now: Time) -> Self { Self(mint(now)) }
            /// Every id made before `time` is smaller, and none made later is.
            pub fn first_at(time: Time) -> Self { Self(first_at(time)) }
            /// When it was made.
            pub const fn made(self) -> Time { Time::from_millis((self.0 >> COUNTER_BITS) + EPOCH_MS) }
            /// As the database keeps it.
            pub const fn from_i64(id: i64) -> Self { Self(id) }
            /// For the database.
            pub const fn as_i64(self) -> i64 { self.0 }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&write(self.0)) }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&write(self.0)) }
        }
        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> { read(text).map(Self) }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String { id.to_string() }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> { text.parse() }
        }
    )*};
}

ids! {
    /// One webhook delivery as it arrived.
    DeliveryId
    /// One repository on one forge.
    RepositoryId
    /// One execution of a flow for one event at one commit.
    RunId
    /// One action of one run, however often it is attempted.
    ActionId
    /// One attempt at an action: one pod, named by it.
    AttemptId
    /// One job of one attempt: one container, one log.
    JobId
    /// One context on one commit, told to the forge.
    ReportId
    /// Files on their way between jobs, in parts.
    BundleId
    /// Files of a job's workspace that outlive it.
    ArtifactId
    /// Files that an action finds again.
    CacheId
    /// Somebody who has signed in.
    PersonId
    /// What a program shows instead of signing in.
    TokenId
    /// A line of the audit log.
    AuditId
}

impl RunId {
    /// The id of the run's trace, in hexadecimal digits: log lines about the run have it, too.
    pub fn trace(self) -> String {
        use sha2::Digest as _;
        hex::encode(&sha2::Sha256::digest(format!("containerops trace {self}"))[..16])
    }
}
