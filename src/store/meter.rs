//! What is counted of rows, and what waits in them.

use super::{ReportRow, Result, Tx, row};
use crate::{
    meters::{Fact, Queue},
    model::{ForgeKind, RepositoryId, Time},
};

/// What waits, and since when the first of it has.
type Waits = (i64, Option<Time>);

/// A report that is never told again, because its forge has refused it too often.
const GIVEN_UP: i64 = i64::MAX;

impl Tx {
    /// What waits in each queue: by indexes that hold what waits alone, however much there is besides.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn what_waits(&mut self, now: Time) -> Result<Vec<Queue>> {
        let mut queues = Vec::new();
        for (name, sql) in QUEUES {
            let (length, since) = row!(self, Waits, sql, GIVEN_UP)?.unwrap_or_default();
            queues.push(Queue { name, length, oldest: since.map(|since| now.since(since)).unwrap_or_default() });
        }
        Ok(queues)
    }

    /// How many runs of a repository have not ended.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn open_runs_of(&mut self, repository: RepositoryId) -> Result<i64> {
        let found: Option<(i64,)> = row!(
            self,
            (i64,),
            "SELECT COUNT(*) FROM runs WHERE phase IN ('queued', 'running') AND repository_id = $1",
            repository,
        )?;
        Ok(found.map_or(0, |(count,)| count))
    }

    /// Proves that the database takes changes.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn touch(&mut self, now: Time) -> Result<()> {
        super::execute!(
            self,
            "INSERT INTO pulses (name, at) VALUES ('ready', $1) ON CONFLICT (name) DO UPDATE SET at = excluded.at",
            now,
        )
        .map(drop)
    }

    /// Counts how long a run's first state and its last one took to be taken, once each: what was told before its
    /// beginning is another's, and what was told after its end is not the first to say so.
    pub(super) async fn count_told(&mut self, told: &ReportRow, told_at: Time) -> Result<()> {
        if told.rank != 0 {
            return Ok(());
        }
        let found: Option<(ForgeKind, Time, Option<Time>, Option<Time>)> = row!(
            self,
            (ForgeKind, Time, Option<Time>, Option<Time>),
            "SELECT p.forge, r.created, r.ended, d.received FROM runs r JOIN repositories p ON p.id = r.repository_id \
             LEFT JOIN deliveries d ON d.id = r.delivery_id WHERE r.id = $1",
            told.generation,
        )?;
        let Some((forge, created, ended, received)) = found else { return Ok(()) };
        let before = |moment: Time| told.told_at.is_none_or(|at| at < moment);
        if let Some(received) = received.filter(|_| before(created)) {
            self.count(Fact::FirstState { forge, after: told_at.since(received) });
        }
        if let Some(ended) = ended.filter(|ended| *ended <= told.wanted_at && before(*ended)) {
            self.count(Fact::FinalState { forge, after: told_at.since(ended) });
        }
        Ok(())
    }
}

/// Each names what is left out by `$1`, needed or not.
const QUEUES: [(&str, &str); 9] = [
    ("deliveries", "SELECT COUNT(*), MIN(received) FROM deliveries WHERE phase = 'pending' AND due < $1"),
    ("runs_queued", "SELECT COUNT(*), MIN(created) FROM runs WHERE phase = 'queued' AND created < $1"),
    ("runs_running", "SELECT COUNT(*), MIN(started) FROM runs WHERE phase = 'running' AND created < $1"),
    ("actions_queued", "SELECT COUNT(*), MIN(queued) FROM actions WHERE phase = 'queued' AND lease_until < $1"),
    ("actions_running", "SELECT COUNT(*), MIN(started) FROM actions WHERE phase = 'running' AND lease_until < $1"),
    ("reports", "SELECT COUNT(*), MIN(wanted_at) FROM reports WHERE wanted_digest <> acknowledged AND due < $1"),
    (
        "reports_given_up",
        "SELECT COUNT(*), MIN(wanted_at) FROM reports WHERE wanted_digest <> acknowledged AND due = $1",
    ),
    ("notices", "SELECT COUNT(*), MIN(created) FROM notices WHERE phase = 'due' AND due < $1"),
    ("approvals", "SELECT COUNT(*), MIN(asked) FROM approvals WHERE answer IS NULL AND asked < $1"),
];
