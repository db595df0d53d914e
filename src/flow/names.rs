//! Names of stages, actions, jobs and flows. They become parts of links, of contexts and of URLs, so that only what is
//! plain in all three is a name.

use std::collections::{HashMap, HashSet};

use sha2::Digest as _;

use crate::model::RepositoryName;

use super::{
    Reading, Shape,
    fields::Fields,
    findings::quoted,
    node::{Node, Text},
    scalar,
};

/// As long as a DNS label, so that a name fits into a label of a pod.
pub(super) const MAX_LENGTH: usize = 63;

/// What kind of thing has a name, which decides what a nameless one is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named<'p> {
    /// Must have a name, but for the start and the end.
    Stage,
    /// In the stage of this name. An only action is called like its stage, others `action-1`, `action-2`, …
    Action(&'p str),
    /// In the action of this name. An only job is called like its action, others `job-1`, `job-2`, …
    Job(&'p str),
}

/// The names of all items of one list, each unique in it.
pub(super) fn claim_all(items: &mut [Fields<'_>], named: Named<'_>, reading: &mut Reading<'_>) -> Vec<Text> {
    let count = items.len();
    let mut names: Vec<Text> =
        items.iter_mut().enumerate().map(|(index, fields)| claim(fields, named, index, count, reading)).collect();
    if reading.shape == Shape::Original {
        tell_apart(&mut names, named, reading);
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for name in names.iter().filter(|name| !name.text.is_empty()) {
        if let Some(line) = seen.insert(&name.text, name.at.line) {
            let message =
                format!("{} is already the name of another {} (line {line})", quoted(&name.text), named.noun());
            reading.findings.error(name.at, message);
        }
    }
    names
}

/// Nothing kept two actions of the original from having one name; links mean the first.
fn tell_apart(names: &mut [Text], named: Named<'_>, reading: &mut Reading<'_>) {
    let mut taken: HashSet<String> = names.iter().map(|name| name.text.clone()).collect();
    let mut seen = HashSet::new();
    for name in names.iter_mut().filter(|name| !name.text.is_empty()) {
        if seen.insert(name.text.clone()) {
            continue;
        }
        let begin: String = name.text.chars().take(MAX_LENGTH - 4).collect();
        let other = (2..1000).map(|n| format!("{begin}-{n}")).find(|other| !taken.contains(other));
        let Some(other) = other else { continue };
        let message = format!("{} is already the name of another {}", quoted(&name.text), named.noun());
        reading.findings.warning(name.at, message).hint(format!("it is called {} here", quoted(&other)));
        taken.insert(other.clone());
        name.text = other;
    }
}

/// The flow's short name where its file does not say: the file's name without `.yml`; `ci` for `.containerops.yml`.
pub fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    let stem = file.strip_suffix(".yml").or_else(|| file.strip_suffix(".yaml")).unwrap_or(file);
    let plain: String = stem.chars().take(MAX_LENGTH).map(|c| if is_plain(c) || c == '.' { c } else { '-' }).collect();
    match plain.trim_start_matches(['.', '-']) {
        "" | "containerops" => "ci".to_owned(),
        name => name.to_owned(),
    }
}

/// A flow's identity.
#[derive(Debug)]
pub(super) struct Uri {
    /// All of it.
    pub(super) uri: String,
    /// Its last part.
    pub(super) name: String,
}

/// The `uri` that a file gives, or the one that its place gives it.
pub(super) fn uri(node: Option<&Node>, path: &str, repository: &RepositoryName, reading: &mut Reading<'_>) -> Uri {
    let name = name_of(path);
    let default = Uri { uri: format!("{repository}/{name}"), name };
    let Some(text) = node.and_then(|node| scalar::text(node, "`uri`", reading)) else {
        return default;
    };
    let is_part = |part: &str| {
        !part.is_empty()
            && part.len() <= MAX_LENGTH
            && !part.starts_with(['.', '-'])
            && part.chars().all(|c| is_plain(c) || c == '.')
    };
    let parts: Vec<&str> = text.text.split('/').collect();
    if let ([_, _, .., name], true, true) = (parts.as_slice(), parts.len() >= 3, parts.iter().all(|part| is_part(part)))
        && text.text.len() <= 255
    {
        return Uri { name: (*name).to_owned(), uri: text.text };
    }
    let message = format!("{} is no uri: <namespace>/<repository>/<name> is expected", quoted(&text.text));
    // the original only logged it
    reading.mistake(text.at, message).hint(format!("without one it is {}", default.uri));
    default
}

/// Whether a text is the name of an environment variable.
pub(super) fn is_variable(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Named<'_> {
    const fn noun(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Action(_) => "action",
            Self::Job(_) => "job",
        }
    }

    fn default(self, index: usize, count: usize) -> Option<String> {
        match self {
            Self::Stage => None,
            Self::Action(parent) | Self::Job(parent) if count == 1 => Some(parent.to_owned()),
            Self::Action(_) | Self::Job(_) => Some(format!("{}-{}", self.noun(), index + 1)),
        }
    }
}

fn claim(fields: &mut Fields<'_>, named: Named<'_>, index: usize, count: usize, reading: &mut Reading<'_>) -> Text {
    let at = fields.at();
    match fields.claim("name") {
        Some(node) => {
            let Some(name) = scalar::text(node, "a name", reading) else {
                return Text { at, text: String::new() };
            };
            match reading.shape {
                // its exports have empty names for none
                Shape::Original if name.text.is_empty() => default(fields, named, index, count, reading),
                Shape::Original => made_plain(name, reading),
                Shape::Ours => {
                    check(&name, reading);
                    name
                }
            }
        }
        None => default(fields, named, index, count, reading),
    }
}

fn default(fields: &Fields<'_>, named: Named<'_>, index: usize, count: usize, reading: &mut Reading<'_>) -> Text {
    let text = named.default(index, count).or_else(|| nameless_stage(fields, index, reading));
    Text { at: fields.at(), text: text.unwrap_or_default() }
}

/// The original took any text for a name.
fn made_plain(name: Text, reading: &mut Reading<'_>) -> Text {
    let text = plain(&name.text);
    if text != name.text {
        let message = format!("{} is no name here: it is called {}", quoted(&name.text), quoted(&text));
        reading
            .findings
            .warning(name.at, message)
            .hint(format!("a name is 1 to {MAX_LENGTH} of letters, digits, `-` and `_`"));
    }
    Text { at: name.at, text }
}

/// What a name of the original is called here: itself if it is one of ours, else as near as can be. Long ones end with
/// a hash, so that two of them stay two.
pub(super) fn plain(text: &str) -> String {
    if is_name(text) {
        return text.to_owned();
    }
    let near: String = text.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let near = near.trim_matches('-');
    if !near.is_empty() && near.len() <= MAX_LENGTH {
        return near.to_owned();
    }
    let hash = &hex::encode(sha2::Sha256::digest(text))[..8];
    let kept: String = near.chars().take(MAX_LENGTH - 1 - hash.len()).collect();
    if kept.is_empty() { hash.to_owned() } else { format!("{kept}-{hash}") }
}

fn is_name(text: &str) -> bool {
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    begins_well && text.len() <= MAX_LENGTH && text.chars().all(is_plain)
}

fn nameless_stage(fields: &Fields<'_>, index: usize, reading: &mut Reading<'_>) -> Option<String> {
    if let Some(word @ ("start" | "end")) = fields.peek("type") {
        return Some(word.to_owned());
    }
    if reading.shape == Shape::Original {
        return Some(format!("stage-{}", index + 1));
    }
    reading.findings.error(fields.at(), "a stage needs a `name`");
    None
}

/// A finding if a text is no name.
pub(super) fn check(name: &Text, reading: &mut Reading<'_>) {
    if is_name(&name.text) {
        return;
    }
    let near: String = name.text.chars().take(MAX_LENGTH).map(|c| if is_plain(c) { c } else { '-' }).collect();
    let near = near.trim_start_matches('-');
    let message = format!("{} is no name: 1 to {MAX_LENGTH} of letters, digits, `-` and `_`", quoted(&name.text));
    let hint = (!near.is_empty()).then(|| format!("`{near}` would do; `title` takes any text"));
    reading.findings.error(name.at, message).maybe_hint(hint);
}

/// Whether a name may have it.
pub(super) const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}
