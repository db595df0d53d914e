//! Writes states of one repository's commits, one lot after the other: those that come while one is written are written
//! together, so that a hundred states cost as many processes as one.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot::{self, error::TryRecvError};

use super::{
    away,
    notes::{self, Line},
};
use crate::forge::ForgeError;

/// The most lines of one lot.
const MOST: usize = 100;

/// What waits to be written, and who writes.
#[derive(Debug, Default)]
pub(super) struct Writer {
    waiting: Mutex<Vec<Waiting>>,
    /// Whoever has it writes, so that our own reports do not race each other.
    alone: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    line: Line,
    answer: oneshot::Sender<Result<(), ForgeError>>,
}

impl Writer {
    /// Returns when the line is there.
    pub(super) async fn write(&self, directory: &Path, line: Line) -> Result<(), ForgeError> {
        let (answer, mut answered) = oneshot::channel();
        self.waiting().push(Waiting { line, answer });
        let _alone = self.alone.lock().await;
        loop {
            match answered.try_recv() {
                Ok(done) => return done,
                Err(TryRecvError::Closed) => return Err(away("whoever wrote it was stopped".to_owned())),
                // it waits: nobody else takes it now
                Err(TryRecvError::Empty) => write_lot(directory, self.take()).await,
            }
        }
    }

    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        // whoever has gone tells it again, and maybe another state by then
        waiting.retain(|waiting| !waiting.answer.is_closed());
        let count = waiting.len().min(MOST);
        waiting.drain(..count).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a lot cannot be written each line is written by itself: nobody suffers for another.
async fn write_lot(directory: &Path, lot: Vec<Waiting>) {
    let lines: Vec<Line> = lot.iter().map(|waiting| waiting.line.clone()).collect();
    let is_written = lines.len() > 1 && notes::write(directory, &lines).await.is_ok();
    for Waiting { line, answer } in lot {
        let done = if is_written { Ok(()) } else { notes::write(directory, &[line]).await };
        let _ = answer.send(done);
    }
}
