//! The lists that hold a flow's levels: `stages`, `actions`, `jobs`.

use super::{
    Reading,
    fields::{Fields, Level},
    node::{Entry, Value},
};

/// The maps of one list. A bare `-` stands for nothing; the original had them.
pub(super) fn each<'n>(entry: &'n Entry, level: &'static Level, reading: &mut Reading<'_>) -> Vec<Fields<'n>> {
    match &entry.value.value {
        Value::Null => Vec::new(),
        Value::List(items) => {
            let mut maps = Vec::new();
            for item in items {
                if !item.is_null() {
                    maps.extend(Fields::of(item, level, reading));
                    continue;
                }
                let message = format!("an empty item is not {}", level.name);
                reading.mistake(item.at, message).hint("remove this `-`");
            }
            maps
        }
        Value::Scalar(_) | Value::Map(_) => {
            let message = format!("`{}` is a list; this is {}", entry.key.text, entry.value.describe());
            reading.findings.error(entry.value.at, message).hint("begin each item with `- `");
            Vec::new()
        }
    }
}
