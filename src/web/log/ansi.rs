//! One line of a terminal's output as HTML. A small terminal of one line: it has characters and a cursor, so a
//! progress bar that overwrites itself is shown as it ended. Colours and marks become classes; every other escape
//! sequence is dropped. Nothing of the line reaches the page unescaped, and no tag stays open.

use std::fmt::Write as _;

use anstyle_parse::{Params, Parser, Perform, Utf8Parser};

use super::{search::Pattern, style::Style};

/// No line is wider, whatever it says about moving the cursor.
const WIDTH_MAX: usize = 10_000;
/// A line leads to no more places, and to none with a longer address.
const LINKS_MAX: usize = 100;
const LINK_MAX: usize = 2_000;

/// Renders line after line; the style lives on from one to the next, as in a terminal.
#[derive(Debug, Clone, Default)]
pub struct Renderer {
    style: Style,
    marks: Option<Pattern>,
}

impl Renderer {
    /// One that marks in every line what is looked for.
    pub fn marking(marks: Option<Pattern>) -> Self {
        Self { marks, ..Self::default() }
    }

    /// The line as HTML: text and balanced `<span>`s. Bytes that are not UTF-8 become U+FFFD.
    pub fn line(&mut self, line: &[u8]) -> String {
        let mut screen = Screen::new(self.style, line.len().min(WIDTH_MAX));
        // a parser for each line, so that an escape sequence cut by its end cannot swallow the next
        let mut parser = Parser::<Utf8Parser>::new();
        for &byte in String::from_utf8_lossy(line).as_bytes() {
            parser.advance(&mut screen, byte);
        }
        self.style = screen.style;
        if let Some(pattern) = &self.marks {
            mark(&mut screen.cells, pattern);
        }
        html(&screen)
    }
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
    let mut screen = Screen::new(Style::PLAIN, 0);
    let mut parser = Parser::<Utf8Parser>::new();
    for &byte in String::from_utf8_lossy(line).as_bytes() {
        parser.advance(&mut screen, byte);
    }
    screen.cells.iter().map(|cell| cell.character).collect()
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

#[derive(Debug, Clone, Copy)]
struct Cell {
    character: char,
    style: Style,
    /// Which of the line's links it belongs to, counted from 1.
    link: usize,
}

const BLANK: Cell = Cell { character: ' ', style: Style::PLAIN, link: 0 };

struct Screen {
    style: Style,
    cells: Vec<Cell>,
    cursor: usize,
    /// Where the line's links lead.
    links: Vec<String>,
    /// The one that is open, counted from 1.
    link: usize,
}

impl Screen {
    fn new(style: Style, width: usize) -> Self {
        Self { style, cells: Vec::with_capacity(width), cursor: 0, links: Vec::new(), link: 0 }
    }

    /// `OSC 8 ; parameters ; URL`. Only what a browser may be led to, and no more of it than a line has use for.
    fn open_link(&mut self, url: &[u8]) {
        let url = std::str::from_utf8(url).ok().filter(|url| is_link(url) && self.links.len() < LINKS_MAX);
        self.link = url.map_or(0, |url| {
            self.links.push(url.to_owned());
            self.links.len()
        });
    }

    fn put(&mut self, character: char) {
        if self.cursor >= WIDTH_MAX {
            return;
        }
        if self.cells.len() <= self.cursor {
            self.cells.resize(self.cursor + 1, BLANK);
        }
        self.cells[self.cursor] = Cell { character, style: self.style, link: self.link };
        self.cursor += 1;
    }

    fn erase(&mut self, what: u16) {
        match what {
            0 => self.cells.truncate(self.cursor),
            1 => {
                let end = self.cursor.min(self.cells.len());
                self.cells[..end].fill(BLANK);
            }
            2 => self.cells.clear(),
            _ => {}
        }
    }

    fn move_to(&mut self, column: usize) {
        self.cursor = column.min(WIDTH_MAX);
    }
}

impl Perform for Screen {
    fn print(&mut self, character: char) {
        self.put(character);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\r' => self.cursor = 0,
            0x08 => self.cursor = self.cursor.saturating_sub(1),
            b'\t' => self.put('\t'),
            // bells and the fillers of old teletypes say nothing
            0x07 | 0x00 => {}
            _ => self.put(char::from(byte)),
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _bell_terminated: bool) {
        if let [b"8", _, url @ ..] = params {
            // a URL may hold semicolons, at which the parser has cut it
            self.open_link(&url.join(&b';'));
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: u8) {
        if !intermediates.is_empty() {
            return;
        }
        let first = params.iter().next().and_then(|group| group.first().copied()).unwrap_or(0);
        let count = usize::from(first.max(1));
        match action {
            b'm' if params.is_empty() => self.style = Style::default(),
            b'm' => self.style.select(params),
            b'K' => self.erase(first),
            b'G' => self.move_to(count - 1),
            b'C' => self.move_to(self.cursor + count),
            b'D' => self.cursor = self.cursor.saturating_sub(count),
            _ => {}
        }
    }
}

fn html(screen: &Screen) -> String {
    let mut html = String::with_capacity(screen.cells.len() + 16);
    for linked in screen.cells.chunk_by(|a, b| a.link == b.link) {
        let url = linked[0].link.checked_sub(1).and_then(|at| screen.links.get(at));
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

/// Whether a browser may be led there: an address of the web, without anything in it that is not seen.
fn is_link(url: &str) -> bool {
    let scheme = url.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
        || url.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://"));
    scheme && url.len() <= LINK_MAX && url.bytes().all(|byte| byte.is_ascii_graphic())
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
        '\u{200d}' if html.chars().next_back().is_some_and(|before| !before.is_ascii()) => html.push(character),
        c if is_hidden(c) => {
            // writing to a String cannot fail
            let _ = write!(html, "<span class=\"hidden\">U+{:04X}</span>", u32::from(c));
        }
        c => html.push(c),
    }
}

/// Characters that have no shape of their own but change what is around them: control characters, and those that
/// turn or join text so that it reads other than it is.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{61c}' | '\u{feff}' | '\u{2028}' | '\u{2029}')
}
