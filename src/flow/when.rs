//! `when`: on what condition a stage, an action or a job runs.
//!
//! It is read and checked with its file. What an event decides is decided when the event is planned, so that a plan
//! holds only what `result` and `outputs` leave open; that is decided when its turn has come.

use std::collections::BTreeMap;

use crate::model::{ChangedFiles, Event, Output, Plan, When};

use super::{
    Reading,
    condition::{Before, Condition, Folded, Kind, Known, Rest, Vocabulary, Within, Work},
    fields::Fields,
    node::Place,
    scalar,
};

/// A condition that asks for outputs, which are looked for when all jobs are known.
#[derive(Debug)]
pub(super) struct Asking {
    /// Where it stands in the file.
    pub(super) at: Place,
    /// Whose it is: a stage, its action, and that one's job.
    pub(super) stage: String,
    pub(super) action: Option<String>,
    pub(super) job: Option<String>,
    /// As links write them.
    pub(super) outputs: Vec<String>,
}

/// The `when` of a stage, an action or a job.
pub(super) fn read(
    fields: &mut Fields<'_>,
    (stage, action, job): (&str, Option<&str>, Option<&str>),
    reading: &mut Reading<'_>,
) -> Option<When> {
    let text = scalar::text(fields.claim("when")?, "a condition", reading)?;
    let vocabulary = Vocabulary { inputs: &reading.inputs, within: Within::When };
    match Condition::read(&text.text, vocabulary) {
        Ok(condition) if condition.kind() == Kind::Flag => {
            let outputs = condition.outputs();
            if !outputs.is_empty() {
                let (action, job) = (action.map(str::to_owned), job.map(str::to_owned));
                reading.asking.push(Asking { at: text.at, stage: stage.to_owned(), action, job, outputs });
            }
            return Some(When { due: Some(text.text.clone()), text: text.text, outputs: Vec::new() });
        }
        Ok(condition) => {
            let message = format!("a condition is true or false; this is {}", condition.kind());
            reading.findings.error(text.at, message).hint("compare it with something, as in `branch == \"main\"`");
        }
        Err(mistake) => {
            let at = reading.findings.within(text.at, &text.text, mistake.from, mistake.length);
            reading.findings.error(at, mistake.message).maybe_hint(mistake.hint);
        }
    }
    None
}

/// Whether any condition of a plan asks for the changed files.
pub(super) fn asks_for_files(plan: &Plan) -> bool {
    plan.stages.iter().any(|stage| {
        let actions = stage
            .actions
            .iter()
            .flat_map(|action| std::iter::once(&action.when).chain(action.jobs.iter().map(|job| &job.when)));
        let all = std::iter::once(&stage.when).chain(actions).flatten();
        all.filter_map(|when| Condition::again(&when.text)).any(|condition| condition.asks_for_files())
    })
}

/// Conditions cost more than they may; values are worth nothing then.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

/// Decides what can be decided of all conditions of a plan before it runs.
pub(super) fn decide(
    plan: &mut Plan,
    event: &Event,
    changes: &ChangedFiles,
    inputs: &BTreeMap<String, String>,
) -> Result<(), TooMuch> {
    let (work, nothing) = (Work::default(), BTreeMap::new());
    let known = Known { event: Some(event), changes, inputs, matrix: &nothing, result: None, outputs: &nothing };
    for stage in &mut plan.stages {
        settle(&mut stage.when, &known, &work);
        for action in &mut stage.actions {
            settle(&mut action.when, &known, &work);
            action.jobs.iter_mut().for_each(|job| settle(&mut job.when, &known, &work));
        }
    }
    if work.is_too_much() { Err(TooMuch) } else { Ok(()) }
}

fn settle(when: &mut Option<When>, known: &Known<'_>, work: &Work) {
    let Some(condition) = when.as_ref().and_then(|when| Condition::again(&when.text)) else { return };
    match (condition.rest(known, work), when.as_mut()) {
        (Folded::Fails, Some(when)) => when.due = None,
        (Folded::Open(rest), Some(when)) => when.due = Some(rest),
        // it holds, but that it asks is what lets it run after a failure
        (Folded::Holds, Some(when)) if condition.asks_for_result() => when.due = Some("true".to_owned()),
        (Folded::Holds, _) | (_, None) => *when = None,
    }
}

/// Whether a condition asks how what came before ended, and so is not left out because of a failure.
pub fn asks_for_result(when: &When) -> bool {
    when.due.is_some() && Condition::again(&when.text).is_some_and(|condition| condition.asks_for_result())
}

/// Whether a condition holds whose turn has come. `outputs` have the names that [`output_name`] gives.
pub fn holds(when: &When, before: Before, outputs: &BTreeMap<String, String>) -> bool {
    match when.due.as_deref() {
        None => false,
        Some(rest) => Rest::read(rest).is_none_or(|rest| rest.holds(before, outputs)),
    }
}

/// What an output is called in conditions.
pub fn output_name(output: &Output) -> String {
    output.to_string()
}
