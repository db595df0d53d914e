//! `environments`: a map, or the original's list of maps, of which each may hold several pairs.

use std::collections::BTreeMap;

use super::{
    Reading, Shape,
    fields::Fields,
    findings::quoted,
    names,
    node::{Entry, Node, Place, Text, Value},
    scalar,
};

/// What we set ourselves in every job. `CO_DATA` is not one of them: it is the component's input.
const RESERVED: [&str; 25] = [
    "CI",
    "CONTAINEROPS",
    "CO_EVENT",
    "CO_BRANCH",
    "CO_TAG",
    "CO_SHA",
    "CO_BASE_SHA",
    "CO_PR_NUMBER",
    "CO_ACTOR",
    "CO_REPOSITORY",
    "CO_FLOW",
    "CO_RUN_ID",
    "CO_RUN_NUMBER",
    "CO_RUN_URL",
    "CO_STAGE",
    "CO_ACTION",
    "CO_JOB",
    "CO_ATTEMPT",
    "CO_WORKSPACE",
    "CO_OUTPUT",
    "CO_COMPONENT_START",
    "CO_TASK_START",
    "CO_TASK_RESULT",
    "CO_TASK_STATUS",
    "CO_COMPONENT_STOP",
];
/// Linux starts no program with a longer variable than 128 KiB, its name included.
const MAX_VALUE_BYTES: usize = 100_000;

/// A flow's or a job's variables.
pub(super) fn read(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    if let Some(node) = fields.claim("environments") {
        read_node(node, &mut variables, reading);
    }
    variables
}

/// Whether a file may set this variable; a finding if not.
pub(super) fn check_name(name: &str, at: Place, reading: &mut Reading<'_>) {
    if name == "CO-DATA" {
        let message = "`CO-DATA` is not `CO_DATA`: a component will not find its input";
        reading.findings.warning(at, message).hint("write CO_DATA, with an underscore");
    } else if !names::is_variable(name) {
        let message = format!("{} is no variable's name", quoted(name));
        // the original handed on any name
        reading.mistake(at, message).hint("letters, digits and `_`, not beginning with a digit");
    } else if is_reserved(name, reading.shape) {
        let message = format!("{} is set by ContainerOps, not by a file", quoted(name));
        reading.findings.error(at, message).hint("choose another name; those that begin with `CO_` are taken");
    }
}

fn is_reserved(name: &str, shape: Shape) -> bool {
    match shape {
        Shape::Ours => RESERVED.contains(&name) || (name.starts_with("CO_") && name != "CO_DATA"),
        // its components have inputs of their own that begin with `CO_`
        Shape::Original => RESERVED.contains(&name),
    }
}

fn read_node(node: &Node, variables: &mut BTreeMap<String, String>, reading: &mut Reading<'_>) {
    match &node.value {
        Value::Null => {}
        Value::Map(entries) => entries.iter().for_each(|entry| read_entry(entry, variables, reading)),
        Value::List(items) => {
            for item in items {
                match &item.value {
                    Value::Null => {}
                    Value::Map(entries) => entries.iter().for_each(|entry| read_entry(entry, variables, reading)),
                    Value::Scalar(_) | Value::List(_) => refuse(item, reading),
                }
            }
        }
        Value::Scalar(_) => refuse(node, reading),
    }
}

fn read_entry(entry: &Entry, variables: &mut BTreeMap<String, String>, reading: &mut Reading<'_>) {
    let Text { at, text: name } = &entry.key;
    check_name(name, *at, reading);
    let Some(value) = scalar::text(&entry.value, "a variable", reading) else { return };
    if value.text.len() > MAX_VALUE_BYTES {
        let message = format!("{} has more than {MAX_VALUE_BYTES} bytes", quoted(name));
        reading.findings.error(value.at, message).hint("put it in a file of the repository");
        return;
    }
    if variables.insert(name.clone(), value.text).is_some() {
        reading.findings.warning(*at, format!("{} is set twice; the last one counts", quoted(name)));
    }
}

fn refuse(node: &Node, reading: &mut Reading<'_>) {
    let message = format!("`environments` is a map of variables; this is {}", node.describe());
    reading.findings.error(node.at, message).hint("write NAME: value");
}
