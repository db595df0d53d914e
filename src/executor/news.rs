//! Which attempts an executor has seen change, kept until someone asks.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::model::AttemptId;

/// Attempts of which something may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// These.
    Some(BTreeSet<AttemptId>),
    /// Perhaps all: nobody could watch for a while.
    All,
}

/// Gathers changes for whoever asks next; nothing is missed between two questions.
#[derive(Debug)]
pub struct News {
    changed: Mutex<Changed>,
    ring: Notify,
}

impl Default for News {
    fn default() -> Self {
        Self { changed: Mutex::new(Changed::Some(BTreeSet::new())), ring: Notify::new() }
    }
}

impl News {
    /// Something of this attempt changed.
    pub fn tell(&self, attempt: AttemptId) {
        if let Changed::Some(attempts) = &mut *self.changed() {
            attempts.insert(attempt);
        }
        self.ring.notify_one();
    }

    /// Anything may have changed.
    pub fn tell_all(&self) {
        *self.changed() = Changed::All;
        self.ring.notify_one();
    }

    /// What has changed since the last call: at once if there is something, else when there is.
    pub async fn next(&self) -> Changed {
        loop {
            let changed = std::mem::replace(&mut *self.changed(), Changed::Some(BTreeSet::new()));
            if changed != Changed::Some(BTreeSet::new()) {
                return changed;
            }
            self.ring.notified().await;
        }
    }

    fn changed(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
