//! Hints that something changed. Whoever waits asks the database first and again after each ring; a ring that is
//! missed costs a timer's patience, never an event.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::broadcast;

use crate::{
    meters::Meters,
    model::{AttemptId, JobId, RunId},
};

/// Among so many bells attempts are shared out.
const BELLS: usize = 64;
/// Whoever waits for one attempt looks again at the first ring.
const BACKLOG_OF_ATTEMPT: usize = 16;
/// More changes than this between two looks of a listener count as "everything".
const BACKLOG: usize = 1024;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A delivery waits for intake.
    Delivery,
    /// A run, or something in it, moved.
    Run(RunId),
    /// An attempt's jobs may have got their turn, or are to be cancelled.
    Attempt(AttemptId),
    /// A log grew, or is complete.
    Log(JobId),
    /// The executor has seen something.
    Executor,
    /// A forge is to be told something.
    Report,
    /// A receiver is to be told something.
    Notice,
}

/// Rings for everybody who listens.
#[derive(Debug, Clone)]
pub struct Bell {
    all: broadcast::Sender<Change>,
    /// For those who wait for one attempt: a thousand agents do, and each must not be woken for all others.
    attempts: Arc<[broadcast::Sender<Change>]>,
    /// Counts the changes of runs, from a number that no earlier process had.
    runs: Arc<AtomicU64>,
    /// Whoever rings for what has changed counts it, too.
    meters: Meters,
}

/// Hears every change since it was made.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<Change>);

impl Bell {
    pub(super) fn new() -> Self {
        let attempts = std::iter::repeat_with(|| broadcast::Sender::new(BACKLOG_OF_ATTEMPT)).take(BELLS).collect();
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let runs = Arc::new(AtomicU64::new(u64::try_from(start).unwrap_or_default()));
        Self { all: broadcast::Sender::new(BACKLOG), attempts, runs, meters: Meters::new() }
    }

    /// Counts what happens.
    pub(super) const fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Tells all listeners.
    pub fn ring(&self, change: Change) {
        if matches!(change, Change::Run(_)) {
            self.runs.fetch_add(1, Ordering::Relaxed);
        }
        // nobody may be listening, and that is fine
        let _ = self.all.send(change);
        if let Change::Attempt(attempt) = change {
            let _ = self.of(attempt).send(change);
        }
    }

    /// Another number than before if any run has changed since. Whoever asks first and looks at the database then
    /// misses no change.
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// Listens from now on. Listen first, then look at the database, then wait: so nothing falls between.
    pub fn listen(&self) -> Listener {
        Listener(self.all.subscribe())
    }

    /// The same for one who waits for an attempt and nothing else.
    pub fn listen_to(&self, attempt: AttemptId) -> Listener {
        Listener(self.of(attempt).subscribe())
    }

    fn of(&self, attempt: AttemptId) -> &broadcast::Sender<Change> {
        let bell = attempt.as_i64().unsigned_abs() % BELLS as u64;
        &self.attempts[bell as usize]
    }
}

impl Listener {
    /// Returns when a change that `matters` was rung, or when `patience` is over.
    pub async fn wait(&mut self, patience: Duration, matters: impl Fn(Change) -> bool) {
        let heard = async {
            loop {
                match self.0.recv().await {
                    Ok(change) if !matters(change) => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        // over is as good as heard: the caller looks again either way
        let _ = tokio::time::timeout(patience, heard).await;
    }
}
