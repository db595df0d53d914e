//! Until when the logs and artifacts of runs are kept, and what is said once they are gone.

use super::{Failure, mark::Moment};
use crate::{
    engine::Engine,
    model::{JobId, Time},
    store::{RunRow, Tx},
};

/// Until when the logs and artifacts of a run are kept.
pub(in crate::web) struct Kept {
    /// Until then, if it is a matter of time and the run has ended.
    pub(in crate::web) until: Option<Time>,
    /// When they were removed.
    pub(in crate::web) removed: Option<Time>,
    /// For people.
    pub(in crate::web) words: String,
}

impl Kept {
    /// `None`: for ever, as far as anybody has said.
    pub(in crate::web) async fn of(engine: &Engine, tx: &mut Tx, run: &RunRow) -> Result<Option<Self>, Failure> {
        if let Some(gone) = tx.pruned(run.id).await? {
            let words = format!("removed on {}: {}", Moment(gone.pruned).text(), gone.pruned_why);
            return Ok(Some(Self { until: None, removed: Some(gone.pruned), words }));
        }
        let limits = engine.limits_of(run);
        if limits.is_forever() {
            return Ok(None);
        }
        let until = run.ended.and_then(|ended| limits.until(ended));
        let words = match until {
            // besides the time there is nothing else to say
            Some(until) if limits.runs.is_none() && limits.bytes.is_none() => {
                format!("kept until {}", Moment(until).text())
            }
            Some(_) | None => format!("kept {limits}"),
        };
        Ok(Some(Self { until, removed: None, words }))
    }
}

/// Errs, in kind words, if what a job has left was removed as its repository's rules say.
///
/// # Errors
/// [`Failure::Gone`], or if the database is away.
pub(in crate::web) async fn still_kept(tx: &mut Tx, job: JobId) -> Result<(), Failure> {
    match tx.pruned_of_job(job).await? {
        Some(gone) => Err(Failure::Gone(format!(
            "the log and the artifacts of this job were removed on {}: {}",
            Moment(gone.pruned).text(),
            gone.pruned_why
        ))),
        None => Ok(()),
    }
}
