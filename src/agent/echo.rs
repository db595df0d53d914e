//! Copies the job's lines to the agent's own standard output, for `kubectl logs` and as a last resort. Whoever reads
//! it may be slow or stuck; the job is not held up by that for more than a moment.

use std::{
    io::{self, Write},
    time::Duration,
};

use tokio::sync::mpsc;

/// How many parts may wait for a slow reader, and how many bytes each has.
const WAITING_MAX: usize = 16;
const PART_MAX: usize = 256 << 10;
/// How long we wait for it once; from then on what does not fit is left out, until it reads again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The other end is a thread, because writing to a standard output may block for ever.
#[derive(Debug)]
pub(super) struct Echo {
    lines: mpsc::Sender<Vec<u8>>,
    stuck: bool,
}

impl Echo {
    pub(super) fn start() -> Self {
        let (lines, mut from) = mpsc::channel::<Vec<u8>>(WAITING_MAX);
        std::thread::spawn(move || {
            let mut to = io::stdout().lock();
            while let Some(lines) = from.blocking_recv() {
                if to.write_all(&lines).and_then(|()| to.flush()).is_err() {
                    return;
                }
            }
        });
        Self { lines, stuck: false }
    }

    pub(super) async fn copy(&mut self, lines: &[u8]) {
        for part in lines.chunks(PART_MAX) {
            self.stuck = if self.stuck {
                matches!(self.lines.try_send(part.to_vec()), Err(mpsc::error::TrySendError::Full(_)))
            } else {
                let sent = self.lines.send_timeout(part.to_vec(), PATIENCE).await;
                matches!(sent, Err(mpsc::error::SendTimeoutError::Timeout(_)))
            };
        }
    }

    /// Waits a moment until all is written.
    pub(super) async fn finish(self) {
        // the thread takes a line before it writes it, so an empty queue is nearly all
        let _ = tokio::time::timeout(PATIENCE, self.lines.reserve_many(WAITING_MAX)).await;
    }
}
