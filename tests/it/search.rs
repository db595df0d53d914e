//! Text that is looked for in a log.

use containerops::{
    engine::scan::{Found as _, Look as _},
    web::log::{
        ansi,
        search::{Hits, Pattern, Search},
    },
};
use proptest::prelude::*;

fn search(text: &[u8], pattern: &str, is_regex: bool, at: u64) -> Hits {
    let pattern = Pattern::new(pattern, is_regex).expect("a pattern");
    Search { pattern, at, keep: 1_000 }.look(text, 1)
}

fn numbers(text: &str, pattern: &str, is_regex: bool) -> Vec<u64> {
    search(text.as_bytes(), pattern, is_regex, 0).lines.iter().map(|hit| hit.number).collect()
}

#[test]
fn lines_are_found_as_they_are_read() {
    for (text, pattern, is_regex, found) in [
        ("one\ntwo\nthree two two\n", "two", false, &[2, 3][..]),
        ("Error\nerror\nERROR", "error", false, &[1, 2, 3]),
        ("Error\nerror\nERROR", "Error", false, &[1]),
        ("a.c\nabc", "a.c", false, &[1]),
        ("a.c\nabc", "a.c", true, &[1, 2]),
        ("a\nb\n\na b", r"a\s+b", true, &[4]),
        ("a\nab", r"a\nab|ab", true, &[2]),
        ("\u{1b}[31mer\u{1b}[0mror\nfine", "error", false, &[1]),
        ("10 %\r100 %\nnext", "100 %", false, &[1]),
        ("wrong\rright\nnext", "wrong", false, &[]),
        ("dos\r\nline\r\n", "^dos$", true, &[1]),
        ("\u{1b}]8;;http://x.test\u{7}here\u{1b}]8;;\u{7}\n", "x.test", false, &[]),
        ("a\n\nb", "^$", true, &[2]),
    ] {
        assert_eq!(numbers(text, pattern, is_regex), found, "{pattern:?} in {text:?}");
    }
}

#[test]
fn what_is_before_and_after_is_seen_from_a_line() {
    let hits = search(b"x\n-\nx\n-\nx\nx", "x", false, 3);
    assert_eq!((hits.count, hits.up_to, hits.is_here), (4, 2, true));
    assert_eq!((hits.first, hits.previous, hits.next, hits.last), (Some(1), Some(1), Some(5), Some(6)));
}

#[test]
fn what_cannot_be_looked_for_says_why() {
    for (text, words) in [
        ("", "there is nothing to look for"),
        ("(", "not a regular expression: unclosed group"),
        (&"x".repeat(1_001), "it is longer than 1000 bytes"),
        ("(a{1000}){1000}", "not a regular expression: "),
    ] {
        let error = Pattern::new(text, true).expect_err(text);
        assert!(error.to_string().starts_with(words), "{error}");
    }
}

/// Line by line, by the expression alone.
fn naive(lines: &[String], pattern: &str, folds: bool) -> Vec<u64> {
    let expression =
        regex::bytes::RegexBuilder::new(pattern).case_insensitive(folds).multi_line(true).build().expect("one");
    let has = |line: &str| expression.is_match(ansi::plain(line.as_bytes()).as_bytes());
    lines.iter().zip(1..).filter(|(line, _)| has(line)).map(|(_, number)| number).collect()
}

proptest! {
    #[test]
    fn a_fast_way_finds_what_a_slow_way_finds(
        lines in prop::collection::vec("[abKk\u{212a}Ss\u{17f}\u{1b}\\[m1;]{0,8}", 1..10),
        pattern in prop::sample::select(vec!["ab", "a+b", "(ab)+k", "ks", "aa?b", "k{2}a", "(?i)ab", "AB", "a.b", "^ab", "ab$", "a|bk", "(a|b)ka", "\\bab", "[ab]{2}k", "ab*s", "\u{212a}a", "a\\nb|ab", "(?s)a.b"]),
        at in 0u64..12,
    ) {
        let folds = !pattern.chars().any(char::is_uppercase);
        let wanted = naive(&lines, pattern, folds);
        let text = lines.join("\n");
        prop_assert_eq!(numbers(&text, pattern, true), wanted.clone());
        // with and without the numbers of each
        let pattern = Pattern::new(pattern, true).expect("a pattern");
        let all = |keep| Search { pattern: pattern.clone(), at, keep }.look(text.as_bytes(), 1);
        let (counted, kept) = (all(0), all(1_000));
        prop_assert_eq!((counted.count, counted.first, counted.previous), (kept.count, kept.first, kept.previous));
        prop_assert_eq!((counted.up_to, counted.is_here, counted.next, counted.last), (kept.up_to, kept.is_here, kept.next, kept.last));
        prop_assert_eq!(counted.count, wanted.len() as u64);
    }

    #[test]
    fn every_line_is_found_that_has_it_by_itself(lines in prop::collection::vec("[ab\u{1b}\\[m1;\r]{0,6}", 0..12), pattern in "[ab]{1,2}") {
        let wanted = Pattern::new(&pattern, false).expect("a pattern");
        let alone = lines.iter().zip(1..).filter(|(line, _)| !wanted.places(&ansi::plain(line.as_bytes())).is_empty());
        let alone: Vec<u64> = alone.map(|(_, number)| number).collect();
        prop_assert_eq!(numbers(&lines.join("\n"), &pattern, false), alone);
    }

    #[test]
    fn parts_of_a_log_come_together_to_the_whole(text in "[ab\n]{0,40}", cut in 0usize..40, at in 0u64..20) {
        let whole = search(text.as_bytes(), "a", false, at);
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
        prop_assume!(!ends.is_empty());
        let end = ends[cut % ends.len()];
        let pattern = Pattern::new("a", false).expect("a pattern");
        let look = Search { pattern, at, keep: 1_000 };
        let mut parts = look.look(&text.as_bytes()[..end], 1);
        let second = 2 + text[..end].matches('\n').count() as u64;
        parts.add(look.look(&text.as_bytes()[end + 1..], second));
        prop_assert_eq!(parts, whole);
    }
}
