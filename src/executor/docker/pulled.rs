//! How long attempts had to wait for images, as far as this process has seen it: the engine keeps no word of it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{connection::Fault, pull::Fetched};
use crate::{
    executor::Container,
    model::{AttemptId, Clock, Pull},
};

/// So many attempts are remembered, if nobody says that they are gone.
const MOST: usize = 4096;

/// Pulls by the attempts that needed them.
#[derive(Default)]
pub(super) struct Pulled {
    clock: Clock,
    known: Mutex<HashMap<AttemptId, Vec<Pull>>>,
}

impl Pulled {
    /// An attempt has asked for a container's image, and this was the answer.
    pub(super) fn note(&self, attempt: AttemptId, container: &Container, answer: &Result<Fetched, Fault>) {
        let now = self.clock.now();
        let mut known = self.known();
        match answer {
            Ok(Fetched::Soon(_)) if known.len() < MOST => {
                let pulls = known.entry(attempt).or_default();
                if pulls.iter().all(|pull| pull.container != container.name) {
                    pulls.push(Pull {
                        container: container.name.clone(),
                        job: Some(container.job),
                        image: container.image.clone(),
                        started: now,
                        ended: None,
                        bytes: None,
                    });
                }
            }
            Ok(Fetched::Here) => {
                let mut pulls = known.get_mut(&attempt).into_iter().flatten();
                if let Some(pull) = pulls.find(|pull| pull.container == container.name) {
                    pull.ended = pull.ended.or(Some(now));
                }
            }
            Ok(Fetched::Soon(_) | Fetched::Never(_)) | Err(_) => {}
        }
    }

    /// What an attempt had to wait for.
    pub(super) fn of(&self, attempt: AttemptId) -> Vec<Pull> {
        self.known().get(&attempt).cloned().unwrap_or_default()
    }

    /// Nothing is left of it.
    pub(super) fn forget(&self, attempt: AttemptId) {
        self.known().remove(&attempt);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<AttemptId, Vec<Pull>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
