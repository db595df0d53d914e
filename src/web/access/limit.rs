//! Whoever guesses is slowed down.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::model::Time;

/// How often within the span.
const MOST: u32 = 20;
/// The span.
const SPAN: Duration = Duration::from_secs(60);
/// More addresses than this are forgotten all at once.
const ADDRESSES: usize = 10_000;

/// How often each address has tried in this minute.
#[derive(Debug, Default)]
pub(in crate::web) struct Limit(Mutex<HashMap<String, (Time, u32)>>);

impl Limit {
    /// Counts a try. Whether it was one too many.
    pub(in crate::web) fn counts(&self, address: &str, now: Time) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ADDRESSES {
            all.clear();
        }
        let (since, tries) = all.entry(address.to_owned()).or_insert((now, 0));
        if now.since(*since) >= SPAN {
            (*since, *tries) = (now, 0);
        }
        *tries += 1;
        *tries > MOST
    }

    /// Whether an address has tried too often already.
    pub(super) fn is_over(&self, address: &str, now: Time) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(address).is_some_and(|(since, tries)| *tries >= MOST && now.since(*since) < SPAN)
    }
}
