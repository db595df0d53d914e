//! Tokens as a tree.

use std::vec;

use super::{
    Each, Expression, Mistake, Node, Sign, Table, Value,
    lex::{Token, What},
};

/// Nobody nests deeper; whoever walks the tree does so on its stack.
const MAX_DEPTH: usize = 32;
/// A chain of signs is as deep as it is long.
const MAX_NODES: usize = 250;

/// Who has written an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// A file's author.
    Authors,
    /// We ourselves, of a part of theirs: it may hold all the files that an event changed.
    Ours,
}

/// The whole of them as one expression.
pub(super) fn parse(tokens: Vec<Token>, end: usize, whose: Whose) -> Result<Expression, Mistake> {
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), end, taken: 0, depth: 0, nodes: 0, whose };
    let whole = parser.choice()?;
    match parser.next() {
        None => Ok(whole),
        Some(token) => Err(Mistake::new(token.from, token.length, "the expression should end here")
            .hint("a text stands in quotes of its own: '\"a b\"'")),
    }
}

struct Parser {
    tokens: std::iter::Peekable<vec::IntoIter<Token>>,
    end: usize,
    /// Where the last token that was taken ends.
    taken: usize,
    depth: usize,
    nodes: usize,
    whose: Whose,
}

impl Parser {
    fn choice(&mut self) -> Result<Expression, Mistake> {
        self.deeper(|parser| {
            let condition = parser.binary(1)?;
            if !parser.takes('?') {
                return Ok(condition);
            }
            let then = parser.choice()?;
            parser.expects(':')?;
            let or_else = parser.choice()?;
            let (from, length) = span(&condition, &or_else);
            parser.node(from, length, Node::Choice(Box::new([condition, then, or_else])))
        })
    }

    fn binary(&mut self, weakest: u8) -> Result<Expression, Mistake> {
        let mut left = self.unary()?;
        while let Some(sign) = self.takes_sign(weakest) {
            let right = self.deeper(|parser| parser.binary(sign.strength() + 1))?;
            let (from, length) = span(&left, &right);
            left = self.node(from, length, Node::Binary(sign, Box::new([left, right])))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, Mistake> {
        let from = self.at();
        if !self.takes('!') {
            let first = self.primary()?;
            return self.called(first);
        }
        let inner = self.deeper(Self::unary)?;
        let length = inner.from + inner.length - from;
        self.node(from, length, Node::Not(Box::new(inner)))
    }

    fn primary(&mut self) -> Result<Expression, Mistake> {
        let Some(Token { from, length, what }) = self.next() else {
            return Err(Mistake::new(self.end, 0, "something is missing here"));
        };
        let literal = |value| Node::Literal(value);
        match what {
            What::Text(text) => self.node(from, length, literal(Value::Text(text))),
            What::Number(number) => self.node(from, length, literal(Value::Number(number))),
            What::Name(name) if name == "true" || name == "false" => {
                self.node(from, length, literal(Value::Flag(name == "true")))
            }
            What::Name(name) if name == "unknown" && self.whose == Whose::Ours => {
                self.node(from, length, literal(Value::Unknown))
            }
            What::Name(name) => self.name(from, name),
            What::Mark('(') => {
                let inner = self.choice()?;
                self.expects(')')?;
                Ok(inner)
            }
            What::Mark('[') => {
                let items = self.list(']')?;
                let length = self.length_from(from);
                self.node(from, length, Node::List(items))
            }
            What::Sign(_) | What::Mark(_) => Err(Mistake::new(from, length, "a value should stand here")),
        }
    }

    /// A function's call, or a variable with its fields.
    fn name(&mut self, from: usize, mut name: String) -> Result<Expression, Mistake> {
        if self.takes('(') {
            let arguments = self.list(')')?;
            let length = self.length_from(from);
            return self.node(from, length, Node::Call(name, arguments));
        }
        if let Some(table) = Table::named(&name) {
            return self.entry(from, table);
        }
        while self.takes('.') {
            let (at, length, field) = self.field()?;
            if self.takes('(') {
                let target = self.node(from, name.len(), Node::Variable(name))?;
                return self.method(target, field);
            }
            if name.contains('.') {
                return Err(Mistake::new(at, length, format!("`{name}` has no fields")));
            }
            name = format!("{name}.{field}");
        }
        let length = name.len();
        self.node(from, length, Node::Variable(name))
    }

    /// What stands in a table: `inputs.level`, or `inputs["level"]`.
    fn entry(&mut self, from: usize, table: Table) -> Result<Expression, Mistake> {
        let key = if self.takes('[') {
            let key = match self.next() {
                Some(Token { what: What::Text(key), .. }) => key,
                Some(Token { from, length, .. }) => {
                    return Err(Mistake::new(from, length, "a text as it stands is expected here"));
                }
                None => return Err(Mistake::new(self.end, 0, "a text is missing here")),
            };
            self.expects(']')?;
            key
        } else {
            self.expects('.')?;
            self.field()?.2
        };
        let length = self.length_from(from);
        let entry = self.node(from, length, Node::Entry(table, key))?;
        self.called(entry)
    }

    /// Methods that are called on what stands before.
    fn called(&mut self, mut target: Expression) -> Result<Expression, Mistake> {
        while self.takes('.') {
            let (.., name) = self.field()?;
            self.expects('(')?;
            target = self.method(target, name)?;
        }
        Ok(target)
    }

    fn method(&mut self, target: Expression, name: String) -> Result<Expression, Mistake> {
        let from = target.from;
        let mut arguments = vec![target];
        arguments.extend(self.list(')')?);
        let length = self.length_from(from);
        match (each(&name), arguments.as_slice()) {
            (Some(each), [list, Expression { node: Node::Variable(item), .. }, body]) => {
                let node = Node::Each(each, item.clone(), Box::new([list.clone(), body.clone()]));
                self.node(from, length, node)
            }
            (Some(_), _) => Err(Mistake::new(from, length, format!("`{name}` takes a name and a condition"))
                .hint(format!("write files.{name}(f, f.endsWith(\".rs\"))"))),
            (None, _) => self.node(from, length, Node::Call(format!(".{name}"), arguments)),
        }
    }

    fn list(&mut self, end: char) -> Result<Vec<Expression>, Mistake> {
        let mut items = Vec::new();
        if self.takes(end) {
            return Ok(items);
        }
        loop {
            items.push(self.choice()?);
            if !self.takes(',') {
                self.expects(end)?;
                return Ok(items);
            }
        }
    }

    fn field(&mut self) -> Result<(usize, usize, String), Mistake> {
        match self.next() {
            Some(Token { from, length, what: What::Name(name) }) => Ok((from, length, name)),
            Some(Token { from, length, .. }) => Err(Mistake::new(from, length, "a name should follow the point")),
            None => Err(Mistake::new(self.end, 0, "a name should follow the point")),
        }
    }

    fn takes(&mut self, mark: char) -> bool {
        let is_next = self.tokens.peek().is_some_and(|token| token.what == What::Mark(mark));
        is_next && self.next().is_some()
    }

    fn takes_sign(&mut self, weakest: u8) -> Option<Sign> {
        let Some(Token { what: What::Sign(sign), .. }) = self.tokens.peek() else { return None };
        let sign = *sign;
        (sign.strength() >= weakest).then(|| self.next()).map(|_| sign)
    }

    fn expects(&mut self, mark: char) -> Result<(), Mistake> {
        if self.takes(mark) {
            return Ok(());
        }
        let length = usize::from(self.tokens.peek().is_some());
        Err(Mistake::new(self.at(), length, format!("`{mark}` is missing here")))
    }

    /// Where the next token stands.
    fn at(&mut self) -> usize {
        self.tokens.peek().map_or(self.end, |token| token.from)
    }

    /// From a place to the end of what was taken.
    const fn length_from(&self, from: usize) -> usize {
        self.taken.saturating_sub(from)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.next()?;
        self.taken = token.from + token.length;
        Some(token)
    }

    fn node(&mut self, from: usize, length: usize, node: Node) -> Result<Expression, Mistake> {
        self.nodes += 1;
        if self.nodes > MAX_NODES && self.whose == Whose::Authors {
            return Err(Mistake::new(from, length, format!("an expression has at most {MAX_NODES} parts")));
        }
        Ok(Expression { from, length, node })
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Mistake>) -> Result<T, Mistake> {
        if self.depth == MAX_DEPTH {
            return Err(Mistake::new(self.at(), 1, format!("an expression is at most {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }
}

fn each(name: &str) -> Option<Each> {
    match name {
        "exists" => Some(Each::Exists),
        "all" => Some(Each::All),
        _ => None,
    }
}

fn span(first: &Expression, last: &Expression) -> (usize, usize) {
    (first.from, last.from + last.length - first.from)
}
