//! The forms in which programs write a text, without meaning to show or to hide it.

use std::{collections::BTreeSet, fmt::Write as _, ops::Range};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::SHORTEST;

/// A longer form is cut into pieces of so many bytes, and each is hidden wherever it is.
const PIECE: usize = 256;
/// Where `base64`, MIME and PEM end their lines.
const LINES_OF_BASE64: [usize; 2] = [76, 64];
/// A last line of base64 that is shorter is hidden with what is before it, but not by itself.
const REST_MIN: usize = 8;

/// What is looked for: a form, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece {
    pub(super) text: Vec<u8>,
    /// What a character of base64 before it has of the same secret, besides something else.
    before: Shared,
    /// The same after it.
    after: Shared,
}

/// Of the six bits that a character of base64 stands for, those that are a secret's, and what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Shared {
    bits: u8,
    are: u8,
}

impl Piece {
    /// A text whose neighbours say nothing of it.
    const fn of(text: Vec<u8>) -> Self {
        let nothing = Shared { bits: 0, are: 0 };
        Self { text, before: nothing, after: nothing }
    }

    /// The most bytes that it takes of a text.
    pub(super) const fn longest(&self) -> usize {
        self.text.len() + 2
    }

    /// What of a text it takes, if it begins there.
    pub(super) fn at(&self, text: &[u8], begin: usize) -> Option<Range<usize>> {
        let end = begin + self.text.len();
        if !text.get(begin..)?.starts_with(&self.text) {
            return None;
        }
        let first = begin.checked_sub(1).filter(|at| self.before.is_in(text, *at)).unwrap_or(begin);
        Some(first..if self.after.is_in(text, end) { end + 1 } else { end })
    }
}

impl Shared {
    /// Those of the character at a place of something that was encoded.
    fn of(encoded: &[u8], at: usize, bits: u8) -> Self {
        let six = encoded.get(at).and_then(|byte| six(*byte)).unwrap_or(0);
        Self { bits, are: six & bits }
    }

    fn is_in(self, text: &[u8], at: usize) -> bool {
        let six = text.get(at).and_then(|byte| six(*byte));
        self.bits != 0 && six.is_some_and(|six| six & self.bits == self.are)
    }
}

/// The bits that a character of either alphabet stands for.
const fn six(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Every piece of every form of these texts and of their lines, each once.
pub(super) fn of_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<Piece> {
    let (mut forms, mut pieces) = (BTreeSet::new(), BTreeSet::new());
    for text in texts {
        let whole = text.trim();
        for line in text.lines().map(str::trim).filter(|line| line.len() >= SHORTEST) {
            of_line(line, &mut forms, &mut pieces);
        }
        if whole.len() >= SHORTEST && whole.contains('\n') {
            of_many_lines(text, whole, &mut forms, &mut pieces);
        }
    }
    forms.into_iter().for_each(|form| cut(Piece::of(form), &mut pieces));
    pieces.retain(|piece| piece.text.len() >= SHORTEST);
    pieces.into_iter().collect()
}

/// A text without a newline.
fn of_line(line: &str, forms: &mut BTreeSet<Vec<u8>>, pieces: &mut BTreeSet<Piece>) {
    forms.insert(line.as_bytes().to_vec());
    base64(line.as_bytes(), pieces);
    quoted(line, forms);
}

/// A text with newlines as one, where a form of it is a single line. Its lines by themselves are forms already.
fn of_many_lines(text: &str, whole: &str, forms: &mut BTreeSet<Vec<u8>>, pieces: &mut BTreeSet<Piece>) {
    base64(text.as_bytes(), pieces);
    base64(whole.as_bytes(), pieces);
    quoted(whole, forms);
    forms.retain(|form| !form.contains(&b'\n'));
}

/// What encodes more than the text has other characters at both ends, which say something of both: those within are its
/// own, and of the others it is known which bits are. They depend on the place where the text begins.
fn base64(text: &[u8], pieces: &mut BTreeSet<Piece>) {
    for before in 0..3 {
        let padded = [&[0; 3][..before], text].concat();
        let encoded = STANDARD.encode(&padded).into_bytes();
        let (first, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        // a byte before it leaves four bits of the second character to it, two leave two of the third
        let in_first = [0, 0b1111, 0b11][before];
        let in_last = [0, 0b11_0000, 0b11_1100][padded.len() % 3];
        let own = Piece {
            text: encoded[first..end.max(first)].to_vec(),
            before: Shared::of(&encoded, first.saturating_sub(1), in_first),
            after: Shared::of(&encoded, end, in_last),
        };
        let urls = own.text.iter().map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        });
        let urls = Piece { text: urls.collect(), ..own.clone() };
        for own in [own, urls] {
            if before == 0 {
                wrapped(&own, pieces);
            }
            cut(own, pieces);
        }
    }
}

/// Base64 whose lines are cut.
fn wrapped(own: &Piece, pieces: &mut BTreeSet<Piece>) {
    for length in LINES_OF_BASE64.into_iter().filter(|length| own.text.len() > *length) {
        let lines = own.text.chunks_exact(length);
        let rest = Piece { text: lines.remainder().to_vec(), before: Shared::default(), ..own.clone() };
        lines.for_each(|line| cut(Piece::of(line.to_vec()), pieces));
        if rest.text.len() >= REST_MIN {
            cut(rest, pieces);
        }
    }
}

/// As URLs, JSON, shells and HTML have it.
fn quoted(text: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let all = [
        percent(text, "-_.~", Blank::Percent),
        percent(text, "-_.~/", Blank::Percent),
        percent(text, "-_.~!*'()", Blank::Percent),
        percent(text, "-_.~!*'();/?:@&=+$,#", Blank::Percent),
        percent(text, "-_.*", Blank::Plus),
        json(text, &[], NotAscii::AsItIs),
        json(text, &[], NotAscii::Escaped),
        json(text, &['/'], NotAscii::AsItIs),
        json(text, &['/'], NotAscii::Escaped),
        json(text, &['<', '>', '&'], NotAscii::AsItIs),
        text.replace('\'', r"'\''"),
        text.replace('\'', r#"'"'"'"#),
        text.replace('\\', r"\\").replace('\'', r"\'"),
        escaped(text, |c| matches!(c, '"' | '\\' | '$' | '`')),
        escaped(text, |c| !(c.is_alphanumeric() || "_-./:=@%+,".contains(c))),
        escaped(text, |c| !(c.is_alphanumeric() || "_-./:=@%+".contains(c))),
        html(text, "&#39;"),
        html(text, "&#x27;"),
    ];
    for form in all {
        // small letters in escapes are as usual as large ones
        if form.contains('%') {
            forms.insert(lower_escapes(&form).into_bytes());
        }
        forms.insert(form.into_bytes());
    }
}

/// How a blank is written in a URL.
#[derive(Clone, Copy)]
enum Blank {
    Percent,
    Plus,
}

/// Percent-encoded but for letters, digits and what is `kept`.
fn percent(text: &str, kept: &str, blank: Blank) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match (byte, blank) {
            (b' ', Blank::Plus) => out.push('+'),
            _ if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => out.push(char::from(byte)),
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

fn lower_escapes(form: &str) -> String {
    let mut parts = form.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        let _ = write!(out, "%{}{rest}", digits.to_ascii_lowercase());
    }
    out
}

/// What becomes of letters that ASCII does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NotAscii {
    AsItIs,
    Escaped,
}

/// Within a JSON text. Writers differ in what they escape besides what they must.
fn json(text: &str, besides: &[char], not_ascii: NotAscii) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '/' if besides.contains(&c) => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() || besides.contains(&c) || (!c.is_ascii() && not_ascii == NotAscii::Escaped) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// With a backslash before each of these.
fn escaped(text: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if is_special(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn html(text: &str, apostrophe: &str) -> String {
    let quoted = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    quoted.replace('\'', apostrophe)
}

/// In pieces, of which the last overlaps the one before it.
fn cut(form: Piece, pieces: &mut BTreeSet<Piece>) {
    let Piece { text, before, after } = form;
    if text.len() <= PIECE {
        pieces.insert(Piece { text, before, after });
        return;
    }
    let mut parts: Vec<Piece> = text.chunks_exact(PIECE).map(|part| Piece::of(part.to_vec())).collect();
    if let Some(first) = parts.first_mut() {
        first.before = before;
    }
    parts.push(Piece { after, ..Piece::of(text[text.len() - PIECE..].to_vec()) });
    pieces.extend(parts);
}
