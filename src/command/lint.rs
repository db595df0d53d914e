//! `containerops lint`: all mistakes of flow files, before they are pushed.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};

use crate::{
    flow::{self, Palette},
    model::{Diagnostic, RepositoryName, Severity},
};

use super::local;

/// Check flow files: every mistake with its line and column.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  containerops lint                             .containerops.yml, or all of .containerops/*.yml
  containerops lint .containerops/release.yml   one file
  NO_COLOR=1 containerops lint                  without colours

Exit code: 0 without errors, 1 with any. Warnings alone are no error.")]
pub struct Args {
    /// The files; default: .containerops.yml, else .containerops/*.yml
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
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
    let palette = palette(&io::stdout());
    let mut found = Vec::new();
    for file in &files {
        let diagnostics = check(file, &repository)?;
        let text = flow::paint(&file.to_string_lossy(), &diagnostics, palette);
        if !text.is_empty() {
            writeln!(io::stdout(), "{text}")?;
        }
        found.extend(diagnostics);
    }
    writeln!(io::stdout(), "{}", summary(files.len(), &found))?;
    let failed = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Colours only for a person's eyes, and only for who has not refused them.
pub(super) fn palette(stream: &impl io::IsTerminal) -> Palette {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stream.is_terminal() && !refused { Palette::Ansi } else { Palette::Plain }
}

fn check(file: &Path, repository: &RepositoryName) -> anyhow::Result<Vec<Diagnostic>> {
    let bytes = local::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(match flow::read(&file.to_string_lossy(), repository, &bytes) {
        Ok(flow) => flow.warnings().to_vec(),
        Err(diagnostics) => diagnostics,
    })
}

fn summary(files: usize, found: &[Diagnostic]) -> String {
    let count = |severity| found.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let say = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    format!("{}: {}, {}", say(files, "file"), say(errors, "error"), say(warnings, "warning"))
}
