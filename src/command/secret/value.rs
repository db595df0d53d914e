//! A secret's value, from where nobody else sees it.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read, Write as _},
    os::fd::AsFd,
    path::Path,
};

use anyhow::{Context as _, Result};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use secrecy::SecretString;

use crate::model::SecretName;

/// One byte more than any secret may have, with a newline: a longer one is seen to be too long and not read to its end.
const READ_MAX: u64 = (64 << 10) + 3;

/// Reads it from a file, from a pipe, or from a person who does not see it either.
pub(super) fn read(name: &SecretName, file: Option<&Path>) -> Result<SecretString> {
    match file {
        Some(file) => {
            let opened = File::open(file).with_context(|| format!("reading {}", file.display()))?;
            text(opened).with_context(|| format!("reading {}", file.display()))
        }
        None if io::stdin().is_terminal() => ask(name),
        None => text(io::stdin().lock()).context("reading the value from standard input"),
    }
}

fn text(from: impl Read) -> Result<SecretString> {
    let mut bytes = Vec::new();
    from.take(READ_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).ok().context("it is no UTF-8 text; encode it in base64")?;
    Ok(SecretString::from(trimmed(&text)))
}

/// What `echo` adds is no part of a secret of one line; a key of many lines wants its last newline.
fn trimmed(text: &str) -> &str {
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.contains('\n') { text } else { line }
}

/// One line from the terminal, which shows nothing of it.
fn ask(name: &SecretName) -> Result<SecretString> {
    let stdin = io::stdin();
    write!(io::stderr(), "{name} (one line, which is not shown): ")?;
    let before = tcgetattr(stdin.as_fd()).context("asking the terminal")?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(stdin.as_fd(), OptionalActions::Flush, &silent).context("silencing the terminal")?;
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    let _ = tcsetattr(stdin.as_fd(), OptionalActions::Now, &before);
    writeln!(io::stderr())?;
    read.context("reading the value")?;
    Ok(SecretString::from(trimmed(&line)))
}

#[cfg(test)]
mod tests {
    use super::trimmed;

    #[test]
    fn a_line_loses_its_newline_and_many_lines_keep_theirs() {
        for (text, value) in
            [("a\n", "a"), ("a\r\n", "a"), ("a", "a"), ("a\nb\n", "a\nb\n"), (" a \n", " a "), ("\n", "")]
        {
            assert_eq!(trimmed(text), value);
        }
    }
}
