//! The last lines of a failed job, for the forge's page: they say why without a click.

use super::Result;
use crate::{
    agent::protocol::CHUNK_TEXT_MAX,
    store::{JobRow, Tail, Tx},
};

/// How many lines.
const LINES: usize = 30;
/// How far back they are looked for, in bytes.
const REACH: i64 = 16 << 10;
/// A line is cut after so many characters.
const WIDTH: usize = 400;

/// The end of a job's log, as plain text. Called while the log is still in rows.
pub(super) async fn of(tx: &mut Tx, job: &JobRow) -> Result<Tail> {
    let from = (job.log_length - REACH).max(0);
    let mut text = Vec::new();
    let mut newlines_before = None;
    for chunk in tx.chunks_from_offset(job.id, from, 64).await? {
        newlines_before.get_or_insert(chunk.line);
        let frame = chunk.data.unwrap_or_default();
        text.extend(zstd::bulk::decompress(&frame, CHUNK_TEXT_MAX).unwrap_or_default());
    }
    Ok(cut(&text, newlines_before.unwrap_or(0)))
}

/// The last lines of `text`, before which there are `newlines` newlines in the log.
fn cut(text: &[u8], newlines: i64) -> Tail {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    if body.is_empty() {
        return Tail::default();
    }
    let all: Vec<&[u8]> = body.split(|&b| b == b'\n').collect();
    let skipped = all.len().saturating_sub(LINES);
    let lines = all[skipped..].iter().map(|line| plain(line, WIDTH)).collect();
    Tail { line: newlines + i64::try_from(skipped).unwrap_or(0) + 1, lines }
}

/// Without escape sequences and control characters, and no longer than so many characters.
pub(super) fn plain(line: &[u8], width: usize) -> String {
    // what was overwritten by a carriage return is not what a terminal would show at the end
    let shown = line.strip_suffix(b"\r").unwrap_or(line);
    let shown = shown.rsplit(|&b| b == b'\r').next().unwrap_or(shown);
    let text = String::from_utf8_lossy(&shown[..shown.len().min(width * 8)]).into_owned();
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\t' => out.push('\t'),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.chars().take(width).collect()
}

/// Skips a CSI or OSC sequence after its escape character; of any other just the next character.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => while chars.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {},
        Some(']') => {
            // it ends with a bell, or with an escape character and a backslash
            if chars.find(|c| matches!(c, '\u{7}' | '\u{1b}')) == Some('\u{1b}') {
                chars.next();
            }
        }
        Some(_) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_numbered_plain_and_short() {
        let text: Vec<u8> = (1..=50).flat_map(|n| format!("\u{1b}[31mline {n}\u{1b}[0m\n").into_bytes()).collect();
        let tail = cut(&text, 100);
        assert_eq!((tail.line, tail.lines.len()), (121, LINES));
        assert_eq!(tail.lines.last().map(String::as_str), Some("line 50"));
        assert_eq!(plain(b"10%\r50%\r100%\r", WIDTH), "100%");
        assert_eq!(plain(b"\x1b]8;;https://gcc.gnu.org\x1b\\-Wall\x1b]8;;\x07!", WIDTH), "-Wall!");
        assert_eq!(cut(b"", 0), Tail::default());
    }
}
