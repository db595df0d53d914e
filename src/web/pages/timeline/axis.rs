//! The axis of a timeline: how far apart its marks are, and what stands at them. Pure.

use std::time::Duration;

/// The picture's width, in its own units: whatever its width on the screen.
pub(super) const WIDTH: u64 = 1000;
/// No more marks than that: their words must fit beside each other on a narrow screen.
const MOST: u64 = 5;
/// From mark to mark, in seconds. What is longer is whole days.
const STEPS: [u64; 17] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200];
const DAY: u64 = 86_400;

/// A mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tick {
    /// Where, in units.
    pub(super) at: u64,
    /// How long after the beginning.
    pub(super) words: String,
}

impl Tick {
    /// Where, as a part of the width.
    pub(super) fn percent(&self) -> String {
        format!("{}.{}%", self.at / 10, self.at % 10)
    }
}

/// Where a moment is, which is so long after the beginning.
pub(super) fn place(after: Duration, whole: Duration) -> u64 {
    let (after, whole) = (after.as_millis().min(whole.as_millis()), whole.as_millis().max(1));
    u64::try_from(after * u128::from(WIDTH) / whole).unwrap_or(WIDTH)
}

/// The marks of so long a time, without that at its beginning. A mark close to the end would have no room for its words.
pub(super) fn ticks(whole: Duration) -> Vec<Tick> {
    let seconds = whole.as_secs();
    let fits = |step: &u64| seconds / step <= MOST;
    let step = STEPS.into_iter().find(fits).unwrap_or_else(|| seconds.div_ceil(DAY * MOST).max(1) * DAY);
    let marks = (1..=seconds / step).map(|n| n * step);
    let ticks = marks.map(|at| Tick { at: place(Duration::from_secs(at), whole), words: words(at, step) });
    ticks.filter(|tick| tick.at <= WIDTH - WIDTH / 20).collect()
}

/// `30 s`, `1:30`, `5 min`, `1 h`, `1:30 h`, `2 d`: as short as their step allows.
fn words(at: u64, step: u64) -> String {
    let (days, hours, minutes, seconds) = (at / DAY, at / 3600, at / 60, at % 60);
    match step {
        _ if at < 60 => format!("{at} s"),
        0..60 => format!("{minutes}:{seconds:02}"),
        60..3600 if at < 3600 => format!("{minutes} min"),
        60..3600 => format!("{hours}:{:02} h", minutes % 60),
        3600..DAY => format!("{hours} h"),
        _ => format!("{days} d"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{MOST, WIDTH, place, ticks};

    fn marks(seconds: u64) -> String {
        let ticks = ticks(Duration::from_secs(seconds));
        ticks.iter().map(|tick| format!("{} at {}", tick.words, tick.percent())).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn marks_are_round_and_few() {
        for (seconds, expected) in [
            (0, ""),
            (3, "1 s at 33.3%, 2 s at 66.6%"),
            (25, "5 s at 20.0%, 10 s at 40.0%, 15 s at 60.0%, 20 s at 80.0%"),
            (100, "30 s at 30.0%, 1:00 at 60.0%, 1:30 at 90.0%"),
            (400, "2 min at 30.0%, 4 min at 60.0%, 6 min at 90.0%"),
            (7000, "30 min at 25.7%, 1:00 h at 51.4%, 1:30 h at 77.1%"),
            (90_000, "6 h at 24.0%, 12 h at 48.0%, 18 h at 72.0%"),
            (1_000_000, "3 d at 25.9%, 6 d at 51.8%, 9 d at 77.7%"),
        ] {
            assert_eq!(marks(seconds), expected, "{seconds} s");
        }
    }

    proptest! {
        #[test]
        fn marks_never_crowd_nor_leave_the_picture(ms in 0_u64..40_000_000_000) {
            let whole = Duration::from_millis(ms);
            let ticks = ticks(whole);
            prop_assert!(ticks.len() as u64 <= MOST);
            prop_assert!(ticks.iter().all(|tick| tick.at <= WIDTH));
            prop_assert!(ticks.windows(2).all(|two| two[0].at < two[1].at));
        }

        #[test]
        fn places_keep_their_order(a in 0_u64..1_000_000, b in 0_u64..1_000_000, whole in 0_u64..1_000_000) {
            let at = |ms| place(Duration::from_millis(ms), Duration::from_millis(whole));
            prop_assert!(at(a.min(b)) <= at(a.max(b)));
            prop_assert!(at(a.max(b)) <= WIDTH);
        }
    }
}
