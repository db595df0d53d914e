//! How a job ended: one pure function over all evidence. Without the agent's end record nothing is a success.

use std::time::Duration;

use crate::{
    agent::protocol::{Cause, EndRecord},
    executor::ContainerEnd,
    model::{Infrastructure, Verdict},
};

/// Everything that is known of a job's end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// The agent's own record: the first witness.
    pub record: Option<&'a EndRecord>,
    /// The executor's account of the container: the second.
    pub container: Option<&'a ContainerEnd>,
    /// What ended the whole attempt from outside.
    pub infrastructure: Option<&'a (Infrastructure, String)>,
    /// What the job's own `CO_TASK_STATUS` said against it.
    pub refusal: Option<&'a str>,
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
    let out_of_memory = Verdict::OutOfMemory { limit: record.memory_limit, peak: record.memory_peak };
    match &record.cause {
        Cause::Exit { code: 0 } => exit_zero(record, evidence),
        Cause::Exit { .. } | Cause::Signal { .. } if record.oom_kills > 0 => out_of_memory,
        // a pod that is taken away gets a SIGTERM first: what the job makes of it is not the author's doing
        Cause::Exit { .. } | Cause::Signal { .. } if evidence.infrastructure.is_some() => without_record(evidence),
        Cause::Exit { code } => Verdict::Exit { code: *code },
        Cause::Signal { signal } => Verdict::Signal { signal: *signal },
        Cause::CannotStart { message } => Verdict::CannotStart { message: message.clone() },
        Cause::TimedOut => Verdict::TimedOut { after: evidence.timeout },
        Cause::Cancelled { by } => Verdict::Cancelled { by: by.clone() },
        Cause::Terminated if evidence.infrastructure.is_some() => without_record(evidence),
        Cause::Terminated => Verdict::Infrastructure {
            kind: Infrastructure::Deleted,
            message: "the container was told to stop from outside".to_owned(),
        },
        Cause::NotPrepared { message } => {
            Verdict::Infrastructure { kind: Infrastructure::Executor, message: message.clone() }
        }
    }
}

fn exit_zero(record: &EndRecord, evidence: &Evidence<'_>) -> Verdict {
    if let Some(result) = evidence.refusal {
        return Verdict::StatusFalse { result: result.to_owned() };
    }
    match &record.result {
        Some(value) if !value.trim().eq_ignore_ascii_case("true") => Verdict::ResultFalse { value: value.clone() },
        Some(_) | None => Verdict::Success { warning: warning(record, evidence.log) },
    }
}

/// What people should know of a success: a record may come without the end of the log, by the executor alone.
fn warning(record: &EndRecord, arrived: u64) -> Option<String> {
    let missing = record.log.length.saturating_sub(arrived);
    match record.oom_kills {
        0 if missing == 0 => None,
        0 => Some(format!("the last {missing} bytes of its log are missing")),
        kills => Some(format!("{kills} of its processes were killed for memory")),
    }
}

fn without_record(evidence: &Evidence<'_>) -> Verdict {
    if let Some((kind, message)) = evidence.infrastructure {
        return Verdict::Infrastructure { kind: *kind, message: message.clone() };
    }
    match evidence.container {
        Some(end) if end.oom_killed => Verdict::OutOfMemory { limit: None, peak: None },
        Some(end) => Verdict::Infrastructure { kind: Infrastructure::AgentLost, message: lost(end) },
        None => Verdict::Infrastructure {
            kind: Infrastructure::AgentLost,
            message: "the container is gone, and its agent left no end record".to_owned(),
        },
    }
}

fn lost(end: &ContainerEnd) -> String {
    let code = end.exit_code.map_or_else(String::new, |code| format!(" with code {code}"));
    let reason = if end.reason.is_empty() { String::new() } else { format!(" ({})", end.reason) };
    format!("the container ended{code}{reason} without the agent's end record")
}
