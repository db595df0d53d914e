//! Text to tree. A hostile file costs no more than its limits: bytes, depth, nodes, and what its aliases unfold to.
#![expect(clippy::wildcard_enum_match_arm, reason = "the parser's enums are not ours, and may grow")]

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{
    findings::{Findings, quoted},
    node::{Entry, Node, Place, Text, Value, Weight},
};

/// Far deeper than any flow; the stack that reading needs grows with it.
const MAX_DEPTH: usize = 32;
/// A flow of a thousand jobs has about twenty thousand.
const MAX_NODES: usize = 50_000;
/// What all texts may have once aliases are unfolded; a file itself has at most 1 MiB.
const MAX_UNFOLDED_BYTES: usize = 4 << 20;

/// The file cannot be read any further; the finding that says why is recorded.
#[derive(Debug)]
pub(super) struct Unreadable;

type Read<T> = Result<T, Unreadable>;

/// The tree of the one document in `source`.
pub(super) fn parse(source: &str, findings: &mut Findings<'_>) -> Read<Node> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.block_nesting_limit = MAX_DEPTH;
    options.flow_nesting_limit = MAX_DEPTH;
    let parser = Parser::new_from_str_with_options(source, options);
    let mut builder = Builder { parser, findings, anchors: HashMap::new(), spent: Weight::default() };
    builder.document()
}

struct Builder<'s, 'f, 'r> {
    parser: Parser<'s, StrInput<'s>>,
    findings: &'f mut Findings<'r>,
    anchors: HashMap<usize, Node>,
    spent: Weight,
}

impl<'s> Builder<'s, '_, '_> {
    fn document(&mut self) -> Read<Node> {
        let mut root = None;
        loop {
            let (event, span) = self.event()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    return self.refuse(place(span), "a flow file is one document; a second one begins here");
                }
                Event::DocumentStart(..) => {}
                other => root = Some(self.node(other, span, 0)?),
            }
        }
        Ok(root.unwrap_or(Node { at: Place { line: 1, column: 1, length: 0 }, value: Value::Null }))
    }

    fn event(&mut self) -> Read<(Event<'s>, Span)> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let at = point(error.marker(), 0);
                match error.kind() {
                    ErrorKind::RecursionLimitExceeded => self.too_deep(at),
                    kind => self.refuse(at, format!("this is not YAML: {kind}")),
                }
            }
            None => self.refuse(Place::default(), "this is not YAML: it ends too early"),
        }
    }

    fn node(&mut self, event: Event<'s>, span: Span, depth: usize) -> Read<Node> {
        let at = place(span);
        if depth > MAX_DEPTH {
            return self.too_deep(at);
        }
        self.spend(at, Weight { nodes: 1, bytes: 0 })?;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(at, text.into_owned(), style, tag.as_deref())?;
                self.keep(anchor, node)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(at, tag.as_deref())?;
                let node = self.list(at, depth)?;
                self.keep(anchor, node)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(at, tag.as_deref())?;
                let node = self.map(at, depth)?;
                self.keep(anchor, node)
            }
            Event::Alias(anchor) => self.alias(anchor, at),
            _ => self.refuse(at, "this is not YAML that a flow file can have"),
        }
    }

    fn scalar(&mut self, at: Place, text: String, style: ScalarStyle, tag: Option<&Tag>) -> Read<Node> {
        self.check_tag(at, tag)?;
        self.spend(at, Weight { nodes: 0, bytes: text.len() })?;
        if text.contains('\0') {
            return self.refuse(at, "a NUL byte, which no variable, argument or name can hold");
        }
        let plain = style == ScalarStyle::Plain && tag.is_none();
        let value = match text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" if plain => Value::Null,
            _ => Value::Scalar(text),
        };
        Ok(Node { at, value })
    }

    fn list(&mut self, at: Place, depth: usize) -> Read<Node> {
        let mut items = Vec::new();
        loop {
            match self.event()? {
                (Event::SequenceEnd, _) => return Ok(Node { at, value: Value::List(items) }),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, at: Place, depth: usize) -> Read<Node> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, span) = self.event()?;
            if event == Event::MappingEnd {
                let at = entries.first().map_or(at, |first| Place { length: first.key.at.length, ..at });
                return Ok(Node { at, value: Value::Map(entries) });
            }
            let key = self.key(event, span, depth)?;
            let (event, span) = self.event()?;
            let value = self.node(event, span, depth + 1)?;
            match lines.get(&key.text) {
                Some(line) => {
                    let message = format!("{} is given twice in one map (line {line})", quoted(&key.text));
                    self.findings.error(key.at, message).hint("remove one of them");
                    // in a file of the original the last one counts
                    if let Some(entry) = entries.iter_mut().find(|entry| entry.key.text == key.text) {
                        entry.value = value;
                    }
                }
                None => {
                    lines.insert(key.text.clone(), key.at.line);
                    entries.push(Entry { key, value });
                }
            }
        }
    }

    fn key(&mut self, event: Event<'s>, span: Span, depth: usize) -> Read<Text> {
        let node = self.node(event, span, depth + 1)?;
        match node.value {
            Value::Scalar(text) => Ok(Text { at: node.at, text }),
            Value::Null => self.refuse(node.at, "a key is missing before this `:`"),
            Value::List(_) | Value::Map(_) => {
                self.refuse(node.at, "a key is a text here; a value that begins with `{` or `[` needs quotes")
            }
        }
    }

    fn alias(&mut self, anchor: usize, at: Place) -> Read<Node> {
        let Some(target) = self.anchors.get(&anchor) else {
            return self.refuse(at, "an alias inside of its own anchor");
        };
        let node = Node { at, ..target.clone() };
        self.spend(at, node.weight())?;
        Ok(node)
    }

    fn keep(&mut self, anchor: usize, node: Node) -> Read<Node> {
        if anchor != 0 {
            self.spend(node.at, node.weight())?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn check_tag(&mut self, at: Place, tag: Option<&Tag>) -> Read<()> {
        match tag {
            Some(tag) if !tag.is_yaml_core_schema() => {
                self.refuse(at, format!("the tag {} means nothing here", quoted(&tag.original())))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn spend(&mut self, at: Place, weight: Weight) -> Read<()> {
        self.spent.add(weight);
        if self.spent.nodes > MAX_NODES {
            return self.refuse(at, format!("more than {MAX_NODES} values, aliases unfolded"));
        }
        if self.spent.bytes > MAX_UNFOLDED_BYTES {
            return self.refuse(at, format!("more than {} MiB of text, aliases unfolded", MAX_UNFOLDED_BYTES >> 20));
        }
        Ok(())
    }

    fn too_deep<T>(&mut self, at: Place) -> Read<T> {
        self.refuse(at, format!("nested more than {MAX_DEPTH} levels deep"))
    }

    fn refuse<T>(&mut self, at: Place, message: impl Into<String>) -> Read<T> {
        self.findings.error(at, message);
        Err(Unreadable)
    }
}

fn place(span: Span) -> Place {
    let length = if span.start.line() == span.end.line() { span.end.col().saturating_sub(span.start.col()) } else { 0 };
    point(&span.start, length)
}

fn point(marker: &Marker, length: usize) -> Place {
    Place { line: marker.line(), column: marker.col() + 1, length }
}
