//! Statistics as charts.

use std::time::Duration;

use super::{Day, Spread, Statistics};
use crate::{
    model::Span,
    web::chart::{Chart, Figure, Form, Series, Unit},
};

/// How many runs, how long they took, how long they waited: for each day.
pub(in crate::web) fn charts(of: &Statistics) -> Vec<Chart> {
    let duration = ("How long runs take", "that took", of.duration);
    let queue = ("How long runs wait to start", "that waited", of.queue);
    vec![ends(of), spreads(&of.days, duration, |day| day.duration), spreads(&of.days, queue, |day| day.queue)]
}

fn ends(of: &Statistics) -> Chart {
    let count = |each: fn(&Day) -> f64| of.days.iter().map(|day| Some(each(day))).collect();
    let note = |day: &Day| {
        format!(
            "{}: {} succeeded, {} failed, {} others",
            day.date, day.ends.succeeded, day.ends.failed, day.ends.others
        )
    };
    Chart::new(Figure {
        title: "Runs each day".to_owned(),
        summary: format!(
            "Above the line those that succeeded, {} in all; below it those that failed, {} in all.",
            of.ends.succeeded, of.ends.failed
        ),
        unit: Unit::Count,
        columns: columns(&of.days),
        notes: of.days.iter().map(note).collect(),
        series: vec![
            Series { class: "good", values: count(|day| day.ends.succeeded as f64), form: Form::Bars },
            Series { class: "bad", values: count(|day| -(day.ends.failed as f64)), form: Form::Bars },
        ],
    })
}

fn spreads(days: &[Day], (title, which, all): (&str, &str, Option<Spread>), each: fn(&Day) -> Option<Spread>) -> Chart {
    let line = |part: fn(Spread) -> u64| days.iter().map(|day| each(day).map(|spread| part(spread) as f64)).collect();
    let note = |day: &Day| match each(day) {
        Some(of) => format!("{}: half up to {}, nine of ten up to {}", day.date, span(of.p50), span(of.p90)),
        None => format!("{}: no runs {which}", day.date),
    };
    let summary = match all {
        Some(of) => format!(
            "The lower line is half of them, up to {} in all; the upper one nine of ten, up to {}.",
            span(of.p50),
            span(of.p90)
        ),
        None => format!("There are no runs {which}."),
    };
    Chart::new(Figure {
        title: title.to_owned(),
        summary,
        unit: Unit::Time,
        columns: columns(days),
        notes: days.iter().map(note).collect(),
        series: vec![
            Series { class: "upper", values: line(|of| of.p90), form: Form::Line },
            Series { class: "lower", values: line(|of| of.p50), form: Form::Line },
        ],
    })
}

/// Without the year: there is no room for it.
fn columns(days: &[Day]) -> Vec<String> {
    days.iter().map(|day| day.date.get(5..).unwrap_or_default().to_owned()).collect()
}

/// For people.
pub(in crate::web) fn span(millis: u64) -> String {
    Span(Duration::from_millis(millis)).to_string()
}

/// A share for people; what is not all of it never reads 100 %, nor what is not nothing 0 %.
pub(in crate::web) fn rate(share: f64) -> String {
    let percent = share * 100.0;
    match percent.round() {
        100.0 if percent < 100.0 => format!("{:.1} %", percent.min(99.9)),
        0.0 if percent > 0.0 => format!("{:.1} %", percent.max(0.1)),
        whole => format!("{whole} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_not_all_never_reads_so() {
        for (share, words) in
            [(1.0, "100 %"), (0.0, "0 %"), (0.5, "50 %"), (0.9999, "99.9 %"), (0.0001, "0.1 %"), (2.0 / 3.0, "67 %")]
        {
            assert_eq!(rate(share), words);
        }
    }
}
