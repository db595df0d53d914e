//! Secrets are set and removed: what the command, the pages and the API share. A value goes in here, and out to a job alone.

use secrecy::SecretString;

use super::{
    Engine, EngineError, UnfitValue, VaultError, check_secret,
    vault::{VALUE_MAX, VALUE_MIN},
};
use crate::{
    flow,
    model::{SecretLimits, SecretName, SecretScope},
    store::SecretRow,
};

/// For which events a secret may be: what `CO_EVENT` may say.
pub const SECRET_EVENTS: [&str; 7] = ["push", "tag", "pull_request", "merge_group", "schedule", "manual", "flow"];
/// The most patterns of a kind.
const PATTERNS_MAX: usize = 100;
/// The longest pattern.
const PATTERN_BYTES: usize = 1000;
/// The fewest characters and the most bytes of a value, for those who ask for one.
pub const SECRET_LENGTHS: (usize, usize) = (VALUE_MIN, VALUE_MAX);

/// Why a secret is not set, or not removed.
#[derive(Debug, thiserror::Error)]
pub enum Unkept {
    /// The value.
    #[error(transparent)]
    Value(#[from] UnfitValue),
    /// Whom it is to be for.
    #[error("{0}")]
    Limits(String),
    /// There is none.
    #[error("there is no secret {0} of {1}")]
    Missing(SecretName, SecretScope),
    /// The server's keys.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Not its doing.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<crate::store::StoreError> for Unkept {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// Whether there was one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// There was none of that name.
    New,
    /// It has a new value.
    Replaced,
}

impl Engine {
    /// Sets a secret, or gives it another value; written down with who did so.
    ///
    /// # Errors
    /// [`Unkept`].
    pub async fn set_secret(
        &self,
        (scope, name): (&SecretScope, &SecretName),
        limits: SecretLimits,
        value: &SecretString,
        by: &str,
    ) -> Result<(Kept, SecretRow), Unkept> {
        check_secret(name, value)?;
        check_limits(&limits).map_err(Unkept::Limits)?;
        let row = self.vault.seal((scope, name), limits, value, (self.now(), by))?;
        let mut tx = self.store.write().await?;
        let before = tx.secrets(scope).await?.into_iter().find(|row| row.name == *name);
        tx.put_secret(&row).await?;
        let kept = if before.is_some() { Kept::Replaced } else { Kept::New };
        let done = if before.is_some() { "has a new value" } else { "is set" };
        let limits = if row.limits.is_empty() { String::new() } else { format!(", only for {}", row.limits.0) };
        self.note(&mut tx, &format!("{done}{limits}")).await?;
        tx.commit().await?;
        Ok((kept, row))
    }

    /// Removes a secret; written down with who did so.
    ///
    /// # Errors
    /// [`Unkept`].
    pub async fn remove_secret(&self, scope: &SecretScope, name: &SecretName) -> Result<(), Unkept> {
        let mut tx = self.store.write().await?;
        if !tx.remove_secret(scope, name).await? {
            return Err(Unkept::Missing(name.clone(), scope.clone()));
        }
        self.note(&mut tx, "removed").await?;
        Ok(tx.commit().await?)
    }
}

/// Whether a secret may be for these.
///
/// # Errors
/// Why not, in words.
pub fn check_limits(limits: &SecretLimits) -> Result<(), String> {
    let SecretLimits { events, branches, images } = limits;
    if let Some(event) = events.iter().find(|event| !SECRET_EVENTS.contains(&event.as_str())) {
        let event: String = event.chars().take(80).collect();
        return Err(format!("there is no event `{event}`: {} are events", SECRET_EVENTS.join(", ")));
    }
    if [events, branches, images].iter().any(|patterns| patterns.len() > PATTERNS_MAX) {
        return Err(format!("a secret has at most {PATTERNS_MAX} patterns of a kind"));
    }
    branches.iter().try_for_each(|text| check_branches(text))?;
    images.iter().try_for_each(|text| check_images(text))
}

/// A pattern of branches.
///
/// # Errors
/// Why it is none, in words.
pub fn check_branches(text: &str) -> Result<(), String> {
    if text.contains(char::is_control) || text.len() > PATTERN_BYTES {
        return Err(format!("a pattern has no control characters and at most {PATTERN_BYTES} bytes"));
    }
    flow::not_a_pattern(text).map_or(Ok(()), Err)
}

/// A pattern of images, perhaps with a digest.
///
/// # Errors
/// Why it is none, in words.
pub fn check_images(text: &str) -> Result<(), String> {
    let (name, digest) = text.split_once('@').unwrap_or((text, ""));
    let is_digest = digest.split_once(':').is_some_and(|(kind, hex)| {
        kind == "sha256" && hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    });
    if text.contains('@') && !is_digest {
        return Err("after `@` a digest is expected: sha256 and 64 hexadecimal digits".to_owned());
    }
    check_branches(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_events_and_patterns() {
        let limits = |events: &[&str], branches: &[&str], images: &[&str]| {
            let all = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
            check_limits(&SecretLimits { events: all(events), branches: all(branches), images: all(images) })
        };
        let digest = format!("a/b@sha256:{}", "0".repeat(64));
        assert_eq!(limits(&["push", "flow"], &["main", "release/*"], &["a/b", "a/b:3", &digest]), Ok(()));
        assert!(limits(&["deploy"], &[], &[]).is_err_and(|why| why.contains("`deploy`")));
        for bad in ["a\nb", "[", &"x".repeat(1001)] {
            assert!(limits(&[], &[bad], &[]).is_err(), "{bad:?}");
        }
        assert!(limits(&[], &[], &["a/b@sha256:77"]).is_err());
        assert!(limits(&[], &["a"; 101], &[]).is_err());
    }
}
