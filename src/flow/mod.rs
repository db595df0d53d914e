//! Flow files: text in, a [`Plan`] or all diagnostics out.
//!
//! Everything here is pure: the same bytes, repository and event give the same plan and the same digest, on the server
//! and on its author's machine. Files are hostile: whatever the bytes are, reading ends soon, within bounds, and
//! without a panic, and every mistake is told with its line, all at once.
//!
//! The way of a file: `yaml` makes the text a tree whose nodes know their places, `variables` replaces `@NAME@` in
//! it, and one reader per level (`file`, `stage`, `action`, `job`) claims its keys and builds the plan; an action with a
//! `matrix` is read once for each of its cells. What can
//! be checked only when all is known (`subscriptions` and `inputs`) is checked last, by `links` and `inputs`. What depends on the event (`on`, and
//! the group of `concurrency`, a `condition`) is read with the file, and decided when there is one.

mod action;
mod approval;
mod artifacts;
mod cache;
mod cell;
mod checkout;
mod children;
mod circumstances;
mod concurrency;
mod condition;
mod contents;
pub mod data;
mod duration;
mod environments;
mod fields;
mod file;
mod findings;
mod full;
mod given;
mod globs;
mod graph;
mod habits;
mod inputs;
mod job;
mod keys;
mod kubectl;
mod links;
mod matrix;
mod names;
mod node;
mod paths;
mod placing;
mod quantity;
mod receivers;
mod render;
mod reports;
mod resources;
mod retry;
mod scalar;
mod schema;
mod secrets;
mod service;
mod shell;
mod source;
mod stage;
mod starts;
mod trigger;
mod triggers;
mod variables;
mod when;
mod yaml;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::model::{Diagnostic, Event, EventKind, Plan, RepositoryName, Severity, Starter, Wants};

pub use circumstances::{Circumstances, heeds_message, skip_of};
pub use concurrency::shortened;
pub use condition::Before;
pub use full::{full_form, full_form_with};

pub use given::{Given, NoPart, Part};
pub use globs::{is_match, not_a_pattern};
pub use graph::{GraphFormat, graph};
pub use habits::{Habit, habits};
pub use inputs::{conflict, overlap};
pub use names::name_of;
pub use render::{Palette, markdown, paint, render};
pub use schema::schema;
pub use starts::{next as next_time, variable as input_variable};
pub use when::{asks_for_result, holds, output_name};

use condition::Known;
use findings::{Finding, Findings};
use node::{Node, Place, Value};

/// A flow of a thousand jobs has a tenth of this.
const MAX_FILE_BYTES: usize = 1 << 20;

/// How many flows may follow each other: a longer way is a circle that nobody has seen.
const MAX_CHAIN: usize = 8;

/// A flow file that has no mistakes.
#[derive(Debug, Clone)]
pub struct Flow {
    plan: Plan,
    triggers: triggers::Triggers,
    concurrency: concurrency::Rule,
    warnings: Vec<Diagnostic>,
    variables: BTreeSet<String>,
    only: Vec<Part>,
    wants: Wants,
}

/// Whether an event starts a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It does, and this is what the run will do.
    Run(Plan),
    /// A filter leaves it out: there is no run, but there is something to show, for a branch may require it.
    LeftOut {
        /// Which filter left it out, and why.
        reason: String,
    },
    /// It cannot be said: a run would have to be made of a file that costs too much to read.
    Broken(Diagnostic),
    /// The file does not ask for events of this kind: there is nothing to show.
    Unasked {
        /// Why, in words.
        reason: String,
    },
}

/// Reads and checks a whole file. `path` is its path in the repository: it names a flow that has no `uri`.
///
/// # Errors
/// Everything that is wrong with the file, and its warnings, in the file's order. At least one of them is an error.
pub fn read(path: &str, repository: &RepositoryName, text: &[u8]) -> Result<Flow, Vec<Diagnostic>> {
    read_given(path, repository, text, &Given::default())
}

/// The same, of a flow that somebody runs by hand.
///
/// # Errors
/// As [`read`].
pub fn read_given(
    path: &str,
    repository: &RepositoryName,
    text: &[u8],
    given: &Given,
) -> Result<Flow, Vec<Diagnostic>> {
    let source = decode(text)?;
    let mut findings = Findings::new(source);
    let Ok(mut root) = yaml::parse(source, &mut findings) else {
        return Err(findings.into_diagnostics());
    };
    let shape = Shape::of(&root);
    if shape == Shape::Original {
        // so far only keys that are given twice, of which the original took the last
        findings.soften();
    }
    let variables = variables::replace(&mut root, shape, given, &mut findings);
    let mut reading = Reading {
        findings,
        shape,
        links: Vec::new(),
        asking: Vec::new(),
        inputs: Vec::new(),
        manual_inputs: BTreeSet::new(),
        downloads: Vec::new(),
        wants: Wants::default(),
        jobs: 0,
        copied: node::Weight::default(),
        namespace: None,
    };
    let draft = file::read(&root, path, repository, &mut reading);
    let failed = reading.findings.has_errors();
    let wants = std::mem::take(&mut reading.wants);
    let warnings = reading.findings.into_diagnostics();
    match draft {
        Some(file::Draft { plan, triggers, concurrency }) if !failed => {
            Ok(Flow { plan, triggers, concurrency, warnings, variables, only: given.only.clone(), wants })
        }
        Some(_) | None => Err(warnings),
    }
}

impl Flow {
    /// The short name that contexts show.
    pub fn name(&self) -> &str {
        &self.plan.flow
    }

    /// `<namespace>/<repository>/<name>`.
    pub fn uri(&self) -> &str {
        &self.plan.uri
    }

    /// What is odd about the file, though it runs.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The names of its own `variables`.
    pub const fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// The secrets that its jobs want, whatever the event. They are in no plan: see [`Grants`](crate::model::Grants).
    pub const fn wants(&self) -> &Wants {
        &self.wants
    }

    /// Whether it has a part, whatever the event.
    pub fn has(&self, part: &Part) -> bool {
        part.is_of(&self.plan)
    }

    /// Its parts, stages and actions, whatever the event.
    pub fn parts(&self) -> Vec<Part> {
        given::parts(&self.plan)
    }

    /// What starts it besides what happens on a forge.
    pub fn starters(&self) -> Vec<Starter> {
        self.triggers.starters()
    }

    /// Why these inputs cannot be given to it; `None`: they can.
    pub fn refuses(&self, inputs: &BTreeMap<String, String>) -> Option<String> {
        starts::refusal(self.triggers.inputs(), inputs)
    }

    /// Why it does not follow the flow that an event names: it would lead in a circle, or the way here was too long.
    fn circle(&self, event: &Event) -> Option<String> {
        let way = event.kind.way();
        if way.contains(&self.plan.uri) {
            return Some(format!("it has run already on the way here: {}", way.join(", then ")));
        }
        let words = || format!("{MAX_CHAIN} flows have started each other, which is the most: {}", way.join(", then "));
        (way.len() >= MAX_CHAIN).then(words)
    }

    /// What an event makes of this flow, as far as that can be said without a forge.
    pub fn plan(&self, event: &Event) -> Decision {
        self.plan_in(event, &Circumstances::default())
    }

    /// What an event makes of this flow.
    pub fn plan_in(&self, event: &Event, circumstances: &Circumstances) -> Decision {
        match (self.triggers.left_out(event, &circumstances.changes), &circumstances.skip) {
            (Some(triggers::LeftOut::Unasked(reason)), _) => Decision::Unasked { reason },
            (_, Some(reason)) => Decision::LeftOut { reason: reason.clone() },
            (Some(triggers::LeftOut::Filtered(reason)), None) => Decision::LeftOut { reason },
            (None, None) => match self.circle(event) {
                Some(reason) => Decision::Unasked { reason },
                None => self.decide(event, circumstances),
            },
        }
    }

    fn decide(&self, event: &Event, circumstances: &Circumstances) -> Decision {
        let nothing = BTreeMap::new();
        let given = if let EventKind::Manual { inputs, .. } = &event.kind { inputs } else { &nothing };
        let inputs = starts::values(self.triggers.inputs(), given);
        let known = Known {
            event: Some(event),
            changes: &circumstances.changes,
            inputs: &inputs,
            matrix: &nothing,
            result: None,
            outputs: &nothing,
        };
        let concurrency = self.concurrency.of(event, &known, &self.plan.flow);
        let mut plan = Plan { concurrency, inputs: inputs.clone(), ..self.plan.clone() };
        plan = match given::narrow(plan, &self.only) {
            Ok(plan) => plan,
            Err(reason) => return Decision::Unasked { reason },
        };
        match when::decide(&mut plan, event, &circumstances.changes, &inputs) {
            Ok(()) => Decision::Run(plan),
            Err(when::TooMuch) => Decision::Broken(said(
                Severity::Error,
                format!(
                    "the conditions of this flow cost too much for an event that changed {} files",
                    circumstances.changes.paths.len()
                ),
                "use `changed(\"…\")` instead of loops over `files`",
            )),
        }
    }

    /// Whether it depends on the changed files what an event makes of this flow.
    pub fn asks_for_files(&self, event: &EventKind) -> bool {
        self.triggers.asks_for_files(event) || (self.triggers.names(event) && when::asks_for_files(&self.plan))
    }

    /// What should be known of a run, though nothing is wrong with the file: that it runs because nobody could say what
    /// was changed.
    pub fn note(&self, event: &Event, circumstances: &Circumstances) -> Option<Diagnostic> {
        let gap = circumstances.changes.gap.as_ref().filter(|_| self.asks_for_files(&event.kind))?;
        let message = format!("not all changed files are known: {gap}");
        Some(said(Severity::Warning, message, "whatever depends on the files that are not known runs"))
    }
}

/// What is said of a whole file.
fn said(severity: Severity, message: String, hint: &str) -> Diagnostic {
    let (source, hint) = (String::new(), Some(hint.to_owned()));
    Diagnostic { severity, message, line: 1, column: 1, length: 0, source, hint }
}

/// Whose habits a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Strict: an unknown key is an error.
    Ours,
    /// A `uri`, and `type: start` or `type: component` somewhere: a file of the original, which was lenient.
    Original,
}

impl Shape {
    fn of(root: &Node) -> Self {
        match &root.value {
            Value::Map(entries) if entries.iter().any(|entry| entry.key.text == "uri") && has_original_type(root) => {
                Self::Original
            }
            Value::Null | Value::Scalar(_) | Value::List(_) | Value::Map(_) => Self::Ours,
        }
    }
}

fn has_original_type(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Scalar(_) => false,
        Value::List(items) => items.iter().any(has_original_type),
        Value::Map(entries) => entries.iter().any(|entry| {
            let original = matches!(&entry.value.value, Value::Scalar(text) if text == "start" || text == "component");
            (entry.key.text == "type" && original) || has_original_type(&entry.value)
        }),
    }
}

/// What the readers of all levels share.
#[derive(Debug)]
struct Reading<'s> {
    findings: Findings<'s>,
    shape: Shape,
    /// Subscriptions, to be resolved when all jobs are known.
    links: Vec<links::Link>,
    /// Conditions that ask for outputs, likewise.
    asking: Vec<when::Asking>,
    /// Inputs, likewise.
    inputs: Vec<inputs::Wanted>,
    /// The names of manual inputs.
    manual_inputs: BTreeSet<String>,
    /// Downloads, to be resolved likewise.
    downloads: Vec<artifacts::Wish>,
    /// The secrets that jobs want.
    wants: Wants,
    /// Jobs so far.
    jobs: usize,
    /// What the cells of all matrices have together.
    copied: node::Weight,
    /// The flow's own, for its kubectl jobs.
    namespace: Option<String>,
}

impl Reading<'_> {
    /// What is an error in our files, and a warning in those of the original, which let it pass.
    fn mistake(&mut self, at: Place, message: impl Into<String>) -> &mut Finding {
        match self.shape {
            Shape::Ours => self.findings.error(at, message),
            Shape::Original => self.findings.warning(at, message),
        }
    }
}

fn decode(text: &[u8]) -> Result<&str, Vec<Diagnostic>> {
    if text.len() > MAX_FILE_BYTES {
        let begin = String::from_utf8_lossy(&text[..1000]);
        let message = format!("the file has {} bytes; {MAX_FILE_BYTES} (1 MiB) are the most", text.len());
        return Err(alone(&begin, Place { line: 1, column: 1, length: 0 }, message));
    }
    std::str::from_utf8(text).map(|text| text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(|error| {
        let good = String::from_utf8_lossy(&text[..error.valid_up_to()]);
        let line = good.bytes().filter(|&b| b == b'\n').count() + 1;
        let column = good.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        let whole: Cow<'_, str> = String::from_utf8_lossy(text);
        alone(&whole, Place { line, column, length: 1 }, "this byte is not UTF-8".to_owned())
    })
}

fn alone(source: &str, at: Place, message: String) -> Vec<Diagnostic> {
    let mut findings = Findings::new(source);
    findings.error(at, message);
    findings.into_diagnostics()
}
