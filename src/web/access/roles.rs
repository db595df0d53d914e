//! What somebody may do in a repository, as its forge says; remembered for a minute.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    engine::Engine,
    model::{ForgeKind, Login, RepositoryName, Role, Time},
    store::RepositoryRow,
};

/// How long a forge's word counts.
const KEPT: Duration = Duration::from_secs(60);
/// How long a forge that did not answer is left alone.
const AWAY: Duration = Duration::from_secs(5);
/// Somebody waits.
const LIMIT: Duration = Duration::from_secs(5);
/// More words than this are forgotten all at once.
const MOST: usize = 10_000;

/// The forge is away, so nobody can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Away(pub(super) ForgeKind);

type Word = Result<Option<Role>, Away>;
type Key = (ForgeKind, RepositoryName, String);

/// What forges have said.
#[derive(Debug, Default)]
pub(super) struct Roles(Mutex<HashMap<Key, (Time, Word)>>);

impl Roles {
    /// What someone may do in a repository of the forge on which they have signed in.
    pub(super) async fn role(&self, engine: &Engine, repository: &RepositoryRow, login: &Login) -> Word {
        let key = (repository.forge, repository.name.clone(), login.name.to_lowercase());
        let now = engine.clock.now();
        if let Some(word) = self.known(&key, now) {
            return word;
        }
        let word = ask(engine, repository, login).await;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(key, (now, word));
        word
    }

    fn known(&self, key: &Key, now: Time) -> Option<Word> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, word) = all.get(key)?;
        let kept = if word.is_ok() { KEPT } else { AWAY };
        (now.since(*at) < kept).then_some(*word)
    }
}

async fn ask(engine: &Engine, repository: &RepositoryRow, login: &Login) -> Word {
    // of a forge that is no longer configured nobody may do anything
    let Some(forge) = engine.forges.get(&repository.forge) else { return Ok(None) };
    match tokio::time::timeout(LIMIT, forge.role(&repository.facts, &login.name)).await {
        Ok(Ok(role)) => Ok(role),
        Ok(Err(error)) => {
            tracing::warn!(forge = %repository.forge, repository = %repository.name, %error, "no word on what somebody may do");
            Err(Away(repository.forge))
        }
        Err(_) => Err(Away(repository.forge)),
    }
}
