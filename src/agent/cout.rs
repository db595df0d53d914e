//! Finds outputs: in the lines a job writes (`[COUT] KEY = VALUE`) and in its `CO_OUTPUT` file. Pure, and made for
//! hostile input: any bytes, cut anywhere, within fixed bounds.

use std::collections::{BTreeMap, BTreeSet};

use super::protocol::{OUTPUT_VALUE_MAX, OUTPUTS_MAX};

/// The key whose value is the job's own opinion of how it went.
pub const RESULT: &str = "CO_RESULT";
/// The most bytes of a `CO_OUTPUT` file that are read.
pub const FILE_MAX: usize = 2 * OUTPUTS_MAX;

const MARK: &[u8] = b"[COUT]";
/// Outputs that are written with a blank instead of `=`.
const CONTENTS: [&str; 3] = ["CO_JSON_CONTENT", "CO_YAML_CONTENT", "CO_XML_CONTENT"];
/// A line longer than this holds no value that we would keep; the rest is for the key, blanks and colours.
const LINE_MAX: usize = OUTPUT_VALUE_MAX + 4096;
/// The most characters of `CO_RESULT` in the end record.
const RESULT_MAX: usize = 200;

/// What was found so far.
#[derive(Debug, Default)]
pub struct Finder {
    /// `None`: whatever is found.
    wanted: Option<BTreeSet<String>>,
    found: BTreeMap<String, String>,
    size: usize,
    result: Option<String>,
    dropped: Vec<String>,
}

/// One stream's unfinished line, so that it does not matter how the stream is cut into reads.
#[derive(Debug, Default)]
pub struct Unfinished {
    line: Vec<u8>,
    overlong: bool,
}

impl Finder {
    /// Keeps these keys, and looks for [`RESULT`] in any case.
    pub fn new(wanted: impl IntoIterator<Item = String>) -> Self {
        Self { wanted: Some(wanted.into_iter().collect()), ..Self::default() }
    }

    /// Keeps whatever key there is.
    pub fn of_all() -> Self {
        Self::default()
    }

    /// Looks through the next bytes of a stream; `unfinished` is that stream's own.
    pub fn read(&mut self, unfinished: &mut Unfinished, bytes: &[u8]) {
        let Some(last) = memchr::memrchr(b'\n', bytes) else { return unfinished.add(bytes) };
        let (lines, rest) = bytes.split_at(last + 1);
        let lines = self.finish(unfinished, lines);
        self.read_lines(lines);
        unfinished.add(rest);
    }

    /// The stream is over: its last line may lack a newline.
    pub fn end(&mut self, unfinished: &mut Unfinished) {
        self.finish(unfinished, b"\n");
    }

    /// Reads a `CO_OUTPUT` file: `KEY=VALUE`, or `KEY<<END`, lines, `END`.
    pub fn read_file(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let equals = line.find('=').unwrap_or(line.len());
            match line[..equals].split_once("<<").map(|(key, _)| (key, line[key.len() + 2..].trim())) {
                Some((key, end)) if !end.is_empty() => match until(&mut lines, end) {
                    Some(value) => self.keep(key.trim(), &value),
                    None => self.dropped.push(format!("output `{}`: there is no `{end}` after it", short(key))),
                },
                Some(_) | None => {
                    if let Some((key, value)) = line.split_once('=') {
                        self.keep(key.trim(), value.trim());
                    }
                }
            }
        }
    }

    /// What [`RESULT`] said: the last one, or the first that was not `true`. Cut at 200 characters.
    pub fn result(&self) -> Option<&str> {
        self.result.as_deref()
    }

    /// Sentences about what was not kept, since the last call.
    pub fn take_dropped(&mut self) -> Vec<String> {
        std::mem::take(&mut self.dropped)
    }

    /// The outputs that were asked for.
    pub fn into_outputs(self) -> BTreeMap<String, String> {
        self.found
    }

    /// Completes an unfinished line with its end in `lines`, and returns the lines after it.
    fn finish<'a>(&mut self, unfinished: &mut Unfinished, lines: &'a [u8]) -> &'a [u8] {
        if unfinished.line.is_empty() && !unfinished.overlong {
            return lines;
        }
        let first = memchr::memchr(b'\n', lines).map_or(lines.len(), |newline| newline + 1);
        let (end, others) = lines.split_at(first);
        unfinished.add(end);
        let Unfinished { line, overlong } = std::mem::take(unfinished);
        match overlong {
            true => self.drop_overlong(&line),
            false => self.read_lines(&line),
        }
        others
    }

    fn read_lines(&mut self, lines: &[u8]) {
        let mut from = 0;
        while let Some(at) = memchr::memmem::find(&lines[from..], MARK).map(|at| from + at) {
            let begin = memchr::memrchr(b'\n', &lines[..at]).map_or(0, |newline| newline + 1);
            let end = memchr::memchr(b'\n', &lines[at..]).map_or(lines.len(), |newline| at + newline);
            match end - begin > LINE_MAX {
                true => self.drop_overlong(&lines[begin..end]),
                false => self.read_line(&lines[begin..end]),
            }
            from = end;
        }
    }

    fn read_line(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let Some(text) = trim_start(&line).strip_prefix("[COUT]").map(trim) else { return };
        let Some((key, value)) = content(text).or_else(|| text.split_once('=')) else { return };
        self.keep(trim(key), trim(value));
    }

    fn drop_overlong(&mut self, line: &[u8]) {
        let beginning = String::from_utf8_lossy(&line[..line.len().min(256)]);
        if let Some(text) = trim_start(&beginning).strip_prefix("[COUT]") {
            self.dropped.push(too_long(trim(text).split(['=', ' ']).next().unwrap_or_default()));
        }
    }

    fn keep(&mut self, key: &str, value: &str) {
        if key == RESULT {
            self.judge(value);
        }
        if self.wanted.as_ref().is_some_and(|wanted| !wanted.contains(key)) {
            return;
        }
        let before = self.found.get(key).map_or(0, |old| key.len() + old.len());
        let size = self.size - before + key.len() + value.len();
        if value.len() > OUTPUT_VALUE_MAX {
            self.dropped.push(too_long(key));
        } else if size > OUTPUTS_MAX {
            let reason = format!("output `{}` was dropped: all outputs of a job have at most 8 MiB", short(key));
            self.dropped.push(reason);
        } else {
            self.found.insert(key.to_owned(), value.to_owned());
            self.size = size;
        }
    }

    fn judge(&mut self, value: &str) {
        let sticks = self.result.as_ref().is_some_and(|result| !result.eq_ignore_ascii_case("true"));
        if !sticks {
            self.result = Some(value.chars().take(RESULT_MAX).collect());
        }
    }
}

impl Unfinished {
    fn add(&mut self, bytes: &[u8]) {
        let room = LINE_MAX.saturating_sub(self.line.len());
        // the newline itself does not count
        self.overlong |= bytes.strip_suffix(b"\n").unwrap_or(bytes).len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// `CO_JSON_CONTENT {…}`: the original's three reports, with a blank where others have `=`.
fn content(text: &str) -> Option<(&str, &str)> {
    let key = CONTENTS.into_iter().find(|key| text.starts_with(key))?;
    let rest = text[key.len()..].strip_prefix([' ', '\t'])?.trim_start();
    Some((key, rest.strip_prefix('=').unwrap_or(rest)))
}

/// The lines before one that is `end`.
fn until<'a>(lines: &mut impl Iterator<Item = &'a str>, end: &str) -> Option<String> {
    let mut value = Vec::new();
    for line in lines {
        if line.trim() == end {
            return Some(value.join("\n"));
        }
        value.push(line);
    }
    None
}

fn too_long(key: &str) -> String {
    format!("output `{}` was dropped: a value has at most 1 MiB", short(key))
}

fn short(key: &str) -> String {
    key.trim().chars().take(80).collect()
}

fn trim(text: &str) -> &str {
    trim_end(trim_start(text))
}

/// Without blanks and colours at its beginning.
fn trim_start(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        match text.strip_prefix("\x1b[").and_then(|rest| rest.trim_start_matches(is_parameter).strip_prefix('m')) {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}

/// Without blanks and colours at its end.
fn trim_end(mut text: &str) -> &str {
    loop {
        text = text.trim_end();
        match text.strip_suffix('m').and_then(|rest| rest.trim_end_matches(is_parameter).strip_suffix("\x1b[")) {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}

fn is_parameter(c: char) -> bool {
    c.is_ascii_digit() || c == ';'
}
