//! Orders in the text of a comment. It is Markdown: quotes and code are somebody else's words, and nobody sees what is
//! in an HTML comment.
//!
//! Where it is doubtful how a forge shows a line, the line is no order: what is not obeyed can be written again.

use super::{Order, Verb};

/// A comment has no more orders: what follows is not read.
const MOST: usize = 10;
/// The most characters of what follows an order.
const WORDS: usize = 500;
/// Nobody writes a longer comment: GitHub takes 65,536 characters, GitLab a million.
const LONGEST: usize = 1 << 20;
/// What opens a part that is somebody else's words or hidden, and what closes it.
const PARTS: [(&str, &str); 7] = [
    ("<!--", "-->"),
    ("<pre", "</pre"),
    ("<code", "</code"),
    ("<blockquote", "</blockquote"),
    ("<script", "</script"),
    ("<style", "</style"),
    ("<textarea", "</textarea"),
];

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within<'a> {
    /// Among the author's own words.
    Own,
    /// In a quote, which goes on in the lines below it until an empty one.
    Quote,
    /// In code, until this fence, which stands no further in than this.
    Fence(&'a str, usize),
    /// In a part of HTML, until this.
    Html(&'static str),
}

/// The orders of a comment.
pub fn orders(text: &str) -> Vec<Order> {
    let end = (0..=text.len().min(LONGEST)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let text = &text[..end];
    let lines: Vec<&str> = text.lines().collect();
    let mut within = Within::Own;
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let before = within;
        within = next(before, line);
        if before == Within::Own && within == Within::Own && indent(line) < 4 {
            found.extend(order(line.trim_start_matches(' ')).filter(|_| !is_in_a_span(&lines, at)));
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

/// Where the line below this one stands.
fn next<'a>(within: Within<'a>, line: &'a str) -> Within<'a> {
    match within {
        Within::Fence(fence, most) => {
            let is_its = |closing: &str| closing.starts_with(fence) && line.trim() == closing;
            let closes = indent(line) < most && fence_of(line.trim_start()).is_some_and(is_its);
            if closes { Within::Own } else { within }
        }
        Within::Html(close) => match find(line, close) {
            Some(at) => html(&line[at + close.len()..]),
            None => within,
        },
        Within::Quote if line.trim().is_empty() => Within::Own,
        Within::Own | Within::Quote => {
            let (inner, column) = without_markers(line);
            if inner.starts_with('>') {
                return Within::Quote;
            }
            match fence_of(inner) {
                Some(fence) if indent(line) < 4 || column > 0 => Within::Fence(fence, column + 4),
                Some(_) | None if within == Within::Quote => Within::Quote,
                Some(_) | None => html(line),
            }
        }
    }
}

/// The part of HTML that a line leaves open.
fn html<'a>(line: &str) -> Within<'a> {
    let mut rest = line;
    loop {
        let opened = PARTS.iter().filter_map(|(open, close)| Some((opening(rest, open)?, *open, *close))).min();
        let Some((at, open, close)) = opened else { return Within::Own };
        let after = &rest[at + open.len()..];
        let Some(end) = find(after, close) else { return Within::Html(close) };
        rest = &after[end + close.len()..];
    }
}

/// Where a tag opens; what stands in a span of code is none.
fn opening(text: &str, open: &str) -> Option<usize> {
    let at = find(text, open)?;
    let rest = text[at + open.len()..].chars().next();
    let is_tag = open == "<!--" || !rest.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-');
    (is_tag && text[..at].matches('`').count().is_multiple_of(2)).then_some(at)
}

/// Where a text holds these ASCII characters, in any case.
fn find(text: &str, wanted: &str) -> Option<usize> {
    text.as_bytes().windows(wanted.len()).position(|part| part.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// A line without the marks of lists that it begins with, and how far in what follows them stands.
fn without_markers(line: &str) -> (&str, usize) {
    let mut rest = line.trim_start();
    let mut column = 0;
    while let Some(inner) = without_marker(rest) {
        rest = inner.trim_start();
        column = line.len() - rest.len();
    }
    (rest, column)
}

fn without_marker(text: &str) -> Option<&str> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let marker = if digits == 0 { text.strip_prefix(['-', '*', '+']) } else { text[digits..].strip_prefix(['.', ')']) };
    marker.filter(|rest| digits < 10 && rest.starts_with([' ', '\t']))
}

/// How far in a line stands. A tab is as good as four blanks.
fn indent(line: &str) -> usize {
    let blank = |c: char| match c {
        ' ' => Some(1),
        '\t' => Some(4),
        _ => None,
    };
    line.chars().map_while(blank).sum()
}

/// The run of backticks or tildes that a line begins with, if it is long enough to fence code.
fn fence_of(line: &str) -> Option<&str> {
    let length = |mark: char| line.len() - line.trim_start_matches(mark).len();
    let (ticks, tildes) = (length('`'), length('~'));
    let fences = ticks >= 3 && !line[ticks..].contains('`') || tildes >= 3;
    fences.then(|| &line[..ticks.max(tildes)])
}

/// Whether a span of code that was opened in an earlier line of a paragraph ends in this one or a later one.
fn is_in_a_span(lines: &[&str], at: usize) -> bool {
    let is_text = |line: &&&str| !line.trim().is_empty();
    let before: Vec<&str> = lines[..at].iter().rev().take_while(is_text).copied().collect();
    let mut open: Option<usize> = None;
    for run in before.iter().rev().flat_map(|line| runs(line)) {
        match open {
            Some(length) if length == run => open = None,
            Some(_) => {}
            None => open = Some(run),
        }
    }
    let mut after = lines[at..].iter().take_while(is_text).flat_map(|line| runs(line));
    open.is_some_and(|length| after.any(|run| run == length))
}

/// The lengths of a line's runs of backticks.
fn runs(line: &str) -> Vec<usize> {
    line.split(|c| c != '`').map(str::len).filter(|length| *length > 0).collect()
}

fn order(line: &str) -> Option<Order> {
    let line = line.strip_prefix('/')?;
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let verb = Verb::ALL.into_iter().find(|verb| verb.as_str() == word)?;
    Some(Order { verb, words: rest.trim().chars().take(WORDS).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        orders(text).iter().map(|order| format!("{} {}", order.verb.as_str(), order.words).trim().to_owned()).collect()
    }

    #[test]
    fn what_the_author_says_is_an_order() {
        for (text, orders) in [
            ("/test", vec!["test"]),
            ("/test  unit \r\n/cancel", vec!["test unit", "cancel"]),
            ("Please:\n   /retest\n", vec!["retest"]),
            ("> a quote\n\n/retest", vec!["retest"]),
            ("```\ncode\n```\n/retest", vec!["retest"]),
            ("``` ignored ``` \n/retest", vec!["retest"]),
            ("<!-- hidden -->\n/skip docs only", vec!["skip docs only"]),
            ("<!-- a\nb --> <b>\n/retest", vec!["retest"]),
            ("it`s\n/retest", vec!["retest"]),
            ("say `<!--` and\n/retest", vec!["retest"]),
            ("- a list\n\n/retest", vec!["retest"]),
            ("- ```\n  code\n  ```\n\n/retest", vec!["retest"]),
            ("<presto>\n/retest", vec!["retest"]),
        ] {
            assert_eq!(said(text), orders, "{text:?}");
        }
        assert_eq!(orders(&"/test\n".repeat(50)).len(), MOST);
        assert_eq!(orders(&format!("/test {}", "x".repeat(9999)))[0].words.len(), WORDS);
    }

    #[test]
    fn what_somebody_else_says_or_nobody_sees_is_none() {
        for text in [
            "> /test",
            "> > /test",
            "> somebody said\n/test",
            "- > quoted\n  /test",
            "```\n/test\n```",
            "```sh\n/test",
            "~~~\n```\n/test\n~~~",
            "````\n```\n/test\n````",
            "- ```\n  /test\n  ```",
            "1. ~~~\n   /test\n   ~~~",
            "```\n     ```\n/test\n```",
            "    /test",
            "\t/test",
            "- item\n\n      /test",
            "<!--\n/test\n-->",
            "<!-- a -->b<!--\n/test",
            "text <!-- begins\n/test\n-->",
            "<PRE>\n/test\n</PRE>",
            "<blockquote>\n\n/test\n</blockquote>",
            "<code>\n/test</code>",
            "`a span\n/test\nends`",
            "say /test",
            "/tested",
            "/Test",
            "//test",
            "- /test",
            "",
        ] {
            assert_eq!(said(text), [""; 0], "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "([/>`~ \\t\\n<!-]|test|```|<!--|-->|ä|<pre|</pre>|1\\. ){0,80}") {
            proptest::prop_assert!(orders(&text).len() <= MOST);
        }
    }
}
