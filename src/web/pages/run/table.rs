//! A run as a table: each of its jobs is a row. Pure.

use super::{
    super::{Mark, Moment, Took},
    stages::{ActionView, Part, StageView},
    values::digest,
};
use crate::store::Pins;

/// A job, or a stage without any.
pub(super) struct RowView {
    pub(super) stage: String,
    pub(super) action: String,
    pub(super) job: String,
    /// Its log.
    pub(super) url: Option<String>,
    pub(super) mark: Mark,
    pub(super) began: Option<Moment>,
    pub(super) took: Option<Took>,
    /// How many attempts there were; empty: none.
    pub(super) attempts: String,
    pub(super) image: String,
    /// Its begin.
    pub(super) digest: String,
}

/// All rows, in the plan's order.
pub(super) fn rows(stages: &[StageView], pins: &Pins) -> Vec<RowView> {
    stages.iter().flat_map(|stage| of_stage(stage, pins)).collect()
}

fn of_stage(stage: &StageView, pins: &Pins) -> Vec<RowView> {
    let actions = stage.groups.iter().flat_map(|group| &group.parts).flat_map(|part| match part {
        Part::Lines(lines) => lines.actions.iter().collect::<Vec<_>>(),
        Part::Whole(action) => vec![&**action],
    });
    let rows: Vec<RowView> = actions.flat_map(|action| of_action(stage, action, pins)).collect();
    if !rows.is_empty() {
        return rows;
    }
    let (stage, mark) = (stage.name.clone(), stage.mark.clone());
    let (action, job, image, digest, attempts) = Default::default();
    vec![RowView { stage, action, job, url: None, mark, began: None, took: None, attempts, image, digest }]
}

fn of_action(stage: &StageView, action: &ActionView, pins: &Pins) -> Vec<RowView> {
    let row = |job: &super::job::JobView| RowView {
        stage: stage.name.clone(),
        action: action.name.clone(),
        job: job.name.clone(),
        url: job.url.clone(),
        mark: job.mark.clone(),
        began: job.began,
        took: job.took.clone(),
        attempts: if action.tries > 0 { action.tries.to_string() } else { String::new() },
        // `sha256:` and enough to tell it from others
        digest: digest(pins, &job.image).chars().take(19).collect(),
        image: job.image.clone(),
    };
    action.jobs.iter().map(row).collect()
}
