//! `secrets`: the names of secrets that a job wants in its environment. A list of names, each of which is the variable's
//! too, or a map of variables to names. What they hold is in no file, and in no plan.

use crate::model::{JobPath, SecretName, WantedSecrets as Wanted};

use super::{
    Reading, environments,
    fields::Fields,
    findings::quoted,
    node::{Entry, Node, Text, Value},
    scalar,
};

/// As many as a job may have outputs.
const MAX_SECRETS: usize = 256;
/// What an author may write a name like who knows another service's way.
const LIKE_VARIABLES: &str = "write the name alone, such as `secrets: [DEPLOY_TOKEN]`; its value is set on the server";

/// Takes down what the job at `path` wants.
pub(super) fn read(fields: &mut Fields<'_>, path: &JobPath, reading: &mut Reading<'_>) {
    let Some(node) = fields.claim("secrets") else { return };
    let mut wanted = Wanted::new();
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| read_item(item, &mut wanted, reading)),
        Value::Map(entries) => entries.iter().for_each(|entry| read_entry(entry, &mut wanted, reading)),
        Value::Null | Value::Scalar(_) => read_item(node, &mut wanted, reading),
    }
    if wanted.len() > MAX_SECRETS {
        reading.findings.error(node.at, format!("more than {MAX_SECRETS} secrets"));
        return;
    }
    reading.wants.add(path, wanted);
}

/// A name that is the variable's too, or a map among names.
fn read_item(node: &Node, wanted: &mut Wanted, reading: &mut Reading<'_>) {
    if let Value::Map(entries) = &node.value {
        return entries.iter().for_each(|entry| read_entry(entry, wanted, reading));
    }
    let Some(text) = scalar::text(node, "a secret's name", reading) else { return };
    let Some(name) = name(&text, reading) else { return };
    if text.text.contains('-') {
        let message = format!("{} is no variable's name", quoted(&text.text));
        let hint = format!("name the variable that is to hold it: {{{}: {name}}}", text.text.replace('-', "_"));
        reading.findings.error(text.at, message).hint(hint);
        return;
    }
    add(&text, name, wanted, reading);
}

/// A variable, and the secret that it is to hold.
fn read_entry(entry: &Entry, wanted: &mut Wanted, reading: &mut Reading<'_>) {
    let Some(text) = scalar::text(&entry.value, "a secret's name", reading) else { return };
    if let Some(name) = name(&text, reading) {
        add(&entry.key, name, wanted, reading);
    }
}

fn add(variable: &Text, name: SecretName, wanted: &mut Wanted, reading: &mut Reading<'_>) {
    environments::check_name(&variable.text, variable.at, reading);
    if wanted.insert(variable.text.clone(), name).is_some() {
        let message = format!("{} gets two secrets; the last one counts", quoted(&variable.text));
        reading.findings.warning(variable.at, message);
    }
}

fn name(text: &Text, reading: &mut Reading<'_>) -> Option<SecretName> {
    if text.text.is_empty() {
        reading.findings.error(text.at, "a secret's name is empty").hint(LIKE_VARIABLES);
        return None;
    }
    let name = text.text.parse().ok();
    if name.is_none() {
        let hint = "at most 100 letters, digits, `_` and `-`, beginning with a letter or `_`";
        let hint = if text.text.contains(['$', '{', '=']) { LIKE_VARIABLES } else { hint };
        reading.findings.error(text.at, format!("{} is no secret's name", quoted(&text.text))).hint(hint);
    }
    name
}
