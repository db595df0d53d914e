//! The leases that this process holds, so that it can give them back when it stops: whoever comes next need not wait
//! until they are over. The rows are the truth; this is a note.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::model::ActionId;

/// Those that are held, each with its fencing number.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<HashMap<ActionId, i64>>);

impl Leases {
    pub(super) fn took(&self, id: ActionId, fence: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, fence);
    }

    /// It was given back, unless it was taken again since.
    pub(super) fn gave(&self, id: ActionId, fence: i64) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.get(&id) == Some(&fence) {
            held.remove(&id);
        }
    }

    pub(super) fn all(&self) -> Vec<(ActionId, i64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(id, fence)| (*id, *fence)).collect()
    }
}
