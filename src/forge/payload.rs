//! What the deliveries of all forges have in common: names of bounded length, and bodies that are read with a place for
//! each error.

use serde::{Deserialize, de::DeserializeOwned};

use super::{Reading, Unreadable};
use crate::model::{NameError, RepositoryName};

/// No forge takes a longer ref.
pub(super) const LONGEST_REF: usize = 1024;
/// What is said further on in a message is not looked at.
pub(super) const LONGEST_MESSAGE: usize = 16_384;
const LONGEST_TITLE: usize = 200;
/// GitHub takes 100 of a pull request.
const MOST_LABELS: usize = 100;
/// GitLab's are the longest.
const LONGEST_LABEL: usize = 255;

/// Of which action an event is.
#[derive(Deserialize)]
pub(super) struct Acted {
    pub(super) action: String,
}

/// `owner/name`, where there are no groups within groups.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct FlatName(pub(super) RepositoryName);

impl TryFrom<String> for FlatName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let name: RepositoryName = text.parse().map_err(|e: NameError| e.to_string())?;
        if name.owner().is_empty() || name.owner().contains('/') {
            return Err(format!("`{name}` is no `owner/repository`"));
        }
        Ok(Self(name))
    }
}

/// A ref or a branch's name, of a length and of characters that Git allows.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Ref(pub(super) String);

impl TryFrom<String> for Ref {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let good = !text.is_empty() && text.len() <= LONGEST_REF && !text.chars().any(char::is_control);
        if good { Ok(Self(text)) } else { Err("a ref of 1 to 1024 printable characters is expected") }
    }
}

/// A label as GitHub and Gitea have it.
#[derive(Deserialize)]
pub(super) struct Label {
    pub(super) name: String,
}

/// As many labels as anybody reads.
pub(super) fn labels(names: impl Iterator<Item = String>) -> Vec<String> {
    names.take(MOST_LABELS).map(|name| start_of(&name, LONGEST_LABEL)).collect()
}

pub(super) fn first_line(text: &str) -> String {
    start_of(text.lines().next().unwrap_or_default().trim_end(), LONGEST_TITLE)
}

pub(super) fn start_of(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

pub(super) fn nothing(why: impl Into<String>) -> Result<Reading, Unreadable> {
    Ok(Reading::Nothing(why.into()))
}

/// Reads a body that is known to be JSON; an error says where it is not of our shape.
pub(super) fn shaped<T: DeserializeOwned>(event: &str, body: &[u8]) -> Result<T, Unreadable> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| Unreadable::Shape {
        event: event.to_owned(),
        message: format!("{}: {}", error.path(), error.inner()),
    })
}

/// What is no JSON is most often a form, which webhooks send unless they are told not to.
pub(super) fn not_json(error: &serde_json::Error, body: &[u8], setting: &str) -> Unreadable {
    if body.starts_with(b"payload=") {
        return Unreadable::NotJson(format!("it is a form: set the webhook's {setting} to application/json"));
    }
    Unreadable::NotJson(error.to_string())
}
