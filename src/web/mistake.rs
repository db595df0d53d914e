//! Mistakes in what a request says, each with its place.

use axum::extract::rejection::QueryRejection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longer words of whoever asks are not said again.
const LONGEST: usize = 300;

/// In which part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RequestPart)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Behind `?`.
    Query,
    /// In what is sent.
    Body,
    /// In a header.
    Header,
}

/// One mistake in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mistake {
    /// In which part.
    #[serde(rename = "in")]
    pub part: Part,
    /// The parameter's name, or the way to the field: `secrets[0]`; empty: the whole part is wrong.
    #[schema(example = "limit")]
    pub name: String,
    /// What is wrong.
    #[schema(example = "`limit` is a number from 1 to 100")]
    pub message: String,
}

impl Mistake {
    /// A parameter that is not as it should be.
    pub fn of_query(name: &str, message: impl Into<String>) -> Self {
        Self { part: Part::Query, name: name.to_owned(), message: cut(message.into()) }
    }

    /// What a query's reader says, by the parameter's name.
    pub(super) fn in_query(rejection: QueryRejection) -> Self {
        let text = rejection.body_text();
        let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
        let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        match text.split_once(": ").filter(|(name, _)| is_name(name)) {
            Some((name, message)) => Self::of_query(name, message),
            None => Self::of_query(text.split('`').nth(1).filter(|name| is_name(name)).unwrap_or(""), text),
        }
    }

    /// A field that is not as it should be.
    pub(super) fn of_body(name: String, message: String) -> Self {
        let name = if name == "." { String::new() } else { cut(name) };
        Self { part: Part::Body, name, message: cut(message) }
    }

    /// A header that is not as it should be.
    pub(super) fn of_header(name: &str, message: &str) -> Self {
        Self { part: Part::Header, name: name.to_owned(), message: message.to_owned() }
    }
}

/// All of them in a sentence.
pub(super) fn in_words(mistakes: &[Mistake]) -> String {
    let words = |Mistake { part, name, message }: &Mistake| match part {
        Part::Query if !name.is_empty() => format!("`{name}` in the query: {message}"),
        Part::Header => format!("header `{name}`: {message}"),
        Part::Query | Part::Body => message.clone(),
    };
    mistakes.iter().map(words).collect::<Vec<_>>().join("; ")
}

fn cut(text: String) -> String {
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain(['…']).collect() }
}
