//! `CO_DATA`, a component's input, in both of its forms: a JSON object, or `key=value` pairs with blanks between them;
//! and what can be linked into it: outputs, as texts or as what they hold.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::contents;

/// Parsed as JSON.
pub(super) const JSON: &str = "CO_JSON_CONTENT";
/// Parsed as YAML.
pub(super) const YAML: &str = "CO_YAML_CONTENT";
/// A text.
pub(super) const XML: &str = "CO_XML_CONTENT";
/// Linux starts no program with a longer variable than 128 KiB, its name included.
pub const MAX_DATA_BYTES: usize = 100_000;

/// A component's input.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// `{"version": "1.4"}`.
    Json(Map<String, Value>),
    /// `version=1.4 debug=true`.
    Pairs(Vec<(String, String)>),
}

/// A text that is no component's input.
#[derive(Debug, thiserror::Error)]
pub enum NoData {
    /// It begins like JSON.
    #[error("it is no JSON object: {0}")]
    Json(#[from] serde_json::Error),
    /// It does not.
    #[error("it is no JSON object, and has a word without `=`")]
    Pairs,
}

/// JSON's types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array.
    List,
    /// An object.
    Object,
}

impl FromStr for Data {
    type Err = NoData;
    fn from_str(text: &str) -> Result<Self, NoData> {
        if text.trim_start().starts_with('{') {
            return Ok(Self::Json(serde_json::from_str(text)?));
        }
        let pair = |word: &str| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        text.split_whitespace().map(pair).collect::<Option<_>>().map(Self::Pairs).ok_or(NoData::Pairs)
    }
}

impl Data {
    /// What a job without a `CO_DATA` of its own begins with.
    pub fn empty() -> Self {
        Self::Json(Map::new())
    }

    /// Puts a value at its place, in objects that are made where they are missing.
    ///
    /// # Errors
    /// Why pairs cannot hold it.
    pub fn set(&mut self, to: &[String], value: Value) -> Result<(), String> {
        match (self, to) {
            (_, []) => Ok(()),
            (Self::Json(map), [parents @ .., last]) => {
                let mut map = map;
                for parent in parents {
                    let below = map.entry(parent.clone()).or_insert(Value::Null);
                    if !below.is_object() {
                        *below = Value::Object(Map::new());
                    }
                    let Value::Object(object) = below else { return Ok(()) };
                    map = object;
                }
                map.insert(last.clone(), value);
                Ok(())
            }
            (Self::Pairs(pairs), [key]) => {
                let text = match value {
                    Value::String(text) => text,
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                        value.to_string()
                    }
                };
                if text.contains(char::is_whitespace) {
                    return Err(format!("the value of `{key}` has blanks, which key=value pairs cannot hold"));
                }
                match pairs.iter_mut().find(|(own, _)| own == key) {
                    Some((_, own)) => *own = text,
                    None => pairs.push((key.clone(), text)),
                }
                Ok(())
            }
            (Self::Pairs(_), [..]) => Err(format!("key=value pairs have no `{}`", to.join("."))),
        }
    }

    /// Every value that is no object with something in it: its place and its type.
    pub fn leaves(&self) -> Vec<(Vec<String>, Kind)> {
        match self {
            Self::Json(map) => {
                let mut leaves = Vec::new();
                collect(map, &mut Vec::new(), &mut leaves);
                leaves
            }
            Self::Pairs(pairs) => pairs.iter().map(|(key, _)| (vec![key.clone()], Kind::Text)).collect(),
        }
    }
}

/// As `CO_DATA` has it.
impl std::fmt::Display for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(map) => f.write_str(&serde_json::to_string(map).unwrap_or_default()),
            Self::Pairs(pairs) => {
                let words: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
                f.write_str(&words.join(" "))
            }
        }
    }
}

impl Kind {
    /// The type of a value.
    pub const fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Flag,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Object,
        }
    }

    /// Whether a place of this type takes a value of that one: `null` takes any.
    pub fn takes(self, value: Self) -> bool {
        self == Self::Null || self == value
    }
}

/// Whether an output of this name is parsed without being asked for a part of it.
pub(super) fn is_parsed(key: &str) -> bool {
    matches!(key, JSON | YAML)
}

/// What an output holds at a path; `None` if there is nothing.
///
/// # Errors
/// Why it has no parts.
pub fn value_in(key: &str, text: &str, path: &[String]) -> Result<Option<Value>, String> {
    let whole = match key {
        JSON => json(text)?,
        YAML => contents::yaml(&contents::unquoted(text))?,
        XML => Value::String(contents::unquoted(text)),
        _ if path.is_empty() => Value::String(text.to_owned()),
        _ => json(text)?,
    };
    Ok(at(whole, path))
}

/// What stands at a path.
pub fn at(mut value: Value, path: &[String]) -> Option<Value> {
    for part in path {
        value = match value {
            Value::Object(mut map) => map.remove(part)?,
            Value::Array(mut list) => {
                let place = part.parse::<usize>().ok().filter(|place| *place < list.len())?;
                list.swap_remove(place)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
    }
    Some(value)
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))
}

fn collect(map: &Map<String, Value>, above: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, Kind)>) {
    for (name, value) in map {
        above.push(name.clone());
        match value {
            Value::Object(below) if !below.is_empty() => collect(below, above, leaves),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                leaves.push((above.clone(), Kind::of(value)));
            }
        }
        above.pop();
    }
}
