//! Texts made short enough for GitHub, without breaking what is left of them.

use crate::model::{Conclusion, Progress, Report};

/// GitHub refuses a check's summary above this many bytes, and above this many UTF-16 units. A text never has more
/// UTF-16 units than bytes, so the bytes decide.
const LONGEST_SUMMARY: usize = 65_535;

/// The report's Markdown. If it is too long: its first whole lines, an open code block closed, and where the rest is.
/// GitHub wants some text, so an empty one becomes the title.
pub(super) fn summary(report: &Report) -> String {
    let text = if report.summary.trim().is_empty() { &report.title } else { &report.summary };
    cut(text, &report.url, LONGEST_SUMMARY)
}

/// The title; it names a conclusion that GitHub's own words do not show.
pub(super) fn said(progress: Progress, title: &str) -> String {
    match progress {
        Progress::Queued | Progress::Running | Progress::Done(Conclusion::Success | Conclusion::Failure) => {
            title.to_owned()
        }
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
pub(super) fn start(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    text.chars().take(characters - 1).chain(['…']).collect()
}

fn cut(text: &str, url: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let link = format!("\n\nThis was cut; [the whole of it is here]({url}).\n");
    // a fence that is closed needs room, too: its own length, which nobody makes longer than its line
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
        None if run.len() >= 3 => Some(run),
        None => None,
    }
}
