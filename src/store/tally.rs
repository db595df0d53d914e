//! What ended jobs count for: their repository's statistics, and the time that it has used up. The jobs that end in one
//! transaction are counted together, before its commit.

use std::collections::{BTreeMap, BTreeSet};

use super::{On, Result, Tx, execute, postgres, row, statistics::DAY_MS};
use crate::model::{RepositoryId, Sha, Time};

/// Jobs that are counted by name on one day of one repository; what comes then is counted together.
const NAMES: i64 = 500;
/// The name of those.
const OTHERS: &str = "(others)";

/// A job that has ended, to be counted.
#[derive(Debug, Clone)]
pub struct EndedJob {
    /// Whose.
    pub repository: RepositoryId,
    /// Its run's number.
    pub run: i64,
    /// Its run's commit.
    pub sha: Sha,
    /// Its flow.
    pub flow: String,
    /// The default branch's name if it ran there, or ''.
    pub branch: String,
    /// `stage/action/job`.
    pub job: String,
    /// Whether it failed, by the author's doing.
    pub failed: bool,
    /// How long it ran, in milliseconds.
    pub took: i64,
    /// When it ended.
    pub at: Time,
}

/// What is still to be counted.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    ended: Vec<EndedJob>,
    /// By repository and month: milliseconds, and when the last of them were used.
    used: BTreeMap<(RepositoryId, i64), (i64, Time)>,
}

/// What is counted together: a job's name on one day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day {
    pub(super) repository: RepositoryId,
    pub(super) day: i64,
    pub(super) flow: String,
    pub(super) branch: String,
    pub(super) job: String,
}

/// The jobs of one name and day that ended in a transaction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) ran: i64,
    pub(super) failed: i64,
    pub(super) flaky: i64,
    pub(super) millis: i64,
    pub(super) longest: i64,
    /// The number of the last run that failed; 0: none did.
    pub(super) failed_in: i64,
}

impl Day {
    fn of(job: &EndedJob) -> Self {
        let EndedJob { repository, flow, branch, job: name, at, .. } = job.clone();
        Self { repository, day: at.as_millis().div_euclid(DAY_MS), flow, branch, job: name }
    }
}

impl Sum {
    fn add(&mut self, job: &EndedJob, flaky: bool) {
        self.ran += 1;
        self.failed += i64::from(job.failed);
        self.flaky += i64::from(flaky);
        self.millis += job.took;
        self.longest = self.longest.max(job.took);
        if job.failed {
            self.failed_in = job.run;
        }
    }
}

impl Tx {
    /// Counts a job that has ended.
    pub fn count_job(&mut self, ended: EndedJob) {
        self.tallies.ended.push(ended);
    }

    /// A job of a repository has run for so many milliseconds, in this month.
    pub fn use_time(&mut self, repository: RepositoryId, month: i64, millis: i64, now: Time) {
        let used = self.tallies.used.entry((repository, month)).or_insert((0, now));
        *used = (used.0 + millis, now);
    }

    /// Counts what is still to be counted.
    pub(super) async fn write_tallies(&mut self) -> Result<()> {
        let Tallies { ended, used } = std::mem::take(&mut self.tallies);
        for ((repository, month), (millis, now)) in used {
            execute!(
                self,
                "INSERT INTO uses (repository_id, month, millis, recent, recent_at) VALUES ($1, $2, $3, $3, $4) \
                 ON CONFLICT (repository_id) DO UPDATE SET month = excluded.month, \
                 recent = uses.recent + excluded.recent, \
                 millis = CASE WHEN uses.month = excluded.month THEN uses.millis ELSE 0 END + excluded.millis",
                repository,
                month,
                millis,
                now,
            )?;
        }
        if ended.is_empty() {
            return Ok(());
        }
        let flaky = self.flaky(&ended).await?;
        let mut days: BTreeMap<Day, Sum> = BTreeMap::new();
        for (at, job) in ended.iter().enumerate() {
            days.entry(Day::of(job)).or_default().add(job, flaky.contains(&at));
        }
        for (day, sum) in self.add_to_days(days).await? {
            self.begin_day(day, sum).await?;
        }
        Ok(())
    }

    /// Which of these end well at a commit at which they had failed. A failure is remembered, and counts once.
    async fn flaky(&mut self, ended: &[EndedJob]) -> Result<BTreeSet<usize>> {
        for job in ended.iter().filter(|job| job.failed) {
            execute!(
                self,
                "INSERT INTO job_failures (repository_id, sha, flow, job, failed, passed) VALUES ($1, $2, $3, $4, $5, 0) \
                 ON CONFLICT (repository_id, sha, flow, job) DO UPDATE SET failed = excluded.failed, passed = 0",
                job.repository,
                &job.sha,
                &job.flow,
                &job.job,
                job.at,
            )?;
        }
        let passed: Vec<(usize, &EndedJob)> = ended.iter().enumerate().filter(|(_, job)| !job.failed).collect();
        if let (On::Postgres(on), [_, _, ..]) = (&mut self.on, passed.as_slice()) {
            return postgres::flaky(on, &passed).await;
        }
        let mut flaky = BTreeSet::new();
        for (at, job) in passed {
            let met = execute!(
                self,
                "UPDATE job_failures SET passed = 1 WHERE repository_id = $1 AND sha = $2 AND flow = $3 AND job = $4 \
                 AND passed = 0",
                job.repository,
                &job.sha,
                &job.flow,
                &job.job,
            )?;
            if met == 1 {
                flaky.insert(at);
            }
        }
        Ok(flaky)
    }

    /// Adds to the days that are there. Returns the others.
    async fn add_to_days(&mut self, mut days: BTreeMap<Day, Sum>) -> Result<BTreeMap<Day, Sum>> {
        if let (On::Postgres(on), true) = (&mut self.on, days.len() > 1) {
            for met in postgres::add_to_days(on, &days).await? {
                days.remove(&met);
            }
            return Ok(days);
        }
        let mut others = BTreeMap::new();
        for (day, sum) in days {
            if !self.add_to_day(&day, sum).await? {
                others.insert(day, sum);
            }
        }
        Ok(others)
    }

    async fn add_to_day(&mut self, of: &Day, sum: Sum) -> Result<bool> {
        let met = execute!(
            self,
            "UPDATE job_days SET ran = ran + $6, failed = failed + $7, flaky = flaky + $8, millis = millis + $9, \
             longest = CASE WHEN longest < $10 THEN $10 ELSE longest END, \
             failed_in = CASE WHEN $7 > 0 THEN $11 ELSE failed_in END \
             WHERE repository_id = $1 AND day = $2 AND flow = $3 AND branch = $4 AND job = $5",
            of.repository,
            of.day,
            &of.flow,
            &of.branch,
            &of.job,
            sum.ran,
            sum.failed,
            sum.flaky,
            sum.millis,
            sum.longest,
            sum.failed_in,
        )?;
        Ok(met == 1)
    }

    /// Begins a day of a name, unless that has too many already.
    async fn begin_day(&mut self, mut of: Day, sum: Sum) -> Result<()> {
        let names: Option<(i64,)> = row!(
            self,
            (i64,),
            "SELECT COUNT(*) FROM job_days WHERE repository_id = $1 AND day = $2",
            of.repository,
            of.day,
        )?;
        if names.is_some_and(|(names,)| names >= NAMES) {
            OTHERS.clone_into(&mut of.job);
        }
        execute!(
            self,
            "INSERT INTO job_days (repository_id, day, flow, branch, job, ran, failed, flaky, millis, longest, failed_in) \
             VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, 0, 0) ON CONFLICT (repository_id, day, flow, branch, job) DO NOTHING",
            of.repository,
            of.day,
            &of.flow,
            &of.branch,
            &of.job,
        )?;
        self.add_to_day(&of, sum).await.map(drop)
    }
}
