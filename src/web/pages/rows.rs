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
    class: &'static str,
    iso: String,
    elapsed: String,
    html: String,
    cut: u64,
    raw: String,
}

/// Makes rows of lines.
pub(super) struct Rows {
    pub(super) renderer: Renderer,
    pub(super) started: Option<Time>,
    pub(super) raw: String,
}

/// A part of a log that is folded, as HTML.
#[derive(Template)]
#[template(path = "fold.html")]
struct FoldRow {
    first: u64,
    last: u64,
    iso: String,
    elapsed: String,
    url: String,
    html: String,
    size: String,
    took: String,
}

impl Rows {
    /// What stands on the page for a part.
    pub(super) fn of(&mut self, (shown, window): (Shown, Window), url: &str) -> Vec<String> {
        match shown {
            Shown::Lines(_) => window.lines.into_iter().map(|line| self.row(line).to_string()).collect(),
            Shown::Folded(fold) => vec![self.fold(&fold, url).to_string()],
        }
    }

    fn fold(&mut self, fold: &Fold, url: &str) -> FoldRow {
        FoldRow {
            first: fold.first,
            last: fold.last,
            iso: Moment(fold.from).iso(),
            elapsed: self.started.map_or_else(String::new, |started| elapsed(fold.from.since(started))),
            url: url.to_owned(),
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
            iso: Moment(line.time).iso(),
            elapsed: self.started.map_or_else(String::new, |started| elapsed(line.time.since(started))),
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
