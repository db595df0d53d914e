//! Bad habits: what runs, and what its author will be sorry for. `lint` tells of them; a run's checks do not.
//!
//! Each has a name. A comment `# lint: allow NAME` on the line, or on the one above, keeps it quiet, and so does an option
//! of `lint` for all files.

mod secrets;
mod shell;

use std::collections::BTreeSet;

use crate::model::Diagnostic;

use super::{
    Shape,
    findings::{Findings, quoted},
    node::{Entry, Node, Place, Value},
    variables, yaml,
};

/// One kind of bad habit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Habit {
    /// A job, or its flow, that may run for as long as the server lets it.
    NoTimeout,
    /// An image whose tag moves.
    ImageTag,
    /// A credential in the file.
    Secret,
    /// Files that everybody may write.
    WorldWritable,
    /// A failure that a pipe hides.
    HiddenFailure,
    /// A download that nobody vouches for.
    Insecure,
    /// A variable of the flow that nothing uses.
    Unused,
}

impl Habit {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NoTimeout,
        Self::ImageTag,
        Self::Secret,
        Self::WorldWritable,
        Self::HiddenFailure,
        Self::Insecure,
        Self::Unused,
    ];

    /// Its name in comments and options.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoTimeout => "no-timeout",
            Self::ImageTag => "image-tag",
            Self::Secret => "secret",
            Self::WorldWritable => "world-writable",
            Self::HiddenFailure => "hidden-failure",
            Self::Insecure => "insecure",
            Self::Unused => "unused",
        }
    }
}

/// The bad habits in a file, in its order, as warnings. Nothing of a file that cannot be read at all.
pub fn habits(text: &[u8]) -> Vec<(Habit, Diagnostic)> {
    let Ok(source) = super::decode(text) else { return Vec::new() };
    let mut scratch = Findings::new(source);
    let Ok(mut root) = yaml::parse(source, &mut scratch) else { return Vec::new() };
    let written = root.clone();
    variables::replace(&mut root, Shape::of(&written), &super::Given::default(), &mut scratch);
    let mut look = Look { lines: source.lines().collect(), source, found: Vec::new() };
    look.flow(&root);
    look.found.sort_by_key(|found| (found.at.line, found.at.column, found.habit));
    let mut told = BTreeSet::new();
    // an alias brings a place twice
    look.found.retain(|found| told.insert((found.at.line, found.at.column, found.habit)));
    let found = std::mem::take(&mut look.found);
    found.into_iter().filter(|found| !look.is_allowed(found)).map(|found| found.told(source)).collect()
}

/// One that was found.
struct Found {
    habit: Habit,
    at: Place,
    message: String,
    hint: String,
}

impl Found {
    fn told(self, source: &str) -> (Habit, Diagnostic) {
        let mut findings = Findings::new(source);
        let hint = format!("{} (`# lint: allow {}` keeps this quiet)", self.hint, self.habit.as_str());
        findings.warning(self.at, self.message).hint(hint);
        let mut told = findings.into_diagnostics();
        (self.habit, told.swap_remove(0))
    }
}

/// A walk through a file.
struct Look<'s> {
    lines: Vec<&'s str>,
    source: &'s str,
    found: Vec<Found>,
}

impl Look<'_> {
    fn say(&mut self, habit: Habit, at: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.found.push(Found { habit, at, message: message.into(), hint: hint.into() });
    }

    /// By a comment on the line, or by one that stands alone above it.
    fn is_allowed(&self, found: &Found) -> bool {
        let allows = |line: &str| {
            let Some((_, comment)) = line.split_once("# lint: allow ") else { return false };
            comment.split([',', ' ']).any(|name| name == found.habit.as_str())
        };
        let index = found.at.line.saturating_sub(1);
        let above = index.checked_sub(1).and_then(|index| self.lines.get(index)).map(|line| line.trim_start());
        self.lines.get(index).is_some_and(|line| allows(line))
            || above.is_some_and(|line| line.starts_with('#') && allows(line))
    }

    fn flow(&mut self, root: &Node) {
        self.variables(root);
        self.environments(root);
        let (mut jobs, mut services) = (Vec::new(), Vec::new());
        for stage in below(root, "stages") {
            for action in below(stage, "actions") {
                jobs.extend(below(action, "jobs"));
                if get(action, "services").is_some() {
                    services.extend(below(action, "services"));
                }
            }
        }
        jobs.retain(|job| get(job, "image").or_else(|| get(job, "endpoint")).is_some());
        // a service ends with the jobs
        let (among, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| is_service(job));
        if get(root, "timeout").is_none() {
            self.timeouts(&jobs);
        }
        for job in jobs.into_iter().chain(among).chain(services) {
            self.job(job, std::ptr::eq(job, root));
        }
    }

    fn job(&mut self, job: &Node, is_root: bool) {
        for image in ["image", "endpoint"].iter().filter_map(|key| get(job, key)) {
            self.image(&image.value);
        }
        if !is_root {
            self.environments(job);
        }
        if let Some(Entry { value: Node { at, value: Value::Scalar(script) }, .. }) = get(job, "run") {
            self.script(script, *at);
        }
    }

    /// One warning for all jobs: what helps is one line.
    fn timeouts(&mut self, jobs: &[&Node]) {
        let without: Vec<&&Node> = jobs.iter().filter(|job| get(job, "timeout").is_none()).collect();
        let Some(first) = without.first() else { return };
        let message = match without.len() {
            1 => {
                "this job has no `timeout`, nor has the flow: if it hangs, it does so for as long as the server lets it"
                    .to_owned()
            }
            count => format!(
                "{count} jobs have no `timeout`, nor has the flow: if one hangs, it does so for as long as the server lets it"
            ),
        };
        self.say(Habit::NoTimeout, first.at, message, "`timeout: 30m` on the flow's own level holds for all");
    }

    fn image(&mut self, node: &Node) {
        let Value::Scalar(image) = &node.value else { return };
        let last = image.rsplit('/').next().unwrap_or_default();
        if image.contains('@') || image.is_empty() {
            return;
        }
        let message = match last.split_once(':') {
            None => format!("image {} has no tag: it is whatever was pushed last", quoted(image)),
            Some((_, "latest")) => format!("image {} is whatever was pushed last", quoted(image)),
            Some(_) => return,
        };
        let name = last.split(':').next().unwrap_or_default();
        self.say(Habit::ImageTag, node.at, message, format!("name a version, such as `{name}:1.2`, or a digest"));
    }

    /// Variables that nothing in the file names.
    fn variables(&mut self, root: &Node) {
        let Some(Entry { value: Node { value: Value::Map(variables), .. }, .. }) = get(root, "variables") else {
            return;
        };
        for variable in variables {
            let name = &variable.key.text;
            if let Value::Scalar(value) = &variable.value.value {
                self.secret(name, value, variable);
            }
            if !self.source.contains(&format!("@{name}@")) {
                let message = format!("nothing uses the variable {}", quoted(name));
                self.say(Habit::Unused, variable.key.at, message, format!("write `@{name}@`, or remove it"));
            }
        }
    }

    fn environments(&mut self, node: &Node) {
        let Some(entry) = get(node, "environments") else { return };
        let maps = match &entry.value.value {
            Value::List(items) => items.iter().collect(),
            Value::Null | Value::Scalar(_) | Value::Map(_) => vec![&entry.value],
        };
        for variable in maps.into_iter().flat_map(entries) {
            let Value::Scalar(value) = &variable.value.value else { continue };
            self.secret(&variable.key.text, value, variable);
        }
    }

    fn secret(&mut self, name: &str, value: &str, entry: &Entry) {
        if let Some(what) = secrets::looks_secret(name, value) {
            let message = format!("{} is {what}, for everybody to read who sees this file", quoted(name));
            self.say(Habit::Secret, entry.key.at, message, KEEP_OUT);
        }
    }

    fn script(&mut self, script: &str, at: Place) {
        let mut from = at.line;
        for (line, fault) in shell::faults(script) {
            let place = self.line_of(line, from).unwrap_or(at);
            from = place.line;
            self.say(fault.habit, place, fault.message, fault.hint);
        }
    }

    /// Where a line of a script stands in the file, if it stands there as it is.
    fn line_of(&self, line: &str, from: usize) -> Option<Place> {
        let text = line.trim();
        let lines = self.lines.iter().enumerate().skip(from.saturating_sub(1));
        let (index, found, place) =
            lines.filter_map(|(index, found)| Some((index, found, found.find(text)?))).next()?;
        let column = found[..place].chars().count() + 1;
        Some(Place { line: index + 1, column, length: text.chars().count() })
    }
}

fn is_service(job: &Node) -> bool {
    get(job, "type").is_some_and(|entry| matches!(&entry.value.value, Value::Scalar(text) if text == "service"))
}

/// What to do with a credential.
const KEEP_OUT: &str = "take it back where it was issued, and give the new one as one of `secrets`";

/// The items of a list, or, where its keys are hoisted, the map itself.
fn below<'n>(node: &'n Node, list: &str) -> Vec<&'n Node> {
    match get(node, list).map(|entry| &entry.value.value) {
        Some(Value::List(items)) => items.iter().collect(),
        Some(Value::Null | Value::Scalar(_) | Value::Map(_)) => Vec::new(),
        None => vec![node],
    }
}

fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Entry> {
    entries(node).iter().find(|entry| entry.key.text == key && !entry.value.is_null())
}

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        Value::Null | Value::Scalar(_) | Value::List(_) => &[],
    }
}
