//! All rows of a run's jobs. However many jobs it has, they are read by the same number of statements.

use std::collections::BTreeMap;

use super::super::{Failure, trigger};
use crate::{
    model::{ActionId, AttemptId, FailedTest, JobId, RunId},
    store::{
        ActionRow, ApprovalRow, ArtifactRow, AttemptRow, CacheUseRow, JobRow, ShownOutputRow, TestsRead, TestsRow, Tx,
    },
    web::{Web, access::Granted, pages::trigger::LinkView},
};

/// So many characters of an output are read: a longer one is in the API.
pub(super) const OUTPUT_READ: i64 = 1000;
/// So many failed tests of a job are shown; the API has more.
const TESTS: TestsRead = TestsRead { of_job: 50, of_run: 200, said: 4000 };

/// A run's rows.
pub(super) struct Gathered {
    actions: BTreeMap<(usize, usize), ActionRow>,
    approvals: Vec<ApprovalRow>,
    carried: BTreeMap<ActionId, i64>,
    attempts: BTreeMap<ActionId, Vec<AttemptRow>>,
    jobs: BTreeMap<AttemptId, Vec<JobRow>>,
    outputs: BTreeMap<JobId, Vec<ShownOutputRow>>,
    artifacts: BTreeMap<JobId, Vec<ArtifactRow>>,
    caches: BTreeMap<JobId, Vec<CacheUseRow>>,
    tests: BTreeMap<JobId, TestsRow>,
    failed_tests: BTreeMap<JobId, Vec<FailedTest>>,
    started: BTreeMap<JobId, LinkView>,
}

impl Gathered {
    pub(super) async fn read(web: &Web, of: &Granted, tx: &mut Tx, run: RunId) -> Result<Self, Failure> {
        let actions = tx.actions(run).await?.into_iter();
        let place = |column: i64| usize::try_from(column).unwrap_or(usize::MAX);
        let tests = tx.tests_of_run(run).await?;
        let some_failed = tests.values().any(|row| row.tests.failed() > 0);
        Ok(Self {
            actions: actions.map(|row| ((place(row.stage), place(row.place)), row)).collect(),
            approvals: tx.approvals(run).await?,
            carried: tx.carried_over(run).await?,
            attempts: by(tx.attempts_of_run(run).await?, |row| row.action_id),
            jobs: by(tx.jobs_of_run(run).await?, |row| row.attempt_id),
            outputs: by(tx.outputs_of_run(run, OUTPUT_READ).await?, |row| row.job_id),
            artifacts: by(tx.artifacts_of_run(run).await?, |row| row.job_id),
            caches: by(tx.cache_uses_of_run(run).await?, |row| row.job_id),
            failed_tests: if some_failed { tx.failed_tests_of_run(run, TESTS).await? } else { BTreeMap::new() },
            tests,
            started: trigger::all_started(web, of, tx, run).await?,
        })
    }

    /// How many jobs it shows at once: those of each action's newest attempt.
    pub(super) fn shown_jobs(&self) -> usize {
        self.actions.values().map(|row| self.newest(row).len()).sum()
    }

    pub(super) fn action(&self, stage: usize, place: usize) -> Option<&ActionRow> {
        self.actions.get(&(stage, place))
    }

    pub(super) fn approval(&self, stage: usize) -> Option<&ApprovalRow> {
        self.approvals.iter().find(|row| usize::try_from(row.stage) == Ok(stage))
    }

    /// The number of the run where an action ran that was carried over.
    pub(super) fn carried(&self, action: &ActionRow) -> Option<i64> {
        self.carried.get(&action.id).copied()
    }

    /// First to last.
    pub(super) fn attempts(&self, action: &ActionRow) -> &[AttemptRow] {
        some(&self.attempts, &action.origin())
    }

    /// In order.
    pub(super) fn jobs(&self, attempt: &AttemptRow) -> &[JobRow] {
        some(&self.jobs, &attempt.id)
    }

    /// The jobs of an action's newest attempt.
    pub(super) fn newest(&self, action: &ActionRow) -> &[JobRow] {
        self.attempts(action).last().map_or(&[], |attempt| self.jobs(attempt))
    }

    pub(super) fn outputs(&self, job: &JobRow) -> &[ShownOutputRow] {
        some(&self.outputs, &job.id)
    }

    pub(super) fn artifacts(&self, job: &JobRow) -> &[ArtifactRow] {
        some(&self.artifacts, &job.id)
    }

    pub(super) fn tests(&self, job: &JobRow) -> Option<(&TestsRow, &[FailedTest])> {
        Some((self.tests.get(&job.id)?, some(&self.failed_tests, &job.id)))
    }

    pub(super) fn started(&self, job: &JobRow) -> Option<&LinkView> {
        self.started.get(&job.id)
    }

    /// What the first job of an action's newest attempt that looked found of each cache.
    pub(super) fn caches(&self, action: &ActionRow) -> Vec<&CacheUseRow> {
        let mut found: BTreeMap<&str, &CacheUseRow> = BTreeMap::new();
        for used in self.newest(action).iter().flat_map(|job| some(&self.caches, &job.id)) {
            found.entry(&used.name).or_insert(used);
        }
        found.into_values().collect()
    }
}

fn some<'a, K: Ord, V>(all: &'a BTreeMap<K, Vec<V>>, of: &K) -> &'a [V] {
    all.get(of).map_or(&[], Vec::as_slice)
}

fn by<K: Ord, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> BTreeMap<K, Vec<V>> {
    let mut all: BTreeMap<K, Vec<V>> = BTreeMap::new();
    for row in rows {
        all.entry(key(&row)).or_default().push(row);
    }
    all
}
