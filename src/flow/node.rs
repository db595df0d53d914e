//! A file as a tree of nodes that know where they stand, so that every later complaint can point at its line.

/// A stretch of one line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
    /// In characters; 0 if it has no extent.
    pub(super) length: usize,
}

/// A text and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) at: Place,
    pub(super) text: String,
}

/// One value.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

/// What a [`Node`] holds. Scalars keep their source text: `1.0` stays `1.0`, and what it means depends on who asks.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing, `~` or `null`, not quoted.
    Null,
    /// Any other scalar.
    Scalar(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the file's order; no key occurs twice.
    Map(Vec<Entry>),
}

/// One pair of a mapping.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Text,
    pub(super) value: Node,
}

impl Node {
    /// For "expected …, found a list".
    pub(super) const fn describe(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Whether it is empty or `null`.
    pub(super) const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Whether it is no list, or an empty one.
    pub(super) fn has_no_item(&self) -> bool {
        match &self.value {
            Value::List(items) => items.is_empty(),
            Value::Null | Value::Scalar(_) | Value::Map(_) => true,
        }
    }

    /// Nodes and bytes in it and below it: what a copy of it costs.
    pub(super) fn weight(&self) -> Weight {
        let mut weight = Weight { nodes: 1, bytes: 0 };
        match &self.value {
            Value::Null => {}
            Value::Scalar(text) => weight.bytes += text.len(),
            Value::List(items) => items.iter().for_each(|item| weight.add(item.weight())),
            Value::Map(entries) => entries.iter().for_each(|entry| {
                weight.bytes += entry.key.text.len();
                weight.add(entry.value.weight());
            }),
        }
        weight
    }
}

/// The size of a tree.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weight {
    pub(super) nodes: usize,
    pub(super) bytes: usize,
}

impl Weight {
    /// Counts `other` in.
    pub(super) const fn add(&mut self, other: Self) {
        self.nodes = self.nodes.saturating_add(other.nodes);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}
