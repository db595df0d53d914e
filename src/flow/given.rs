//! What somebody who runs a flow by hand asks of it besides its file: other values of its variables, and only a part of
//! it. The service's own runs are given nothing.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::model::{ActionPlan, JobPath, JobPlan, Plan, Source};

/// What is asked besides the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Values that stand over those of the file's own `variables`. A name that the file does not have changes nothing.
    pub variables: BTreeMap<String, String>,
    /// What was given to a start by hand, and stands for `@NAME@`; whether it may be is not asked here.
    pub inputs: BTreeMap<String, String>,
    /// The parts that are to run; empty: all.
    pub only: Vec<Part>,
}

/// A stage, or one action of it: `STAGE` or `STAGE/ACTION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    stage: String,
    action: Option<String>,
}

/// Not the name of a part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a part is written STAGE or STAGE/ACTION")]
pub struct NoPart;

impl FromStr for Part {
    type Err = NoPart;
    fn from_str(text: &str) -> Result<Self, NoPart> {
        // checks and links write a dot; no name of a stage has either
        let (stage, action) = match text.split_once(['/', '.']) {
            Some((stage, action)) => (stage, Some(action.to_owned())),
            None => (text, None),
        };
        let is_name = |name: &str| !name.is_empty() && !name.contains(['/']);
        if is_name(stage) && action.as_deref().is_none_or(is_name) {
            Ok(Self { stage: stage.to_owned(), action })
        } else {
            Err(NoPart)
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Some(action) => write!(f, "{}/{action}", self.stage),
            None => f.write_str(&self.stage),
        }
    }
}

impl Part {
    /// Whether a plan has it.
    pub fn is_of(&self, plan: &Plan) -> bool {
        plan.stages.iter().any(|stage| {
            self.takes_stage(&stage.name) || stage.actions.iter().any(|action| self.takes(&stage.name, action))
        })
    }

    fn takes_stage(&self, stage: &str) -> bool {
        self.action.is_none() && self.stage == stage
    }

    fn takes(&self, stage: &str, action: &ActionPlan) -> bool {
        let is_it = |name: &String| *name == action.name || action.matrix_name() == Some(name);
        self.stage == stage && self.action.as_ref().is_none_or(is_it)
    }
}

/// The stages, and the actions of those that have several.
pub(super) fn parts(plan: &Plan) -> Vec<Part> {
    let mut parts = Vec::new();
    for stage in &plan.stages {
        parts.push(Part { stage: stage.name.clone(), action: None });
        if stage.actions.len() > 1 {
            parts.extend(
                stage
                    .actions
                    .iter()
                    .map(|action| Part { stage: stage.name.clone(), action: Some(action.name.clone()) }),
            );
        }
    }
    parts
}

/// A plan of these parts alone, and of what they take outputs or artifacts from. Whatever else they need counts as done.
///
/// # Errors
/// The plan has none of them: which parts those were, in words.
pub(super) fn narrow(plan: Plan, only: &[Part]) -> Result<Plan, String> {
    if only.is_empty() {
        return Ok(plan);
    }
    if !only.iter().any(|part| part.is_of(&plan)) {
        let names: Vec<String> = only.iter().map(|part| format!("`{part}`")).collect();
        return Err(format!("it has no {}", names.join(", ")));
    }
    let mut kept = chosen(&plan, only);
    add_sources(&plan, &mut kept);
    let is_named = |stage: &str| only.iter().any(|part| part.takes_stage(stage));
    let stays: Vec<bool> = plan
        .stages
        .iter()
        .zip(&kept)
        .map(|(stage, actions)| is_named(&stage.name) || actions.contains(&true))
        .collect();
    Ok(cut(plan, &kept, &stays))
}

fn chosen(plan: &Plan, only: &[Part]) -> Vec<Vec<bool>> {
    let is_chosen = |stage: &str, action: &ActionPlan| only.iter().any(|part| part.takes(stage, action));
    plan.stages
        .iter()
        .map(|stage| stage.actions.iter().map(|action| is_chosen(&stage.name, action)).collect())
        .collect()
}

/// Keeps every action, too, whose outputs or artifacts a kept one takes. Links point backwards, so one way back finds all of them.
fn add_sources(plan: &Plan, kept: &mut [Vec<bool>]) {
    for (stage, stage_plan) in plan.stages.iter().enumerate().rev() {
        for (action, action_plan) in stage_plan.actions.iter().enumerate().rev() {
            if !kept[stage][action] {
                continue;
            }
            for path in action_plan.jobs.iter().flat_map(sources) {
                if let Some((stage, action)) = place(plan, path) {
                    kept[stage][action] = true;
                }
            }
        }
    }
}

/// The jobs whose outputs or artifacts a job takes.
fn sources(job: &JobPlan) -> impl Iterator<Item = &JobPath> {
    let inputs = job.inputs.iter().filter_map(|input| match &input.from {
        Source::Output { output, .. } => Some(&output.job),
        Source::Event { .. } => None,
    });
    let auto = job.auto_inputs.iter().map(|output| &output.job);
    let artifacts = job.downloads.iter().map(|download| &download.from);
    job.subscriptions.iter().map(|link| &link.from.job).chain(inputs).chain(auto).chain(artifacts)
}

fn place(plan: &Plan, path: &JobPath) -> Option<(usize, usize)> {
    let stage = plan.stages.iter().position(|stage| stage.name == path.stage)?;
    let action = plan.stages[stage].actions.iter().position(|action| action.name == path.action)?;
    Some((stage, action))
}

/// The plan without the stages and actions that do not stay. What a stage needed by way of one that goes, it still
/// needs, so that the order stays as it was.
fn cut(mut plan: Plan, kept: &[Vec<bool>], stays: &[bool]) -> Plan {
    let mut places: Vec<Vec<usize>> = Vec::new();
    let mut stages = Vec::new();
    for (index, mut stage) in std::mem::take(&mut plan.stages).into_iter().enumerate() {
        let mut needs: Vec<usize> = stage.needs.iter().flat_map(|need| places[*need].clone()).collect();
        needs.sort_unstable();
        needs.dedup();
        if !stays[index] {
            places.push(needs);
            continue;
        }
        places.push(vec![stages.len()]);
        let mut stay = kept[index].iter();
        stage.actions.retain(|_| stay.next().is_some_and(|kept| *kept));
        stage.needs = needs;
        stages.push(stage);
    }
    plan.stages = stages;
    plan
}
