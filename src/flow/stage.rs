//! The stage level: kind, order, and which stages come before.

use std::collections::BTreeSet;

use crate::model::{ActionPlan, Sequencing, StageKind, StagePlan};

use super::{
    Reading, Shape, action, approval, children,
    fields::Fields,
    findings::quoted,
    keys,
    names::{self, Named},
    node::{Text, Value},
    scalar::{self, Toggle},
    when,
};

/// The stage in `fields`, which is the one at `index` of all stages `names`.
pub(super) fn read(fields: &mut Fields<'_>, index: usize, names: &[Text], reading: &mut Reading<'_>) -> StagePlan {
    let name = names.get(index).map(|name| name.text.clone()).unwrap_or_default();
    let title = scalar::title(fields, reading);
    let kind = kind(fields, reading);
    let is_silent = fields.peek("sequencing").is_none_or(str::is_empty);
    if is_silent && reading.shape == Shape::Original {
        // its exports have an empty text for none
        fields.claim_entry("sequencing");
    }
    let sequencing = scalar::choice(
        fields,
        "sequencing",
        &[("sequence", Sequencing::Sequence), ("parallel", Sequencing::Parallel)],
        reading,
    );
    let needs = needs(fields, index, names, reading);
    let when = if when::is_of_cells(fields) { None } else { when::read(fields, (&name, None, None), reading) };
    let fail_fast = scalar::boolean(fields, "fail-fast", Toggle::On, reading);
    let actions = match kind {
        StageKind::Normal => {
            if is_silent && reading.shape == Shape::Original {
                let message = format!("stage {} has no `sequencing`; its actions run in sequence", quoted(&name));
                reading.findings.warning(fields.at(), message);
            }
            actions(fields, &name, reading)
        }
        StageKind::Start | StageKind::Pause | StageKind::End => nothing(fields, reading),
    };
    let approval = approval::read(fields, kind, reading);
    let sequencing = sequencing.unwrap_or(Sequencing::Sequence);
    StagePlan { name, title, kind, sequencing, needs, fail_fast, when, actions, approval }
}

fn kind(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> StageKind {
    let kinds = [
        ("start", StageKind::Start),
        ("normal", StageKind::Normal),
        ("pause", StageKind::Pause),
        ("end", StageKind::End),
    ];
    let Some(text) = fields.claim("type").and_then(|node| scalar::text(node, "`type`", reading)) else {
        return StageKind::Normal;
    };
    if let Some((_, kind)) = kinds.iter().find(|(name, _)| *name == text.text) {
        return *kind;
    }
    if text.text == "component" {
        let finding = reading.findings.error(text.at, "`type: component` is a job's type, not a stage's");
        finding.hint("remove it; jobs are components unless they say otherwise");
    } else {
        let message =
            format!("a stage's `type` is normal, start, pause or end; {} is none of them", quoted(&text.text));
        let hint = reading.findings.did_you_mean(&text.text, kinds.iter().map(|(name, _)| *name));
        reading.findings.error(text.at, message).maybe_hint(hint);
    }
    StageKind::Normal
}

fn needs(fields: &mut Fields<'_>, index: usize, names: &[Text], reading: &mut Reading<'_>) -> Vec<usize> {
    let Some(entry) = fields.claim_entry("needs").filter(|entry| !entry.value.is_null()) else {
        return index.checked_sub(1).into_iter().collect();
    };
    let mut needs: Vec<usize> = scalar::texts(&entry.value, "a stage in `needs`", reading)
        .iter()
        .filter_map(|wanted| need(wanted, index, names, reading))
        .collect();
    needs.sort_unstable();
    needs.dedup();
    needs
}

fn need(wanted: &Text, index: usize, names: &[Text], reading: &mut Reading<'_>) -> Option<usize> {
    let found = names.iter().position(|name| name.text == wanted.text);
    let name = quoted(&wanted.text);
    match found {
        Some(place) if place < index => return Some(place),
        Some(place) if place == index => {
            reading.findings.error(wanted.at, "a stage cannot need itself");
        }
        Some(_) => {
            let message = format!("stage {name} comes later; `needs` points backwards");
            reading.findings.error(wanted.at, message).hint(format!("move {name} above this stage"));
        }
        None => {
            let hint =
                reading.findings.did_you_mean(&wanted.text, names[..index].iter().map(|name| name.text.as_str()));
            reading.findings.error(wanted.at, format!("no stage is named {name}")).maybe_hint(hint);
        }
    }
    None
}

fn actions(fields: &mut Fields<'_>, stage: &str, reading: &mut Reading<'_>) -> Vec<ActionPlan> {
    let Some(entry) = fields.claim_entry("actions") else {
        return hoisted(fields, stage, reading);
    };
    let mut items = children::each(entry, &keys::ACTION, reading);
    let names = names::claim_all(&mut items, Named::Action(stage), reading);
    let mut taken: BTreeSet<String> = names.iter().map(|name| name.text.clone()).collect();
    let mut actions = Vec::new();
    for (mut item, name) in items.into_iter().zip(&names) {
        actions.extend(action::read(&mut item, stage, &name.text, &mut taken, reading));
        item.close(reading);
    }
    if actions.is_empty() {
        reading.findings.warning(entry.key.at, format!("stage {} has nothing to run", quoted(stage)));
    }
    actions
}

/// A stage of a single action may have the action's keys itself; the action is called like the stage.
fn hoisted(fields: &mut Fields<'_>, stage: &str, reading: &mut Reading<'_>) -> Vec<ActionPlan> {
    if ![&keys::ACTION, &keys::JOB].iter().any(|level| fields.has_keys_of(level)) {
        let message = format!("stage {} has nothing to run", quoted(stage));
        reading.mistake(fields.at(), message).hint("give it `actions`, `jobs`, or an `image`");
        return Vec::new();
    }
    fields.hoist(&keys::ACTION);
    action::read(fields, stage, stage, &mut BTreeSet::new(), reading)
}

/// The original's start and end do nothing, and a pause only waits.
fn nothing(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Vec<ActionPlan> {
    let is_empty =
        |value: &Value| matches!(value, Value::Null) || matches!(value, Value::List(items) if items.is_empty());
    if let Some(entry) = fields.claim_entry("actions").filter(|entry| !is_empty(&entry.value.value)) {
        let message = "a stage of type start, pause or end runs nothing; its `actions` would never start";
        reading.mistake(entry.key.at, message).hint("write `type: normal`");
    }
    Vec::new()
}
