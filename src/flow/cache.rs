//! `cache` of an action: paths that its runs find again.

use crate::model::Cache;

use super::{
    Reading,
    fields::Fields,
    findings::quoted,
    keys, names,
    node::{Node, Text, Value},
    paths, scalar,
};

/// More than anybody can tell apart in a log.
const MAX_CACHES: usize = 16;

/// The caches of the action called `action`.
pub(super) fn read(fields: &mut Fields<'_>, action: &str, reading: &mut Reading<'_>) -> Vec<Cache> {
    let Some(node) = fields.claim("cache") else { return Vec::new() };
    let items: &[Node] = match &node.value {
        Value::List(items) => items,
        Value::Null | Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(node),
    };
    if items.len() > MAX_CACHES {
        reading.findings.error(node.at, format!("more than {MAX_CACHES} caches"));
    }
    let mut caches: Vec<Cache> = Vec::new();
    for item in items.iter().take(MAX_CACHES) {
        let Some(mut fields) = Fields::of(item, &keys::CACHE, reading) else { continue };
        let cache = cache(&mut fields, action, reading);
        fields.close(reading);
        if caches.iter().any(|other| other.name == cache.name) {
            let message = format!("{} is already the name of another cache of this action", quoted(&cache.name));
            reading.findings.error(item.at, message).hint("give each a `name`");
        }
        caches.push(cache);
    }
    caches
}

fn cache(fields: &mut Fields<'_>, action: &str, reading: &mut Reading<'_>) -> Cache {
    let name = fields.claim("name").and_then(|node| scalar::text(node, "a name", reading));
    if let Some(name) = &name {
        names::check(name, reading);
    }
    let key_files = paths::patterns(fields, "key-files", reading).unwrap_or_default();
    let paths = match fields.claim("paths") {
        Some(node) => scalar::texts(node, "a path", reading).iter().map(|text| path(text, reading)).collect(),
        None => Vec::new(),
    };
    if paths.is_empty() {
        reading.findings.error(fields.at(), "a cache needs `paths`");
    }
    Cache { name: name.map_or_else(|| action.to_owned(), |name| name.text), key_files, paths }
}

/// A path in the workspace, in the home directory, or anywhere else.
fn path(text: &Text, reading: &mut Reading<'_>) -> String {
    let (front, rest) = match text.text.strip_prefix("~/") {
        Some(rest) => ("~/", rest),
        None => text.text.strip_prefix('/').map_or(("", text.text.as_str()), |rest| ("/", rest)),
    };
    let rest = paths::inside(&Text { at: text.at, text: rest.to_owned() }, reading);
    if rest.is_empty() && !text.text.is_empty() {
        let message = format!("{} is too much for a cache", quoted(&text.text));
        reading.findings.error(text.at, message).hint("name the directories in it that are worth it");
    }
    if rest.contains(['*', '?', '[', '{']) {
        let message = format!("{} is a pattern; a cache has plain paths", quoted(&text.text));
        reading.findings.error(text.at, message).hint("name the directory");
    }
    format!("{front}{rest}")
}
