//! What logs say of lines of files, for the forge: in the margin of the lines, and as a list. Pure.

use std::{collections::HashSet, fmt::Write as _};

use super::{
    counted,
    tell::{Chapter, Story, cell, job_url},
};
use crate::model::{Annotation, JobId, Level, Problem};

/// Of one context so many are told. GitHub takes 50 at once, and nobody reads more in the margins.
const TOLD: usize = 100;
/// So many stand in a summary; the job's page has them all.
const LISTED: usize = 10;

/// A problem, and the page of the job in whose log it stands.
struct Stands<'a> {
    problem: &'a Problem,
    url: String,
}

/// The remarks of an action, or of a matrix' cells, once nothing more can come: they are told in their order, and what
/// is told is not taken back.
pub(super) fn annotations(story: &Story, row: &[Chapter]) -> Vec<Annotation> {
    let is_read = |chapter: &Chapter| {
        let mut jobs = chapter.attempt.iter().flat_map(|(_, jobs)| jobs);
        chapter.action.state.conclusion().is_some() && jobs.all(|job| job.log_check.is_some() || job.log_length == 0)
    };
    if !row.iter().all(is_read) {
        return Vec::new();
    }
    let told = |stands: &Stands<'_>| {
        let mut remark = stands.problem.remark.clone();
        if remark.path.is_empty() {
            // a forge has no margin but a file's
            remark.path.clone_from(&story.run.path);
        }
        remark
    };
    let problems = all(story, row);
    let of_tests =
        counted::annotations(story, row).filter(|test| problems.iter().all(|stands| !says(stands.problem, test)));
    let mut all: Vec<Annotation> = problems.iter().map(told).chain(of_tests).collect();
    all.sort_by_key(|annotation| std::cmp::Reverse(annotation.severity));
    all.truncate(TOLD);
    all
}

/// Whether the log says of a line what a failed test says of it.
fn says(problem: &Problem, test: &Annotation) -> bool {
    let Annotation { path, line, severity, message, .. } = &problem.remark;
    let first = |text: &str| text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned();
    let is_same = || test.message.contains(&first(message)) || message.contains(&first(&test.message));
    *severity == Level::Error && (path, line) == (&test.path, &test.line) && is_same()
}

/// The same as a list, each with its place in the log.
pub(super) fn list(story: &Story, row: &[Chapter]) -> String {
    let all = all(story, row);
    if all.is_empty() {
        return String::new();
    }
    let mut out = String::from("\n**What the logs say of lines**\n\n");
    for Stands { problem: Problem { remark, at }, url } in all.iter().take(LISTED) {
        let mark = match remark.severity {
            Level::Error => "❌",
            Level::Warning => "⚠️",
            Level::Notice => "ℹ️",
        };
        let first = remark.message.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let words: String = first.chars().take(200).collect();
        let place = if remark.path.is_empty() { format!("log, line {at}") } else { remark.place() };
        let _ = writeln!(out, "- {mark} [{}]({url}?line={at}#L{at}): {}", cell(&place), cell(&words));
    }
    if let Some(more) = all.len().checked_sub(LISTED).filter(|more| *more > 0) {
        let _ = writeln!(out, "- and {more} more");
    }
    out
}

/// The worst first. Cells say the same of the same line.
fn all<'a>(story: &'a Story, row: &[Chapter]) -> Vec<Stands<'a>> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for chapter in row {
        let jobs = chapter.attempt.as_ref().map_or(&[][..], |(_, jobs)| jobs);
        for (name, job) in chapter.names.iter().zip(jobs) {
            let url = job_url(story, chapter, name);
            let fresh = of_job(story, job.id).filter(|Problem { remark, .. }| {
                seen.insert((remark.path.as_str(), remark.line, remark.column, remark.message.as_str()))
            });
            all.extend(fresh.map(|problem| Stands { problem, url: url.clone() }));
        }
    }
    all.sort_by_key(|stands| std::cmp::Reverse(stands.problem.remark.severity));
    all
}

fn of_job(story: &Story, job: JobId) -> impl Iterator<Item = &Problem> {
    story.problems.get(&job).into_iter().flatten()
}
