//! The rows of a log's page: lines, and parts that are folded.

use askama::Template;

use super::{Failure, elapsed, mark::Moment};
use crate::{
    agent::protocol::Stream,
    engine::fold::{self, Mark},
    model::{Counted, Fold, JobId, Time},
    web::{
        Web,
        log::{
            ansi::Renderer,
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
    cut: u64,
    raw: String,
}

/// Makes rows of lines.
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
            Shown::Lines(_) => window.lines.into_iter().map(|line| self.row(line).to_string()).collect(),
            Shown::Folded(fold) => vec![self.fold(&fold).to_string()],
        }
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
    fn html(&mut self, line: &Line) -> String {
        match fold::marks(&line.text).into_iter().next_back() {
            Some(Mark::Begin { title, .. }) => self.renderer.line(title.as_bytes()),
            Some(Mark::End { .. }) | None => self.renderer.line(&line.text),
        }
    }

    /// The next line.
    pub(super) fn row(&mut self, line: Line) -> Row {
        let class = match line.stream {
            Stream::Out | Stream::Err if opens(&line) => "opened",
            Stream::Out => "out",
            Stream::Err => "err",
            Stream::Agent => "agent",
        };
        Row {
            number: line.number,
            class,
            // of what is missing nobody knows when it came
            iso: if line.time.as_millis() == 0 { String::new() } else { Moment(line.time).iso() },
            when: self.when(line.time),
            here: self.here.is_some_and(|here| here.holds(line.number)),
            query: self.query.clone(),
            html: self.html(&line),
            cut: line.cut,
            raw: self.raw.clone(),
        }
    }
}

/// Whether a group begins with it.
fn opens(line: &Line) -> bool {
    matches!(fold::marks(&line.text).last(), Some(Mark::Begin { .. }))
}
