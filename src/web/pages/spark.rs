//! The last runs of a repository as a row of small bars: up is good, down is bad.

use askama::Template;

use crate::{store::RunFigure, web::statistics::Ends};

/// Each bar has so much room.
const STEP: usize = 6;

#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "spark.html")]
pub(super) struct Spark {
    bars: Vec<(usize, &'static str)>,
    words: String,
}

impl Spark {
    /// So many runs are shown.
    pub(super) const RUNS: i64 = 20;

    /// Of runs, newest first: the newest stands on the right.
    pub(super) fn of(runs: &[RunFigure]) -> Self {
        let shown = &runs[..runs.len().min(Self::RUNS as usize)];
        let (mut ends, mut bars) = (Ends::default(), Vec::new());
        let first = Self::RUNS as usize - shown.len();
        for (place, run) in shown.iter().rev().enumerate() {
            ends.add(&run.label);
            let class = match &*run.label {
                "success" | "warning" => "good",
                "failure" | "timed_out" | "error" => "bad",
                _ => "none",
            };
            bars.push(((first + place) * STEP, class));
        }
        let words = match ends.runs {
            0 => "no runs yet".to_owned(),
            n => format!("last {n} runs: {} succeeded, {} failed, {} others", ends.succeeded, ends.failed, ends.others),
        };
        Self { bars, words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    #[test]
    fn the_newest_run_stands_on_the_right_and_words_say_the_same() {
        let run = |label: &str| RunFigure { made: Time::from_millis(0), label: label.into(), waited: None, took: None };
        let spark = Spark::of(&[run("failure"), run("success"), run("running")]);
        assert_eq!(spark.bars, [(102, "none"), (108, "good"), (114, "bad")]);
        assert_eq!(spark.words, "last 3 runs: 1 succeeded, 1 failed, 1 others");
        assert_eq!(Spark::of(&[]).words, "no runs yet");
        assert_eq!(Spark::of(&vec![run("success"); 30]).bars.len(), 20);
    }
}
