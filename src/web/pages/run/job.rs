//! One job on its run's page: a failed one with its last lines and tests, one that went well with a line. Pure.

use super::{
    super::{Mark, Took, tested::TestsView, trigger::LinkView},
    Making,
};
use crate::{
    engine::fold,
    model::{ActionState, JobPath, JobPlan, JobState, Service, Size, Span},
    store::{ActionRow, JobRow},
    web::log::ansi::Renderer,
};

/// A longer output is cut on the page.
const OUTPUT_SHOWN: usize = 300;
/// How many of a failed job's last lines the run shows: they say why, or the log does.
const TAIL_SHOWN: usize = 12;

pub(super) struct JobView {
    pub(super) name: String,
    /// Of a service: how it stands.
    pub(super) service: Option<String>,
    pub(super) image: String,
    pub(super) mark: Mark,
    pub(super) url: Option<String>,
    pub(super) took: Option<Took>,
    pub(super) outputs: Vec<(String, String)>,
    pub(super) tests: Option<TestsView>,
    pub(super) artifacts: Vec<ArtifactView>,
    /// The run that it has started.
    pub(super) started: Option<LinkView>,
    /// As HTML.
    pub(super) tail: Vec<String>,
}

/// What a job has left.
pub(super) struct ArtifactView {
    pub(super) name: String,
    /// `None`: it has expired.
    pub(super) url: Option<String>,
    pub(super) size: Size,
}

/// How many more characters of what jobs have left a page shows: one of many jobs is no longer than one of few.
pub(super) struct Room(usize);

impl Room {
    /// On the page of so many jobs.
    pub(super) fn of(jobs: usize) -> Self {
        Self(80_000_usize.saturating_sub(250 * jobs).max(8_000))
    }

    /// Whether there is room for this.
    fn takes(&mut self, characters: usize) -> bool {
        let fits = characters <= self.0;
        self.0 -= if fits { characters } else { 0 };
        fits
    }
}

impl JobView {
    pub(super) fn new(making: &Making<'_>, path: JobPath, plan: &JobPlan, row: &JobRow, room: &mut Room) -> Self {
        let mut tail = tail(&row.tail.lines);
        if !room.takes(tail.iter().map(String::len).sum()) {
            tail.clear();
        }
        let tests = making.rows.tests(row).map(|(row, failed)| TestsView::new(row, failed, |said| room.takes(said)));
        Self {
            name: plan.name.clone(),
            service: None,
            image: plan.shown(),
            mark: Mark::from(&row.state.0),
            took: Took::of(row.started, row.ended, making.now),
            outputs: outputs(making, row, room),
            tests,
            artifacts: artifacts(making, &path, row, room),
            started: making.rows.started(row).cloned(),
            url: (row.started.is_some() || row.log_length > 0).then(|| making.job_url(&path)),
            tail,
        }
    }

    /// A job of an action that has no attempt.
    pub(super) fn unstarted(job: &JobPlan, action: &ActionRow) -> Self {
        let mark = match &action.state.0 {
            ActionState::Ended(_) => Mark { label: "skipped", word: "not started".to_owned() },
            ActionState::Waiting | ActionState::Queued | ActionState::Running => Mark::from(&action.state.0),
        };
        let (outputs, artifacts, tail) = (Vec::new(), Vec::new(), Vec::new());
        let (url, took, started, tests) = (None, None, None, None);
        let (name, image) = (job.name.clone(), job.shown());
        Self { name, service: None, image, mark, url, took, outputs, tests, artifacts, started, tail }
    }

    /// Whether there is more to say of it than fits in a line.
    pub(super) fn needs_room(&self) -> bool {
        let is_bare = self.outputs.is_empty() && self.artifacts.is_empty() && self.tail.is_empty();
        let is_alone = self.service.is_none() && self.started.is_none();
        !(is_bare && is_alone && self.tests.as_ref().is_none_or(TestsView::is_line))
    }
}

fn outputs(making: &Making<'_>, row: &JobRow, room: &mut Room) -> Vec<(String, String)> {
    let shown = making.rows.outputs(row).iter().map(|output| {
        let cut = output.value.chars().take(OUTPUT_SHOWN).collect::<String>();
        let more = if usize::try_from(output.length).unwrap_or(usize::MAX) > OUTPUT_SHOWN { "…" } else { "" };
        (output.name.clone(), format!("{cut}{more}"))
    });
    shown.filter(|(name, value)| room.takes(name.len() + value.len() + 40)).collect()
}

fn artifacts(making: &Making<'_>, path: &JobPath, row: &JobRow, room: &mut Room) -> Vec<ArtifactView> {
    let shown = making.rows.artifacts(row).iter().map(|artifact| ArtifactView {
        url: artifact.bundle_id.map(|_| making.artifact_url(path.clone(), &artifact.name)),
        size: Size(artifact.length.cast_unsigned()),
        name: artifact.name.clone(),
    });
    shown.filter(|one| room.takes(one.name.len() + one.url.as_ref().map_or(0, String::len) + 40)).collect()
}

/// Why a job failed, as far as its last lines say it: as its log's page shows them, without the marks of its folds.
fn tail(lines: &[String]) -> Vec<String> {
    let shown: Vec<_> = lines.iter().filter_map(|line| fold::shown(line)).collect();
    let is_blank = |line: &str| line.trim().is_empty();
    let end = shown.iter().rposition(|line| !is_blank(line)).map_or(0, |last| last + 1);
    let shown = &shown[end.saturating_sub(TAIL_SHOWN)..end];
    shown.iter().skip_while(|line| is_blank(line)).map(|line| html(line)).collect()
}

/// Whatever a job printed, without what it would do to the page.
fn html(line: &str) -> String {
    Renderer::default().line(line.as_bytes())
}

/// What a service is, and whether jobs can use it.
pub(super) fn service_words(service: &Service, row: Option<&JobRow>) -> String {
    let took = |row: &JobRow| Some(row.ready?.since(row.started?));
    match row {
        Some(row) if row.ready.is_some() => {
            format!("service, ready after {}", Span(took(row).unwrap_or_default()))
        }
        Some(row) if row.state.0 == JobState::Running => format!("service, waits for {}", service.ready.check),
        Some(_) | None => "service".to_owned(),
    }
}
