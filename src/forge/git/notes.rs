//! States of commits as notes under `refs/notes/containerops`, one line for each context:
//!
//! ```text
//! success  containerops/ci/push  4 jobs in 12 s  http://127.0.0.1:8080/git/demo/runs/1
//! ```
//!
//! Columns are separated by two blanks, lines are sorted by context, and lines that someone else has written stay.

use std::path::Path;

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
/// How often it is tried when another process writes notes at the same time.
const TRIES: usize = 10;

/// Sets the line of one context. Nothing is written if it is there already.
pub(super) async fn write(directory: &Path, wanted: &Wanted<'_>) -> Result<(), ForgeError> {
    let line = line(wanted);
    for _ in 0..TRIES {
        let tip = tip(directory).await?;
        let old = match &tip {
            Some(_) => read(directory, wanted.sha).await?,
            None => String::new(),
        };
        let new = with_line(&old, wanted.context, &line);
        if new == old || replace(directory, tip.as_ref(), wanted.sha, &new).await? == Replaced::Yes {
            return Ok(());
        }
    }
    Err(away(format!("other processes keep writing {NOTES} in {}", directory.display())))
}

/// What the note says of each context.
pub(super) async fn shown(directory: &Path, sha: &Sha) -> Result<Vec<Shown>, ForgeError> {
    let note = match tip(directory).await? {
        Some(_) => read(directory, sha).await?,
        None => String::new(),
    };
    Ok(note.lines().filter_map(parse).collect())
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

/// The commit that the notes' ref names.
async fn tip(directory: &Path) -> Result<Option<Sha>, ForgeError> {
    let list = GitCommand::new("for-each-ref").git_dir(directory).args(["--format=%(objectname)", NOTES]);
    let printed = list.run(NOTE_MOST).await.map_err(failed)?;
    match String::from_utf8_lossy(&printed).trim() {
        "" => Ok(None),
        sha => sha.parse().map(Some).map_err(|error| refused(format!("{NOTES}: {error}"))),
    }
}

/// The note of a commit; empty if it has none.
async fn read(directory: &Path, sha: &Sha) -> Result<String, ForgeError> {
    let list = GitCommand::new("notes").git_dir(directory).args(["--ref", NOTES, "list", sha.as_str()]);
    match list.run(NOTE_MOST).await {
        Err(GitCommandError::Failed { stderr, .. }) if stderr.contains("no note found") => Ok(String::new()),
        Err(error) => Err(failed(error)),
        Ok(blob) => {
            let blob = String::from_utf8_lossy(&blob).trim().to_owned();
            let show = GitCommand::new("cat-file").git_dir(directory).args(["blob", &blob]);
            let note = show.run(NOTE_MOST).await.map_err(failed)?;
            Ok(String::from_utf8_lossy(&note).into_owned())
        }
    }
}

/// Commits a note on top of `tip`, if that is still the ref's commit.
///
/// `git fast-import` is used, because `git notes` moves the ref without asking what it was before: of two processes
/// that write at once, one would undo the other's note.
async fn replace(directory: &Path, tip: Option<&Sha>, sha: &Sha, note: &str) -> Result<Replaced, ForgeError> {
    let from = tip.map(|tip| format!("from {tip}\n")).unwrap_or_default();
    let message = "Notes by ContainerOps\n";
    let stream = format!(
        "feature done\ncommit {NOTES}\ncommitter ContainerOps <containerops@localhost> now\ndata {}\n{message}\n{from}\
         N inline {sha}\ndata {}\n{note}\ndone\n",
        message.len(),
        note.len(),
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

fn line(wanted: &Wanted<'_>) -> String {
    columns(wanted).into_iter().filter(|column| !column.is_empty()).collect::<Vec<_>>().join(BETWEEN)
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
