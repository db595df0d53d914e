//! The installation tokens that an App works with.
//!
//! A token lives an hour and is as long as GitHub likes. One is kept per installation, renewed before it can expire
//! in the middle of a fetch, and asked for once however many calls need it at that moment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::call::{Call, Caller, away};
use crate::{
    forge::ForgeError,
    model::{Repository, RepositoryName},
};

/// A `git fetch` that starts with a token must be able to end with it.
const RENEWED_BEFORE_END: SignedDuration = SignedDuration::from_mins(5);
/// Enough for every repository of a large organisation; beyond it we ask again.
const MOST_REPOSITORIES: usize = 10_000;

/// The installations and tokens that we know.
#[derive(Debug, Default)]
pub(super) struct Installations {
    by_repository: Mutex<HashMap<RepositoryName, u64>>,
    slots: Mutex<HashMap<u64, Slot>>,
}

/// One installation's place for its token. Whoever holds the lock asks GitHub; the others wait for the answer.
type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// As GitHub hands it out.
#[derive(Debug, Clone, Deserialize)]
struct Token {
    #[serde(deserialize_with = "secret")]
    token: SecretString,
    expires_at: Timestamp,
}

impl Installations {
    /// A token that sees the repository and lives for five minutes at least. `app` signs as the App.
    pub(super) async fn token(&self, app: &Caller, repository: &Repository) -> Result<SecretString, ForgeError> {
        let token = async {
            let installation = self.of(app, repository).await?;
            self.token_of(app, installation).await
        };
        let token = tokio::time::timeout(app.time_limit, token).await;
        let token = token.unwrap_or_else(|_| Err(away("no installation token came in time".to_owned())));
        if matches!(token, Err(ForgeError::Refused { .. })) {
            // the App may have been removed and installed again, which gives it another id
            guard(&self.by_repository).remove(&repository.name);
        }
        token
    }

    /// Forgets a token that GitHub did not take, unless another call has replaced it already.
    pub(super) async fn forget(
        &self,
        app: &Caller,
        repository: &Repository,
        refused: &SecretString,
    ) -> Result<(), ForgeError> {
        let slot = self.slot(self.of(app, repository).await?);
        let mut held = slot.lock().await;
        if held.as_ref().is_some_and(|held| held.token.expose_secret() == refused.expose_secret()) {
            *held = None;
        }
        Ok(())
    }

    async fn of(&self, app: &Caller, repository: &Repository) -> Result<u64, ForgeError> {
        #[derive(Deserialize)]
        struct Installation {
            id: u64,
        }
        let known = || guard(&self.by_repository).get(&repository.name).copied();
        if let Some(id) = repository.installation.or_else(known) {
            return Ok(id);
        }
        let path = format!("/repos/{}/installation", repository.name);
        let Installation { id } = Call::get(path).by(app).await?.json()?;
        let mut by_repository = guard(&self.by_repository);
        if by_repository.len() >= MOST_REPOSITORIES {
            by_repository.clear();
        }
        by_repository.insert(repository.name.clone(), id);
        Ok(id)
    }

    async fn token_of(&self, app: &Caller, installation: u64) -> Result<SecretString, ForgeError> {
        let slot = self.slot(installation);
        let mut held = slot.lock().await;
        let fresh = held.as_ref().filter(|held| held.is_fresh(app.time_there()));
        if let Some(fresh) = fresh {
            return Ok(fresh.token.clone());
        }
        let path = format!("/app/installations/{installation}/access_tokens");
        let token: Token = Call::post(path, serde_json::json!({})).by(app).await?.json()?;
        Ok(held.insert(token).token.clone())
    }

    fn slot(&self, installation: u64) -> Slot {
        Arc::clone(guard(&self.slots).entry(installation).or_default())
    }
}

impl Token {
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.expires_at.duration_since(now) > RENEWED_BEFORE_END
    }
}

fn secret<'de, D: Deserializer<'de>>(text: D) -> Result<SecretString, D::Error> {
    String::deserialize(text).map(SecretString::from)
}

/// Both maps stay whole whatever panics while one is held.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
