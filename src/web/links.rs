//! Which values of a run go where: from which job's output to which job's variable or input. Pure; the run's page and
//! the API show the same.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    flow::data,
    model::{ActionPlan, JobPath, JobPlan, Output, Plan, Source},
    store::WrittenRow,
};

/// So many characters of a value are shown; the job's outputs have the rest.
pub(super) const VALUE_READ: i64 = 1000;

/// A value that goes to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Link {
    /// The job that it comes from, as `stage.action.job`; none: it is of the event that started the run.
    #[schema(required = true, example = "build.build.build")]
    pub(super) from: Option<String>,
    /// What it is called there: an output, or an artifact, or a path in the event.
    pub(super) name: String,
    /// The job that gets it, as `stage.action.job`.
    pub(super) to: String,
    /// How.
    pub(super) kind: Kind,
    /// What it is called there: a variable, a path in `CO_DATA`, or a folder.
    #[serde(rename = "as")]
    pub(super) target: String,
    /// Whether the job runs without it.
    pub(super) optional: bool,
    /// What it is, as far as it is known; cut after 1000 characters. Secrets in it are hidden.
    #[schema(required = true)]
    pub(super) value: Option<String>,
    /// Whether it is longer.
    pub(super) cut: bool,
    /// The places of both in the plan: of their stages, and of their actions there.
    #[serde(skip)]
    pub(super) places: (Option<(usize, usize)>, (usize, usize)),
}

/// How a job gets a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = LinkKind)]
pub(super) enum Kind {
    /// As a variable, by `subscriptions`.
    Variable,
    /// In its `CO_DATA`, by `inputs`.
    Input,
    /// In its `CO_DATA`, whatever has the same names there.
    Auto,
    /// As files in its workspace.
    Artifact,
}

/// All links of a plan, in the order of the jobs that get the values, with what is known of them.
pub(super) fn all(plan: &Plan, written: &[WrittenRow]) -> Vec<Link> {
    let mut links = Vec::new();
    // of several attempts the newest counts
    let written = written.iter().map(|row| ((row.stage, row.action, row.job, row.name.as_str()), row)).collect();
    for (s, stage) in plan.stages.iter().enumerate() {
        for (a, action) in stage.actions.iter().enumerate() {
            for job in &action.jobs {
                let reading = Reading { plan, written: &written, to: path(&stage.name, action, job), place: (s, a) };
                links.extend(reading.subscriptions(job));
                links.extend(reading.inputs(job));
                links.extend(reading.auto(job));
                links.extend(reading.downloads(job));
            }
        }
    }
    links
}

/// Whether a plan has any.
pub(super) fn any(plan: &Plan) -> bool {
    let mut jobs = plan.stages.iter().flat_map(|stage| &stage.actions).flat_map(|action| &action.jobs);
    jobs.any(|job| {
        let has_inputs = !job.inputs.is_empty() || !job.auto_inputs.is_empty();
        has_inputs || !job.subscriptions.is_empty() || !job.downloads.is_empty()
    })
}

fn path(stage: &str, action: &ActionPlan, job: &JobPlan) -> JobPath {
    JobPath { stage: stage.to_owned(), action: action.name.clone(), job: job.name.clone() }
}

type Written<'a> = BTreeMap<(i64, i64, i64, &'a str), &'a WrittenRow>;

struct Reading<'a> {
    plan: &'a Plan,
    written: &'a Written<'a>,
    to: JobPath,
    place: (usize, usize),
}

impl Reading<'_> {
    fn subscriptions(&self, job: &JobPlan) -> impl Iterator<Item = Link> {
        job.subscriptions.iter().map(|one| {
            let link = self.output(&one.from, &[], Kind::Variable, one.variable.clone());
            Link { optional: one.optional, ..link }
        })
    }

    fn inputs(&self, job: &JobPlan) -> impl Iterator<Item = Link> {
        job.inputs.iter().map(|one| {
            let to = one.to.join(".");
            let link = match &one.from {
                Source::Output { output, path } => self.output(output, path, Kind::Input, to),
                // what a webhook brings is for those who keep the repository
                Source::Event { path } => self.link(None, path.join("."), Kind::Input, to),
            };
            Link { optional: one.optional, ..link }
        })
    }

    fn auto(&self, job: &JobPlan) -> impl Iterator<Item = Link> {
        job.auto_inputs.iter().map(|output| {
            let link = self.output(output, &[], Kind::Auto, "CO_DATA".to_owned());
            Link { optional: true, ..link }
        })
    }

    fn downloads(&self, job: &JobPlan) -> impl Iterator<Item = Link> {
        job.downloads.iter().map(|one| {
            let to = if one.to.is_empty() { ".".to_owned() } else { one.to.clone() };
            let link = self.link(Some(&one.from), one.name.clone(), Kind::Artifact, to);
            Link { optional: one.optional, ..link }
        })
    }

    fn output(&self, output: &Output, within: &[String], kind: Kind, target: String) -> Link {
        let name = std::iter::once(&output.key).chain(within).map(String::as_str).collect::<Vec<_>>().join(".");
        let link = self.link(Some(&output.job), name, kind, target);
        let Some(row) = self.row(output) else { return link };
        let is_whole = row.length <= VALUE_READ;
        let value = match within {
            [] => Some(row.value.clone()),
            // a part of what was cut cannot be found
            _ if !is_whole => None,
            _ => data::value_in(&output.key, &row.value, within).ok().flatten().map(|value| match value {
                Value::String(text) => text,
                other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    other.to_string()
                }
            }),
        };
        Link { value, cut: !is_whole, ..link }
    }

    fn row(&self, output: &Output) -> Option<&WrittenRow> {
        let (stage, action, job) = self.plan.find(&output.job)?;
        let column = |place: usize| i64::try_from(place).ok();
        self.written.get(&(column(stage)?, column(action)?, column(job)?, output.key.as_str())).copied()
    }

    fn link(&self, from: Option<&JobPath>, name: String, kind: Kind, target: String) -> Link {
        let place = from.and_then(|from| self.plan.find(from)).map(|(stage, action, _)| (stage, action));
        Link {
            from: from.map(ToString::to_string),
            name,
            to: self.to.to_string(),
            kind,
            target,
            optional: false,
            value: None,
            cut: false,
            places: (place, self.place),
        }
    }
}
