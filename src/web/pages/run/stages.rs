//! A run's stages, each with its actions, from their rows. Pure.

use std::time::Duration;

use super::{
    super::{Mark, Took, pause::PauseView, run_url, tested::TestsView},
    Making,
    job::{JobView, Room, service_words},
};
use crate::{
    engine::{title::carried_words, worst},
    model::{
        ActionPlan, ActionState, Answer, CacheHit, Conclusion, JobPath, Plan, Right, RunState, Sequencing, Size, Span,
        StageKind, StagePlan,
    },
    store::{ActionRow, ApprovalRow, CacheUseRow, JobRow},
};

/// So many lines say once what is the same in all of them.
const TOGETHER: usize = 4;

pub(super) struct StageView {
    pub(super) name: String,
    pub(super) pause: Option<PauseView>,
    pub(super) title: String,
    pub(super) how: &'static str,
    pub(super) mark: Mark,
    pub(super) groups: Vec<GroupView>,
    /// Whether whoever looks may run it again.
    pub(super) again: bool,
}

/// The cells of one matrix, or actions of none.
pub(super) struct GroupView {
    pub(super) matrix: Option<MatrixView>,
    pub(super) parts: Vec<Part>,
}

/// What follows one another on the page.
pub(super) enum Part {
    /// Actions of which there is no more to say than a line.
    Lines(LinesView),
    /// Another.
    Whole(Box<ActionView>),
}

pub(super) struct LinesView {
    pub(super) actions: Vec<ActionView>,
}

pub(super) struct MatrixView {
    pub(super) name: String,
    pub(super) cells: usize,
    pub(super) mark: Mark,
}

pub(super) struct ActionView {
    /// Its place in the plan's stage.
    pub(super) place: usize,
    /// Its place on the page: `a` and its places in the plan.
    pub(super) anchor: String,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) mark: Mark,
    pub(super) reason: String,
    pub(super) allow_failure: bool,
    pub(super) took: Option<Took>,
    pub(super) jobs: Vec<JobView>,
    /// Those of several.
    pub(super) attempts: Vec<AttemptView>,
    /// How many there were.
    pub(super) tries: usize,
    pub(super) carried: Option<CarriedView>,
    /// What it found of its caches.
    pub(super) caches: Vec<String>,
    /// By which name it is run again.
    pub(super) again: Option<String>,
}

/// Where an action ran that was carried over.
pub(super) struct CarriedView {
    pub(super) words: String,
    pub(super) url: String,
}

pub(super) struct AttemptView {
    pub(super) number: i64,
    pub(super) url: String,
    /// How it ended, if it was not the last.
    pub(super) end: String,
}

impl StageView {
    /// Whether a line says all of it.
    pub(super) fn is_one(&self) -> bool {
        let [GroupView { matrix: None, parts }] = self.groups.as_slice() else { return false };
        matches!(parts.as_slice(), [Part::Lines(lines)] if lines.actions.len() == 1)
    }
}

impl GroupView {
    fn add(&mut self, action: ActionView) {
        match (self.parts.last_mut(), action.is_line()) {
            (Some(Part::Lines(lines)), true) => lines.actions.push(action),
            (_, true) => self.parts.push(Part::Lines(LinesView { actions: vec![action] })),
            (_, false) => self.parts.push(Part::Whole(Box::new(action))),
        }
    }
}

impl LinesView {
    /// The image of all of them, if they are enough to say it once.
    pub(super) fn image(&self) -> Option<&str> {
        let mut images = self.actions.iter().filter_map(ActionView::job).map(|job| job.image.as_str());
        let first = images.next().filter(|_| self.actions.len() >= TOGETHER)?;
        images.all(|image| image == first).then_some(first)
    }
}

impl ActionView {
    /// Whether a line says all of it.
    fn is_line(&self) -> bool {
        let is_plain = self.reason.is_empty() && self.caches.is_empty() && self.attempts.is_empty();
        is_plain && matches!(self.jobs.as_slice(), [job] if !job.needs_room())
    }

    /// The one job of a line.
    pub(super) fn job(&self) -> Option<&JobView> {
        self.jobs.first()
    }

    /// How the line begins: what became of its job says more than what became of the action.
    pub(super) fn line_mark(&self) -> &Mark {
        self.job().filter(|job| job.url.is_some()).map_or(&self.mark, |job| &job.mark)
    }

    /// What a line says of its job besides the action's name.
    pub(super) fn said(&self) -> String {
        let Some(job) = self.job() else { return String::new() };
        let is_known =
            self.name == job.name || self.name.strip_prefix(&job.name).is_some_and(|rest| rest.starts_with(" ("));
        let title = Some(self.title.clone()).filter(|title| !title.is_empty());
        let name = (!is_known).then(|| job.name.clone());
        let tests = job.tests.as_ref().map(TestsView::line).filter(|words| !words.is_empty());
        title.into_iter().chain(name).chain(tests).collect::<Vec<_>>().join(", ")
    }
}

impl Making<'_> {
    pub(super) fn stages(&self, plan: &Plan) -> Vec<StageView> {
        let mut room = Room::of(self.rows.shown_jobs());
        plan.stages.iter().enumerate().map(|(at, stage)| self.stage(at, stage, &mut room)).collect()
    }

    fn stage(&self, at: usize, stage: &StagePlan, room: &mut Room) -> StageView {
        let rows: Vec<_> = stage
            .actions
            .iter()
            .enumerate()
            .filter_map(|(place, action)| Some((place, action, self.rows.action(at, place)?)))
            .collect();
        let mut groups: Vec<GroupView> = Vec::new();
        for chunk in rows.chunk_by(|(_, one, _), (_, other, _)| one.matrix_name() == other.matrix_name()) {
            let states: Vec<_> = chunk.iter().map(|(_, _, row)| &row.state.0).collect();
            let name = chunk.first().and_then(|(_, action, _)| action.matrix_name());
            let matrix =
                |name: &str| MatrixView { name: name.to_owned(), cells: chunk.len(), mark: stage_mark(&states) };
            let mut group = GroupView { matrix: name.map(matrix), parts: Vec::new() };
            for (place, action, row) in chunk {
                group.add(self.action(&stage.name, (at, *place), action, row, room));
            }
            groups.push(group);
        }
        let states: Vec<_> = rows.iter().map(|(_, _, row)| &row.state.0).collect();
        let approval = self.rows.approval(at);
        StageView {
            name: stage.name.clone(),
            pause: PauseView::new(stage, approval, self.of),
            title: stage.title.clone(),
            how: stage_words(stage),
            mark: self.stage_state(stage, &states, approval),
            groups,
            again: self.may_rerun() && stage.actions.len() > 1,
        }
    }

    fn stage_state(&self, stage: &StagePlan, states: &[&ActionState], approval: Option<&ApprovalRow>) -> Mark {
        match stage.kind {
            StageKind::Pause => self.pause_mark(approval),
            // it has nothing to do, and has done it when the run starts
            StageKind::Start if stage.actions.is_empty() && self.run.state.0 != RunState::Queued => {
                Mark { label: "success", word: "started".to_owned() }
            }
            StageKind::End if stage.actions.is_empty() && self.run.state.conclusion().is_none() => {
                Mark::from(&ActionState::Waiting)
            }
            StageKind::Start | StageKind::Normal | StageKind::End if stage.actions.is_empty() => {
                Mark::from(&self.run.state.0)
            }
            StageKind::Start | StageKind::Normal | StageKind::End => stage_mark(states),
        }
    }

    fn action(
        &self,
        stage: &str,
        (at, place): (usize, usize),
        plan: &ActionPlan,
        row: &ActionRow,
        room: &mut Room,
    ) -> ActionView {
        let path = |job: &str| JobPath { stage: stage.to_owned(), action: plan.name.clone(), job: job.to_owned() };
        let job_rows = self.rows.newest(row);
        let job = |(place, job): (usize, &crate::model::JobPlan)| {
            let found = job_rows.iter().find(|row| usize::try_from(row.place) == Ok(place));
            let view = match found {
                Some(found) => JobView::new(self, path(&job.name), job, found, room),
                None => JobView::unstarted(job, row),
            };
            let service = plan.service(place).map(|service| service_words(service, found));
            JobView { service, ..view }
        };
        let jobs: Vec<JobView> = plan.members().enumerate().map(job).collect();
        let took = row.ended.zip(row.started).map(|(ended, started)| ended.since(started));
        let said_below = jobs.iter().any(|job| job.mark.word == row.reason);
        ActionView {
            place,
            anchor: format!("a{at}-{place}"),
            tries: self.rows.attempts(row).len(),
            name: plan.shown(),
            title: plan.title.clone(),
            mark: Mark::from(&row.state.0),
            reason: if said_below { String::new() } else { row.reason.clone() },
            caches: self.rows.caches(row).into_iter().map(|used| cache_words(used, took)).collect(),
            allow_failure: plan.allow_failure,
            took: Took::of(row.started, row.ended, self.now),
            jobs,
            carried: self.rows.carried(row).map(|number| CarriedView {
                words: carried_words(number),
                url: run_url(self.route, number.cast_unsigned()),
            }),
            again: self.may_rerun().then(|| format!("{stage}.{}", plan.name)),
            attempts: self.attempts(path(plan.jobs.first().map_or("", |job| &job.name)), row),
        }
    }

    /// If there were several.
    fn attempts(&self, first: JobPath, row: &ActionRow) -> Vec<AttemptView> {
        let all = self.rows.attempts(row);
        let url = self.job_url(&first);
        let view = |attempt: &crate::store::AttemptRow| AttemptView {
            number: attempt.number,
            url: format!("{url}?attempt={}", attempt.number),
            end: end_of_attempt(self.rows.jobs(attempt)),
        };
        all.iter().filter(|_| all.len() > 1).map(view).collect()
    }

    fn may_rerun(&self) -> bool {
        self.run.state.conclusion().is_some() && self.of.may(Right::Run)
    }

    /// A stage that waits for people is as they have answered.
    fn pause_mark(&self, row: Option<&ApprovalRow>) -> Mark {
        let ended = self.run.state.conclusion().is_some();
        let (label, word) = match row.map(|row| row.answer.as_ref().map(|answer| answer.0)) {
            None if ended => ("skipped", "not asked"),
            None => ("waiting", "waiting"),
            Some(None) => ("queued", "waits for approval"),
            Some(Some(Answer::Approved)) => ("success", "approved"),
            Some(Some(Answer::Rejected)) => ("failure", "rejected"),
            Some(Some(Answer::Expired)) => ("timed_out", "approval expired"),
            Some(Some(Answer::Withdrawn)) => ("cancelled", "withdrawn"),
        };
        Mark { label, word: word.to_owned() }
    }
}

/// What an action found of a cache, and how much shorter it was than one that found nothing.
fn cache_words(used: &CacheUseRow, took: Option<Duration>) -> String {
    let CacheUseRow { name, hit, length, miss_ms, .. } = used;
    if hit == CacheHit::Miss.as_str() {
        return format!("{name}: missed");
    }
    let how = if hit == CacheHit::Exact.as_str() { "hit" } else { "hit, of another key" };
    let miss = miss_ms.map(|ms| Duration::from_millis(ms.cast_unsigned()));
    let saved = miss.zip(took).and_then(|(miss, took)| miss.checked_sub(took)).filter(|saved| !saved.is_zero());
    let saved = saved.map_or_else(String::new, |saved| format!(", {} saved", Span(saved)));
    format!("{name}: {how}, {}{saved}", Size(length.cast_unsigned()))
}

/// A stage is as its actions are together.
fn stage_mark(states: &[&ActionState]) -> Mark {
    let ends: Vec<Conclusion> = states.iter().filter_map(|state| state.conclusion()).collect();
    if ends.len() == states.len() {
        return Mark::from(&ActionState::Ended(worst(ends)));
    }
    let some = |wanted: &ActionState| states.contains(&wanted);
    let state = if some(&ActionState::Running) || !ends.is_empty() {
        ActionState::Running
    } else if some(&ActionState::Queued) {
        ActionState::Queued
    } else {
        ActionState::Waiting
    };
    Mark::from(&state)
}

fn stage_words(stage: &StagePlan) -> &'static str {
    match (stage.kind, stage.sequencing, stage.actions.len()) {
        (StageKind::Start, ..) => "start of the flow",
        (StageKind::End, ..) => "end of the flow",
        (StageKind::Pause, ..) => "waits for a person",
        (StageKind::Normal, _, 0 | 1) => "",
        (StageKind::Normal, Sequencing::Parallel, _) => "all at once",
        (StageKind::Normal, Sequencing::Sequence, _) => "one after another",
    }
}

/// The words for how an attempt ended that another followed.
fn end_of_attempt(jobs: &[JobRow]) -> String {
    let bad = |job: &JobRow| job.state.verdict().filter(|end| !end.conclusion().lets_go_on()).cloned();
    jobs.iter().find_map(bad).map_or_else(String::new, |end| end.to_string())
}
