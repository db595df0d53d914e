//! `shell`: who reads a job's `run`, instead of `/bin/sh -e`.

use crate::model::Program;

use super::{
    Reading,
    fields::Fields,
    findings::quoted,
    node::{Entry, Value},
    scalar,
};

/// More arguments than any shell has use for.
const MAX_WORDS: usize = 20;
/// Longer ones are programs, and belong into `run`.
const MAX_BYTES: usize = 1000;
/// What these do with a script unless they are told to be strict is seldom meant: they go on after an error.
const STRICT: [(&str, &[&str]); 2] = [("bash", &["bash", "-eo", "pipefail"]), ("sh", &["sh", "-e"])];

/// The program and its arguments, to which the script's file is added; empty for `/bin/sh -e`.
pub(super) fn read(fields: &mut Fields<'_>, program: &Program, reading: &mut Reading<'_>) -> Vec<String> {
    let Some(entry) = fields.claim_entry("shell").filter(|entry| !entry.value.is_null()) else { return Vec::new() };
    if !matches!(program, Program::Script(_)) {
        let message = "`shell` says who reads `run`, and this job has no `run`";
        reading.findings.error(entry.key.at, message).hint("write the program and its arguments into `command`");
    }
    let words = words(entry, reading);
    if words.first().is_none_or(String::is_empty) {
        let finding = reading.findings.error(entry.key.at, "`shell` names no program");
        finding.hint("for example `shell: bash`, or `shell: [bash, -eo, pipefail]`");
    }
    let length: usize = words.iter().map(String::len).sum();
    if words.len() > MAX_WORDS || length > MAX_BYTES {
        let message = format!("`shell` has at most {MAX_WORDS} words and {MAX_BYTES} bytes");
        reading.findings.error(entry.key.at, message).hint("the script itself is `run`");
    }
    for word in words.iter().filter(|word| word.contains('\0')) {
        reading.findings.error(entry.value.at, format!("{} is no argument", quoted(word)));
    }
    words
}

fn words(entry: &Entry, reading: &mut Reading<'_>) -> Vec<String> {
    if let Value::List(items) = &entry.value.value {
        return items.iter().filter_map(|item| scalar::text(item, "`shell`", reading)).map(|text| text.text).collect();
    }
    let Some(text) = scalar::text(&entry.value, "`shell`", reading) else { return vec!["?".to_owned()] };
    let words: Vec<&str> = text.text.split_whitespace().collect();
    let strict = STRICT.iter().find(|(name, _)| words == [*name]);
    strict.map_or(words, |(_, strict)| strict.to_vec()).into_iter().map(str::to_owned).collect()
}
