//! `inputs`: links that build a job's `CO_DATA`.
//!
//! `{from: "stage.action.job[KEY].path", to: a.b}`, or `from: event.path` for the webhook's own payload. `auto` links by
//! itself whatever the job's `CO_DATA` names and an earlier job has under the same name with the same type. Two sources
//! for one target, or one target inside of another, are an event conflict.

use std::collections::BTreeMap;

use crate::model::{Input, JobPath, Output, Plan, Source};

use super::{
    Reading,
    data::{self, Data, Kind},
    fields::Fields,
    findings::{Findings, quoted},
    keys,
    node::{Node, Place, Text, Value},
    scalar::{self, Toggle},
    source::{self, Map, Places, Wrong},
};

/// As many as a job may have outputs.
const MAX_INPUTS: usize = 256;
/// Deeper objects are nobody's input.
const MAX_DEPTH: usize = 16;
/// A message with more sources is no help.
const MAX_NAMED: usize = 12;
/// As for an output's name.
const MAX_PART_CHARS: usize = 128;

/// A job's `inputs` as the file has them.
#[derive(Debug)]
pub(super) struct Wanted {
    subscriber: JobPath,
    links: Vec<Link>,
    auto: Option<Place>,
    at: Place,
}

#[derive(Debug)]
struct Link {
    from: Text,
    to: Text,
    optional: bool,
}

/// Takes a job's inputs down, to be resolved when all jobs are known.
pub(super) fn read(fields: &mut Fields<'_>, subscriber: JobPath, reading: &mut Reading<'_>) {
    let Some(node) = fields.claim("inputs") else { return };
    let mut wanted = Wanted { subscriber, links: Vec::new(), auto: None, at: node.at };
    match &node.value {
        Value::List(items) if items.len() > MAX_INPUTS => {
            reading.findings.error(node.at, format!("more than {MAX_INPUTS} inputs"));
        }
        Value::List(items) => items.iter().for_each(|item| wanted.read(item, reading)),
        Value::Null | Value::Scalar(_) | Value::Map(_) => wanted.read(node, reading),
    }
    reading.inputs.push(wanted);
}

/// Puts every input into the plan, or says why it cannot be.
pub(super) fn resolve(plan: &mut Plan, reading: &mut Reading<'_>) {
    let mut resolved = Vec::new();
    let map = Map::of(plan);
    for wanted in std::mem::take(&mut reading.inputs) {
        let Some(to) = source::find(plan, &wanted.subscriber) else { continue };
        let mut resolver = Resolver { plan, map: &map, to, findings: &mut reading.findings };
        resolved.push((to, resolver.all(&wanted)));
    }
    for ((s, a, j), (inputs, auto)) in resolved {
        let job = &mut plan.stages[s].actions[a].jobs[j];
        (job.inputs, job.auto_inputs) = (inputs, auto);
    }
}

impl Wanted {
    fn read(&mut self, node: &Node, reading: &mut Reading<'_>) {
        match &node.value {
            Value::Scalar(text) if text == "auto" => self.auto = Some(node.at),
            Value::Map(_) => self.links.extend(link(node, reading)),
            Value::Null | Value::Scalar(_) | Value::List(_) => {
                let message = format!("an input is a map, or `auto`; this is {}", node.describe());
                let hint = "write {from: \"stage.action.job[KEY].path\", to: name}";
                reading.findings.error(node.at, message).hint(hint);
            }
        }
    }
}

fn link(node: &Node, reading: &mut Reading<'_>) -> Option<Link> {
    let mut fields = Fields::of(node, &keys::INPUT, reading)?;
    let mut text = |key: &str| {
        let text = fields.claim(key).and_then(|value| scalar::text(value, &format!("`{key}`"), reading));
        if text.is_none() {
            reading.findings.error(node.at, format!("an input needs `{key}`"));
        }
        text
    };
    let (from, to) = (text("from"), text("to"));
    let optional = scalar::boolean(&mut fields, "optional", Toggle::Off, reading);
    fields.close(reading);
    Some(Link { from: from?, to: to?, optional })
}

struct Resolver<'r, 's> {
    plan: &'r Plan,
    map: &'r Map<'r>,
    to: Places,
    findings: &'r mut Findings<'s>,
}

impl Resolver<'_, '_> {
    fn all(&mut self, wanted: &Wanted) -> (Vec<Input>, Vec<Output>) {
        let mut inputs = Vec::new();
        let mut places = Vec::new();
        for link in &wanted.links {
            if let Some(input) = self.input(link) {
                inputs.push(input);
                places.push(link.to.at);
            }
        }
        self.check_conflicts(&inputs, &places);
        let (s, a, j) = self.to;
        let given = self.plan.stages[s].actions[a].jobs[j].environments.get("CO_DATA");
        let data = match given.map(|text| text.parse::<Data>()) {
            None => None,
            Some(Ok(data)) => Some(data),
            Some(Err(error)) => {
                let message = format!("`inputs` are added to the job's `CO_DATA`, but {error}");
                self.findings.error(wanted.at, message).hint("write a JSON object, or key=value pairs");
                return (inputs, Vec::new());
            }
        };
        if let Some(Data::Pairs(_)) = &data {
            for (input, at) in inputs.iter().zip(&places).filter(|(input, _)| input.to.len() > 1) {
                let message = format!("`CO_DATA` has key=value pairs, which have no {}", quoted(&input.to.join(".")));
                self.findings.error(*at, message).hint("write `CO_DATA` as a JSON object");
            }
        }
        let auto = wanted.auto.map_or_else(Vec::new, |at| self.auto(at, data.as_ref(), &mut inputs));
        (inputs, auto)
    }

    fn input(&mut self, link: &Link) -> Option<Input> {
        let to = path(&link.to.text);
        if to.is_none() {
            let message = format!("{} is no name of an input", quoted(&link.to.text));
            self.findings
                .error(link.to.at, message)
                .hint("names with dots between them, for example `release.version`");
        }
        match self.source(&link.from.text) {
            Ok(from) => Some(Input { from, to: to?, optional: link.optional }),
            Err((message, hint)) => {
                self.findings.error(link.from.at, message).maybe_hint(hint);
                None
            }
        }
    }

    fn source(&self, text: &str) -> Result<Source, Wrong> {
        let wrong = || {
            let message = format!("{} does not name a value", quoted(text));
            (message, Some("write \"stage.action.job[KEY].path\", or \"event.path\"".to_owned()))
        };
        if let Some(rest) = text.strip_prefix("event.")
            && !rest.contains(['[', ']', '('])
        {
            return Ok(Source::Event { path: path(rest).ok_or_else(wrong)? });
        }
        let written = source::split(text).ok_or_else(wrong)?;
        let path = match written.path.strip_prefix('.') {
            Some(rest) => path(rest).ok_or_else(wrong)?,
            None if written.path.is_empty() => Vec::new(),
            None => return Err(wrong()),
        };
        let output = self.map.output(written, self.to, self.findings)?;
        if output.key == data::XML && !path.is_empty() {
            let message = format!("{} is linked as a text: there are no paths into XML", data::XML);
            return Err((message, Some("leave the path out".to_owned())));
        }
        Ok(Source::Output { output, path })
    }

    /// Every group of targets of which one is, or is a part of, another.
    fn check_conflicts(&mut self, inputs: &[Input], places: &[Place]) {
        let mut sorted: Vec<(&Input, Place)> = inputs.iter().zip(places.iter().copied()).collect();
        sorted.sort_by(|(a, _), (b, _)| a.to.cmp(&b.to));
        let mut rest = sorted.as_slice();
        while let Some(((first, _), _)) = rest.split_first() {
            let count = rest.iter().take_while(|(input, _)| input.to.starts_with(&first.to)).count();
            let (group, after) = rest.split_at(count);
            rest = after;
            if group.len() > 1 {
                let at = group.iter().map(|(_, at)| *at).max_by_key(|at| (at.line, at.column)).unwrap_or_default();
                let named = group.iter().map(|(input, _)| (input.to.as_slice(), input.from.to_string()));
                self.findings.error(at, conflict(named)).hint("keep one of these links");
            }
        }
    }

    /// Links whatever the job's data names and nothing else fills. The outputs in which the rest is looked for once they
    /// are written.
    fn auto(&mut self, at: Place, data: Option<&Data>, inputs: &mut Vec<Input>) -> Vec<Output> {
        let Some(data) = data else {
            let message = "`auto` links what the job's `CO_DATA` names, and it has none";
            self.findings.error(at, message).hint("for example `environments: {CO_DATA: '{\"version\": \"\"}'}`");
            return Vec::new();
        };
        let is_open = |to: &[String]| !inputs.iter().any(|input| overlap(&input.to, to));
        let open: BTreeMap<Vec<String>, Kind> = data.leaves().into_iter().filter(|(to, _)| is_open(to)).collect();
        let (mut found, mut contents): (BTreeMap<&[String], Vec<Output>>, _) = (BTreeMap::new(), Vec::new());
        for (from, key) in self.map.outputs_before(self.to) {
            if data::is_parsed(key) {
                contents.push(self.map.output_at(from, key));
            } else if let Some((to, _)) = open.iter().find(|(to, kind)| **to == [key] && kind.takes(Kind::Text)) {
                found.entry(to).or_default().push(self.map.output_at(from, key));
            }
        }
        for (to, outputs) in &found {
            if outputs.len() > 1 {
                let named = outputs.iter().map(|output| (*to, output.to_string()));
                self.findings.error(at, conflict(named)).hint("link the one that is meant");
            }
        }
        let linked = found.iter().filter_map(|(to, outputs)| {
            let from = Source::Output { output: outputs.first()?.clone(), path: Vec::new() };
            Some(Input { from, to: to.to_vec(), optional: true })
        });
        let rest = open.len() - found.len();
        inputs.extend(linked);
        if contents.len() > MAX_INPUTS {
            self.findings.error(at, format!("`auto` would look through more than {MAX_INPUTS} outputs"));
        }
        if rest == 0 { Vec::new() } else { contents }
    }
}

/// "event conflict: `a` from `x[K]`, `a.b` from `y[K]`".
pub fn conflict<'t>(named: impl Iterator<Item = (&'t [String], String)>) -> String {
    let all: Vec<String> =
        named.map(|(to, from)| format!("{} from {}", quoted(&to.join(".")), quoted(&from))).collect();
    let more = all.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("event conflict: {}{more}", all[..all.len().min(MAX_NAMED)].join(", "))
}

/// Whether one is the other, or a part of it.
pub fn overlap(one: &[String], other: &[String]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// Names with dots between them; `a[0]` is written `a.0`.
fn path(text: &str) -> Option<Vec<String>> {
    let is_good = |c: char| !c.is_control() && !matches!(c, '[' | ']');
    let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
    let good = |part: &String| !part.is_empty() && part.chars().count() <= MAX_PART_CHARS && part.chars().all(is_good);
    (parts.len() <= MAX_DEPTH && parts.iter().all(good)).then_some(parts)
}
