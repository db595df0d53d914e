//! How a job ended: one pure function over all evidence. Without the agent's end record nothing is a success.

use std::time::Duration;

use crate::{
    agent::protocol::{Cause, EndRecord},
    executor::{ContainerEnd, Outside, Why},
    model::{Infrastructure, Verdict},
};

/// A process that was killed for memory while its container had less than this part of its limit was killed because
/// the node, and not the container, had none left.
const NEAR_THE_LIMIT: (u64, u64) = (3, 4);
/// What a shell, and the cluster, add to the number of a signal that ended a process.
const BY_SIGNAL: i32 = 128;

/// Everything that is known of a job's end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// The agent's own record: the first witness.
    pub record: Option<&'a EndRecord>,
    /// The executor's account of the container: the second.
    pub container: Option<&'a ContainerEnd>,
    /// What ended the whole attempt from outside.
    pub outside: Option<&'a Outside>,
    /// Why it will never run.
    pub hopeless: Option<&'a Why>,
    /// What the job's own `CO_TASK_STATUS` said against it.
    pub refusal: Option<&'a str>,
    /// Whether its plan wants a `CO_RESULT` of it.
    pub strict: bool,
    /// The job's time limit.
    pub timeout: Duration,
    /// How many bytes of its log have arrived.
    pub log: u64,
}

/// The end's name.
pub fn verdict(evidence: &Evidence<'_>) -> Verdict {
    match evidence.record {
        Some(record) => by_record(record, evidence),
        None => without_record(evidence),
    }
}

fn by_record(record: &EndRecord, evidence: &Evidence<'_>) -> Verdict {
    match &record.cause {
        Cause::Exit { code: 0 } => exit_zero(record, evidence),
        Cause::Exit { .. } | Cause::Signal { .. } if record.oom_kills > 0 => killed_for_memory(record),
        // a pod that is taken away gets a SIGTERM first: what the job makes of it is not the author's doing
        Cause::Exit { .. } | Cause::Signal { .. } if evidence.outside.is_some() => without_record(evidence),
        Cause::Exit { code } => Verdict::Exit { code: *code },
        Cause::Signal { signal } => Verdict::Signal { signal: *signal },
        Cause::CannotStart { message } => Verdict::CannotStart { message: message.clone() },
        Cause::NotKept { message } => Verdict::NotKept { message: message.clone() },
        Cause::NotReady { message } => Verdict::NotReady { message: message.clone() },
        Cause::TimedOut => Verdict::TimedOut { after: evidence.timeout },
        // it had said that it is done, and its own word counts
        Cause::Cancelled { by } if by == super::event::ITSELF => exit_zero(record, evidence),
        Cause::Cancelled { by } => Verdict::stopped_by(by),
        Cause::Terminated if evidence.outside.is_some() => without_record(evidence),
        Cause::Terminated => infrastructure(Infrastructure::Deleted, "the container was told to stop from outside"),
        Cause::NotPrepared { message } => infrastructure(Infrastructure::Source, message),
    }
}

fn exit_zero(record: &EndRecord, evidence: &Evidence<'_>) -> Verdict {
    if let Some(result) = evidence.refusal {
        return Verdict::StatusFalse { result: result.to_owned() };
    }
    match &record.result {
        Some(value) if !value.trim().eq_ignore_ascii_case("true") => Verdict::ResultFalse { value: value.clone() },
        None if evidence.strict => Verdict::NoResult,
        Some(_) | None => Verdict::Success { warning: warning(record, evidence.log) },
    }
}

/// What people should know of a success: a record may come without the end of the log, by the executor alone.
fn warning(record: &EndRecord, arrived: u64) -> Option<String> {
    let missing = record.log.length.saturating_sub(arrived);
    match record.oom_kills {
        0 if missing == 0 => None,
        0 => Some(format!("the last {missing} bytes of its log are missing")),
        1 => Some("one of its processes was killed for memory".to_owned()),
        kills => Some(format!("{kills} of its processes were killed for memory")),
    }
}

/// The kernel kills for two reasons: the container is at its limit, or the whole node has no memory left.
fn killed_for_memory(record: &EndRecord) -> Verdict {
    let (part, of) = NEAR_THE_LIMIT;
    match (record.memory_peak, record.memory_limit) {
        (Some(peak), Some(limit)) if peak / part < limit / of => infrastructure(
            Infrastructure::NodeMemory,
            &format!("the kernel killed it when it had {} of {} MiB at most", peak >> 20, limit >> 20),
        ),
        (peak, limit) => Verdict::OutOfMemory { limit, peak },
    }
}

fn without_record(evidence: &Evidence<'_>) -> Verdict {
    match (evidence.outside, evidence.hopeless) {
        (Some(Outside::Infrastructure(kind, message)), _) => infrastructure(*kind, message),
        (Some(Outside::OutOfDisk(message)), _) => Verdict::OutOfDisk { message: message.clone() },
        (None, Some(why)) => never_ran(why),
        (None, None) => by_container(evidence.container),
    }
}

fn never_ran(why: &Why) -> Verdict {
    match why.clone() {
        Why::ImageNotFound { image, message } => Verdict::ImageNotFound { image, message },
        Why::ImageDenied { image, message } => Verdict::ImageDenied { image, message },
        Why::ImageInvalid { image, message } => Verdict::ImageInvalid { image, message },
        Why::CannotStart { message } => Verdict::CannotStart { message },
        Why::Infrastructure(kind, message) => Verdict::Infrastructure { kind, message },
    }
}

fn by_container(container: Option<&ContainerEnd>) -> Verdict {
    let Some(end) = container else {
        return infrastructure(Infrastructure::AgentLost, "the container is gone, and its agent left no end record");
    };
    if end.oom_killed {
        return Verdict::OutOfMemory { limit: end.memory_limit, peak: None };
    }
    match end.exit_code {
        // nothing in a container can send its first process a SIGKILL
        Some(code) if code > BY_SIGNAL => infrastructure(
            Infrastructure::AgentKilled,
            &format!("signal {} ended it from outside, with all that it had started", code - BY_SIGNAL),
        ),
        Some(_) | None => infrastructure(Infrastructure::AgentLost, &lost(end)),
    }
}

fn lost(end: &ContainerEnd) -> String {
    let code = end.exit_code.map_or_else(String::new, |code| format!(" with code {code}"));
    let reason = if end.reason.is_empty() { String::new() } else { format!(" ({})", end.reason) };
    format!("the container ended{code}{reason} without the agent's end record")
}

fn infrastructure(kind: Infrastructure, message: &str) -> Verdict {
    Verdict::Infrastructure { kind, message: message.to_owned() }
}
