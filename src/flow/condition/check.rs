//! The kind of an expression, or what does not fit in it.

use super::{
    Expression, Kind, Mistake, Node, Sign, Table, Value, Vocabulary, Within, evaluate,
    words::{FUNCTIONS, METHODS, OTHERS, VARIABLES, method, variable},
};
use crate::flow::{
    findings::{nearest, quoted},
    globs,
};

/// What is known only when a run is planned, or later.
const LATER: [&str; 4] = ["files", "result", "matrix", "outputs"];
/// What `result` may be compared with.
const RESULTS: [&str; 3] = ["success", "failure", "always"];

/// What kind of value an expression has, whatever the event.
pub(super) fn kind(of: &Expression, vocabulary: Vocabulary<'_>) -> Result<Kind, Mistake> {
    Check { vocabulary, item: None }.kind(of)
}

#[derive(Clone, Copy)]
struct Check<'c> {
    vocabulary: Vocabulary<'c>,
    /// The name that a loop gives to each item.
    item: Option<&'c str>,
}

impl<'c> Check<'c> {
    fn kind(self, of: &'c Expression) -> Result<Kind, Mistake> {
        match &of.node {
            Node::Literal(Value::Unknown) => Ok(Kind::Flag),
            Node::Literal(Value::Text(_)) => Ok(Kind::Text),
            Node::Literal(Value::Number(_)) => Ok(Kind::Number),
            Node::Literal(Value::Flag(_)) => Ok(Kind::Flag),
            Node::Literal(Value::List(_)) => Ok(Kind::Texts),
            Node::Variable(name) => self.variable(of, name),
            Node::Entry(table, name) => self.entry(of, *table, name),
            Node::List(items) => self.list(items),
            Node::Not(inner) => self.expect(inner, Kind::Flag).map(|()| Kind::Flag),
            Node::Binary(sign, sides) => self.binary(of, *sign, sides),
            Node::Choice(parts) => self.choice(parts),
            Node::Each(_, name, parts) => self.each(of, name, parts),
            Node::Call(name, arguments) => self.call(of, name, arguments),
        }
    }

    fn variable(self, of: &Expression, name: &str) -> Result<Kind, Mistake> {
        if self.item == Some(name) {
            return Ok(Kind::Text);
        }
        let kind = variable(name).map(|variable| variable.kind).ok_or_else(|| self.unknown(of, name))?;
        match (self.vocabulary.within, name) {
            (Within::Group, "files" | "result") => {
                Err(wrong(of, format!("`{name}` is not known where a run's group is chosen")))
            }
            (Within::Group | Within::When, _) => Ok(kind),
        }
    }

    fn entry(self, of: &Expression, table: Table, name: &str) -> Result<Kind, Mistake> {
        match (table, self.vocabulary.within) {
            (Table::Inputs, _) if !self.vocabulary.inputs.contains(name) => {
                let mistake = wrong(of, format!("there is no input {}", quoted(name)));
                let near = nearest(name, self.vocabulary.inputs.iter().map(String::as_str));
                Err(match near {
                    Some(near) => mistake.hint(format!("did you mean `{near}`?")),
                    None => mistake.hint("inputs stand in `on: manual: inputs`"),
                })
            }
            (Table::Matrix | Table::Outputs, Within::Group) => {
                Err(wrong(of, format!("`{}` is not known where a run's group is chosen", table.as_str())))
            }
            (Table::Inputs | Table::Matrix | Table::Outputs, _) => Ok(Kind::Text),
        }
    }

    /// One loop, over texts, and not within another: what it costs is what it looks at.
    fn each(self, of: &Expression, name: &'c str, [list, body]: &'c [Expression; 2]) -> Result<Kind, Mistake> {
        self.expect(list, Kind::Texts)?;
        if self.item.is_some() {
            return Err(wrong(of, "a loop cannot stand within another".to_owned()));
        }
        if variable(name).is_some() || name.contains('.') {
            return Err(
                wrong(of, format!("{} cannot be the name of an item", quoted(name))).hint("choose another, as `f`")
            );
        }
        if of.is_open() {
            return Err(wrong(of, "`result` and `outputs` cannot be asked for within a loop".to_owned()));
        }
        Self { item: Some(name), ..self }.expect(body, Kind::Flag).map(|()| Kind::Flag)
    }

    fn binary(self, of: &Expression, sign: Sign, [left, right]: &'c [Expression; 2]) -> Result<Kind, Mistake> {
        let (a, b) = (self.kind(left)?, self.kind(right)?);
        compares_results(left, right)?;
        let result = match (sign, a, b) {
            (Sign::Or | Sign::And, Kind::Flag, Kind::Flag) => Some(Kind::Flag),
            (Sign::Equal | Sign::Unequal, a, b) if a == b => Some(Kind::Flag),
            (Sign::Less | Sign::AtMost | Sign::Greater | Sign::AtLeast, Kind::Number, Kind::Number)
            | (Sign::Less | Sign::AtMost | Sign::Greater | Sign::AtLeast, Kind::Text, Kind::Text)
            | (Sign::In, Kind::Text, Kind::Texts)
            | (Sign::In, Kind::Number, Kind::Numbers) => Some(Kind::Flag),
            (Sign::Plus, Kind::Text, Kind::Text) => Some(Kind::Text),
            (Sign::Plus, Kind::Number, Kind::Number) => Some(Kind::Number),
            _ => None,
        };
        result.ok_or_else(|| {
            let mistake = wrong(of, format!("`{}` does not go between {a} and {b}", sign.as_str()));
            match (sign, a, b) {
                (Sign::Plus, Kind::Text, Kind::Number | Kind::Flag)
                | (Sign::Plus, Kind::Number | Kind::Flag, Kind::Text) => mistake.hint("`string(…)` makes a text of it"),
                _ => mistake,
            }
        })
    }

    fn list(self, items: &'c [Expression]) -> Result<Kind, Mistake> {
        let Some((first, rest)) = items.split_first() else { return Ok(Kind::Texts) };
        let (wanted, of_all) = match self.kind(first)? {
            Kind::Text => (Kind::Text, Kind::Texts),
            Kind::Number => (Kind::Number, Kind::Numbers),
            other @ (Kind::Flag | Kind::Texts | Kind::Numbers) => {
                return Err(wrong(first, format!("a list is of texts or of numbers; this is {other}")));
            }
        };
        rest.iter().try_for_each(|item| self.expect(item, wanted)).map(|()| of_all)
    }

    fn choice(self, [condition, then, or_else]: &'c [Expression; 3]) -> Result<Kind, Mistake> {
        self.expect(condition, Kind::Flag)?;
        let kind = self.kind(then)?;
        self.expect(or_else, kind).map(|()| kind)
    }

    fn call(self, of: &Expression, name: &str, arguments: &'c [Expression]) -> Result<Kind, Mistake> {
        let plain = name.trim_start_matches('.');
        match (name, arguments) {
            ("changed", [pattern]) => return self.changed(of, pattern),
            (".matches", [text, pattern]) => return self.matches(text, pattern),
            _ => {}
        }
        match (name.starts_with('.').then(|| method(plain)).flatten(), arguments) {
            (Some(_), [text, argument]) => {
                self.expect(text, Kind::Text)?;
                return self.expect(argument, Kind::Text).map(|()| Kind::Flag);
            }
            (Some(_), _) => return Err(wrong(of, format!("`{plain}` takes one text"))),
            (None, _) => {}
        }
        let [argument] = arguments else { return Err(no_function(of, plain)) };
        match (plain, self.kind(argument)?) {
            ("string", Kind::Text | Kind::Number | Kind::Flag) => Ok(Kind::Text),
            ("size", Kind::Text | Kind::Texts | Kind::Numbers) => Ok(Kind::Number),
            ("string" | "size", other) => Err(wrong(argument, format!("`{plain}` does not take {other}"))),
            _ => Err(no_function(of, plain)),
        }
    }

    fn changed(self, of: &Expression, pattern: &Expression) -> Result<Kind, Mistake> {
        if self.vocabulary.within == Within::Group {
            return Err(wrong(of, "what was changed is not known where a run's group is chosen".to_owned()));
        }
        let wrong_pattern = |(message, hint): (String, Option<&'static str>)| {
            let mistake = wrong(pattern, message);
            Mistake { hint: hint.map(str::to_owned), ..mistake }
        };
        globs::glob(as_it_stands(pattern)?).map(|_| Kind::Flag).map_err(wrong_pattern)
    }

    fn matches(self, text: &'c Expression, pattern: &Expression) -> Result<Kind, Mistake> {
        self.expect(text, Kind::Text)?;
        match evaluate::pattern(as_it_stands(pattern)?) {
            Ok(_) => Ok(Kind::Flag),
            Err(error) => Err(wrong(pattern, format!("this is no regular expression: {error}"))),
        }
    }

    fn unknown(self, of: &Expression, name: &str) -> Mistake {
        let known = VARIABLES.iter().map(|variable| variable.name).chain(["inputs", "matrix", "outputs"]);
        let is_here = |name: &&str| self.vocabulary.within == Within::When || !LATER.contains(name);
        let known = known.filter(is_here);
        let mistake = wrong(of, format!("there is no variable {} here", quoted(name)));
        match nearest(name, known.clone()) {
            Some(near) => {
                mistake.hint(format!("did you mean `{near}`? A text stands in quotes of its own: '\"{name}\"'"))
            }
            None => mistake.hint(format!(
                "there are {}; a text stands in quotes of its own",
                known.collect::<Vec<_>>().join(", ")
            )),
        }
    }

    fn expect(self, of: &'c Expression, wanted: Kind) -> Result<(), Mistake> {
        match self.kind(of)? {
            found if found == wanted => Ok(()),
            found => Err(wrong(of, format!("{wanted} is expected here; this is {found}"))),
        }
    }
}

/// A pattern that can be checked before it is used.
fn as_it_stands(pattern: &Expression) -> Result<&str, Mistake> {
    if let Node::Literal(Value::Text(text)) = &pattern.node {
        return Ok(text);
    }
    Err(wrong(pattern, "a pattern is a text as it stands".to_owned()))
}

/// A slip here would hold for ever, or never.
fn compares_results(left: &Expression, right: &Expression) -> Result<(), Mistake> {
    let is_result = |side: &Expression| matches!(&side.node, Node::Variable(name) if name == "result");
    let other = match (is_result(left), is_result(right)) {
        (true, _) => right,
        (_, true) => left,
        (false, false) => return Ok(()),
    };
    let texts = if let Node::List(items) = &other.node { items.as_slice() } else { std::slice::from_ref(other) };
    for text in texts {
        if let Node::Literal(Value::Text(word)) = &text.node
            && !RESULTS.contains(&word.as_str())
        {
            let mistake = wrong(text, format!("`result` is never {}", quoted(word)));
            return Err(mistake.hint(format!("it is one of {}", RESULTS.join(", "))));
        }
    }
    Ok(())
}

fn no_function(of: &Expression, name: &str) -> Mistake {
    let known = METHODS.iter().map(|method| method.name).chain(FUNCTIONS).chain(OTHERS);
    if FUNCTIONS.contains(&name) {
        return wrong(of, format!("`{name}` takes one value"));
    }
    let mistake = wrong(of, format!("there is no function {} here", quoted(name)));
    if method(name).is_some() || name == "matches" {
        return mistake.hint(format!("it is asked of a text: `branch.{name}(\"x\")`"));
    }
    match nearest(name, known.clone()) {
        Some(near) => mistake.hint(format!("did you mean `{near}`?")),
        None => mistake.hint(format!("there are {}", known.collect::<Vec<_>>().join(", "))),
    }
}

fn wrong(of: &Expression, message: String) -> Mistake {
    Mistake::new(of.from, of.length, message)
}
