//! An expression's text as tokens.

use super::{Mistake, Sign};

/// A token, with its place in the source.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) from: usize,
    pub(super) length: usize,
    pub(super) what: What,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Text(String),
    Number(i64),
    /// A variable, a function, a field, `true` or `false`.
    Name(String),
    Sign(Sign),
    /// One of `( ) [ ] , . ? : !`.
    Mark(char),
}

/// All tokens.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, Mistake> {
    let chars: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let (what, length) = token(&chars[at..], at)?;
        tokens.push(Token { from: at, length, what });
        at += length;
    }
    Ok(tokens)
}

/// The token that this begins with, and its length.
fn token(rest: &[char], at: usize) -> Result<(What, usize), Mistake> {
    match rest[0] {
        quote @ ('"' | '\'') => text(rest, quote, at),
        c if c.is_ascii_digit() => number(rest, at),
        c if c.is_ascii_alphabetic() || c == '_' => {
            let name = run(rest, |c| c.is_ascii_alphanumeric() || c == '_');
            let what = if name == "in" { What::Sign(Sign::In) } else { What::Name(name.clone()) };
            Ok((what, name.len()))
        }
        c => sign(rest).or_else(|| "()[],.?:!".contains(c).then_some((What::Mark(c), 1))).ok_or_else(|| unknown(c, at)),
    }
}

fn sign(rest: &[char]) -> Option<(What, usize)> {
    let begins = |text: &str| text.chars().enumerate().all(|(place, c)| rest.get(place) == Some(&c));
    let (text, sign) = Sign::ALL.iter().find(|(text, _)| begins(text))?;
    Some((What::Sign(*sign), text.len()))
}

fn number(rest: &[char], at: usize) -> Result<(What, usize), Mistake> {
    let digits = run(rest, |c| c.is_ascii_alphanumeric() || c == '_');
    let wrong = || Mistake::new(at, digits.len(), format!("`{digits}` is no whole number"));
    let number = digits.parse().map_err(|_| wrong())?;
    Ok((What::Number(number), digits.len()))
}

fn text(rest: &[char], quote: char, at: usize) -> Result<(What, usize), Mistake> {
    let mut text = String::new();
    let mut place = 1;
    while let Some(&c) = rest.get(place) {
        place += 1;
        match c {
            c if c == quote => return Ok((What::Text(text), place)),
            '\\' => {
                let escaped = rest.get(place).copied();
                let meant = [('n', '\n'), ('t', '\t'), ('\\', '\\'), ('"', '"'), ('\'', '\'')];
                let Some((_, meant)) = meant.into_iter().find(|(c, _)| Some(*c) == escaped) else {
                    return Err(Mistake::new(at + place - 1, 2, "only \\\\, \\\", \\', \\n and \\t are escapes"));
                };
                text.push(meant);
                place += 1;
            }
            c => text.push(c),
        }
    }
    Err(Mistake::new(at, rest.len(), "this text does not end").hint(format!("close it with {quote}")))
}

fn run(rest: &[char], is_part: impl Fn(char) -> bool) -> String {
    rest.iter().copied().take_while(|&c| is_part(c)).collect()
}

fn unknown(c: char, at: usize) -> Mistake {
    let mistake = Mistake::new(
        at,
        1,
        format!("{} does not belong into an expression", super::super::findings::quoted(&c.to_string())),
    );
    match c {
        '$' | '{' => mistake.hint("an expression stands there as it is, without ${{ }}"),
        '=' => mistake.hint("equality is =="),
        '&' | '|' => mistake.hint("and is &&, or is ||"),
        '-' | '*' | '/' | '%' => mistake.hint("a text stands in quotes of its own: '\"a-b\"'"),
        _ => mistake,
    }
}
