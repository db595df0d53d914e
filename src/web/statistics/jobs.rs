//! How a repository's jobs go.

use serde::Serialize;

use crate::store::JobFigures;

/// So many are shown.
const MOST: usize = 100;

/// A job of a flow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::web) struct Job {
    /// Its flow.
    pub(in crate::web) flow: String,
    /// `stage/action/job`.
    pub(in crate::web) job: String,
    /// How often it ran to an end.
    pub(in crate::web) ran: i64,
    /// How often it failed.
    pub(in crate::web) failed: i64,
    /// How many of its runs failed: 0 to 1.
    pub(in crate::web) failure_rate: f64,
    /// How often it ended well at a commit at which it had failed before.
    pub(in crate::web) flaky: i64,
    /// How long it took on average, in milliseconds.
    pub(in crate::web) mean: i64,
    /// Its longest time, in milliseconds.
    pub(in crate::web) longest: i64,
    /// All its time, in milliseconds.
    pub(in crate::web) total: i64,
    /// The number of the run in which it failed last.
    pub(in crate::web) failed_in: Option<i64>,
}

/// By the time that they took in all.
pub(in crate::web) fn jobs(counted: Vec<JobFigures>) -> Vec<Job> {
    let mut jobs: Vec<Job> = counted.into_iter().filter(|job| job.ran > 0).map(one).collect();
    jobs.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| (&a.flow, &a.job).cmp(&(&b.flow, &b.job))));
    // one that fails is shown however short it is
    let rest = jobs.split_off(MOST.min(jobs.len()));
    jobs.extend(rest.into_iter().filter(|job| job.failed > 0 || job.flaky > 0).take(MOST));
    jobs
}

fn one(of: JobFigures) -> Job {
    Job {
        failure_rate: of.failed as f64 / of.ran as f64,
        mean: of.millis / of.ran,
        longest: of.longest,
        total: of.millis,
        failed_in: (of.failed_in > 0).then_some(of.failed_in),
        flow: of.flow,
        job: of.job,
        ran: of.ran,
        failed: of.failed,
        flaky: of.flaky,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(job: &str, ran: i64, failed: i64, millis: i64) -> JobFigures {
        let (flow, job) = ("ci".to_owned(), job.to_owned());
        JobFigures { flow, job, ran, failed, flaky: 0, millis, longest: millis, failed_in: failed * 7 }
    }

    #[test]
    fn what_takes_most_comes_first_and_what_fails_is_never_left_out() {
        let counted = vec![figures("short", 2, 0, 10), figures("long", 4, 1, 400), figures("never", 0, 0, 0)];
        let told: Vec<_> = jobs(counted).into_iter().map(|job| (job.job, job.mean, job.failed_in)).collect();
        assert_eq!(told, [("long".to_owned(), 100, Some(7)), ("short".to_owned(), 5, None)]);
        let mut many: Vec<_> = (0..300).map(|n| figures(&format!("job {n}"), 1, 0, 1_000 + n)).collect();
        many.push(figures("brief", 1, 1, 1));
        let told = jobs(many);
        assert_eq!((told.len(), told.last().map(|job| job.job.as_str())), (101, Some("brief")));
        assert_eq!(jobs(Vec::new()), []);
    }
}
