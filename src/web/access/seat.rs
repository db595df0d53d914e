//! Seats for those who follow something live: so many there are, and so many for one source.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Bounds, source::Source};

/// Those that are taken.
#[derive(Debug, Clone, Default)]
pub(in crate::web) struct Seats(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(in crate::web) struct Seat {
    seats: Seats,
    source: Option<IpAddr>,
}

impl Seats {
    /// A seat for this source; `Err` names the limit that stands against it.
    pub(in crate::web) fn take(&self, source: Option<Source>, bounds: &Bounds) -> Result<Seat, &'static str> {
        let Some(source) = source else { return Ok(Seat { seats: self.clone(), source: None }) };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let most = if source.is_neighbour() { bounds.neighbour_watchers } else { bounds.source_watchers };
        if all.values().sum::<usize>() >= bounds.watchers {
            return Err("watchers");
        }
        if all.get(&source.client).copied().unwrap_or_default() >= most {
            return Err("watchers_of_source");
        }
        *all.entry(source.client).or_default() += 1;
        Ok(Seat { seats: self.clone(), source: Some(source.client) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(source) = self.source else { return };
        let mut all = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                all.remove(&source);
            }
        }
    }
}
