//! One line of a terminal's output as HTML. A small terminal of one line: it has characters and a cursor, so a
//! progress bar that overwrites itself is shown as it ended. Colours and marks become classes; every other escape
//! sequence is dropped. Nothing of the line reaches the page unescaped, and no tag stays open.

use std::fmt::Write as _;

use anstyle_parse::{Params, Parser, Perform, Utf8Parser};

use super::style::Style;

/// No line is wider, whatever it says about moving the cursor.
const WIDTH_MAX: usize = 10_000;

/// Renders line after line; the style lives on from one to the next, as in a terminal.
#[derive(Debug, Clone, Default)]
pub struct Renderer {
    style: Style,
}

impl Renderer {
    /// The line as HTML: text and balanced `<span>`s. Bytes that are not UTF-8 become U+FFFD.
    pub fn line(&mut self, line: &[u8]) -> String {
        let mut screen = Screen { style: self.style, cells: Vec::with_capacity(line.len().min(WIDTH_MAX)), cursor: 0 };
        // a parser for each line, so that an escape sequence cut by its end cannot swallow the next
        let mut parser = Parser::<Utf8Parser>::new();
        for &byte in String::from_utf8_lossy(line).as_bytes() {
            parser.advance(&mut screen, byte);
        }
        self.style = screen.style;
        html(&screen.cells)
    }
}

/// The line without escape sequences and overwritten text.
pub fn plain(line: &[u8]) -> String {
    let mut screen = Screen { style: Style::default(), cells: Vec::new(), cursor: 0 };
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
}

struct Screen {
    style: Style,
    cells: Vec<Cell>,
    cursor: usize,
}

impl Screen {
    fn put(&mut self, character: char) {
        if self.cursor >= WIDTH_MAX {
            return;
        }
        let blank = Cell { character: ' ', style: Style::default() };
        if self.cells.len() <= self.cursor {
            self.cells.resize(self.cursor + 1, blank);
        }
        self.cells[self.cursor] = Cell { character, style: self.style };
        self.cursor += 1;
    }

    fn erase(&mut self, what: u16) {
        match what {
            0 => self.cells.truncate(self.cursor),
            1 => {
                let end = self.cursor.min(self.cells.len());
                self.cells[..end].fill(Cell { character: ' ', style: Style::default() });
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

fn html(cells: &[Cell]) -> String {
    let mut html = String::with_capacity(cells.len() + 16);
    for run in cells.chunk_by(|a, b| a.style == b.style) {
        let classes = run[0].style.classes();
        if !classes.is_empty() {
            let _ = write!(html, "<span class=\"{classes}\">");
        }
        for cell in run {
            write_character(&mut html, cell.character);
        }
        if !classes.is_empty() {
            html.push_str("</span>");
        }
    }
    html
}

fn write_character(html: &mut String, character: char) {
    match character {
        '&' => html.push_str("&amp;"),
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '"' => html.push_str("&quot;"),
        '\'' => html.push_str("&#39;"),
        '\t' => html.push('\t'),
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
