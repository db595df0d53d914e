//! Charts, drawn here: where each bar, point and word of one stands in its box. Nothing but numbers and words comes out;
//! colours are the style sheet's.

mod ticks;

use std::ops::Range;

use askama::Template;

pub(in crate::web) use ticks::Unit;
use ticks::ticks;

/// The box that a chart is drawn in; the page makes it as wide as there is room.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 170.0;
/// Where the values stand within: left of them are the words of one axis, below them those of the other.
const ACROSS: Range<f64> = 58.0..352.0;
const DOWN: Range<f64> = 10.0..144.0;
/// So much of a column's width is its bar's.
const BAR: f64 = 0.76;
/// A bar is no wider than this, however few there are.
const WIDEST: f64 = 26.0;

/// A bar for each column, or a point of a line.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::web) struct Series {
    /// Names its style.
    pub(in crate::web) class: &'static str,
    /// A value for each column; `None`: there is none.
    pub(in crate::web) values: Vec<Option<f64>>,
    /// How it is drawn.
    pub(in crate::web) form: Form,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Form {
    /// A bar from the zero line.
    Bars,
    /// Points, and a line from each to the next.
    Line,
}

/// What a chart shows.
#[derive(Debug, Clone)]
pub(in crate::web) struct Figure {
    /// What it is called.
    pub(in crate::web) title: String,
    /// The same in a sentence, for who does not see it.
    pub(in crate::web) summary: String,
    /// What its values are.
    pub(in crate::web) unit: Unit,
    /// A word for each column.
    pub(in crate::web) columns: Vec<String>,
    /// What is said of each column on pointing at it.
    pub(in crate::web) notes: Vec<String>,
    /// What is drawn. Negative values stand below the zero line.
    pub(in crate::web) series: Vec<Series>,
}

/// A chart, laid out.
#[derive(Debug, Clone, PartialEq, Template)]
#[template(path = "chart.html")]
pub(in crate::web) struct Chart {
    title: String,
    summary: String,
    bars: Vec<Bar>,
    lines: Vec<Line>,
    points: Vec<Point>,
    across: Vec<Tick>,
    down: Vec<Tick>,
    columns: Vec<Column>,
    zero: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Bar {
    class: &'static str,
    x: String,
    y: String,
    width: String,
    height: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Line {
    class: &'static str,
    points: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Point {
    class: &'static str,
    x: String,
    y: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Tick {
    at: String,
    text: String,
    anchor: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
struct Column {
    x: String,
    width: String,
    note: String,
}

/// From values to places.
struct Scale {
    low: f64,
    high: f64,
    columns: usize,
}

impl Scale {
    fn of(figure: &Figure) -> (Self, Vec<(f64, String)>) {
        let values = figure.series.iter().flat_map(|series| &series.values).flatten().copied();
        let (mut low, mut high) = values.fold((0.0, 0.0), |(low, high): (f64, f64), v| (low.min(v), high.max(v)));
        let marks = ticks(low, high, figure.unit);
        for (value, _) in &marks {
            (low, high) = (low.min(*value), high.max(*value));
        }
        if high - low <= 0.0 {
            high = low + 1.0;
        }
        (Self { low, high, columns: figure.columns.len().max(1) }, marks)
    }

    fn y(&self, value: f64) -> f64 {
        DOWN.end - (value - self.low) / (self.high - self.low) * (DOWN.end - DOWN.start)
    }

    fn step(&self) -> f64 {
        (ACROSS.end - ACROSS.start) / self.columns as f64
    }

    fn middle(&self, column: usize) -> f64 {
        ACROSS.start + (column as f64 + 0.5) * self.step()
    }
}

impl Chart {
    /// Lays a figure out.
    pub(in crate::web) fn new(figure: Figure) -> Self {
        let (scale, marks) = Scale::of(&figure);
        let mut chart = Self {
            bars: Vec::new(),
            lines: Vec::new(),
            points: Vec::new(),
            across: words_below(&figure.columns, &scale),
            down: marks.into_iter().map(|(v, text)| Tick { at: short(scale.y(v)), text, anchor: "end" }).collect(),
            columns: notes(&figure.notes, &scale),
            zero: short(scale.y(0.0)),
            title: figure.title,
            summary: figure.summary,
        };
        for series in &figure.series {
            match series.form {
                Form::Bars => chart.bars.extend(bars(series, &scale)),
                Form::Line => chart.line(series, &scale),
            }
        }
        chart
    }

    /// Each value is a point, and a line leads from one to the next: over days without runs, too.
    fn line(&mut self, series: &Series, scale: &Scale) {
        let class = series.class;
        let place = |(column, value): (usize, &Option<f64>)| {
            value.map(|value| (short(scale.middle(column)), short(scale.y(value))))
        };
        let places: Vec<(String, String)> = series.values.iter().enumerate().filter_map(place).collect();
        // one point alone is no line
        if places.len() > 1 {
            let points: Vec<String> = places.iter().map(|(x, y)| format!("{x},{y}")).collect();
            self.lines.push(Line { class, points: points.join(" ") });
        }
        self.points.extend(places.into_iter().map(|(x, y)| Point { class, x, y }));
    }

    fn view(&self) -> String {
        format!("0 0 {WIDTH} {HEIGHT}")
    }

    fn left(&self) -> f64 {
        ACROSS.start
    }

    fn right(&self) -> f64 {
        ACROSS.end
    }

    fn tall(&self) -> f64 {
        DOWN.end - DOWN.start
    }
}

fn bars(series: &Series, scale: &Scale) -> Vec<Bar> {
    let width = (scale.step() * BAR).min(WIDEST);
    let bar = |(column, value): (usize, &Option<f64>)| {
        let value = value.filter(|value| *value != 0.0)?;
        let (top, bottom) = (scale.y(value.max(0.0)), scale.y(value.min(0.0)));
        Some(Bar {
            class: series.class,
            x: short(scale.middle(column) - width / 2.0),
            y: short(top),
            width: short(width),
            // one among thousands is still to be seen
            height: short((bottom - top).max(1.0)),
        })
    };
    series.values.iter().enumerate().filter_map(bar).collect()
}

/// The first, the middle and the last column's word: more would run into each other.
fn words_below(columns: &[String], scale: &Scale) -> Vec<Tick> {
    let last = columns.len().saturating_sub(1);
    let chosen: Vec<(usize, &'static str)> = match columns.len() {
        0 => Vec::new(),
        1 => vec![(0, "middle")],
        2..8 => vec![(0, "middle"), (last, "middle")],
        _ => vec![(0, "start"), (last / 2, "middle"), (last, "end")],
    };
    let edge = scale.step().min(WIDEST) / 2.0;
    let place = |column, anchor| match anchor {
        "start" => scale.middle(column) - edge,
        "end" => scale.middle(column) + edge,
        _ => scale.middle(column),
    };
    let tick = |(at, anchor)| Tick { at: short(place(at, anchor)), text: columns[at].clone(), anchor };
    chosen.into_iter().map(tick).collect()
}

fn notes(notes: &[String], scale: &Scale) -> Vec<Column> {
    let column = |(at, note): (usize, &String)| Column {
        x: short(scale.middle(at) - scale.step() / 2.0),
        width: short(scale.step()),
        note: note.clone(),
    };
    notes.iter().enumerate().map(column).collect()
}

/// A tenth of a pixel is enough.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(unit: Unit, values: &[Option<f64>], form: Form) -> Figure {
        Figure {
            title: "T".to_owned(),
            summary: "S".to_owned(),
            unit,
            columns: (0..values.len()).map(|day| format!("d{day}")).collect(),
            notes: values.iter().map(|value| format!("{value:?}")).collect(),
            series: vec![Series { class: "good", values: values.to_vec(), form }],
        }
    }

    /// Whatever the values are, nothing leaves the box and no number is none.
    #[test]
    fn every_chart_stays_in_its_box() {
        let hostile: [&[Option<f64>]; 9] = [
            &[],
            &[None],
            &[Some(0.0)],
            &[Some(1.0)],
            &[Some(5.0), Some(5.0), Some(5.0)],
            &[Some(1e15), None, Some(1.0)],
            &[Some(-3.0), Some(7.0)],
            &[None, Some(2.0), None, Some(3.0), Some(4.0)],
            &[Some(0.4); 90],
        ];
        for values in hostile {
            for (unit, form) in [(Unit::Count, Form::Bars), (Unit::Time, Form::Line), (Unit::Time, Form::Bars)] {
                let chart = Chart::new(figure(unit, values, form));
                let number = |text: &String| text.parse::<f64>().expect("a number");
                let across = chart.points.iter().map(|p| &p.x).chain(chart.bars.iter().map(|b| &b.x)).map(number);
                assert!(across.clone().all(|x| (ACROSS.start - 0.1..=ACROSS.end).contains(&x)), "{values:?}");
                let down = chart.points.iter().map(|p| &p.y).chain(chart.bars.iter().map(|b| &b.y)).map(number);
                assert!(down.clone().all(|y| (DOWN.start - 0.1..=DOWN.end + 0.1).contains(&y)), "{values:?}");
                assert!((1..=6).contains(&chart.down.len()), "{:?}", chart.down);
                let html = chart.render().expect("it is drawn");
                assert!(html.contains("<title>T</title>") && !html.contains("NaN") && !html.contains("inf"), "{html}");
            }
        }
    }

    #[test]
    fn a_line_leads_from_value_to_value_and_one_point_is_none() {
        let values = [Some(1.0), None, Some(2.0), Some(3.0), None, Some(1.0)];
        let chart = Chart::new(figure(Unit::Count, &values, Form::Line));
        assert_eq!((chart.points.len(), chart.lines.len()), (4, 1));
        assert_eq!(chart.lines[0].points.split(' ').count(), 4);
        assert_eq!(Chart::new(figure(Unit::Count, &[None, Some(1.0)], Form::Line)).lines, []);
        let bars = Chart::new(figure(Unit::Count, &[Some(0.0), None, Some(10_000.0), Some(1.0)], Form::Bars));
        assert_eq!(bars.bars.iter().map(|bar| bar.height.as_str()).collect::<Vec<_>>(), ["134", "1"]);
    }

    #[test]
    fn what_is_below_the_line_is_drawn_below_it() {
        let chart = Chart::new(figure(Unit::Count, &[Some(4.0), Some(-4.0)], Form::Bars));
        assert_eq!(chart.zero, "77");
        assert_eq!(
            chart.bars.iter().map(|bar| (bar.y.as_str(), bar.height.as_str())).collect::<Vec<_>>(),
            [("10", "67"), ("77", "67")]
        );
        let texts: Vec<&str> = chart.down.iter().map(|tick| tick.text.as_str()).collect();
        assert_eq!(texts, ["4", "2", "0", "2", "4"], "how many are below is no negative number");
    }
}
