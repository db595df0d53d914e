//! `on: schedule`, `on: manual` and `on: flow`: what starts a flow besides what happens on a forge.

use std::collections::BTreeMap;

use croner::parser::{CronParser, Seconds, Year};
use jiff::{Timestamp, tz::TimeZone};

use crate::model::{ManualInput, Schedule, Time};

use super::{
    Reading,
    fields::Fields,
    findings::quoted,
    keys, names,
    node::{Entry, Node, Text, Value},
    scalar,
};

/// Every one is a row that is looked at by a loop.
const MAX_SCHEDULES: usize = 20;
/// A page's form has no more fields that one could survey.
const MAX_INPUTS: usize = 50;
const MAX_OPTIONS: usize = 100;
/// Linux starts no program with a longer variable than 128 KiB; a form's field needs much less.
const MAX_INPUT_BYTES: usize = 10_000;
/// How many flows one may follow.
const MAX_FOLLOWED: usize = 20;
/// As long as any forge lets a branch's name be.
const MAX_BRANCH_BYTES: usize = 255;
/// How many times a clock is set back or forth until a schedule that has any comes: no leap day is further away.
const HORIZON_YEARS: i64 = 8;

/// `schedule`: one, or a list of them.
pub(super) fn schedules(node: &Node, reading: &mut Reading<'_>) -> Vec<Schedule> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Null | Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(node),
    };
    if items.is_empty() || node.is_null() {
        reading.findings.error(node.at, "`schedule` names no time").hint("write [{cron: \"30 3 * * *\"}]");
        return Vec::new();
    }
    if items.len() > MAX_SCHEDULES {
        reading.findings.error(node.at, format!("more than {MAX_SCHEDULES} schedules"));
    }
    let mut schedules: Vec<Schedule> = Vec::new();
    for item in items.iter().take(MAX_SCHEDULES) {
        let Some(schedule) = schedule(item, reading) else { continue };
        if schedules.contains(&schedule) {
            reading.findings.error(item.at, "this schedule stands here twice");
        } else {
            schedules.push(schedule);
        }
    }
    schedules
}

fn schedule(node: &Node, reading: &mut Reading<'_>) -> Option<Schedule> {
    let mut fields = Fields::of(node, &keys::SCHEDULE, reading)?;
    let zone = fields.claim("timezone").and_then(|node| scalar::text(node, "`timezone`", reading));
    let branch = fields.claim("branch").and_then(|node| branch(node, reading));
    let cron = fields.claim("cron").and_then(|node| scalar::text(node, "`cron`", reading));
    if cron.is_none() && !fields.has("cron") {
        reading.findings.error(node.at, "a schedule needs `cron`").hint("as in {cron: \"30 3 * * 1-5\"}");
    }
    fields.close(reading);
    let timezone = zone.map_or_else(|| Some("UTC".to_owned()), |zone| known_zone(zone, reading));
    let (cron, timezone) = (cron?, timezone?);
    let schedule = Schedule { cron: cron.text.clone(), timezone, branch };
    check(&schedule, &cron, reading).then_some(schedule)
}

/// A branch's name.
pub(super) fn branch(node: &Node, reading: &mut Reading<'_>) -> Option<String> {
    let branch = scalar::text(node, "`branch`", reading)?;
    if branch.text.is_empty() || branch.text.len() > MAX_BRANCH_BYTES {
        reading.findings.error(branch.at, format!("a branch's name has 1 to {MAX_BRANCH_BYTES} bytes"));
    }
    Some(branch.text)
}

fn known_zone(zone: Text, reading: &mut Reading<'_>) -> Option<String> {
    if TimeZone::get(&zone.text).is_ok() && zone.text.contains(|c: char| c.is_ascii_alphabetic()) {
        return Some(zone.text);
    }
    let finding = reading.findings.error(zone.at, format!("{} is no time zone", quoted(&zone.text)));
    finding.hint("zones are called as in the IANA database: Europe/Berlin, America/New_York, UTC");
    None
}

fn check(schedule: &Schedule, cron: &Text, reading: &mut Reading<'_>) -> bool {
    if let Err(why) = parsed(&schedule.cron) {
        let message = format!("{} is no line of cron: {why}", quoted(&cron.text));
        let finding = reading.findings.error(cron.at, message);
        finding.hint("five fields: minute, hour, day of the month, month, day of the week, as in \"30 3 * * 1-5\"");
        return false;
    }
    // any moment will do: what never comes within years never does
    if next(schedule, Time::from_millis(0)).is_none() {
        reading.findings.error(cron.at, format!("{} is at a time that never comes", quoted(&cron.text)));
        return false;
    }
    true
}

fn parsed(cron: &str) -> Result<croner::Cron, String> {
    if cron.len() > 200 {
        return Err("it has more than 200 characters".to_owned());
    }
    if !cron.starts_with('@') && cron.split_whitespace().count() != 5 {
        return Err("it has five fields".to_owned());
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(cron).map_err(|error| error.to_string())
}

/// The first time after a moment at which a schedule comes; `None`: none, within years.
pub fn next(schedule: &Schedule, after: Time) -> Option<Time> {
    let cron = parsed(&schedule.cron).ok()?;
    let zone = TimeZone::get(&schedule.timezone).ok()?;
    let from = Timestamp::from_millisecond(after.as_millis()).ok()?.to_zoned(zone);
    let found = cron.find_next_occurrence(&from, false).ok()?.timestamp();
    let years = (found.as_second() - from.timestamp().as_second()) / (365 * 24 * 3600);
    (years <= HORIZON_YEARS).then(|| Time::from_millis(found.as_millisecond()))
}

/// `manual`: with inputs, or as it stands.
pub(super) fn manual(node: &Node, reading: &mut Reading<'_>) -> Vec<ManualInput> {
    if node.is_null() {
        return Vec::new();
    }
    let Some(mut fields) = Fields::of(node, &keys::MANUAL, reading) else { return Vec::new() };
    let mut inputs: Vec<ManualInput> = Vec::new();
    if let Some(node) = fields.claim("inputs") {
        match &node.value {
            Value::Map(entries) => entries.iter().for_each(|entry| inputs.extend(input(entry, &inputs, reading))),
            Value::Null | Value::Scalar(_) | Value::List(_) => {
                let message = format!("`inputs` is a map of names; this is {}", node.describe());
                reading.findings.error(node.at, message).hint("write {level: {default: info}}");
            }
        }
        if inputs.len() > MAX_INPUTS {
            reading.findings.error(node.at, format!("more than {MAX_INPUTS} inputs"));
        }
    }
    fields.close(reading);
    inputs
}

fn input(entry: &Entry, others: &[ManualInput], reading: &mut Reading<'_>) -> Option<ManualInput> {
    let name = entry.key.text.clone();
    if !names::is_variable(&name) {
        let finding = reading.findings.error(entry.key.at, format!("{} is no input's name", quoted(&name)));
        finding.hint("letters, digits and `_`, not beginning with a digit");
    }
    if let Some(other) = others.iter().find(|other| other.name.eq_ignore_ascii_case(&name)) {
        let message = format!("{} and {} would be one variable", quoted(&name), quoted(&other.name));
        reading.findings.error(entry.key.at, message).hint(format!("both are {} in a job", variable(&name)));
    }
    let (default, options) = match &entry.value.value {
        Value::Null => (None, Vec::new()),
        Value::Scalar(_) => (scalar::text(&entry.value, "a default", reading), Vec::new()),
        Value::List(_) | Value::Map(_) => {
            let mut fields = Fields::of(&entry.value, &keys::MANUAL_INPUT, reading)?;
            let default = fields.claim("default").and_then(|node| scalar::text(node, "`default`", reading));
            let options = fields.claim("options").map_or_else(Vec::new, |node| options(node, reading));
            fields.close(reading);
            (default, options)
        }
    };
    if let Some(default) = default.as_ref().filter(|text| !options.is_empty() && !options.contains(&text.text)) {
        let message = format!("the default {} is none of the options", quoted(&default.text));
        reading.findings.error(default.at, message);
    }
    Some(ManualInput { name, default: default.map(|text| text.text), options })
}

/// What a job gives to the flow that it starts.
pub(super) fn given(node: &Node, reading: &mut Reading<'_>) -> BTreeMap<String, String> {
    let Value::Map(entries) = &node.value else {
        let message = format!("`inputs` is a map of names and texts; this is {}", node.describe());
        reading.findings.error(node.at, message).hint("write {level: info}");
        return BTreeMap::new();
    };
    if entries.len() > MAX_INPUTS {
        reading.findings.error(node.at, format!("more than {MAX_INPUTS} inputs"));
    }
    let mut given = BTreeMap::new();
    for Entry { key, value } in entries {
        if !names::is_variable(&key.text) {
            let finding = reading.findings.error(key.at, format!("{} is no input's name", quoted(&key.text)));
            finding.hint("letters, digits and `_`, not beginning with a digit");
        }
        let Some(text) = scalar::text(value, "an input", reading) else { continue };
        if text.text.len() > MAX_INPUT_BYTES {
            reading.findings.error(text.at, format!("an input has at most {MAX_INPUT_BYTES} bytes"));
        }
        given.insert(key.text.clone(), text.text);
    }
    given
}

fn options(node: &Node, reading: &mut Reading<'_>) -> Vec<String> {
    let texts = scalar::texts(node, "an option", reading);
    if texts.is_empty() || texts.len() > MAX_OPTIONS {
        reading.findings.error(node.at, format!("`options` has 1 to {MAX_OPTIONS} texts"));
    }
    texts.into_iter().map(|text| text.text).collect()
}

/// `flow`: the flows after which this one runs.
pub(super) fn followed(node: &Node, reading: &mut Reading<'_>) -> Vec<String> {
    let texts = if node.is_null() { Vec::new() } else { scalar::texts(node, "a flow's `uri`", reading) };
    if texts.is_empty() || texts.len() > MAX_FOLLOWED {
        reading.findings.error(node.at, format!("`flow` names 1 to {MAX_FOLLOWED} flows")).hint("write [acme/shop/ci]");
    }
    let mut uris: Vec<String> = Vec::new();
    for text in texts.into_iter().take(MAX_FOLLOWED) {
        if text.text.split('/').count() < 3 || text.text.contains(char::is_whitespace) || text.text.len() > 500 {
            let finding = reading.findings.error(text.at, format!("{} is no flow's `uri`", quoted(&text.text)));
            finding.hint("write <namespace>/<repository>/<name>");
        } else if !uris.contains(&text.text) {
            uris.push(text.text);
        }
    }
    uris
}

/// The variable that holds an input in every job.
pub fn variable(input: &str) -> String {
    format!("CO_INPUT_{}", input.to_ascii_uppercase())
}

/// Why these inputs cannot be given to a flow that has those; `None`: they can.
pub(super) fn refusal(declared: &[ManualInput], given: &BTreeMap<String, String>) -> Option<String> {
    for (name, value) in given {
        let Some(input) = declared.iter().find(|input| input.name == *name) else {
            let known: Vec<&str> = declared.iter().map(|input| input.name.as_str()).collect();
            let known =
                if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) };
            return Some(format!("there is no input {}: {known}", quoted(name)));
        };
        if value.len() > MAX_INPUT_BYTES || value.contains('\0') {
            return Some(format!("input {} has more than {MAX_INPUT_BYTES} bytes, or a zero in it", quoted(name)));
        }
        if !input.options.is_empty() && !input.options.contains(value) {
            let options = input.options.join(", ");
            return Some(format!("input {} is one of {options}; {} is none of them", quoted(name), quoted(value)));
        }
    }
    let missing = declared.iter().find(|input| input.default.is_none() && !given.contains_key(&input.name))?;
    Some(format!("input {} has no default and was not given", quoted(&missing.name)))
}

/// All inputs: as given, else by default, else empty.
pub(super) fn values(declared: &[ManualInput], given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let value = |input: &ManualInput| given.get(&input.name).or(input.default.as_ref()).cloned().unwrap_or_default();
    declared.iter().map(|input| (input.name.clone(), value(input))).collect()
}

/// The names and defaults of the inputs in a file that has not been read yet: what is wrong with them is told later.
pub(super) fn raw_inputs(root: &Node) -> BTreeMap<String, String> {
    let inputs = ["on", "manual", "inputs"].iter().try_fold(root, |node, key| child(node, key));
    let Some(Node { value: Value::Map(entries), .. }) = inputs else { return BTreeMap::new() };
    let default = |node: &Node| match &node.value {
        Value::Scalar(text) => text.clone(),
        Value::Map(_) => {
            let default = child(node, "default").map(|node| &node.value);
            if let Some(Value::Scalar(text)) = default { text.clone() } else { String::new() }
        }
        Value::Null | Value::List(_) => String::new(),
    };
    entries.iter().map(|entry| (entry.key.text.clone(), default(&entry.value))).collect()
}

fn child<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|entry| entry.key.text == key).map(|entry| &entry.value),
        Value::Null | Value::Scalar(_) | Value::List(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::next;
    use crate::model::{Schedule, Time};

    /// The next times, as UTC has them.
    fn times(cron: &str, timezone: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = Schedule { cron: cron.to_owned(), timezone: timezone.to_owned(), branch: None };
        let mut at = Time::from_millis(from.parse::<Timestamp>().expect("a time").as_millisecond());
        let mut found = Vec::new();
        for _ in 0..count {
            at = next(&schedule, at).expect("it comes");
            found.push(Timestamp::from_millisecond(at.as_millis()).expect("a time").to_string());
        }
        found
    }

    #[test]
    fn a_time_that_a_clock_set_forth_leaves_out_comes_once_that_day() {
        // in Berlin the clock goes from 2:00 to 3:00 on 2026-03-29, which is 1:00 in UTC
        let found = times("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3);
        assert_eq!(found, ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    }

    #[test]
    fn a_time_that_a_clock_set_back_has_twice_comes_once_that_day() {
        // and from 3:00 back to 2:00 on 2026-10-25
        let found = times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(found, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    }

    #[test]
    fn a_line_is_read_by_its_own_zone() {
        assert_eq!(
            times("0 9 * * 1-5", "America/New_York", "2026-07-03T12:00:00Z", 2),
            ["2026-07-03T13:00:00Z", "2026-07-06T13:00:00Z"]
        );
        assert_eq!(times("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 1), ["2028-02-29T00:00:00Z"]);
    }
}
