//! Hints that something changed. Whoever waits asks the database first and again after each ring; a ring that is
//! missed costs a timer's patience, never an event.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::{broadcast, mpsc};

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

/// What other processes change shows after this long, whatever was not heard.
const UNHEARD: Duration = Duration::from_secs(10);
/// So many changes wait to be told to other processes; what comes beyond is not told.
const OUTGOING: usize = 4096;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nobody knows what: everything may have.
    All,
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
    /// To other processes of the same database, and since when.
    out: Option<(mpsc::Sender<Change>, Instant)>,
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
        let meters = Meters::new();
        Self { all: broadcast::Sender::new(BACKLOG), attempts, runs, out: None, meters }
    }

    /// Counts what happens.
    pub(super) const fn meters(&self) -> &Meters {
        &self.meters
    }

    /// One that other processes hear, too, and what they are to hear.
    pub(super) fn shared() -> (Self, mpsc::Receiver<Change>) {
        let (out, changes) = mpsc::channel(OUTGOING);
        (Self { out: Some((out, Instant::now())), ..Self::new() }, changes)
    }

    /// Tells all listeners, in all processes.
    pub fn ring(&self, change: Change) {
        self.ring_here(change);
        if let Some((out, _)) = &self.out {
            // a hint: who is not told looks by a timer
            let _ = out.try_send(change);
        }
    }

    /// Tells all listeners of this process.
    pub(super) fn ring_here(&self, change: Change) {
        if matches!(change, Change::Run(_) | Change::All) {
            self.runs.fetch_add(1, Ordering::Relaxed);
        }
        // nobody may be listening, and that is fine
        let _ = self.all.send(change);
        match change {
            Change::Attempt(attempt) => drop(self.of(attempt).send(change)),
            Change::All => self.attempts.iter().for_each(|bell| drop(bell.send(change))),
            Change::Delivery | Change::Run(_) | Change::Log(_) | Change::Executor | Change::Report | Change::Notice => {
            }
        }
    }

    /// Another number than before if any run has changed since. Whoever asks first and looks at the database then
    /// misses no change.
    ///
    /// What another process changes may never be heard of here: then it is another number after a while all the same.
    pub fn runs(&self) -> u64 {
        let passed = self.out.as_ref().map_or(0, |(_, since)| since.elapsed().as_secs() / UNHEARD.as_secs());
        self.runs.load(Ordering::Relaxed) + passed
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
                    Ok(change) if change != Change::All && !matters(change) => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        // over is as good as heard: the caller looks again either way
        let _ = tokio::time::timeout(patience, heard).await;
    }
}
