//! What pages show of characters that are not seen. Some of them turn the text around them, or join it, so that it reads
//! other than it is; whoever names a branch or a commit so shall change nothing but that name, and be seen.

use std::fmt::{self, Write};

use askama::filters::{Escaper, Html};

/// How every template escapes what it shows: such a character becomes `[U+202E]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: Write>(&self, mut dest: W, string: &str) -> fmt::Result {
        let mut rest = string;
        while let Some((at, hidden)) = first(rest) {
            Html.write_escaped_str(&mut dest, &rest[..at])?;
            write!(dest, "[U+{:04X}]", u32::from(hidden))?;
            rest = &rest[at + hidden.len_utf8()..];
        }
        Html.write_escaped_str(&mut dest, rest)
    }
}

/// The first character that is not seen, and where it is.
fn first(text: &str) -> Option<(usize, char)> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t' | b'\r')) {
        return None;
    }
    let mut before = None;
    text.char_indices().find(|(_, c)| {
        let before = before.replace(*c);
        !matches!(c, '\n' | '\t' | '\r') && is_hidden(*c) && !(is_joiner(*c) && before.is_some_and(|c| !c.is_ascii()))
    })
}

/// Whether it makes one picture of several, or one shape of letters: what is not ASCII needs it.
pub(super) const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Characters that have no shape of their own but change what is around them: control characters, and those that
/// turn or join text so that it reads other than it is.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{61c}' | '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{ad}' | '\u{180e}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_said() {
        for (text, wanted) in [
            ("main", "main"),
            ("a <b>", "a &#60;b&#62;"),
            ("a\tb\r\nc", "a\tb\r\nc"),
            ("\u{202e}niam", "[U+202E]niam"),
            ("ma\u{200b}in\u{2066}", "ma[U+200B]in[U+2066]"),
            ("ma\u{200d}in", "ma[U+200D]in"),
            ("👩\u{200d}🔬 می\u{200c}خواهم", "👩\u{200d}🔬 می\u{200c}خواهم"),
            ("\u{1b}[31m\u{0}", "[U+001B][31m[U+0000]"),
            ("שלום", "שלום"),
        ] {
            let mut shown = String::new();
            Visible.write_escaped_str(&mut shown, text).expect("a string takes all");
            assert_eq!(shown, wanted);
        }
    }
}
