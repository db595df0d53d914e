//! Lines that somebody has chosen: `120`, or `120-140`.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// From the first to the last, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Lines {
    /// The first.
    pub first: u64,
    /// The last, which may be the first.
    pub last: u64,
}

/// It is no such text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line's number is expected, or two of them: 120-140")]
pub struct NoLines;

impl Lines {
    /// One line.
    pub const fn one(line: u64) -> Self {
        Self { first: line, last: line }
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self { first, last } if first == last => format!("Line {first}"),
            Self { first, last } => format!("Lines {first} to {last}"),
        }
    }

    /// Whether a line is one of them.
    pub const fn holds(&self, line: u64) -> bool {
        self.first <= line && line <= self.last
    }
}

/// As people write it and as the end of an address has it (`L120-L140`), in either order.
impl FromStr for Lines {
    type Err = NoLines;
    fn from_str(text: &str) -> Result<Self, NoLines> {
        let (one, other) = text.split_once('-').unwrap_or((text, text));
        let (one, other) = (number(one)?, number(other)?);
        Ok(Self { first: one.min(other), last: one.max(other) })
    }
}

impl TryFrom<String> for Lines {
    type Error = NoLines;
    fn try_from(text: String) -> Result<Self, NoLines> {
        text.parse()
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { first, last } if first == last => write!(f, "{first}"),
            Self { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

fn number(text: &str) -> Result<u64, NoLines> {
    let text = text.trim();
    let digits = text.strip_prefix(['L', 'l']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // more digits than a number has are past every end; lines are counted from 1
    is_number.then(|| digits.parse::<u64>().unwrap_or(u64::MAX).max(1)).ok_or(NoLines)
}
