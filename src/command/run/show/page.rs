//! Standard output, with colours where somebody sees them.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

use anyhow::{Context as _, Result};

use crate::{command::lint, flow::Palette, model::Conclusion};

/// What tells the lines of two jobs apart; none of them is the colour of an end.
const COLOURS: [u8; 6] = [36, 35, 34, 96, 95, 94];

/// What is printed on.
pub(super) struct Page {
    palette: Palette,
    /// Each name's colour, by its first line.
    colours: BTreeMap<String, u8>,
}

impl Page {
    pub(super) fn new() -> Self {
        Self { palette: lint::palette(&io::stdout()), colours: BTreeMap::new() }
    }

    /// Prints all whole lines of a log, and keeps the rest.
    pub(super) fn lines(&mut self, name: &str, text: &mut Vec<u8>) -> Result<()> {
        let Some(end) = memchr::memrchr(b'\n', text) else { return Ok(()) };
        let rest = text.split_off(end + 1);
        let prefix = self.prefix(name);
        let mut out = io::stdout().lock();
        for line in text.split_inclusive(|&b| b == b'\n') {
            write!(out, "{prefix} | ").and_then(|()| out.write_all(line)).context(CLOSED)?;
        }
        *text = rest;
        out.flush().context(CLOSED)
    }

    /// Prints what is left of a log, which has ended.
    pub(super) fn last_line(&mut self, name: &str, text: &mut Vec<u8>) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        text.push(b'\n');
        self.lines(name, text)
    }

    /// One of our own lines about a job or an action.
    pub(super) fn note(&mut self, name: &str, mark: &str, words: &str) -> Result<()> {
        let line = format!("{} {mark} | {}", self.prefix(name), self.paint(2, words));
        say(&line)
    }

    /// How a job or an action ended.
    pub(super) fn end(&mut self, name: &str, conclusion: Conclusion, words: &str) -> Result<()> {
        let colour = colour(conclusion);
        let line =
            format!("{} {} | {}", self.prefix(name), self.paint(colour, mark(conclusion)), self.paint(colour, words));
        say(&line)
    }

    /// Rows of a conclusion, a name and words, below each other, after an empty line.
    pub(super) fn table(&self, rows: &[(Conclusion, String, String)]) -> Result<()> {
        let width = rows.iter().map(|(_, name, _)| name.chars().count()).max().unwrap_or_default();
        say("")?;
        for (conclusion, name, words) in rows {
            let painted = self.paint(colour(*conclusion), &format!("{} {name:width$}", mark(*conclusion)));
            say(&format!("{painted}  {words}"))?;
        }
        Ok(())
    }

    /// A line of its own.
    pub(super) fn plain(&self, line: &str, conclusion: Conclusion) -> Result<()> {
        say(&self.paint(colour(conclusion), line))
    }

    fn prefix(&mut self, name: &str) -> String {
        let next = COLOURS[self.colours.len() % COLOURS.len()];
        let colour = *self.colours.entry(name.to_owned()).or_insert(next);
        self.paint(colour, name)
    }

    fn paint(&self, colour: u8, text: &str) -> String {
        match self.palette {
            Palette::Ansi => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
            Palette::Plain => text.to_owned(),
        }
    }
}

const CLOSED: &str = "standard output is closed";

fn say(line: &str) -> Result<()> {
    writeln!(io::stdout(), "{line}").context(CLOSED)
}

/// One sign for an end.
pub(super) const fn mark(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Success => "✔",
        Conclusion::Warning => "!",
        Conclusion::Skipped | Conclusion::Cancelled => "–",
        Conclusion::Failure | Conclusion::TimedOut | Conclusion::Error => "✘",
    }
}

const fn colour(conclusion: Conclusion) -> u8 {
    match conclusion {
        Conclusion::Success => 32,
        Conclusion::Warning => 33,
        Conclusion::Skipped | Conclusion::Cancelled => 2,
        Conclusion::Failure | Conclusion::TimedOut | Conclusion::Error => 31,
    }
}
