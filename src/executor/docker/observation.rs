//! Containers as the engine shows them → what became of the attempt. Pure.

use bollard::models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum};

use super::container::JOB;
use crate::{
    executor::{ContainerEnd, Hopeless, Observation, Outside, Why, label},
    model::{Infrastructure, JobId, Moments, Ran, Time},
};

/// How much of the engine's own words is kept, in characters.
const WORDS_MAX: usize = 2000;

/// One container.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// As the engine shows it.
    pub(super) container: ContainerInspectResponse,
    /// The end record that its agent has left, if it has ended.
    pub(super) record: Option<String>,
}

/// What became of the attempt whose containers these are; there is at least one.
pub(super) fn observation(seen: &[Seen]) -> Observation {
    let expected = jobs(seen);
    let of = |job: JobId| seen.iter().find(|one| job_of(&one.container) == Some(job));
    for job in &expected {
        if let Some(message) = of(*job).and_then(|one| trouble(&one.container)) {
            let hopeless = Hopeless { job: Some(*job), why: Why::CannotStart { message } };
            return Observation::Waiting { message: String::new(), hopeless: Some(hopeless) };
        }
    }
    let ends: Vec<ContainerEnd> = expected.iter().filter_map(|job| end(*job, of(*job)?)).collect();
    if let Some(gone) = expected.iter().position(|job| of(*job).is_none()) {
        let message = format!("somebody removed the container job-{gone}");
        let outside = Some(Outside::Infrastructure(Infrastructure::Deleted, message));
        return Observation::Ended { containers: ends, outside };
    }
    match ends.len() {
        all if all == expected.len() => Observation::Ended { containers: ends, outside: None },
        0 if seen.iter().any(|one| is_new(&one.container)) => {
            Observation::Waiting { message: String::new(), hopeless: None }
        }
        0 => Observation::Running,
        _ => Observation::PartlyEnded { containers: ends },
    }
}

/// When what happened to these containers, by the engine's clock.
pub(super) fn moments(seen: &[Seen]) -> Moments {
    let made = seen.iter().filter_map(|one| moment(one.container.created.as_deref()?)).min();
    Moments { made, containers: seen.iter().filter_map(|one| ran(&one.container)).collect(), ..Moments::default() }
}

fn ran(container: &ContainerInspectResponse) -> Option<Ran> {
    let state = container.state.as_ref()?;
    let job = job_of(container)?;
    let started = moment(state.started_at.as_deref()?)?;
    let ended = has_ended(container).then(|| moment(state.finished_at.as_deref()?)).flatten();
    let name = container.name.as_deref().unwrap_or_default().trim_start_matches('/');
    let name = label::short_name(name).to_owned();
    Some(Ran { container: name, job: Some(job), started, ended })
}

/// What never was is told as the year 1.
fn moment(text: &str) -> Option<Time> {
    let moment = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    (moment > 0).then(|| Time::from_millis(moment))
}

/// Whether it was never started.
pub(super) fn is_new(container: &ContainerInspectResponse) -> bool {
    status(container) == Some(ContainerStateStatusEnum::CREATED)
}

/// Whether it runs no more.
pub(super) fn has_ended(container: &ContainerInspectResponse) -> bool {
    use ContainerStateStatusEnum as Status;
    match status(container) {
        Some(Status::EXITED | Status::DEAD | Status::REMOVING) => true,
        Some(Status::CREATED | Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING)
        | Some(Status::EMPTY)
        | None => false,
    }
}

/// Why it could not be started, in the engine's words.
pub(super) fn trouble(container: &ContainerInspectResponse) -> Option<String> {
    let state = container.state.as_ref()?;
    let error = state.error.as_deref().filter(|error| !error.is_empty())?;
    (is_new(container) || never_ran(state)).then(|| words(error))
}

fn never_ran(state: &ContainerState) -> bool {
    state.started_at.as_deref().is_none_or(|time| time.starts_with("0001-"))
}

fn status(container: &ContainerInspectResponse) -> Option<ContainerStateStatusEnum> {
    container.state.as_ref()?.status
}

/// The jobs that have a container, by what is written on any of them.
fn jobs(seen: &[Seen]) -> Vec<JobId> {
    let written = seen.iter().find_map(|one| of_label(&one.container, label::JOBS));
    written.unwrap_or_default().split(',').filter_map(|id| id.parse().ok()).collect()
}

fn job_of(container: &ContainerInspectResponse) -> Option<JobId> {
    of_label(container, JOB)?.parse().ok()
}

fn of_label<'a>(container: &'a ContainerInspectResponse, label: &str) -> Option<&'a str> {
    container.config.as_ref()?.labels.as_ref()?.get(label).map(String::as_str)
}

fn end(job: JobId, seen: &Seen) -> Option<ContainerEnd> {
    if !has_ended(&seen.container) {
        return None;
    }
    let state = seen.container.state.clone().unwrap_or_default();
    let oom_killed = state.oom_killed.unwrap_or(false);
    let limit = seen.container.host_config.as_ref().and_then(|host| host.memory);
    let exit_code = state.exit_code.and_then(|code| i32::try_from(code).ok());
    let reason = match state.error.as_deref() {
        Some(error) if !error.is_empty() => words(error),
        Some(_) | None if oom_killed => "OOMKilled".to_owned(),
        Some(_) | None => "Exited".to_owned(),
    };
    Some(ContainerEnd {
        job,
        exit_code,
        oom_killed: oom_killed && seen.record.is_none(),
        memory_limit: limit.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0),
        reason,
        end_record: seen.record.clone(),
    })
}

/// The engine's own words, on one line and of bounded length.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(WORDS_MAX).collect()
}
