//! The same for each day.

use serde::Serialize;

use super::{Ends, Spread, Window, durations};
use crate::{model::Time, store::RunFigure};

const DAY_MS: i64 = 86_400_000;

/// A day's runs, by when they were made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::web) struct Day {
    /// `2026-03-01`, in UTC.
    pub(in crate::web) date: String,
    /// How they ended.
    #[serde(flatten)]
    pub(in crate::web) ends: Ends,
    /// How long they took, in milliseconds.
    pub(in crate::web) duration: Option<Spread>,
    /// How long they waited, in milliseconds.
    pub(in crate::web) queue: Option<Spread>,
}

/// The number of a moment's day.
pub(super) fn of(time: Time) -> i64 {
    time.as_millis().div_euclid(DAY_MS)
}

/// When a day begins.
pub(super) fn start(day: i64) -> Time {
    Time::from_millis(day * DAY_MS)
}

/// All days of a window, oldest first. The runs are in the order of their making.
pub(super) fn days(runs: &[RunFigure], window: Window, now: Time) -> Vec<Day> {
    let last = of(now);
    let mut rest = runs;
    let mut all = Vec::new();
    for day in last - window.days() + 1..=last {
        let before = rest.partition_point(|run| of(run.made) < day);
        let own = rest.partition_point(|run| of(run.made) <= day);
        all.push(one(day, &rest[before..own]));
        rest = &rest[own..];
    }
    all
}

fn one(day: i64, runs: &[RunFigure]) -> Day {
    let mut ends = Ends::default();
    for run in runs {
        ends.add(&run.label);
    }
    let queue = Spread::of(runs.iter().filter_map(|run| run.waited).collect());
    Day { date: date(day), ends, duration: Spread::of(durations(runs)), queue }
}

fn date(day: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(day * DAY_MS).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%d").to_string()
}
