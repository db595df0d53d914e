//! Remarks on lines of files as a check's annotations. GitHub takes 50 with each call and appends them to those that
//! the check has, so each is sent once.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    forge::words::{bytes, start},
    model::{Annotation, Level},
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

/// Which the first so many are.
pub(super) fn digest(all: &[Annotation], count: usize) -> String {
    let first: Vec<Value> = sent(all).iter().take(count).map(value).collect();
    hex::encode(&Sha256::digest(Value::Array(first).to_string())[..8])
}

fn value(annotation: &Annotation) -> Value {
    let Annotation { path, line, end_line, column, length, severity, title, message } = annotation;
    let level = match severity {
        Level::Notice => "notice",
        Level::Warning => "warning",
        Level::Error => "failure",
    };
    let title = if title.is_empty() { own_title(annotation) } else { title.clone() };
    let mut value = json!({
        "path": path,
        "start_line": line,
        "end_line": (*end_line).max(*line),
        "annotation_level": level,
        "title": start(&title, LONGEST_TITLE),
        "message": bytes(message, LONGEST_MESSAGE),
    });
    // GitHub takes columns of one line only
    if *column > 0 && end_line <= line {
        value["start_column"] = json!(column);
        value["end_column"] = json!(column + length.saturating_sub(1));
    }
    value
}

fn own_title(annotation: &Annotation) -> String {
    let Annotation { path, line, column, severity, .. } = annotation;
    let word = severity.as_str();
    if *column == 0 {
        format!("{word} in {path}, line {line}")
    } else {
        format!("{word} in {path}, line {line}, column {column}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(count: usize) -> Vec<Annotation> {
        let one = |line| Annotation {
            path: ".containerops.yml".to_owned(),
            line,
            end_line: 0,
            column: 3,
            length: 4,
            severity: Level::Error,
            title: String::new(),
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
    fn columns_go_with_one_line_alone() {
        let [one, whole, several] = [(0, 3), (0, 0), (9, 3)].map(|(end_line, column)| Annotation {
            end_line,
            column,
            ..annotations(1).remove(0)
        });
        let columns = |annotation: &Annotation| value(annotation).get("start_column").and_then(Value::as_u64);
        assert_eq!([columns(&one), columns(&whole), columns(&several)], [Some(3), None, None]);
        assert_eq!(value(&several)["end_line"], 9);
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
