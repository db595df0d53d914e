//! A matrix on the forge: one context for all of its cells, with a table of them. Pure.

use std::fmt::Write as _;

use super::{
    counted, remarks,
    tell::{Chapter, Story, cell, chapter_url, earlier_attempts, failed_job, mark, replay, state_cell, took},
    title, worst,
};
use crate::model::{ActionState, Conclusion, ExternalId, Progress, Report, Span, Time};

/// So many failed cells tell their last lines; the others have logs.
const TOLD: usize = 3;

/// A story's actions as a forge sees them: the cells of one matrix are one.
pub(super) fn rows(story: &Story) -> impl Iterator<Item = &[Chapter]> {
    story.actions.chunk_by(|one, next| {
        one.stage == next.stage && one.cell.is_some() && one.row_name() == next.row_name() && next.cell.is_some()
    })
}

impl Chapter {
    /// Its name on the forge: its own, or that of its matrix.
    pub(super) fn row_name(&self) -> &str {
        self.cell.as_ref().map_or(&self.name, |cell| &cell.of)
    }
}

/// What the forge is to show of a matrix with these cells, of which there is at least one.
pub(super) fn report(story: &Story, cells: &[Chapter]) -> Report {
    let first = &cells[0];
    Report {
        progress: progress(cells),
        title: title::cut(&line(story, cells)),
        summary: summary(story, cells),
        url: url(story, cells),
        external_id: ExternalId { run: story.run.id, action: Some(first.action.id) }.to_string(),
        // a forge has its own button for one check
        buttons: Vec::new(),
        started: started(cells),
        ended: ended(cells),
        annotations: remarks::annotations(story, cells),
    }
}

/// Its row in the run's table.
pub(super) fn table_row(story: &Story, cells: &[Chapter]) -> String {
    let state = match progress(cells) {
        Progress::Done(conclusion) => format!("{} {conclusion}, {} cells", mark(conclusion), cells.len()),
        Progress::Queued | Progress::Asks => format!("queued, {} cells", cells.len()),
        Progress::Running => format!("running, {} of {} cells have ended", over(cells).count(), cells.len()),
    };
    let (stage, name) = (cell(&cells[0].stage), cell(cells[0].row_name()));
    let span = span(cells).map_or_else(String::new, |span| span.to_string());
    format!("| {stage} | [{name}]({}) | {state} | {span} |\n", url(story, cells))
}

fn progress(cells: &[Chapter]) -> Progress {
    let is_queued = |chapter: &Chapter| matches!(chapter.action.state.0, ActionState::Waiting | ActionState::Queued);
    match over(cells).count() {
        ended if ended == cells.len() => Progress::Done(worst(over(cells))),
        0 if cells.iter().all(is_queued) => Progress::Queued,
        _ => Progress::Running,
    }
}

fn line(story: &Story, cells: &[Chapter]) -> String {
    let all = cells.len();
    match progress(cells) {
        Progress::Queued | Progress::Asks => title::own_title(story, &cells[0]),
        Progress::Running => {
            let bad = cells.iter().filter(|chapter| is_bad(chapter)).count();
            let bad = if bad == 0 { String::new() } else { format!(", {bad} did not succeed") };
            format!("Running: {} of {all} cells have ended{bad}", over(cells).count())
        }
        Progress::Done(Conclusion::Success) => {
            let span = span(cells).map_or_else(String::new, |span| format!(" in {span}"));
            format!("success: {all} cells{span}{}", counted::after_success(story, cells))
        }
        Progress::Done(conclusion) => worst_line(story, cells, conclusion),
    }
}

/// "failure in 2 of 5 cells: beta: exit code 1".
fn worst_line(story: &Story, cells: &[Chapter], conclusion: Conclusion) -> String {
    let like: Vec<&Chapter> =
        cells.iter().filter(|chapter| chapter.action.state.conclusion() == Some(conclusion)).collect();
    let first = like.first().map_or_else(String::new, |chapter| match chapter.action.reason.as_str() {
        "" => format!(": {}", label(chapter)),
        reason => format!(": {}: {}", label(chapter), title::without(conclusion, reason)),
    });
    let tests = counted::trouble(story, cells).map_or_else(String::new, |trouble| format!(": {trouble}"));
    format!("{conclusion} in {} of {} cells{tests}{first}", like.len(), cells.len())
}

fn summary(story: &Story, cells: &[Chapter]) -> String {
    let mut out = String::from("| Cell | State | Duration |\n| --- | --- | --- |\n");
    for chapter in cells {
        let span = took(chapter.action.started, chapter.action.ended).map_or_else(String::new, |span| span.to_string());
        let url = chapter_url(story, chapter);
        let _ = writeln!(out, "| [{}]({url}) | {} | {span} |", cell(label(chapter)), state_cell(story, chapter));
    }
    cells.iter().for_each(|chapter| out += &earlier_attempts(story, chapter));
    let failed = cells.iter().map(|chapter| failed_job(story, chapter)).filter(|told| !told.is_empty());
    failed.take(TOLD).for_each(|told| out += &told);
    out += &counted::list(story, cells);
    out += &remarks::list(story, cells);
    out += &replay(story);
    out
}

/// The first cell that did not succeed, or the run's page.
fn url(story: &Story, cells: &[Chapter]) -> String {
    let bad = cells.iter().find(|chapter| is_bad(chapter));
    bad.map_or_else(|| story.url.clone(), |chapter| chapter_url(story, chapter))
}

fn is_bad(chapter: &Chapter) -> bool {
    let bad = |end: Conclusion| matches!(end, Conclusion::Failure | Conclusion::TimedOut | Conclusion::Error);
    chapter.action.state.conclusion().is_some_and(bad)
}

fn over(cells: &[Chapter]) -> impl Iterator<Item = Conclusion> {
    cells.iter().filter_map(|chapter| chapter.action.state.conclusion())
}

fn label(chapter: &Chapter) -> &str {
    chapter.cell.as_ref().map_or(&chapter.name, |cell| &cell.label)
}

fn started(cells: &[Chapter]) -> Option<Time> {
    cells.iter().filter_map(|chapter| chapter.action.started).min()
}

/// When the last one ended, once all have.
fn ended(cells: &[Chapter]) -> Option<Time> {
    let ends = cells.iter().map(|chapter| chapter.action.ended);
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn span(cells: &[Chapter]) -> Option<Span> {
    took(started(cells), ended(cells))
}
