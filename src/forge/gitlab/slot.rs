//! What is remembered of a commit while it is told about: one call at a time, for GitLab makes two jobs of one name
//! where two calls meet, and answers 409 while it works at another.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::{api::away, way::Way};
use crate::{
    forge::ForgeError,
    model::{RepositoryName, Sha},
};

/// So many commits are remembered; what is forgotten costs a call or two.
const MOST: usize = 1000;
/// Who waits longer for those before it tries again later: a call has to end before it counts as lost.
const WAIT: Duration = Duration::from_secs(60);

/// Of all commits.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<HashMap<Commit, Arc<Turn<Slot>>>>);

type Commit = (RepositoryName, Sha);

/// Of one commit.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// The way that worked last, and why no better one did.
    pub(super) way: Option<(Way, String)>,
    /// Pipelines by project and ref; 0: GitLab does not say.
    pub(super) pipelines: HashMap<(RepositoryName, Option<String>), u64>,
    /// The comment of a fork's merge request.
    pub(super) note: Option<u64>,
}

impl Slots {
    /// The commit's, when its turn has come.
    pub(super) async fn turn(
        &self,
        repository: &RepositoryName,
        sha: &Sha,
    ) -> Result<OwnedMutexGuard<Slot>, ForgeError> {
        let slot = self.slot(repository, sha);
        let waited = tokio::time::timeout(WAIT, slot.lock_owned()).await;
        waited.map_err(|_| away(format!("the calls before it about {} take too long", sha.short())))
    }

    fn slot(&self, repository: &RepositoryName, sha: &Sha) -> Arc<Turn<Slot>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST {
            // what somebody waits for stays
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry((repository.clone(), sha.clone())).or_default())
    }
}
