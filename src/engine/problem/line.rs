//! Tools that say all in one line.

use super::{
    pattern::{Pattern, group, number},
    remark::Remark,
};
use crate::model::Level;

/// `main.c:3:5: …`, `Main.java:3: …`, `a.ts:3:5 - …`; Go's vet says its name before.
static LOCATED: Pattern = Pattern::new(r"^(?:vet: )?\s*([^:\s][^:]*):(\d{1,7})(?::(\d{1,7}))?(?::\s+| - )(.+)$");
/// GCC, Clang, javac, rustc in short, tsc for people, mypy, shellcheck, yamllint.
static WORD: Pattern = Pattern::new(
    r"^\[?(fatal error|error|Error|ERROR|warning|Warning|WARNING)(?:\]|(?:\[([\w:-]+)\])?(?: ([A-Z]{1,4}\d+))?:) (.+)$",
);
/// ESLint's format `unix`.
static UNIX: Pattern = Pattern::new(r"^(.+) \[(Error|Warning)(?:/(.+))?\]$");
/// ESLint's format `compact`.
static COMPACT: Pattern =
    Pattern::new(r"^([^:]+): line (\d{1,7}), col (\d{1,7}), (Error|Warning) - (.+?)(?: \(([\w/@-]+)\))?$");
/// Flake8, Ruff, Pylint.
static CODE: Pattern = Pattern::new(r"^([A-Z]{1,4})(\d{2,5}):? (.+)$");
/// tsc for programs, MSBuild.
static PARENTHESES: Pattern =
    Pattern::new(r"^\s*([^\s(][^(]*)\((\d{1,7}),(\d{1,7})\)\s?: (error|warning) ([A-Z]{1,8}\d+): (.+)$");
/// Maven's compiler.
static MAVEN: Pattern = Pattern::new(r"^\[(ERROR|WARNING)\] (\S.*\.\w+):\[(\d{1,7})(?:,(\d{1,7}))?\] (.+)$");
/// A line of ESLint's for people; its file is named above.
static ROW: Pattern = Pattern::new(r"^\s+(\d{1,7}):(\d{1,7})\s+(error|warning)\s+(\S.*?)(?:\s{2,}(\S+))?$");

/// What a line says by itself.
pub(super) fn read(line: &str) -> Option<Remark> {
    located(line).or_else(|| parentheses(line)).or_else(|| maven(line)).or_else(|| compact(line))
}

/// What a row below a file's name says of it.
pub(super) fn row(line: &str, file: &str) -> Option<Remark> {
    let found = ROW.read(line)?;
    let remark = Remark::new(file, number(&found, 1), number(&found, 2), level(group(&found, 3)), group(&found, 4));
    Some(remark.titled(group(&found, 5)))
}

/// Whether a line is a row.
pub(super) fn is_row(line: &str) -> bool {
    ROW.is(line)
}

/// Whether a line may be the name of a file and nothing else.
pub(super) fn is_file(line: &str) -> bool {
    let name = line.rsplit('/').next().unwrap_or(line);
    !line.starts_with(char::is_whitespace) && name.contains('.') && !line.ends_with(['.', ':']) && !line.contains(": ")
}

fn located(line: &str) -> Option<Remark> {
    let found = LOCATED.read(line)?;
    let (path, rest) = (group(&found, 1), group(&found, 4));
    if !is_a_files_name(path) {
        return None;
    }
    let (level, title, message) = worded(rest)
        .or_else(|| unix(rest))
        .or_else(|| coded(path, rest))
        .or_else(|| gos(path, number(&found, 3), rest))?;
    let remark = Remark::new(path, number(&found, 2), number(&found, 3), level, message);
    Some(remark.titled(&title))
}

/// What stands before a colon and a number may be a time, or a host.
fn is_a_files_name(path: &str) -> bool {
    let is_number = path.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | ' ' | 'T'));
    !is_number && !path.starts_with(['[', '(', '{', '<']) && path.contains(['.', '/'])
}

fn worded(rest: &str) -> Option<(Level, String, &str)> {
    let found = WORD.read(rest)?;
    let (word, message) = (group(&found, 1), found.get(4)?.as_str());
    let code = [group(&found, 2), group(&found, 3)].concat();
    Some((level(word), code, message))
}

fn unix(rest: &str) -> Option<(Level, String, &str)> {
    let found = UNIX.read(rest)?;
    Some((level(group(&found, 2)), group(&found, 3).to_owned(), found.get(1)?.as_str()))
}

fn coded<'a>(path: &str, rest: &'a str) -> Option<(Level, String, &'a str)> {
    if !path.ends_with(".py") && !path.ends_with(".pyi") {
        return None;
    }
    let found = CODE.read(rest)?;
    let code = format!("{}{}", group(&found, 1), group(&found, 2));
    Some((Level::Warning, code, found.get(3)?.as_str()))
}

/// The Go tools have no word for what is wrong: they say nothing else.
fn gos<'a>(path: &str, column: usize, rest: &'a str) -> Option<(Level, String, &'a str)> {
    let is_its = path.ends_with(".go") && column > 0 && !rest.starts_with("note: ");
    is_its.then(|| (Level::Error, String::new(), rest))
}

fn parentheses(line: &str) -> Option<Remark> {
    let found = PARENTHESES.read(line)?;
    let place = (group(&found, 1), number(&found, 2), number(&found, 3));
    let remark = Remark::new(place.0, place.1, place.2, level(group(&found, 4)), group(&found, 6));
    Some(remark.titled(group(&found, 5)))
}

fn maven(line: &str) -> Option<Remark> {
    let found = MAVEN.read(line)?;
    let (level, message) = (level(group(&found, 1)), group(&found, 5));
    Some(Remark::new(group(&found, 2), number(&found, 3), number(&found, 4), level, message))
}

fn compact(line: &str) -> Option<Remark> {
    let found = COMPACT.read(line)?;
    let (level, message) = (level(group(&found, 4)), group(&found, 5));
    let remark = Remark::new(group(&found, 1), number(&found, 2), number(&found, 3), level, message);
    Some(remark.titled(group(&found, 6)))
}

fn level(word: &str) -> Level {
    if word.eq_ignore_ascii_case("warning") { Level::Warning } else { Level::Error }
}
