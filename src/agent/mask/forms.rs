//! The forms in which programs write a text, without meaning to show or to hide it.

use std::{collections::BTreeSet, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::SHORTEST;

/// A longer form is cut into pieces of so many bytes, and each is hidden wherever it is.
const PIECE: usize = 256;
/// Where `base64`, MIME and PEM end their lines.
const LINES_OF_BASE64: [usize; 2] = [76, 64];
/// A last line of base64 that is shorter is hidden with what is before it, but not by itself.
const REST_MIN: usize = 8;

/// Every piece of every form of these texts and of their lines, each once.
pub(super) fn of_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<Vec<u8>> {
    let mut forms = BTreeSet::new();
    for text in texts {
        let whole = text.trim();
        for line in text.lines().map(str::trim).filter(|line| line.len() >= SHORTEST) {
            of_line(line, &mut forms);
        }
        if whole.len() >= SHORTEST && whole.contains('\n') {
            of_many_lines(text, whole, &mut forms);
        }
    }
    let mut pieces = BTreeSet::new();
    forms.into_iter().filter(|form| form.len() >= SHORTEST).for_each(|form| cut(form, &mut pieces));
    pieces.into_iter().collect()
}

/// A text without a newline.
fn of_line(line: &str, forms: &mut BTreeSet<Vec<u8>>) {
    forms.insert(line.as_bytes().to_vec());
    base64(line.as_bytes(), forms);
    quoted(line, forms);
}

/// A text with newlines as one, where a form of it is a single line. Its lines by themselves are forms already.
fn of_many_lines(text: &str, whole: &str, forms: &mut BTreeSet<Vec<u8>>) {
    base64(text.as_bytes(), forms);
    base64(whole.as_bytes(), forms);
    quoted(whole, forms);
    forms.retain(|form| !form.contains(&b'\n'));
}

/// What encodes more than the text has other characters at both ends, which say something of both: those within are its
/// own. They depend on the place where the text begins.
fn base64(text: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    for before in 0..3 {
        let padded = [&[0; 3][..before], text].concat();
        let encoded = STANDARD.encode(&padded);
        let (first, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        let own = encoded.as_bytes()[first..end.max(first)].to_vec();
        let urls = own.iter().map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        });
        let urls: Vec<u8> = urls.collect();
        for own in [own, urls] {
            if before == 0 {
                wrapped(&own, forms);
            }
            forms.insert(own);
        }
    }
}

/// Base64 whose lines are cut.
fn wrapped(own: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    for length in LINES_OF_BASE64.into_iter().filter(|length| own.len() > *length) {
        forms.extend(own.chunks(length).filter(|line| line.len() >= REST_MIN).map(<[u8]>::to_vec));
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
fn cut(form: Vec<u8>, pieces: &mut BTreeSet<Vec<u8>>) {
    if form.len() <= PIECE {
        pieces.insert(form);
        return;
    }
    pieces.extend(form.chunks_exact(PIECE).map(<[u8]>::to_vec));
    pieces.insert(form[form.len() - PIECE..].to_vec());
}
