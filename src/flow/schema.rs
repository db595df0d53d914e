//! The language as a JSON Schema, for editors: made of the key tables that the readers use, so that no key is forgotten.
//!
//! The schema knows structure, not meaning: names, links, conditions and patterns are for `containerops lint`. Where a
//! text is expected any scalar is one, as in the reader, and `@NAME@` may stand in all of them.

mod types;

use serde_json::{Map, Value, json};

use super::{fields::Level, keys};
use types::{Key, Kind, TABLES, Table};

/// Where the schema says it is from; the one of a server is the same.
const TITLE: &str = "A flow of ContainerOps";
/// A variable of the flow may stand in any text, so that no pattern of ours holds for it.
const REFERENCE: &str = "@[A-Za-z_][A-Za-z0-9_]*@";

/// The schema of a flow file, in draft 7, which is what editors know best.
pub fn schema() -> Value {
    let definitions: Map<String, Value> =
        TABLES.iter().map(|table| (table.name.to_owned(), definition(table))).collect();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": TITLE,
        "$ref": "#/definitions/flow",
        "definitions": definitions,
    })
}

/// The four levels, from the outermost: where one holds just one of the next, its keys may stand one level up.
static LEVELS: [(&Level, &str); 4] =
    [(&keys::FLOW, "stages"), (&keys::STAGE, "actions"), (&keys::ACTION, "jobs"), (&keys::JOB, "")];

fn definition(table: &Table) -> Value {
    let Some(from) = LEVELS.iter().position(|(level, _)| std::ptr::eq(*level, table.level)) else {
        return object(properties(table), Map::new());
    };
    let mut all = Map::new();
    let mut dependencies = Map::new();
    for (level, list) in &LEVELS[from..] {
        for (key, value) in TABLES.iter().filter(|table| std::ptr::eq(table.level, *level)).flat_map(properties) {
            // a key that two levels have is the outer one's
            all.entry(key).or_insert(value);
        }
        if !list.is_empty() {
            let names: Vec<&String> = all.keys().collect();
            dependencies.insert((*list).to_owned(), json!({"propertyNames": {"enum": names}}));
        }
    }
    object(all, dependencies)
}

fn object(properties: Map<String, Value>, dependencies: Map<String, Value>) -> Value {
    let mut object = json!({"type": ["object", "null"], "properties": properties, "additionalProperties": false});
    if !dependencies.is_empty() {
        object["dependencies"] = Value::Object(dependencies);
    }
    object
}

/// The keys that work, with their types, and those that are ignored.
fn properties(table: &Table) -> Map<String, Value> {
    let mut properties = Map::new();
    for key in table.level.keys {
        let known = table.keys.iter().find(|known| known.name == *key);
        properties.insert((*key).to_owned(), known.map_or(json!(true), property));
    }
    for key in table.level.ignored {
        properties.insert((*key).to_owned(), json!({"description": "Ignored: the original's engine wrote it."}));
    }
    properties
}

fn property(key: &Key) -> Value {
    let mut value = kind(&key.kind);
    // beside a `$ref` nothing else counts
    if value.get("$ref").is_some() {
        value = json!({"allOf": [value]});
    }
    value["description"] = Value::String(key.about.to_owned());
    value
}

fn kind(of: &Kind) -> Value {
    match of {
        Kind::Anything => json!({}),
        Kind::Text => json!({"type": ["string", "number", "boolean", "null"]}),
        Kind::Texts => json!({"anyOf": [kind(&Kind::Text), kind(&Kind::List(&Kind::Text))]}),
        Kind::Toggle => words(&["true", "false"], &[json!(true), json!(false)]),
        Kind::Count => pattern("[0-9]+"),
        Kind::Duration => pattern("([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?|[0-9]+"),
        Kind::Quantity => pattern(r"\+?[0-9.]+([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?"),
        Kind::Words(list) => words(list, &[]),
        Kind::Variables => json!({"anyOf": [kind(&Kind::Texts), kind(&Kind::Map), kind(&Kind::List(&Kind::Map))]}),
        Kind::Map => json!({"type": ["object", "null"], "additionalProperties": kind(&Kind::Text)}),
        Kind::List(item) => json!({"type": ["array", "null"], "items": kind(item)}),
        Kind::Level(level) => match TABLES.iter().find(|table| std::ptr::eq(table.level, *level)) {
            Some(table) => json!({"$ref": format!("#/definitions/{}", table.name)}),
            None => json!({"type": ["object", "null"]}),
        },
        Kind::OneOf(kinds) => json!({"anyOf": kinds.iter().map(kind).collect::<Vec<_>>()}),
    }
}

/// Numbers, and texts of this form.
fn pattern(form: &str) -> Value {
    json!({"type": ["string", "number", "null"], "pattern": format!("{REFERENCE}|^({form})$")})
}

/// Words, in capitals or not, and a variable.
fn words(list: &[&str], more: &[Value]) -> Value {
    let any = |word: &&str| word.chars().map(either).collect::<String>();
    let form: Vec<String> = list.iter().map(any).collect();
    let named = list.iter().map(|word| json!(word)).chain(more.iter().cloned()).chain([Value::Null]);
    let written = json!({"type": "string", "pattern": format!("{REFERENCE}|^({})$", form.join("|"))});
    json!({"anyOf": [{"enum": named.collect::<Vec<_>>()}, written]})
}

fn either(letter: char) -> String {
    if letter.is_ascii_alphabetic() {
        format!("[{}{}]", letter.to_ascii_uppercase(), letter.to_ascii_lowercase())
    } else {
        letter.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{LEVELS, TABLES};

    #[test]
    fn every_key_of_every_level_has_a_type_and_words() {
        for table in TABLES {
            for key in table.level.keys {
                let found: Vec<_> = table.keys.iter().filter(|known| known.name == *key).collect();
                let [known] = found.as_slice() else {
                    panic!("`{key}` of {} stands {} times in flow/schema/types.rs", table.level.name, found.len())
                };
                assert!(known.about.ends_with('.'), "`{key}` of {} has no sentence", table.level.name);
            }
            for known in table.keys {
                assert!(table.level.has(known.name), "`{}` is no key of {}", known.name, table.level.name);
            }
        }
    }

    #[test]
    fn every_level_has_a_table() {
        let source = include_str!("keys.rs");
        let names: Vec<&str> = source
            .split("static ")
            .skip(1)
            .filter_map(|rest| rest.split_once(": Level").map(|(name, _)| name))
            .collect();
        assert!(names.len() >= 10, "keys.rs is read: {names:?}");
        let types = include_str!("schema/types.rs");
        for name in names {
            assert!(types.contains(&format!("level: &keys::{name},")), "{name} is missing in flow/schema/types.rs");
        }
        assert!(LEVELS.iter().all(|(level, _)| TABLES.iter().any(|table| std::ptr::eq(table.level, *level))));
    }
}
