//! Texts made short enough for GitHub, without breaking what is left of them.

use crate::model::Report;

/// GitHub refuses a check's summary above this many bytes, and above this many UTF-16 units. A text never has more
/// UTF-16 units than bytes, so the bytes decide.
const LONGEST_SUMMARY: usize = 65_535;

/// The report's Markdown. If it is too long: its first whole lines, an open code block closed, and where the rest is.
/// GitHub wants some text, so an empty one becomes the title.
pub(super) fn summary(report: &Report) -> String {
    let text = if report.summary.trim().is_empty() { &report.title } else { &report.summary };
    cut(text, &report.url, LONGEST_SUMMARY)
}

fn cut(text: &str, url: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let link = format!("\n\nThis was cut; [the whole of it is here]({url}).\n");
    let mut kept = String::new();
    let mut fence: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        let after = next_fence(fence, line);
        let closing = after.map_or(0, |fence| fence.len() + 1);
        if kept.len() + line.len() + closing + link.len() > limit {
            break;
        }
        kept.push_str(line);
        fence = after;
    }
    if let Some(fence) = fence {
        kept.push_str(if kept.ends_with('\n') { "" } else { "\n" });
        kept.push_str(fence);
    }
    kept + &link
}

/// The code fence that is open after this line.
fn next_fence<'t>(open: Option<&'t str>, line: &'t str) -> Option<&'t str> {
    let text = line.trim();
    let mark = text.chars().next().filter(|&c| c == '`' || c == '~');
    let run = mark.map_or("", |mark| &text[..text.len() - text.trim_start_matches(mark).len()]);
    match open {
        Some(fence) if run.len() >= fence.len() && run.starts_with(fence) && run == text => None,
        Some(fence) => Some(fence),
        // with a backtick behind them, backticks are code within a line
        None if run.len() >= 3 && !text[run.len()..].contains('`') => Some(run),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URL: &str = "https://ci.example.com";

    /// The fence that is open at the end, as a reader of Markdown sees it.
    fn open_fence(text: &str) -> Option<&str> {
        text.split_inclusive('\n').fold(None, next_fence)
    }

    #[test]
    fn fences_open_and_close() {
        for (text, open) in [
            ("```\ncode\n", Some("```")),
            ("```rust\ncode\n```\n", None),
            ("````\n```\n", Some("````")),
            ("~~~\n```\n", Some("~~~")),
            ("```\n```` \n", None),
            ("``` one line ```\n", None),
            ("text ```\n", None),
            ("  ```\n", Some("```")),
        ] {
            assert_eq!(open_fence(text), open, "{text:?}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_leaves_the_link() {
        assert_eq!(cut(&"x".repeat(200), URL, 100), format!("\n\nThis was cut; [the whole of it is here]({URL}).\n"));
    }

    proptest! {
        #[test]
        fn what_is_cut_fits_and_closes_its_fences(
            lines in prop::collection::vec("(```|````|~~~|`)?[a-zä ]{0,8}(```)?", 0..40),
            limit in 80_usize..300,
        ) {
            let text = lines.join("\n");
            let cut = cut(&text, URL, limit);
            prop_assert!(cut.len() <= limit || cut == text);
            if cut != text {
                prop_assert_eq!(open_fence(&cut), None);
                let kept = cut.lines().zip(text.lines()).take_while(|(cut, whole)| cut == whole).count();
                // what follows the kept lines is at most a closing fence, the link and its blank line
                prop_assert!(cut.lines().count() <= kept + 3, "{cut}");
            }
        }
    }
}
