//! A small terminal: rows of characters, and a cursor that goes back over the last of them. A progress bar that
//! overwrites itself is there as it ended, and so are several of them, one below the other. It has no width and no
//! height: no line is wrapped, and what asks for a row of the screen by its number stays where it is.

use std::{collections::VecDeque, sync::Arc};

use anstyle_parse::{Params, Parser, Perform, Utf8Parser};

use super::style::Style;

/// No line is wider, whatever it says about moving the cursor.
const WIDTH_MAX: usize = 10_000;
/// A row leads to no more places, and to none with a longer address.
const LINKS_MAX: usize = 100;
const LINK_MAX: usize = 2_000;
/// So many rows a cursor may go back: more than most terminals have.
pub(super) const ROWS: usize = 60;

/// One character.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) character: char,
    pub(super) style: Style,
    /// Which of the row's links it belongs to, counted from 1.
    pub(super) link: u8,
}

const BLANK: Cell = Cell { character: ' ', style: Style::PLAIN, link: 0 };

/// What stands beside each other.
#[derive(Debug)]
pub(super) struct Row {
    /// The line that came to it first.
    pub(super) line: u64,
    pub(super) cells: Vec<Cell>,
    /// Where its links lead.
    pub(super) links: Vec<Arc<str>>,
    /// A later line has changed it.
    changed: bool,
}

/// What a line has done besides what it wrote in a row of its own.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// It has no row: it wrote over those of earlier lines, or has erased its own.
    pub(super) is_over: bool,
    /// The lines in whose rows there is something else now.
    pub(super) changed: Vec<u64>,
    /// The lines whose rows it erased.
    pub(super) erased: Vec<u64>,
}

/// The last rows, and how what comes next will look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cursor {
    row: usize,
    column: usize,
}

#[derive(Debug, Default)]
pub(super) struct Screen {
    pub(super) style: Style,
    rows: VecDeque<Row>,
    cursor: Cursor,
    /// The line that is being written.
    line: u64,
    /// The link that is open.
    link: Option<Arc<str>>,
    erased: Vec<u64>,
}

impl Screen {
    /// One on which nothing stands.
    pub(super) fn new(style: Style) -> Self {
        Self { style, ..Self::default() }
    }

    /// What came before is out of reach.
    pub(super) fn forget(&mut self) {
        self.rows.clear();
        self.cursor = Cursor::default();
    }

    /// The next line. Bytes that are not UTF-8 become U+FFFD.
    pub(super) fn write(&mut self, line: u64, text: &[u8]) -> Done {
        self.begin(line, text.len());
        // a parser for each line, so that an escape sequence cut by its end cannot swallow the next
        let mut parser = Parser::<Utf8Parser>::new();
        for &byte in String::from_utf8_lossy(text).as_bytes() {
            parser.advance(self, byte);
        }
        let is_over = self.row(line).is_none();
        let changed = |row: &mut Row| (std::mem::take(&mut row.changed) && row.line != line).then_some(row.line);
        let changed = self.rows.iter_mut().filter_map(changed).collect();
        Done { is_over, changed, erased: std::mem::take(&mut self.erased) }
    }

    /// The row that this line came to first.
    pub(super) fn row(&mut self, line: u64) -> Option<&mut Row> {
        // it is one of the last, and mostly the last
        self.rows.iter_mut().rev().find(|row| row.line == line)
    }

    /// A newline: to the next row, which is a new one if there is none.
    fn begin(&mut self, line: u64, length: usize) {
        (self.line, self.link, self.cursor.column) = (line, None, 0);
        if self.cursor.row + 1 < self.rows.len() {
            self.cursor.row += 1;
            return;
        }
        if self.rows.len() >= ROWS {
            self.rows.pop_front();
        }
        let cells = Vec::with_capacity(length.min(WIDTH_MAX));
        self.rows.push_back(Row { line, cells, links: Vec::new(), changed: false });
        self.cursor.row = self.rows.len() - 1;
    }

    /// The row that the cursor is in, which will be another than it was.
    fn here(&mut self) -> Option<&mut Row> {
        let row = self.rows.get_mut(self.cursor.row)?;
        row.changed = true;
        Some(row)
    }

    fn put(&mut self, character: char) {
        let (style, column, url) = (self.style, self.cursor.column, self.link.clone());
        let Some(row) = self.here().filter(|_| column < WIDTH_MAX) else { return };
        if row.cells.len() <= column {
            row.cells.resize(column + 1, BLANK);
        }
        let link = url.map_or(0, |url| row.link(url));
        row.cells[column] = Cell { character, style, link };
        self.cursor.column += 1;
    }

    /// Of the row that the cursor is in.
    fn erase(&mut self, what: u16) {
        let column = self.cursor.column;
        let Some(row) = self.here() else { return };
        match what {
            0 => row.cells.truncate(column),
            1 => {
                let end = column.min(row.cells.len());
                row.cells[..end].fill(BLANK);
            }
            2 => row.cells.clear(),
            _ => {}
        }
    }

    /// All that is below the cursor. A log loses nothing of what is above it, whatever a screen would.
    fn erase_below(&mut self) {
        self.erase(0);
        let below = self.rows.drain((self.cursor.row + 1).min(self.rows.len())..);
        self.erased.extend(below.map(|row| row.line).filter(|line| *line != self.line));
    }

    /// So many characters, without a move of what is behind them.
    fn blank(&mut self, count: usize) {
        let column = self.cursor.column;
        let Some(row) = self.here() else { return };
        let end = (column + count).min(row.cells.len());
        if let Some(cells) = row.cells.get_mut(column..end) {
            cells.fill(BLANK);
        }
    }

    fn delete(&mut self, count: usize) {
        let column = self.cursor.column;
        let Some(row) = self.here() else { return };
        let end = (column + count).min(row.cells.len());
        if column < end {
            row.cells.drain(column..end);
        }
    }

    fn up(&mut self, count: usize) {
        self.cursor.row = self.cursor.row.saturating_sub(count);
    }

    fn down(&mut self, count: usize) {
        self.cursor.row = (self.cursor.row + count).min(self.rows.len().saturating_sub(1));
    }

    fn to_column(&mut self, column: usize) {
        self.cursor.column = column.min(WIDTH_MAX);
    }
}

impl Row {
    /// The number that its cells know this place by; of the last few places only. `0`: by none.
    fn link(&mut self, url: Arc<str>) -> u8 {
        if !self.links.last().is_some_and(|last| Arc::ptr_eq(last, &url)) {
            if self.links.len() >= LINKS_MAX {
                return 0;
            }
            self.links.push(url);
        }
        u8::try_from(self.links.len()).unwrap_or(0)
    }
}

impl Perform for Screen {
    fn print(&mut self, character: char) {
        self.put(character);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\r' => self.cursor.column = 0,
            0x08 => self.cursor.column = self.cursor.column.saturating_sub(1),
            b'\t' => self.put('\t'),
            // bells and the fillers of old teletypes say nothing
            0x07 | 0x00 => {}
            _ => self.put(char::from(byte)),
        }
    }

    /// `OSC 8 ; parameters ; URL`. Only what a browser may be led to.
    fn osc_dispatch(&mut self, params: &[&[u8]], _bell_terminated: bool) {
        if let [b"8", _, url @ ..] = params {
            // a URL may hold semicolons, at which the parser has cut it
            let url = url.join(&b';');
            self.link = std::str::from_utf8(&url).ok().filter(|url| is_link(url)).map(Arc::from);
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
            b'A' => self.up(count),
            b'B' => self.down(count),
            b'C' => self.to_column(self.cursor.column + count),
            b'D' => self.cursor.column = self.cursor.column.saturating_sub(count),
            b'E' => {
                self.down(count);
                self.cursor.column = 0;
            }
            b'F' => {
                self.up(count);
                self.cursor.column = 0;
            }
            b'G' => self.to_column(count - 1),
            b'J' if first == 0 => self.erase_below(),
            b'K' => self.erase(first),
            b'P' => self.delete(count),
            b'X' => self.blank(count),
            _ => {}
        }
    }
}

/// Whether a browser may be led there: an address of the web, without anything in it that is not seen.
fn is_link(url: &str) -> bool {
    let scheme = url.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
        || url.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://"));
    scheme && url.len() <= LINK_MAX && url.bytes().all(|byte| byte.is_ascii_graphic())
}
