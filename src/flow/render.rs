//! Diagnostics for people: on a terminal, and in a failed check.

use crate::model::{Diagnostic, Severity};

use super::findings::printable;

/// Whether the text goes where colours are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// No.
    Plain,
    /// A terminal.
    Ansi,
}

/// Every diagnostic as plain text: what, `path:line:column`, the line with a mark below the fault, the hint.
pub fn render(path: &str, diagnostics: &[Diagnostic]) -> String {
    paint(path, diagnostics, Palette::Plain)
}

/// The same, in colours.
pub fn paint(path: &str, diagnostics: &[Diagnostic], palette: Palette) -> String {
    diagnostics.iter().map(|diagnostic| one(path, diagnostic, palette)).collect::<Vec<_>>().join("\n")
}

/// The same as Markdown for a check's summary. Nothing in a file can end the code block that it is shown in.
pub fn markdown(path: &str, diagnostics: &[Diagnostic]) -> String {
    let text = render(path, diagnostics);
    let fence = "`".repeat(longest_run(&text, '`').max(2) + 1);
    format!("{}\n\n{fence}text\n{text}{fence}\n", counts(diagnostics))
}

fn one(path: &str, diagnostic: &Diagnostic, palette: Palette) -> String {
    let Diagnostic { severity, message, line, column, length, source, hint } = diagnostic;
    let (word, colour) = match severity {
        Severity::Error => ("error", "1;31"),
        Severity::Warning => ("warning", "1;33"),
    };
    let path = printable(path);
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let bar = palette.paint("34", "|");
    let arrow = palette.paint("34", "-->");
    let mut text = format!("{}: {}\n", palette.paint(colour, word), palette.paint("1", message));
    text.push_str(&format!("{gutter} {arrow} {path}:{line}:{column}\n{gutter} {bar}\n"));
    text.push_str(format!("{} {bar} {source}", palette.paint("34", &number)).trim_end());
    text.push('\n');
    // a fault beyond the part of a long line that is shown gets no mark
    let shown = source.chars().count();
    if *column <= shown + 1 {
        let mark = "^".repeat((*length).min(shown + 1 - column).max(1));
        text.push_str(&format!("{gutter} {bar} {}{}\n", " ".repeat(column - 1), palette.paint(colour, &mark)));
    }
    if let Some(hint) = hint {
        text.push_str(&format!("{gutter} {} hint: {hint}\n", palette.paint("34", "=")));
    }
    text
}

impl Palette {
    fn paint(self, colour: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\x1b[{colour}m{text}\x1b[0m"),
        }
    }
}

fn counts(diagnostics: &[Diagnostic]) -> String {
    let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    let say = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (count(Severity::Error), count(Severity::Warning)) {
        (errors, 0) => format!("**{} in the flow file**", say(errors, "error")),
        (0, warnings) => format!("**{} in the flow file**", say(warnings, "warning")),
        (errors, warnings) => {
            format!("**{} and {} in the flow file**", say(errors, "error"), say(warnings, "warning"))
        }
    }
}

fn longest_run(text: &str, wanted: char) -> usize {
    let mut longest = 0;
    let mut current = 0;
    for c in text.chars() {
        current = if c == wanted { current + 1 } else { 0 };
        longest = longest.max(current);
    }
    longest
}
