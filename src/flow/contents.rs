//! What components print as whole reports: YAML, as the values that it means, and texts in Python's quotes.
#![expect(clippy::wildcard_enum_match_arm, reason = "the parser's enums are not ours, and may grow")]

use granit_parser::{Event, Options, Parser, ScalarStyle, StrInput};
use serde_json::{Map, Number, Value};

/// Deeper reports are no reports.
const MAX_DEPTH: usize = 32;
/// An output has at most 1 MiB.
const MAX_NODES: usize = 200_000;

/// The value of a YAML text.
///
/// # Errors
/// Why it has none.
pub(super) fn yaml(text: &str) -> Result<Value, String> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.block_nesting_limit = MAX_DEPTH;
    options.flow_nesting_limit = MAX_DEPTH;
    let mut builder = Builder { parser: Parser::new_from_str_with_options(text, options), nodes: 0 };
    loop {
        match builder.event()? {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(Value::Null),
            other => return builder.value(other, 0),
        }
    }
}

/// A text without the quotes and escapes of Python's `repr`, in which the original's components print what has several
/// lines; any other text as it is.
pub(super) fn unquoted(text: &str) -> String {
    let trimmed = text.trim();
    let bare = trimmed.strip_prefix(['b', 'u']).unwrap_or(trimmed);
    let quoted = ['\'', '"'].iter().find_map(|quote| bare.strip_prefix(*quote)?.strip_suffix(*quote));
    let Some(inner) = quoted else { return text.to_owned() };
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(c @ ('\\' | '\'' | '"')) => out.push(c),
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
    }
    out
}

struct Builder<'s> {
    parser: Parser<'s, StrInput<'s>>,
    nodes: usize,
}

impl<'s> Builder<'s> {
    fn event(&mut self) -> Result<Event<'s>, String> {
        match self.parser.next_event() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(format!("it is no YAML: {}", error.kind())),
            None => Err("it is no YAML: it ends too early".to_owned()),
        }
    }

    fn value(&mut self, event: Event<'s>, depth: usize) -> Result<Value, String> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(format!("it has more than {MAX_DEPTH} levels or {MAX_NODES} values"));
        }
        match event {
            Event::Scalar(text, ScalarStyle::Plain, _, None) => Ok(plain(&text)),
            Event::Scalar(text, ..) => Ok(Value::String(text.into_owned())),
            Event::SequenceStart(..) => self.list(depth),
            Event::MappingStart(..) => self.map(depth),
            Event::Alias(..) => Err("it has an alias, which is not read".to_owned()),
            _ => Err("it is no YAML that is read".to_owned()),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        let mut list = Vec::new();
        loop {
            match self.event()? {
                Event::SequenceEnd => return Ok(Value::Array(list)),
                event => list.push(self.value(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, String> {
        let mut map = Map::new();
        loop {
            let key = match self.event()? {
                Event::MappingEnd => return Ok(Value::Object(map)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err("it has a key that is no text".to_owned()),
            };
            let event = self.event()?;
            map.insert(key, self.value(event, depth + 1)?);
        }
    }
}

/// What a scalar without quotes means.
fn plain(text: &str) -> Value {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    let number = || {
        let whole = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
        whole.ok().or_else(|| Number::from_f64(text.parse().ok()?))
    };
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => match number().filter(|_| is_number) {
            Some(number) => Value::Number(number),
            None => Value::String(text.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{unquoted, yaml};

    #[test]
    fn scalars_mean_what_yaml_says() {
        let value = yaml("a: 1\nb: [1.5, '1', true, ~, x]\nc: {d: \"\"}\n").expect("it is YAML");
        assert_eq!(value.to_string(), r#"{"a":1,"b":[1.5,"1",true,null,"x"],"c":{"d":""}}"#);
        for wrong in ["a: [", "a: &x 1\nb: *x\n", &"[".repeat(100)] {
            assert!(yaml(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pythons_quotes_go() {
        assert_eq!(unquoted(r"'a: 1\nb: \'x\'\n'"), "a: 1\nb: 'x'\n");
        assert_eq!(unquoted("plain 'text'"), "plain 'text'");
        assert_eq!(unquoted("'"), "'");
    }
}
