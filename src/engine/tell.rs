//! What a forge is to show of a run: one context for the flow, one for each action.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Result, counted, hide,
    matrix::{self, rows},
    pause::{minute, questions},
    remarks,
    retry::{Again, again},
    service,
    settle::places,
    title,
};
use crate::{
    agent::mask::Masks,
    model::{
        ActionId, ActionPlan, ActionState, Annotation, AttemptId, AttemptState, Button, Cell, Conclusion, Context,
        DeliveryId, Diagnostic, ExternalId, FailedTest, JobId, JobState, Late, Level, Problem, Progress, Question,
        Rank, Report, Repository, RunId, RunState, Severity, Span, Time, Verdict,
    },
    store::{ActionRow, ApprovalRow, AttemptRow, JobRow, NewReport, RunRow, TestsRow, Tx, Vetting, VettingRow},
};

/// A run with all that a report says of it.
#[derive(Debug)]
pub struct Story {
    /// The run.
    pub run: RunRow,
    /// Its repository.
    pub repository: Repository,
    /// Its actions with their newest attempts.
    pub actions: Vec<Chapter>,
    /// The run's page.
    pub url: String,
    /// What it repeats, in words, and that run's page.
    pub repeats: Option<(String, String)>,
    /// If a replay started it: the original delivery, and its page.
    pub replay_of: Option<(DeliveryId, String)>,
    /// How late its delivery was, if the sweep has brought it.
    pub late: Option<Late>,
    /// What it asks people just now.
    pub questions: Vec<Question>,
    /// What people answered, or did not, by stages.
    pub answers: Vec<(String, ApprovalRow)>,
    /// How it stands if its code is untrusted.
    pub vetting: Option<VettingRow>,
    /// What the logs of its jobs say of lines of files, as far as they are read.
    pub problems: BTreeMap<JobId, Vec<Problem>>,
    /// What the reports of its jobs say of tests.
    pub tests: BTreeMap<JobId, TestsRow>,
    /// The first of those that failed, without what they say at length.
    pub failed_tests: BTreeMap<JobId, Vec<FailedTest>>,
}

impl Story {
    /// Whether nothing of it starts before somebody with write access has said so.
    pub fn asks(&self) -> bool {
        let waits = self.vetting.as_ref().is_some_and(|row| row.standing() == Vetting::Waits);
        waits && self.run.state.conclusion().is_none()
    }
}

/// One action of a [`Story`].
#[derive(Debug)]
pub struct Chapter {
    /// Its row.
    pub action: ActionRow,
    /// Its stage's name.
    pub stage: String,
    /// Its name.
    pub name: String,
    /// What people call it.
    pub shown: String,
    /// The matrix that it is a cell of, and its values there.
    pub cell: Option<Cell>,
    /// Its jobs' names.
    pub names: Vec<String>,
    /// Its newest attempt, and that one's jobs; of one that was carried over those of where it ran.
    pub attempt: Option<(AttemptRow, Vec<JobRow>)>,
    /// The number of the run from which its end was carried over.
    pub carried: Option<i64>,
    /// Which attempt it is, of how many, from the end of the first on; `None`: the first.
    pub again: Option<Again>,
    /// The attempts before it, first to last, with their jobs.
    pub earlier: Vec<(AttemptRow, Vec<JobRow>)>,
}

/// Reads a run's story.
pub(super) async fn story(tx: &mut Tx, id: crate::model::RunId, public_url: &str) -> Result<Story> {
    let missing = || super::EngineError::Broken(format!("there is no run {id}"));
    let run = tx.run(id).await?.ok_or_else(missing)?;
    let repository = tx.repository(run.repository_id).await?.facts.0;
    let carried = tx.carried_over(id).await?;
    let mut attempts = attempts(tx, id).await?;
    let mut actions = Vec::new();
    for action in tx.actions(id).await? {
        let (stage, place) = places(&action);
        let stage_name = run.plan.0.as_ref().and_then(|plan| plan.stages.get(stage)).map(|stage| stage.name.clone());
        let plan = run.plan.0.as_ref().and_then(|plan| plan.action(stage, place));
        let mut earlier = attempts.remove(&action.origin()).unwrap_or_default();
        let again = plan.and_then(|plan| again(plan, &ends(&earlier)));
        let attempt = earlier.pop();
        actions.push(Chapter {
            stage: stage_name.unwrap_or_default(),
            name: plan.map(|plan| plan.name.clone()).unwrap_or_default(),
            shown: plan.map(ActionPlan::shown).unwrap_or_default(),
            cell: plan.and_then(|plan| plan.cell.clone()),
            names: plan.map(|plan| plan.members().map(|job| job.name.clone()).collect()).unwrap_or_default(),
            carried: carried.get(&action.id).copied(),
            action,
            attempt,
            again,
            earlier,
        });
    }
    let url = run_url(public_url, &repository, run.number);
    let repeats = match (&run.repeats, run.rerun_of) {
        (Some(repeats), Some(repeated)) => {
            let number = tx.run_number(repeated).await?;
            Some((repeats.words(number), run_url(public_url, &repository, number)))
        }
        (Some(_) | None, _) => None,
    };
    let original = tx.replay_of(&run).await?;
    let replay_of = original.map(|id| (id, format!("{public_url}/deliveries/{id}")));
    let late = tx.late(run.delivery_id).await?;
    let questions = questions(tx, &run).await?;
    let answers = answers(tx, &run).await?;
    let vetting = match run.event.trusted() {
        Some(_) => None,
        None => tx.vetting(run.id).await?,
    };
    let problems = tx.problems_of_run(id).await?;
    let tests = tx.tests_of_run(id).await?;
    let some_failed = tests.values().any(|row| row.tests.failed() > 0);
    let failed_tests = if some_failed { tx.failed_tests_of_run(id, counted::READ).await? } else { BTreeMap::new() };
    Ok(Story {
        run,
        repository,
        actions,
        url,
        repeats,
        replay_of,
        late,
        questions,
        answers,
        vetting,
        problems,
        tests,
        failed_tests,
    })
}

/// The attempts at each action of a run, first to last, with their jobs. Two queries, however many actions there are:
/// a story is told at every change.
async fn attempts(tx: &mut Tx, run: RunId) -> Result<BTreeMap<ActionId, Vec<(AttemptRow, Vec<JobRow>)>>> {
    let mut jobs: BTreeMap<AttemptId, Vec<JobRow>> = BTreeMap::new();
    for job in tx.jobs_of_run(run).await? {
        jobs.entry(job.attempt_id).or_default().push(job);
    }
    let mut attempts: BTreeMap<ActionId, Vec<(AttemptRow, Vec<JobRow>)>> = BTreeMap::new();
    for attempt in tx.attempts_of_run(run).await? {
        let jobs = jobs.remove(&attempt.id).unwrap_or_default();
        attempts.entry(attempt.action_id).or_default().push((attempt, jobs));
    }
    Ok(attempts)
}

/// The questions of a run that wait no longer.
async fn answers(tx: &mut Tx, run: &RunRow) -> Result<Vec<(String, ApprovalRow)>> {
    let Some(plan) = &run.plan.0 else { return Ok(Vec::new()) };
    if plan.stages.iter().all(|stage| stage.approval.is_none()) {
        return Ok(Vec::new());
    }
    let name = |row: &ApprovalRow| Some(plan.stages.get(usize::try_from(row.stage).ok()?)?.name.clone());
    let rows = tx.approvals(run.id).await?;
    Ok(rows.into_iter().filter(|row| !row.is_open()).filter_map(|row| Some((name(&row)?, row))).collect())
}

/// How the attempts that are over ended, first to last.
fn ends(attempts: &[(AttemptRow, Vec<JobRow>)]) -> Vec<Vec<Verdict>> {
    let is_over = |attempt: &AttemptRow| matches!(attempt.state.0, AttemptState::Ended | AttemptState::Removed);
    let over = attempts.iter().filter(|(attempt, _)| is_over(attempt));
    over.map(|(_, jobs)| jobs.iter().filter_map(service::counted).collect()).collect()
}

/// Wants all contexts of a run shown.
pub(super) async fn want(tx: &mut Tx, story: &Story, masks: &Masks, now: Time) -> Result<()> {
    let reports: Vec<(Context, Report)> =
        reports(story).into_iter().map(|(context, report)| (context, hide::report(masks, report))).collect();
    let new = |(at, (context, report))| NewReport {
        repository: story.run.repository_id,
        sha: &story.run.sha,
        context,
        generation: story.run.id,
        rank: if at == 0 { Rank::Run } else { Rank::Action },
        report,
        now,
    };
    let news: Vec<NewReport<'_>> =
        reports.iter().map(|(context, report)| (context, report)).enumerate().map(new).collect();
    Ok(tx.want_all(&news).await?)
}

/// The page of a run.
pub fn run_url(public_url: &str, repository: &Repository, number: i64) -> String {
    format!("{public_url}/{}/{}/runs/{number}", repository.forge, repository.name)
}

/// Every context of a run with what the forge is to show there, the run's own first. Pure.
pub fn reports(story: &Story) -> Vec<(Context, Report)> {
    let suffix = story.run.event.context_suffix();
    let mut all = vec![(Context::of_run(&story.run.flow, suffix), of_run(story))];
    for row in rows(story) {
        let context = Context::of_action(&story.run.flow, suffix, &row[0].stage, row[0].row_name());
        let mut report = if row[0].cell.is_some() { matrix::report(story, row) } else { of_action(story, &row[0]) };
        if story.asks() {
            report.title = title::of_run(story);
        }
        all.push((context, report));
    }
    all
}

fn of_run(story: &Story) -> Report {
    let run = &story.run;
    let progress = match run.state.0 {
        RunState::Queued if story.asks() => Progress::Asks,
        RunState::Queued => Progress::Queued,
        RunState::Running => Progress::Running,
        RunState::Ended(conclusion) => Progress::Done(conclusion),
    };
    Report {
        progress,
        title: title::of_run(story),
        summary: run_summary(story),
        url: story.url.clone(),
        external_id: ExternalId { run: run.id, action: None }.to_string(),
        buttons: buttons(story),
        started: run.started,
        ended: run.ended,
        annotations: run.diagnostics.iter().map(|diagnostic| annotation(&run.path, diagnostic)).collect(),
    }
}

/// What is wrong with the flow file, for the margin of its line.
fn annotation(path: &str, diagnostic: &Diagnostic) -> Annotation {
    let Diagnostic { severity, message, line, column, length, source: _, hint } = diagnostic;
    let hint = hint.as_ref().map_or_else(String::new, |hint| format!("\n{hint}"));
    Annotation {
        path: path.to_owned(),
        line: *line,
        end_line: 0,
        column: *column,
        length: *length,
        severity: Level::from(*severity),
        title: String::new(),
        message: format!("{message}{hint}"),
    }
}

fn of_action(story: &Story, chapter: &Chapter) -> Report {
    let action = &chapter.action;
    let progress = match action.state.0 {
        ActionState::Waiting | ActionState::Queued => Progress::Queued,
        ActionState::Running => Progress::Running,
        ActionState::Ended(conclusion) => Progress::Done(conclusion),
    };
    Report {
        progress,
        title: title::of_action(story, chapter),
        summary: action_summary(story, chapter),
        url: chapter_url(story, chapter),
        external_id: ExternalId { run: story.run.id, action: Some(action.id) }.to_string(),
        // a forge has its own button for one check
        buttons: Vec::new(),
        started: action.started,
        ended: action.ended,
        annotations: remarks::annotations(story, std::slice::from_ref(chapter)),
    }
}

/// What can be asked of a run, at its check.
fn buttons(story: &Story) -> Vec<Button> {
    if story.asks() {
        return vec![Button::Approve];
    }
    match (&story.run.state.0, &story.run.plan.0) {
        (RunState::Queued | RunState::Running, _) => vec![Button::Cancel],
        (RunState::Ended(Conclusion::Skipped), _) => Vec::new(),
        (RunState::Ended(Conclusion::Success | Conclusion::Warning), _) => vec![Button::Everything],
        // of a broken file nothing has failed yet
        (RunState::Ended(_), None) => vec![Button::Newest, Button::Everything],
        (RunState::Ended(_), Some(_)) => vec![Button::Failed, Button::Everything, Button::Newest],
    }
}

/// The first action whose end made the run what it is.
pub(super) fn first_bad(story: &Story) -> Option<&Chapter> {
    let of = |wanted: fn(Conclusion) -> bool| {
        story.actions.iter().find(|chapter| chapter.action.state.conclusion().is_some_and(wanted))
    };
    of(|end| matches!(end, Conclusion::Failure | Conclusion::TimedOut | Conclusion::Error))
}

fn run_summary(story: &Story) -> String {
    let mut out = story.late.map_or_else(String::new, |late| format!("{late}: its webhook did not come in time\n\n"));
    if let Some((words, url)) = &story.repeats {
        let _ = write!(out, "Repeats [{}]({url}).\n\n", cell(words));
    }
    out += &vetted(story);
    if !story.run.diagnostics.is_empty() {
        out += &crate::flow::markdown(&story.run.path, &story.run.diagnostics);
        out.push('\n');
    }
    if !story.actions.is_empty() {
        out += "| Stage | Action | State | Duration |\n| --- | --- | --- | --- |\n";
        rows(story).for_each(|row| out += &table_row(story, row));
    }
    out += &approvals(story);
    if let Some(bad) = first_bad(story) {
        out += &failed_job(story, bad);
        out += &remarks::list(story, std::slice::from_ref(bad));
    }
    out += &counted::list_of_failed(story);
    out += &replay(story);
    let _ = write!(out, "\n[The whole run]({})\n", story.url);
    out
}

/// What becomes of untrusted code, and how it comes to run.
fn vetted(story: &Story) -> String {
    let Some(row) = &story.vetting else { return String::new() };
    let mut out = String::new();
    let note = if row.note.is_empty() { String::new() } else { format!(": {}", row.note) };
    let when = row.answered.map(minute).unwrap_or_default();
    let _ = match row.standing() {
        Vetting::Waits if story.asks() => write!(
            out,
            "Nothing of this runs before somebody who may write to the repository has looked at it. Then press \
             *Approve*, or write in a comment:\n\n```text\n/approve {}\n```\n\nIt waits until {}.\n\n",
            story.run.sha,
            minute(row.asked.after(super::closing::WAITS))
        ),
        Vetting::Waits | Vetting::Admitted => Ok(()),
        standing @ (Vetting::Approved | Vetting::Rejected) => {
            let by = cell(&format!("{} by {}{note}", standing.as_str(), row.answered_by));
            write!(out, "Untrusted code, {by}, {when}\n\n")
        }
    };
    let _ = write!(out, "{}\n\n", super::vetting::whose(row));
    out
}

/// What people are asked, and what they said.
fn approvals(story: &Story) -> String {
    let mut out = String::new();
    for question in &story.questions {
        let _ = write!(out, "\nWaits {} ([answer]({}))\n", cell(&question.to_string()), story.url);
    }
    for (stage, row) in &story.answers {
        let answer = row.answer.as_ref().map_or("", |answer| answer.0.as_str());
        let by = if row.answered_by.is_empty() { String::new() } else { format!(" by {}", row.answered_by) };
        let note = if row.note.is_empty() { String::new() } else { format!(": {}", row.note) };
        let when = row.answered.map(minute).unwrap_or_default();
        let _ = write!(out, "\nStage {}: {}, {when}\n", cell(stage), cell(&format!("{answer}{by}{note}")));
    }
    out
}

fn action_summary(story: &Story, chapter: &Chapter) -> String {
    let mut out = String::from("| Job | State | Duration |\n| --- | --- | --- |\n");
    let jobs = chapter.attempt.as_ref().map_or(&[][..], |(_, jobs)| jobs);
    for (name, job) in chapter.names.iter().zip(jobs) {
        let state = match &job.state.0 {
            JobState::Ended(verdict) => cell(&verdict.to_string()),
            JobState::Waiting | JobState::Running => job.state.label().to_owned(),
        };
        let span = took(job.started, job.ended).map_or_else(String::new, |span| span.to_string());
        let tests = counted::of_job(story, job.id);
        let _ = writeln!(out, "| [{}]({}) | {state}{tests} | {span} |", cell(name), job_url(story, chapter, name));
    }
    out += &earlier_attempts(story, chapter);
    out += &failed_job(story, chapter);
    out += &counted::list(story, std::slice::from_ref(chapter));
    out += &remarks::list(story, std::slice::from_ref(chapter));
    out += &replay(story);
    out
}

/// What became of the attempts before the newest, and where their logs are.
pub(super) fn earlier_attempts(story: &Story, chapter: &Chapter) -> String {
    let mut out = String::new();
    for (attempt, jobs) in &chapter.earlier {
        let of_job = |(name, job): (&String, &JobRow)| {
            let verdict = job.state.verdict().filter(|verdict| !verdict.conclusion().lets_go_on())?;
            Some(format!(
                "{} ([log]({}?attempt={}))",
                cell(&verdict.to_string()),
                job_url(story, chapter, name),
                attempt.number
            ))
        };
        if let Some(line) = chapter.names.iter().zip(jobs).find_map(of_job) {
            let _ = write!(out, "\nAttempt {}: {line}\n", attempt.number);
        }
    }
    out
}

fn table_row(story: &Story, row: &[Chapter]) -> String {
    let [chapter] = row else { return matrix::table_row(story, row) };
    let span = took(chapter.action.started, chapter.action.ended).map_or_else(String::new, |span| span.to_string());
    format!(
        "| {} | [{}]({}) | {} | {span} |\n",
        cell(&chapter.stage),
        cell(&chapter.shown),
        chapter_url(story, chapter),
        state_cell(story, chapter),
    )
}

/// How far an action is, and what is odd about it.
pub(super) fn state_cell(story: &Story, chapter: &Chapter) -> String {
    let action = &chapter.action;
    let state = match action.state.conclusion() {
        Some(conclusion) => format!("{} {conclusion}", mark(conclusion)),
        None => action.state.label().to_owned(),
    };
    let tests =
        counted::of(story, std::slice::from_ref(chapter)).map_or_else(String::new, |tests| format!(", {tests}"));
    match chapter.carried {
        Some(number) => format!("{state}{tests}, {}", cell(&title::carried_words(number))),
        None if action.attempts > 1 => format!("{state}{tests}, attempt {}", action.attempts),
        None => state + &tests,
    }
}

/// The first failed job of an action: how it ended, its last lines, and where they stand in its log.
pub(super) fn failed_job(story: &Story, chapter: &Chapter) -> String {
    let Some((name, job, verdict)) = first_failed(chapter) else { return String::new() };
    let tail = &job.tail.0;
    let url = job_url(story, chapter, name);
    let mut out = format!(
        "\n**{} / {} / {}**: {}\n",
        cell(&chapter.stage),
        cell(&chapter.shown),
        cell(name),
        cell(&verdict.to_string())
    );
    if let Some(advice) = verdict.advice() {
        let _ = write!(out, "\nWhat to do: {advice}.\n");
    }
    if tail.lines.is_empty() {
        let _ = write!(out, "\n[Its log]({url})\n");
        return out;
    }
    let text = tail.lines.join("\n");
    let fence = fence(&text);
    let last = tail.line + i64::try_from(tail.lines.len()).unwrap_or(1) - 1;
    let _ = write!(out, "\n{fence}text\n{text}\n{fence}\n\n[The log at line {last}]({url}?line={last}#L{last})\n");
    out
}

fn first_failed(chapter: &Chapter) -> Option<(&str, &JobRow, &Verdict)> {
    let (_, jobs) = chapter.attempt.as_ref()?;
    chapter.names.iter().zip(jobs).find_map(|(name, job)| {
        let verdict = job.state.verdict()?;
        let bad = matches!(verdict.conclusion(), Conclusion::Failure | Conclusion::TimedOut | Conclusion::Error);
        bad.then_some((name.as_str(), job, verdict))
    })
}

/// What was replayed, if a replay started the run.
pub(super) fn replay(story: &Story) -> String {
    let line = |(id, url): &(DeliveryId, String)| format!("\nReplay of [delivery {id}]({url})\n");
    story.replay_of.as_ref().map(line).unwrap_or_default()
}

/// A fence longer than any run of backticks in the text, so that a log cannot end it.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// Text that cannot leave a table's cell or become markup.
pub(super) fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '|' | '`' | '<' | '>' | '[' | ']' | '*' | '_' | '\\' | '@' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

pub(super) const fn mark(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Success => "✅",
        Conclusion::Warning => "⚠️",
        Conclusion::Failure => "❌",
        Conclusion::TimedOut => "⌛",
        Conclusion::Cancelled => "🚫",
        Conclusion::Skipped => "⏭️",
        Conclusion::Error => "🔧",
    }
}

pub(super) fn took(started: Option<Time>, ended: Option<Time>) -> Option<Span> {
    Some(Span(ended?.since(started?)))
}

pub(super) fn chapter_url(story: &Story, chapter: &Chapter) -> String {
    match (first_failed(chapter), chapter.names.first()) {
        (Some((name, ..)), _) => job_url(story, chapter, name),
        (None, Some(name)) => job_url(story, chapter, name),
        (None, None) => story.url.clone(),
    }
}

pub(super) fn job_url(story: &Story, chapter: &Chapter, job: &str) -> String {
    format!("{}/{}/{}/{job}", story.url, chapter.stage, chapter.name)
}

/// Whether a diagnostic stops a flow.
pub(super) fn is_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Error
}
