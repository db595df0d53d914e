//! Remarks on lines of files as a check's annotations. GitHub takes 50 with each call and appends them to those that
//! the check has, so each is sent once.

use serde_json::{Value, json};

use crate::{
    forge::words::{bytes, start},
    model::{Annotation, Severity},
};

/// GitHub refuses more in one call.
pub(super) const AT_ONCE: usize = 50;
/// Nobody reads more, and each further 50 cost a call. The summary and the run's page name them all.
const MOST: usize = 200;
/// GitHub takes 64 KB; a message is for one line's margin.
const LONGEST_MESSAGE: usize = 16 << 10;
/// GitHub takes no longer title.
const LONGEST_TITLE: usize = 255;

/// Those that are sent at all.
pub(super) fn sent(all: &[Annotation]) -> &[Annotation] {
    &all[..all.len().min(MOST)]
}

/// The next call's, when GitHub has so many.
pub(super) fn batch(all: &[Annotation], known: usize) -> Vec<Value> {
    sent(all).iter().skip(known).take(AT_ONCE).map(value).collect()
}

fn value(annotation: &Annotation) -> Value {
    let Annotation { path, line, column, length, severity, message } = annotation;
    let (level, word) = match severity {
        Severity::Warning => ("warning", "warning"),
        Severity::Error => ("failure", "error"),
    };
    let title = format!("{word} in {path}, line {line}, column {column}");
    json!({
        "path": path,
        "start_line": line,
        "end_line": line,
        "start_column": column,
        "end_column": column + length.saturating_sub(1),
        "annotation_level": level,
        "title": start(&title, LONGEST_TITLE),
        "message": bytes(message, LONGEST_MESSAGE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(count: usize) -> Vec<Annotation> {
        let one = |line| Annotation {
            path: ".containerops.yml".to_owned(),
            line,
            column: 3,
            length: 4,
            severity: Severity::Error,
            message: format!("wrong {line}"),
        };
        (1..=count).map(one).collect()
    }

    #[test]
    fn every_annotation_is_in_one_batch() {
        for (count, batches) in
            [(0, vec![]), (50, vec![50]), (51, vec![50, 1]), (120, vec![50, 50, 20]), (999, vec![50; 4])]
        {
            let all = annotations(count);
            let (mut known, mut sizes, mut lines) = (0, Vec::new(), Vec::new());
            while known < sent(&all).len() {
                let next = batch(&all, known);
                known += next.len();
                sizes.push(next.len());
                lines.extend(next.iter().map(|annotation| annotation["start_line"].as_u64()));
            }
            assert_eq!(sizes, batches, "{count}");
            assert!(lines.iter().zip(1..).all(|(line, at)| *line == Some(at)), "{lines:?}");
        }
    }

    #[test]
    fn an_annotation_is_bounded_whatever_is_in_it() {
        let mut huge = annotations(1);
        huge[0].path = "p".repeat(4000);
        huge[0].message = "ä".repeat(100_000);
        let value = &batch(&huge, 0)[0];
        assert_eq!(value["title"].as_str().map(|title| title.chars().count()), Some(LONGEST_TITLE));
        let message = value["message"].as_str().expect("a text");
        assert!((LONGEST_MESSAGE - 4..=LONGEST_MESSAGE).contains(&message.len()), "{} bytes", message.len());
    }
}
