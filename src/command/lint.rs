//! `containerops lint`: all mistakes of flow files, before they are pushed.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};

use crate::{
    flow::{self, Habit, Palette},
    model::{Diagnostic, RepositoryName, Severity},
};

use super::local;

/// Check flow files: every mistake with its line and column, and habits that their author will be sorry for.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops lint                             .containerops.yml, or all of .containerops/*.yml
  containerops lint .containerops/release.yml   one file
  containerops lint --strict --allow image-tag  warnings fail, but for one kind
  containerops lint --json                      for a program
  NO_COLOR=1 containerops lint                  without colours

Exit code: 0 without errors, 1 with any. Warnings alone are no error, but with --strict.
A comment `# lint: allow NAME` on a line, or above it, keeps one warning quiet.")]
pub struct Args {
    /// The files; default: .containerops.yml, else .containerops/*.yml
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Warnings fail, too
    #[arg(long)]
    strict: bool,
    /// Bad habits that are not told: no-timeout, image-tag, secret, world-writable, hidden-failure, insecure, unused
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = habit)]
    allow: Vec<Habit>,
    /// Print [{"file": …, "diagnostics": […]}]
    #[arg(long)]
    json: bool,
}

fn habit(text: &str) -> Result<Habit, String> {
    let known = || Habit::ALL.map(Habit::as_str).join(", ");
    Habit::ALL.into_iter().find(|habit| habit.as_str() == text).ok_or_else(|| format!("one of {} is expected", known()))
}

/// Checks the files and prints what is wrong with them.
///
/// # Errors
/// There is no flow file, one cannot be read, or standard output is gone.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let here = Path::new(".");
    let files = if args.files.is_empty() { local::flow_files(here)? } else { args.files };
    if files.is_empty() {
        bail!("there is no .containerops.yml here, and no .containerops/*.yml; name a file");
    }
    let repository = local::repository_name(here).map_or_else(|| "local/repository".parse(), Ok)?;
    let mut found = Vec::new();
    for file in &files {
        found.push((file.to_string_lossy().into_owned(), check(file, &repository, &args.allow)?));
    }
    write!(io::stdout(), "{}", if args.json { json(&found)? } else { readable(&found) })?;
    let fails = |diagnostic: &Diagnostic| args.strict || diagnostic.severity == Severity::Error;
    let failed = found.iter().flat_map(|(_, diagnostics)| diagnostics).any(fails);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn readable(found: &[(String, Vec<Diagnostic>)]) -> String {
    let palette = palette(&io::stdout());
    let mut text = String::new();
    for (file, diagnostics) in found {
        let painted = flow::paint(file, diagnostics, palette);
        if !painted.is_empty() {
            text.push_str(&painted);
            text.push('\n');
        }
    }
    let all: Vec<&Diagnostic> = found.iter().flat_map(|(_, diagnostics)| diagnostics).collect();
    text.push_str(&summary(found.len(), &all));
    text.push('\n');
    text
}

fn json(found: &[(String, Vec<Diagnostic>)]) -> anyhow::Result<String> {
    let files: Vec<_> =
        found.iter().map(|(file, diagnostics)| serde_json::json!({"file": file, "diagnostics": diagnostics})).collect();
    Ok(serde_json::to_string_pretty(&files)? + "\n")
}

/// Colours only for a person's eyes, and only for who has not refused them.
pub(super) fn palette(stream: &impl io::IsTerminal) -> Palette {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stream.is_terminal() && !refused { Palette::Ansi } else { Palette::Plain }
}

fn check(file: &Path, repository: &RepositoryName, allowed: &[Habit]) -> anyhow::Result<Vec<Diagnostic>> {
    let bytes = local::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut found = match flow::read(&file.to_string_lossy(), repository, &bytes) {
        Ok(flow) => flow.warnings().to_vec(),
        Err(diagnostics) => diagnostics,
    };
    let habits = flow::habits(&bytes).into_iter().filter(|(habit, _)| !allowed.contains(habit));
    found.extend(habits.map(|(_, diagnostic)| diagnostic));
    found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
    Ok(found)
}

fn summary(files: usize, found: &[&Diagnostic]) -> String {
    let count = |severity| found.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let say = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    format!("{}: {}, {}", say(files, "file"), say(errors, "error"), say(warnings, "warning"))
}
