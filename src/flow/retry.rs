//! `retry`: after which ends of its own a job is tried again, and how often.

use crate::model::{Retry, RetryOn};

use super::{
    Reading,
    fields::Fields,
    findings::quoted,
    keys,
    node::{Text, Value},
    scalar,
};

/// What fails more often in a row does not fail by chance.
const MAX: u32 = 10;

/// `retry: 2`, or `{max: 2, on: [transient]}`; without `on` after a failure and after a timeout.
pub(super) fn read(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Option<Retry> {
    let node = fields.claim("retry")?;
    let (max, on) = match &node.value {
        Value::Map(_) => {
            let mut inner = Fields::of(node, &keys::RETRY, reading)?;
            let max = inner.claim("max").and_then(|node| scalar::text(node, "`max`", reading));
            let on = inner.claim("on").map(|node| scalar::texts(node, "an end in `on`", reading));
            inner.close(reading);
            (max.map_or(Some(1), |text| times(&text, reading)), on)
        }
        Value::Null | Value::Scalar(_) | Value::List(_) => {
            let text = scalar::text(node, "`retry`", reading)?;
            (times(&text, reading), None)
        }
    };
    let on = match on {
        None => vec![RetryOn::Failure, RetryOn::Timeout],
        Some(words) => ends(&words, reading),
    };
    max.filter(|max| *max > 0).map(|max| Retry { max, on }).filter(|retry| !retry.on.is_empty())
}

fn times(text: &Text, reading: &mut Reading<'_>) -> Option<u32> {
    let max = text.text.parse::<u32>().ok().filter(|max| *max <= MAX);
    if max.is_none() {
        let message = format!("{} is no number of retries: 0 to {MAX}", quoted(&text.text));
        reading.findings.error(text.at, message).hint("for example `retry: 2`, or `retry: {max: 1, on: [transient]}`");
    }
    max
}

fn ends(words: &[Text], reading: &mut Reading<'_>) -> Vec<RetryOn> {
    let mut on = Vec::new();
    for word in words {
        match RetryOn::ALL.into_iter().find(|end| end.as_str() == word.text) {
            Some(end) if on.contains(&end) => {}
            Some(end) => on.push(end),
            None => {
                let names = RetryOn::ALL.map(RetryOn::as_str);
                let hint = reading.findings.did_you_mean(&word.text, names);
                let hint = hint.or_else(|| Some("what is nobody's fault is tried again by itself".to_owned()));
                let message = format!("`on` is any of {}; {} is none of them", names.join(", "), quoted(&word.text));
                reading.findings.error(word.at, message).maybe_hint(hint);
            }
        }
    }
    on
}
