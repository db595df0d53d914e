//! Whether this process lives, and whether it still takes work.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// The pulse of a process: its loops beat, until it is told to stop.
#[derive(Debug, Clone)]
pub struct Pulse {
    beats: Arc<Mutex<BTreeMap<&'static str, Last>>>,
    way: watch::Sender<Way>,
}

/// How far a process is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// It goes on.
    On,
    /// It is not to be sent work any more, and does what comes all the same.
    Stopping,
    /// Whatever would go on for ever ends now.
    Closing,
}

/// What is known of a loop.
#[derive(Debug, Clone, Copy)]
struct Last {
    at: Instant,
    /// It is stuck if it has not come around for so long.
    patience: Duration,
    has_ended: bool,
}

/// A loop that beats. If this is dropped, it has ended.
#[derive(Debug)]
pub struct Beat {
    pulse: Pulse,
    name: &'static str,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { beats: Arc::default(), way: watch::Sender::new(Way::On) }
    }
}

impl Pulse {
    /// A loop begins that should come around at least this often.
    pub fn begins(&self, name: &'static str, patience: Duration) -> Beat {
        self.all(|beats| beats.insert(name, Last { at: Instant::now(), patience, has_ended: false }));
        Beat { pulse: self.clone(), name }
    }

    /// The loops that have ended or are stuck.
    pub fn still(&self) -> Vec<&'static str> {
        self.all(|beats| {
            let is_still = |last: &Last| last.has_ended || last.at.elapsed() > last.patience;
            beats.iter().filter(|(_, last)| is_still(last)).map(|(name, _)| *name).collect()
        })
    }

    /// The process is to stop: it is not ready any more.
    pub fn stop(&self) {
        self.way.send_replace(Way::Stopping);
    }

    /// What would go on for ever ends now: whoever waits for news is to come again, to somebody else.
    pub fn close(&self) {
        self.way.send_replace(Way::Closing);
    }

    /// Whether it is to stop.
    pub fn is_stopping(&self) -> bool {
        *self.way.borrow() >= Way::Stopping
    }

    /// Whether what would go on for ever is to end.
    pub fn is_closing(&self) -> bool {
        *self.way.borrow() == Way::Closing
    }

    /// Returns when what would go on for ever is to end.
    pub async fn closing(&self) {
        // as long as this is here, so is the sender
        let _ = self.way.subscribe().wait_for(|way| *way == Way::Closing).await;
    }

    fn all<T>(&self, look: impl FnOnce(&mut BTreeMap<&'static str, Last>) -> T) -> T {
        look(&mut self.beats.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Beat {
    /// It has come around.
    pub fn beats(&self) {
        self.pulse.all(|beats| {
            if let Some(last) = beats.get_mut(self.name) {
                last.at = Instant::now();
            }
        });
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.pulse.all(|beats| {
            if let Some(last) = beats.get_mut(self.name) {
                last.has_ended = true;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_ends_or_does_not_come_around_is_known() {
        let pulse = Pulse::default();
        let (well, stuck, ended) = (
            pulse.begins("well", Duration::from_secs(60)),
            pulse.begins("stuck", Duration::ZERO),
            pulse.begins("ended", Duration::from_secs(60)),
        );
        drop(ended);
        while Instant::now().elapsed() == Duration::ZERO {}
        well.beats();
        assert_eq!(pulse.still(), ["ended", "stuck"]);
        drop(stuck);
        assert!(!pulse.is_stopping());
        pulse.stop();
        assert!(pulse.is_stopping());
    }
}
