//! `Range: bytes=…` of one range, as RFC 9110 has it. Several ranges are answered with the whole, which it permits.

use std::ops::Range;

/// What to answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// 200 and all of it.
    Whole,
    /// 206 and these bytes; never empty, never past the end.
    Part(Range<u64>),
    /// 416: no byte of it is there.
    Nothing,
}

/// What the header's value asks of `length` bytes. A header that is no byte range is ignored, as the RFC says.
pub fn parse(header: Option<&str>, length: u64) -> Wanted {
    let Some(spec) = header.and_then(|h| h.trim().strip_prefix("bytes=")) else { return Wanted::Whole };
    let Some((first, last)) = spec.trim().split_once('-') else { return Wanted::Whole };
    match (number(first), number(last)) {
        (Some(first), _) if last.trim().is_empty() => part(first, length, length),
        (Some(first), Some(last)) if first <= last => part(first, last.saturating_add(1).min(length), length),
        (None, Some(count)) if first.trim().is_empty() => part(length - count.min(length), length, length),
        _ => Wanted::Whole,
    }
}

fn part(first: u64, end: u64, length: u64) -> Wanted {
    if first < end && first < length { Wanted::Part(first..end) } else { Wanted::Nothing }
}

/// Digits alone: no sign, no blank within. More digits than a `u64` has are "past every end".
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Whether `If-None-Match` names this tag, however weakly.
pub fn names(header: Option<&str>, tag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    header.is_some_and(|known| known.trim() == "*" || known.split(',').any(|known| bare(known) == bare(tag)))
}
