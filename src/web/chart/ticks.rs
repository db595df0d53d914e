//! The few values that stand beside a chart: round ones, for people.

/// What a chart's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Unit {
    /// How many.
    Count,
    /// Milliseconds.
    Time,
}

/// At most so many steps.
const MOST: f64 = 4.0;
const SECOND: f64 = 1e3;
const MINUTE: f64 = 60.0 * SECOND;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

/// Steps of time that people count in.
const TIMES: [f64; 24] = [
    1.0,
    2.0,
    5.0,
    10.0,
    20.0,
    50.0,
    100.0,
    200.0,
    500.0,
    SECOND,
    2.0 * SECOND,
    5.0 * SECOND,
    10.0 * SECOND,
    20.0 * SECOND,
    30.0 * SECOND,
    MINUTE,
    2.0 * MINUTE,
    5.0 * MINUTE,
    10.0 * MINUTE,
    20.0 * MINUTE,
    30.0 * MINUTE,
    HOUR,
    2.0 * HOUR,
    6.0 * HOUR,
];

/// Round values that reach from `low`, which is 0 or less, to `high` and no further than need be, with their words, the
/// highest first.
pub(in crate::web) fn ticks(low: f64, high: f64, unit: Unit) -> Vec<(f64, String)> {
    let step = step(high - low, unit);
    let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
    let last = last.max(first + 1);
    (first..=last)
        .rev()
        .map(|n| {
            let value = n as f64 * step;
            (value, words(value.abs(), unit))
        })
        .collect()
}

fn step(span: f64, unit: Unit) -> f64 {
    match unit {
        Unit::Count => round(span / MOST).max(1.0),
        Unit::Time => {
            let known = TIMES.into_iter().find(|step| span <= step * MOST);
            known.unwrap_or_else(|| round(span / MOST / DAY).max(1.0) * DAY)
        }
    }
}

/// 1, 2 or 5 with any number of zeros: the next one that is not less.
fn round(value: f64) -> f64 {
    if value <= 1.0 {
        return 1.0;
    }
    let tens = 10_f64.powf(value.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| value <= factor * tens * (1.0 + 1e-9));
    factor.unwrap_or(10.0) * tens
}

fn words(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Count if value >= 1e6 => format!("{}M", value / 1e6),
        Unit::Count if value >= 1e4 => format!("{}k", value / 1e3),
        Unit::Count => value.to_string(),
        Unit::Time => {
            let of = |size: f64, name: &str| format!("{} {name}", value / size);
            match value {
                0.0 => "0".to_owned(),
                v if v < SECOND => of(1.0, "ms"),
                v if v < MINUTE => of(SECOND, "s"),
                v if v < HOUR => format!("{} min", (value / MINUTE * 10.0).round() / 10.0),
                v if v < DAY => format!("{} h", (value / HOUR * 10.0).round() / 10.0),
                _ => format!("{} d", (value / DAY * 10.0).round() / 10.0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(low: f64, high: f64, unit: Unit) -> String {
        ticks(low, high, unit).into_iter().map(|(_, words)| words).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn values_beside_a_chart_are_round_and_few() {
        let minute = MINUTE;
        for (low, high, unit, expected) in [
            (0.0, 0.0, Unit::Count, "1, 0"),
            (0.0, 1.0, Unit::Count, "1, 0"),
            (0.0, 3.0, Unit::Count, "3, 2, 1, 0"),
            (0.0, 4.0, Unit::Count, "4, 3, 2, 1, 0"),
            (0.0, 17.0, Unit::Count, "20, 15, 10, 5, 0"),
            (0.0, 100_000.0, Unit::Count, "100k, 50k, 0"),
            (-2.0, 10.0, Unit::Count, "10, 5, 0, 5"),
            (0.0, 0.0, Unit::Time, "1 ms, 0"),
            (0.0, 900.0, Unit::Time, "1 s, 500 ms, 0"),
            (0.0, 95.0 * SECOND, Unit::Time, "2 min, 1.5 min, 1 min, 30 s, 0"),
            (0.0, 12.0 * minute, Unit::Time, "15 min, 10 min, 5 min, 0"),
            (0.0, 5.0 * HOUR, Unit::Time, "6 h, 4 h, 2 h, 0"),
            (0.0, 400.0 * DAY, Unit::Time, "400 d, 300 d, 200 d, 100 d, 0"),
        ] {
            assert_eq!(told(low, high, unit), expected, "{low}..{high} {unit:?}");
        }
    }

    #[test]
    fn whatever_the_values_are_there_are_few() {
        for exponent in 0..17 {
            for factor in [1.0, 1.9, 3.3, 7.7, 9.99] {
                for unit in [Unit::Count, Unit::Time] {
                    let high = factor * 10_f64.powi(exponent);
                    let marks = ticks(0.0, high, unit);
                    assert!((2..=6).contains(&marks.len()), "{high}: {marks:?}");
                    assert!(
                        marks[0].0 >= high * (1.0 - 1e-9) || unit == Unit::Count && high < 1.0,
                        "{high}: {marks:?}"
                    );
                }
            }
        }
    }
}
