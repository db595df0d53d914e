//! What can be said of a repository's runs over some days. Pure: runs and jobs go in, numbers come out, and the pages and
//! the API show the same ones.

mod asked;
mod days;
mod draw;
mod jobs;
mod percentile;

use serde::Serialize;
use utoipa::ToSchema;

pub(in crate::web) use asked::{Asked, StatisticsQuery, gather};
pub(in crate::web) use days::Day;
pub(in crate::web) use draw::{charts, rate, span};
pub(in crate::web) use jobs::{Job, jobs};
pub(in crate::web) use percentile::Spread;

use crate::{
    model::Time,
    store::{JobFigures, RunFigure},
};

/// Over how many days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    Week,
    Month,
    Quarter,
}

impl Window {
    pub(super) const ALL: [Self; 3] = [Self::Week, Self::Month, Self::Quarter];

    pub(super) const fn days(self) -> i64 {
        match self {
            Self::Week => 7,
            Self::Month => 30,
            Self::Quarter => 90,
        }
    }

    /// The one of so many days.
    pub(super) fn of(days: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.days().to_string() == days)
    }

    /// When its first day began, in UTC; `now` is in its last.
    pub(super) fn since(self, now: Time) -> Time {
        days::start(days::of(now) - self.days() + 1)
    }
}

/// How many runs ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::web) struct Ends {
    /// All of them.
    pub(in crate::web) runs: usize,
    /// Those that ended well, also with a warning.
    pub(in crate::web) succeeded: usize,
    /// Those that failed, were over their time, or had no luck with the infrastructure.
    pub(in crate::web) failed: usize,
    /// Those that somebody stopped, that were left out, or that go on: they say nothing of the code.
    pub(in crate::web) others: usize,
}

impl Ends {
    pub(super) fn add(&mut self, label: &str) {
        self.runs += 1;
        match label {
            "success" | "warning" => self.succeeded += 1,
            "failure" | "timed_out" | "error" => self.failed += 1,
            _ => self.others += 1,
        }
    }

    /// Whether a run that ended like this succeeded or failed.
    pub(super) fn counts(label: &str) -> bool {
        matches!(label, "success" | "warning" | "failure" | "timed_out" | "error")
    }

    /// How many of those that succeeded or failed succeeded: 0 to 1.
    pub(in crate::web) fn rate(&self) -> Option<f64> {
        let counted = self.succeeded + self.failed;
        (counted > 0).then(|| self.succeeded as f64 / counted as f64)
    }
}

/// What is said of a repository's runs.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(in crate::web) struct Statistics {
    /// How they ended.
    #[serde(flatten)]
    pub(in crate::web) ends: Ends,
    /// How many of those that succeeded or failed succeeded: 0 to 1; `null` if there are none.
    #[schema(required = true)]
    pub(in crate::web) success_rate: Option<f64>,
    /// How long those took that succeeded or failed, in milliseconds, without what people took to answer.
    #[schema(required = true)]
    pub(in crate::web) duration: Option<Spread>,
    /// How long they waited from their making to their first job's start, in milliseconds.
    #[schema(required = true)]
    pub(in crate::web) queue: Option<Spread>,
    /// The same for each day, oldest first.
    pub(in crate::web) days: Vec<Day>,
    /// Jobs by the time that they took in all, at most a hundred.
    pub(in crate::web) jobs: Vec<Job>,
}

impl Statistics {
    /// Of the runs and jobs of a window that ends now.
    pub(super) fn of(runs: &[RunFigure], counted: Vec<JobFigures>, window: Window, now: Time) -> Self {
        let mut ends = Ends::default();
        for run in runs {
            ends.add(&run.label);
        }
        Self {
            ends,
            success_rate: ends.rate(),
            duration: Spread::of(durations(runs)),
            queue: Spread::of(runs.iter().filter_map(|run| run.waited).collect()),
            days: days::days(runs, window, now),
            jobs: jobs(counted),
        }
    }
}

/// How long runs took that say something: one that was cancelled was as long as somebody's patience.
fn durations(runs: &[RunFigure]) -> Vec<u64> {
    runs.iter().filter(|run| Ends::counts(&run.label)).filter_map(|run| run.took).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn run(ago: i64, label: &str, waited: u64, took: u64) -> RunFigure {
        let made = Time::from_millis(1000 * DAY - ago * DAY);
        RunFigure { made, label: label.into(), waited: Some(waited), took: Some(took) }
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let none = Statistics::of(&[], Vec::new(), Window::Week, Time::from_millis(1000 * DAY));
        assert_eq!((none.success_rate, none.duration, none.queue), (None, None, None));
        assert_eq!((none.days.len(), none.ends), (7, Ends::default()));
        assert_eq!(charts(&none).len(), 3, "an empty chart is one, too");
    }

    #[test]
    fn what_says_nothing_of_the_code_counts_for_neither_side() {
        let runs = [
            run(3, "success", 10, 100),
            run(2, "failure", 20, 200),
            run(1, "cancelled", 30, 9_000),
            run(0, "warning", 40, 300),
            run(0, "running", 50, 0),
            run(0, "skipped", 0, 0),
        ];
        let all = Statistics::of(&runs, Vec::new(), Window::Week, Time::from_millis(1000 * DAY + 5));
        assert_eq!(all.ends, Ends { runs: 6, succeeded: 2, failed: 1, others: 3 });
        assert!(all.success_rate.is_some_and(|rate| (rate - 2.0 / 3.0).abs() < 1e-9));
        assert_eq!(all.duration.map(|spread| (spread.count, spread.p50, spread.p99)), Some((3, 200, 300)));
        let told: Vec<_> = all.days.iter().map(|day| (day.ends.succeeded, day.ends.failed)).collect();
        assert_eq!(told, [(0, 0), (0, 0), (0, 0), (1, 0), (0, 1), (0, 0), (1, 0)]);
        assert_eq!(all.days.last().map(|day| day.date.as_str()), Some("1972-09-27"));
    }

    #[test]
    fn a_window_holds_whole_days_and_this_one() {
        let now = Time::from_millis(1000 * DAY + 7);
        assert_eq!(Window::Week.since(now), Time::from_millis(994 * DAY));
        assert_eq!(Window::of("90"), Some(Window::Quarter));
        assert_eq!((Window::of("8"), Window::of("")), (None, None));
    }
}
