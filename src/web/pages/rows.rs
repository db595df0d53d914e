//! The rows of a log's page: lines, and parts that are folded.

use std::{collections::VecDeque, time::Duration};

use askama::Template;

use super::{Failure, elapsed, mark::Moment};
use crate::{
    agent::protocol::Stream,
    engine::fold::{self, Mark},
    model::{Counted, Fold, JobId, Time},
    store::JobRow,
    web::{
        Web,
        log::{
            ansi::{Drawn, Renderer},
            lines::Line,
            outline::{Outline, Shown},
            place::Lines,
            window::{Reader, WINDOW, Window},
        },
    },
};

/// What a page shows of a log.
pub(super) struct Shelf {
    pub(super) parts: Vec<(Shown, Window)>,
    /// Where the pages before and after this one begin.
    pub(super) earlier: Option<u64>,
    pub(super) later: Option<u64>,
    /// The offset at which the first line begins that is not here.
    pub(super) resume: u64,
}

impl Shelf {
    pub(super) async fn read(web: &Web, job: JobId, outline: &Outline, first: u64) -> Result<Self, Failure> {
        let (shown, next) = outline.from(first, WINDOW);
        let mut reader = Reader::new(&web.engine, job);
        let (mut parts, mut resume) = (Vec::new(), 0);
        for part in shown {
            let window = match &part {
                Shown::Lines(lines) => reader.read(lines.clone()).await?,
                Shown::Folded(_) => Window::default(),
            };
            resume = resume.max(window.resume);
            parts.push((part, window));
        }
        let earlier = (first > 1).then(|| outline.back(first, WINDOW));
        Ok(Self { parts, earlier, later: outline.has(next).then_some(next), resume })
    }
}

/// So many rows are kept that a later line may change, and none that is longer.
pub(super) const RECENT: usize = 60;
const RECENT_BYTES: usize = 16 << 10;
/// What took less is not worth a word.
const WORTH: Duration = Duration::from_millis(100);

/// One line of a log, as HTML.
#[derive(Template)]
#[template(path = "row.html")]
pub(super) struct Row {
    number: u64,
    query: String,
    class: &'static str,
    here: bool,
    iso: String,
    /// What stands before it, until a script says more: since the start, or the time of day.
    when: String,
    html: String,
    /// A terminal would not show it any more: later lines were written over it, or it over earlier ones.
    is_over: bool,
    /// How long the agent needed for it.
    took: String,
    cut: u64,
    raw: String,
}

/// Makes rows of lines.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) renderer: Renderer,
    pub(super) started: Option<Time>,
    pub(super) raw: String,
    /// What a link to a line begins with.
    pub(super) query: String,
    /// What is marked.
    pub(super) here: Option<Lines>,
    /// Whether times of day stand before lines, not those since the start.
    pub(super) of_day: bool,
    /// When the job's process began and was over, if its agent has said so.
    pub(super) process: Option<(Time, Time)>,
    /// When the line before came, if it is known.
    pub(super) last: Option<Time>,
    /// The newest rows, while a log is followed.
    pub(super) recent: VecDeque<Row>,
}

/// A part of a log that is folded, as HTML.
#[derive(Template)]
#[template(path = "fold.html")]
struct FoldRow {
    first: u64,
    last: u64,
    query: String,
    iso: String,
    when: String,
    html: String,
    size: String,
    took: String,
}

impl Rows {
    /// What stands on the page for a part.
    pub(super) fn of(&mut self, (shown, window): (Shown, Window)) -> Vec<String> {
        match shown {
            Shown::Lines(_) => self.window(window.lines).iter().map(ToString::to_string).collect(),
            Shown::Folded(fold) => vec![self.fold(&fold).to_string()],
        }
    }

    /// Lines that follow each other, as they look at the end.
    fn window(&mut self, lines: Vec<Line>) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::with_capacity(lines.len());
        for line in lines {
            let (row, drawn) = self.row(line);
            change(&mut rows, drawn, |_| ());
            rows.push(row);
        }
        rows
    }

    /// What the next line makes of the page: earlier rows that it changes, and its own.
    pub(super) fn follow(&mut self, line: Line) -> String {
        let (row, drawn) = self.row(line);
        let mut html = String::new();
        change(self.recent.make_contiguous(), drawn, |changed| html.push_str(&changed.to_string()));
        html.push_str(&row.to_string());
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        if row.html.len() <= RECENT_BYTES {
            self.recent.push_back(row);
        }
        html
    }

    /// What stands before what came at this time.
    fn when(&self, time: Time) -> String {
        match self.started {
            _ if time.as_millis() == 0 => String::new(),
            _ if self.of_day => Moment(time).of_day(),
            Some(started) => elapsed(time.since(started)),
            None => String::new(),
        }
    }

    fn fold(&mut self, fold: &Fold) -> FoldRow {
        self.last = Some(fold.to);
        FoldRow {
            first: fold.first,
            last: fold.last,
            iso: Moment(fold.from).iso(),
            when: self.when(fold.from),
            query: self.query.clone(),
            html: self.renderer.line(fold.title.as_bytes()),
            size: Counted(fold.lines(), "line").to_string(),
            took: format!("{} s", elapsed(fold.to.since(fold.from))),
        }
    }

    /// A line that opens a group shows its title alone.
    fn drawn(&mut self, line: &Line) -> Drawn {
        match fold::marks(&line.text).into_iter().next_back() {
            Some(Mark::Begin { title, .. }) => self.renderer.draw(line.number, title.as_bytes()),
            Some(Mark::End { .. }) | None => self.renderer.draw(line.number, &line.text),
        }
    }

    /// What an agent says, it has done: since it said something else, or since the process was over.
    fn took(&mut self, line: &Line) -> String {
        let last = self.last.replace(line.time);
        let (Stream::Agent, Some(last), Some((begun, over))) = (line.stream, last, self.process) else {
            return String::new();
        };
        let since = if line.time >= over { last.max(over) } else { last };
        let span = line.time.since(since);
        let is_its_own = line.time <= begun || line.time >= over;
        if is_its_own && span >= WORTH { format!("{} s", elapsed(span)) } else { String::new() }
    }

    /// The next line, and what it makes of those before.
    fn row(&mut self, line: Line) -> (Row, Drawn) {
        let class = match line.stream {
            Stream::Out | Stream::Err if opens(&line) => "opened",
            Stream::Out => "out",
            Stream::Err => "err",
            Stream::Agent => "agent",
        };
        let mut drawn = self.drawn(&line);
        let row = Row {
            number: line.number,
            class,
            // of what is missing nobody knows when it came
            iso: if line.time.as_millis() == 0 { String::new() } else { Moment(line.time).iso() },
            when: self.when(line.time),
            here: self.here.is_some_and(|here| here.holds(line.number)),
            query: self.query.clone(),
            html: std::mem::take(&mut drawn.html),
            is_over: drawn.is_over,
            took: self.took(&line),
            cut: line.cut,
            raw: self.raw.clone(),
        };
        (row, drawn)
    }
}

/// What a later line makes of rows.
fn change(rows: &mut [Row], drawn: Drawn, mut changed: impl FnMut(&Row)) {
    let mut one = |number: u64, change: &mut dyn FnMut(&mut Row)| {
        // it is one of the last
        if let Some(row) = rows.iter_mut().rev().take(RECENT).find(|row| row.number == number) {
            change(row);
            changed(row);
        }
    };
    for (number, html) in drawn.changed {
        one(number, &mut |row| row.html.clone_from(&html));
    }
    drawn.erased.into_iter().for_each(|number| one(number, &mut |row| row.is_over = true));
}

/// When a job's process began and was over.
pub(super) fn process(job: &JobRow) -> Option<(Time, Time)> {
    let record = job.record.as_ref()?;
    Some((record.started.unwrap_or(record.ended), record.ended))
}

/// Whether a group begins with it.
fn opens(line: &Line) -> bool {
    matches!(fold::marks(&line.text).last(), Some(Mark::Begin { .. }))
}
