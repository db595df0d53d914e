//! Bytes as text, and text without what XML and terminals put into it.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use crate::engine::tail;

/// The declaration is at the beginning, or there is none.
const HEAD: usize = 200;
/// No line of a message is longer.
const WIDTH: usize = 100_000;
/// No reference is longer: `&#x10FFFF;`.
const REFERENCE: usize = 10;

/// A file's text: by its byte order mark, or as it says itself, or UTF-8. What is wrong becomes a mark.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None => declared(bytes).unwrap_or_else(|| looks_like(bytes)),
    };
    encoding.decode(bytes).0
}

/// `encoding="ISO-8859-1"`. Who says UTF-16 in single bytes does not mean it.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(HEAD)];
    let head = head.strip_prefix(b"<?xml").and_then(|rest| rest.split(|&byte| byte == b'>').next())?;
    let head = String::from_utf8_lossy(head);
    let label = head.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = label.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let encoding = Encoding::for_label(label[1..].split(quote).next()?.as_bytes())?;
    if !encoding.is_ascii_compatible() {
        return None;
    }
    // many a tool writes the declaration of one and the bytes of the other
    let is_utf8 = encoding == WINDOWS_1252 && !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok();
    Some(if is_utf8 { UTF_8 } else { encoding })
}

/// UTF-16 without a mark shows by its zeros.
fn looks_like(bytes: &[u8]) -> &'static Encoding {
    match bytes {
        [b'<', 0, ..] => encoding_rs::UTF_16LE,
        [0, b'<', ..] => encoding_rs::UTF_16BE,
        _ => UTF_8,
    }
}

/// With references replaced: XML's own five, and characters by their numbers. Any other stays as it is.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.bytes().take(REFERENCE).position(|byte| byte == b';');
        match end.and_then(|end| Some((end, reference(&rest[..end])?))) {
            Some((end, c)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

/// What stands between `&` and `;`.
pub(super) fn reference(name: &str) -> Option<char> {
    let number = |digits: &str, base| u32::from_str_radix(digits, base).ok().and_then(char::from_u32);
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => match name.strip_prefix('#')? {
            hex if hex.starts_with(['x', 'X']) => number(&hex[1..], 16),
            digits => number(digits, 10),
        },
    }
}

/// Without colours and control characters.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        out.push_str(&tail::plain(line.as_bytes(), WIDTH));
    }
    out
}

/// Its first characters, and a mark if there are more.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The same, and how many there are more.
pub(super) fn cut_to_mark(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}… ({} more characters)", &text[..end], text[end..].chars().count()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_what_they_are() {
        let utf16: Vec<u8> =
            "<?xml version='1.0' encoding='utf-16'?><é/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [&[0xff, 0xfe][..], &utf16].concat();
        for (bytes, text) in [
            (&b"<a>\xc3\xa9</a>"[..], "<a>é</a>"),
            (b"\xef\xbb\xbf<a/>", "<a/>"),
            (b"<?xml version='1.0' encoding='ISO-8859-1'?>\xe9", "<?xml version='1.0' encoding='ISO-8859-1'?>é"),
            (b"<?xml encoding='latin1'?>\xc3\xa9", "<?xml encoding='latin1'?>é"),
            (b"<?xml encoding='utf-16'?>x", "<?xml encoding='utf-16'?>x"),
            (b"<?xml encoding='nonsense'?>x", "<?xml encoding='nonsense'?>x"),
            (b"<a>\xff</a>", "<a>\u{fffd}</a>"),
            (&utf16, "<?xml version='1.0' encoding='utf-16'?><é/>"),
            (&marked, "<?xml version='1.0' encoding='utf-16'?><é/>"),
            (b"", ""),
        ] {
            assert_eq!(decode(bytes), text, "{bytes:?}");
        }
    }

    #[test]
    fn references_are_xmls_own() {
        for (text, plain) in [
            ("a &lt; b &amp;&amp; c &#62; &#x41;", "a < b && c > A"),
            ("&lol9; & &; &#; &#xD800; &#99999999;", "&lol9; & &; &#; &#xD800; &#99999999;"),
            ("&é;", "&é;"),
            ("&amp;lt;", "&lt;"),
        ] {
            assert_eq!(unescape(text), plain);
        }
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m\na\u{0}b\tc"), "red\nab\tc");
        assert_eq!(
            (cut("häuser", 2), cut_to_mark("häuser", 2)),
            ("hä…".to_owned(), "hä… (4 more characters)".to_owned())
        );
    }
}
