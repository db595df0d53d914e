//! The words of a report where a forge takes one line.

use crate::model::{Conclusion, Progress};

/// The title; it names a conclusion that GitHub's own words do not show.
pub(in crate::forge) fn said(progress: Progress, title: &str) -> String {
    match progress {
        Progress::Queued
        | Progress::Asks
        | Progress::Running
        | Progress::Done(Conclusion::Success | Conclusion::Failure) => title.to_owned(),
        Progress::Done(
            conclusion @ (Conclusion::Warning
            | Conclusion::TimedOut
            | Conclusion::Cancelled
            | Conclusion::Skipped
            | Conclusion::Error),
        ) => {
            let word = conclusion.to_string();
            if title.to_lowercase().contains(&word) { title.to_owned() } else { format!("{word}: {title}") }
        }
    }
}

/// At most so many characters; the last one is `…` if something is missing.
pub(in crate::forge) fn start(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    text.chars().take(characters - 1).chain(['…']).collect()
}

/// At most so many bytes, whole characters; ends in `…` if something is missing.
pub(in crate::forge) fn bytes(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_start_is_never_longer(text in "\\PC{0,30}", characters in 1_usize..20) {
            let start = start(&text, characters);
            prop_assert!(start.chars().count() <= characters);
            prop_assert!(text.chars().count() > characters || start == text);
        }

        #[test]
        fn bytes_are_never_more(text in "[aä→𝄞]{0,20}", limit in 3_usize..20) {
            let cut = bytes(&text, limit);
            prop_assert!(cut.len() <= limit, "{} bytes", cut.len());
            prop_assert!(text.len() > limit || cut == text);
        }
    }
}
