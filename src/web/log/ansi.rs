//! Lines of a terminal's output as HTML, as they stand there at the end. Colours and marks become classes; every escape
//! sequence that a [screen](super::screen) has no use for is dropped. Nothing of a line reaches the page unescaped, and no
//! tag stays open.

use std::fmt::Write as _;

use super::{
    screen::{Cell, Row, Screen},
    search::Pattern,
    style::Style,
};
use crate::web::visible::{is_hidden, is_joiner};

/// Renders line after line; the style lives on from one to the next, as in a terminal.
#[derive(Debug, Default)]
pub struct Renderer {
    screen: Screen,
    marks: Option<Pattern>,
}

/// What became of a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// The line, as HTML.
    pub html: String,
    /// A terminal would show it nowhere: it went back, and wrote over what was there. Its HTML is then what it wrote.
    pub is_over: bool,
    /// Earlier lines that look different now, and how.
    pub changed: Vec<(u64, String)>,
    /// Earlier lines that a terminal would not show any more.
    pub erased: Vec<u64>,
}

impl Renderer {
    /// One that marks in every line what is looked for.
    pub fn marking(marks: Option<Pattern>) -> Self {
        Self { marks, ..Self::default() }
    }

    /// The line as HTML, whatever stands before it: text and balanced `<span>`s.
    pub fn line(&mut self, line: &[u8]) -> String {
        self.forget();
        self.draw(0, line).html
    }

    /// The line of this number, which follows the last one.
    pub fn draw(&mut self, number: u64, line: &[u8]) -> Drawn {
        let style = self.screen.style;
        let done = self.screen.write(number, line);
        let own = if done.is_over {
            let mut alone = Screen::new(style);
            alone.write(number, line);
            shown(alone.row(number), self.marks.as_ref())
        } else {
            shown(self.screen.row(number), self.marks.as_ref())
        };
        let changed = done.changed.into_iter().map(|line| (line, shown(self.screen.row(line), self.marks.as_ref())));
        Drawn { html: own, is_over: done.is_over, changed: changed.collect(), erased: done.erased }
    }

    /// What comes next does not follow what came last: no cursor goes back there.
    pub fn forget(&mut self) {
        self.screen.forget();
    }
}

fn shown(row: Option<&mut Row>, marks: Option<&Pattern>) -> String {
    let Some(row) = row else { return String::new() };
    if let Some(pattern) = marks {
        mark(&mut row.cells, pattern);
    }
    html(row)
}

/// Marks the cells that a pattern is in.
fn mark(cells: &mut [Cell], pattern: &Pattern) {
    let text: String = cells.iter().map(|cell| cell.character).collect();
    let mut places = pattern.places(&text).into_iter().peekable();
    let mut at = 0;
    for cell in cells {
        while places.next_if(|place| place.end <= at).is_some() {}
        cell.style.found = places.peek().is_some_and(|place| place.contains(&at));
        at += cell.character.len_utf8();
    }
}

/// The line without escape sequences and overwritten text.
pub fn plain(line: &[u8]) -> String {
    let mut screen = Screen::new(Style::PLAIN);
    screen.write(0, line);
    screen.row(0).map(|row| row.cells.iter().map(|cell| cell.character).collect()).unwrap_or_default()
}

/// Text of several lines as HTML, character by character: for what no terminal has written.
pub fn block(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => html.push('\n'),
            other => write_character(&mut html, other),
        }
    }
    html
}

fn html(row: &Row) -> String {
    let mut html = String::with_capacity(row.cells.len() + 16);
    for linked in row.cells.chunk_by(|a, b| a.link == b.link) {
        let url = linked[0].link.checked_sub(1).and_then(|at| row.links.get(usize::from(at)));
        if let Some(url) = url {
            // writing to a String cannot fail
            let _ = write!(html, "<a rel=\"nofollow noopener noreferrer\" href=\"{}\">", block(url));
        }
        linked.chunk_by(|a, b| a.style == b.style).for_each(|run| write_run(&mut html, run));
        if url.is_some() {
            html.push_str("</a>");
        }
    }
    html
}

/// Characters of one look.
fn write_run(html: &mut String, run: &[Cell]) {
    let (found, classes) = (run[0].style.found, run[0].style.classes());
    let (mark, unmark) = if found { ("<mark>", "</mark>") } else { ("", "") };
    html.push_str(mark);
    if !classes.is_empty() {
        let _ = write!(html, "<span class=\"{classes}\">");
    }
    run.iter().for_each(|cell| write_character(html, cell.character));
    html.push_str(if classes.is_empty() { "" } else { "</span>" });
    html.push_str(unmark);
}

fn write_character(html: &mut String, character: char) {
    match character {
        '&' => html.push_str("&amp;"),
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '"' => html.push_str("&quot;"),
        '\'' => html.push_str("&#39;"),
        '\t' => html.push('\t'),
        // it makes one picture of several
        c if is_joiner(c) && html.chars().next_back().is_some_and(|before| !before.is_ascii()) => html.push(c),
        c if is_hidden(c) => {
            // writing to a String cannot fail
            let _ = write!(html, "<span class=\"hidden\">U+{:04X}</span>", u32::from(c));
        }
        c => html.push(c),
    }
}
