//! The lists that hold a flow's levels: `stages`, `actions`, `jobs`.

use super::{
    Reading, Shape,
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
                match reading.shape {
                    Shape::Original => {
                        reading.findings.warning(item.at, format!("an empty item is not {}", level.name))
                    }
                    Shape::Ours => reading.findings.error(item.at, format!("an empty item is not {}", level.name)),
                }
                .hint("remove this `-`");
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
