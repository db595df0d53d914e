//! States of commits as notes under `refs/notes/containerops`, one line for each context:
//!
//! ```text
//! success  containerops/ci/push  4 jobs in 12 s  http://127.0.0.1:8080/git/demo/runs/1
//! ```
//!
//! Columns are separated by two blanks, lines are sorted by context, and lines that someone else has written stay.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{away, failed, refused};
use crate::{
    forge::{ForgeError, GitCommand, GitCommandError, Shown, Wanted},
    model::{Context, Sha},
};

const NOTES: &str = "refs/notes/containerops";
/// What separates columns.
const BETWEEN: &str = "  ";
/// The most that is read of a note, and so the most that one may grow to.
const NOTE_MOST: usize = 1 << 20;
/// Together they may be as long as so many: where they are longer, each commit is asked for by itself.
const LOT_NOTES: usize = 16;
/// The most folders that a note may lie in: there is another one for each 256 times as many notes.
const DEPTH: usize = 3;
/// How often it is tried when another process writes notes at the same time.
const TRIES: usize = 10;

/// A line of one context, as the note of a commit is to have it.
#[derive(Debug, Clone)]
pub(super) struct Line {
    sha: Sha,
    context: Context,
    text: String,
}

impl Line {
    pub(super) fn of(wanted: &Wanted<'_>) -> Self {
        let text = columns(wanted).into_iter().filter(|column| !column.is_empty()).collect::<Vec<_>>().join(BETWEEN);
        Self { sha: wanted.sha.clone(), context: wanted.context.clone(), text }
    }
}

/// Sets these lines, by one commit. Nothing is written of what is there already.
pub(super) async fn write(directory: &Path, lines: &[Line]) -> Result<(), ForgeError> {
    let shas: BTreeSet<&Sha> = lines.iter().map(|line| &line.sha).collect();
    for _ in 0..TRIES {
        let Notes { tip, notes: old } = read(directory, &shas).await?;
        let mut new = old.clone();
        for Line { sha, context, text } in lines {
            let note = new.entry(sha.clone()).or_default();
            note.text = with_line(&note.text, context, text);
        }
        new.retain(|sha, note| old.get(sha) != Some(note));
        if new.is_empty() || replace(directory, tip.as_ref(), &new).await? == Replaced::Yes {
            return Ok(());
        }
    }
    Err(away(format!("other processes keep writing {NOTES} in {}", directory.display())))
}

/// What the note says of each context.
pub(super) async fn shown(directory: &Path, sha: &Sha) -> Result<Vec<Shown>, ForgeError> {
    let found = read(directory, &BTreeSet::from([sha])).await?;
    Ok(found.notes.values().flat_map(|note| note.text.lines()).filter_map(parse).collect())
}

/// What the note would say.
pub(super) fn expected(wanted: &Wanted<'_>) -> Shown {
    let [state, context, title, url] = columns(wanted);
    let title = [title, url].into_iter().filter(|column| !column.is_empty()).collect::<Vec<_>>().join(BETWEEN);
    of_line(state, Context(context), title)
}

/// A line that has a state and a context at least. A column that is empty was left out, so what is behind those two
/// is not taken apart.
fn parse(line: &str) -> Option<Shown> {
    let mut columns = line.splitn(3, BETWEEN);
    let (state, context) = (columns.next()?.to_owned(), Context(columns.next()?.to_owned()));
    Some(of_line(state, context, columns.next().unwrap_or_default().to_owned()))
}

fn of_line(state: String, context: Context, title: String) -> Shown {
    let (url, external_id, summary) = (String::new(), String::new(), String::new());
    Shown { context, known: None, state, title, url, external_id, summary, annotations: 0 }
}

#[derive(PartialEq, Eq)]
enum Replaced {
    Yes,
    /// Another process has moved the ref since we looked.
    Overtaken,
}

/// The notes of some commits, and the commit that the notes' ref named before they were read.
struct Notes {
    tip: Option<Sha>,
    notes: BTreeMap<Sha, Note>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Note {
    text: String,
    /// Where it lies: whoever writes notes decides on folders by himself.
    places: Vec<String>,
}

/// Reads the notes of these commits, by one process: it is asked for each at all places where it may be.
async fn read(directory: &Path, shas: &BTreeSet<&Sha>) -> Result<Notes, ForgeError> {
    let asked = shas.iter().flat_map(|sha| places(sha)).map(|place| format!("{NOTES}:{place}\n"));
    let asked: String = std::iter::once(format!("{NOTES}\n")).chain(asked).collect();
    let batch = GitCommand::new("cat-file").git_dir(directory).arg("--batch").input(asked);
    let printed = batch.run(NOTE_MOST * (shas.len() + 1).min(LOT_NOTES)).await.map_err(failed)?;
    let mut objects = Objects(&printed);
    let tip = objects.next_object()?.map(|(name, _)| name.parse());
    let tip = tip.transpose().map_err(|error| refused(format!("{NOTES}: {error}")))?;
    let mut notes = BTreeMap::new();
    for sha in shas {
        for place in places(sha) {
            if let Some((_, text)) = objects.next_object()? {
                let note: &mut Note = notes.entry((*sha).clone()).or_default();
                note.text.push_str(&String::from_utf8_lossy(text));
                note.places.push(place);
            }
        }
    }
    Ok(Notes { tip, notes })
}

/// Where git keeps the note of a commit: the more notes there are, the deeper.
fn places(sha: &Sha) -> impl Iterator<Item = String> {
    let sha = sha.as_str().to_owned();
    (0..=DEPTH).map(move |depth| {
        let folders: Vec<&str> = (0..depth).filter_map(|at| sha.get(2 * at..2 * at + 2)).collect();
        [folders.as_slice(), &[sha.get(2 * depth..).unwrap_or_default()]].concat().join("/")
    })
}

/// What `git cat-file --batch` prints: each object's name, type and size in a line, then itself; or that it is missing.
struct Objects<'p>(&'p [u8]);

impl<'p> Objects<'p> {
    /// The next one's name and content; `None`: there is no such object.
    fn next_object(&mut self) -> Result<Option<(&'p str, &'p [u8])>, ForgeError> {
        let strange = || refused("git cat-file --batch prints something unknown".to_owned());
        let end = memchr::memchr(b'\n', self.0).ok_or_else(strange)?;
        let head = std::str::from_utf8(&self.0[..end]).map_err(|_| strange())?;
        let rest = &self.0[end + 1..];
        if head.ends_with(" missing") {
            self.0 = rest;
            return Ok(None);
        }
        let (name, size) =
            head.split_once(' ').zip(head.rsplit_once(' ')).map(|(a, b)| (a.0, b.1)).ok_or_else(strange)?;
        let size: usize = size.parse().map_err(|_| strange())?;
        let object = rest.get(..size).ok_or_else(strange)?;
        self.0 = rest.get(size + 1..).ok_or_else(strange)?;
        Ok(Some((name, object)))
    }
}

/// Commits notes on top of `tip`, if that is still the ref's commit.
///
/// `git fast-import` is used, because `git notes` moves the ref without asking what it was before: of two processes
/// that write at once, one would undo the other's note.
async fn replace(directory: &Path, tip: Option<&Sha>, notes: &BTreeMap<Sha, Note>) -> Result<Replaced, ForgeError> {
    let from = tip.map(|tip| format!("from {tip}\n")).unwrap_or_default();
    let message = "Notes by ContainerOps\n";
    let notes = notes.iter().map(|(sha, Note { text, places })| {
        let gone: String = places.iter().map(|place| format!("D {place}\n")).collect();
        format!("{gone}N inline {sha}\ndata {}\n{text}\n", text.len())
    });
    let notes: String = notes.collect();
    let stream = format!(
        "feature done\ncommit {NOTES}\ncommitter ContainerOps <containerops@localhost> now\ndata {}\n{message}\n{from}\
         {notes}done\n",
        message.len(),
    );
    let import = GitCommand::new("fast-import").git_dir(directory).args(["--quiet", "--date-format=now"]);
    match import.input(stream).run(NOTE_MOST).await {
        Ok(_) => Ok(Replaced::Yes),
        Err(GitCommandError::Failed { stderr, .. }) if overtaken(&stderr) => Ok(Replaced::Overtaken),
        Err(error) => Err(failed(error)),
    }
}

/// Whether git says that the ref is locked, or is not where it was.
fn overtaken(stderr: &str) -> bool {
    ["Not updating", "cannot lock ref", "Unable to create"].iter().any(|words| stderr.contains(words))
}

/// The note with the line of this context, and no other of it.
fn with_line(note: &str, context: &Context, line: &str) -> String {
    let context_of = |line: &str| line.split(BETWEEN).nth(1).unwrap_or_default().to_owned();
    let mut lines: Vec<&str> = note.lines().filter(|line| context_of(line) != context.0).collect();
    lines.push(line);
    lines.sort_by_key(|line| context_of(line));
    lines.join("\n") + "\n"
}

/// State, context, title and URL.
fn columns(wanted: &Wanted<'_>) -> [String; 4] {
    let state = wanted.report.progress.to_string();
    [&state, &wanted.context.0, &wanted.report.title, &wanted.report.url].map(|text| column(text))
}

/// A text without what separates columns and lines, and without what a terminal would obey.
fn column(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_replaces_only_the_one_of_its_context() {
        let note = "seen by Ada\nrunning  b  1 job\nsuccess  a\n";
        let new = with_line(note, &Context("b".to_owned()), "success  b  2 jobs");
        assert_eq!(new, "seen by Ada\nsuccess  a\nsuccess  b  2 jobs\n");
        assert_eq!(with_line(&new, &Context("b".to_owned()), "success  b  2 jobs"), new);
    }

    #[test]
    fn a_column_holds_no_separator() {
        assert_eq!(column(" one\x1b[0m  two\nthree "), "one [0m two three");
    }
}
