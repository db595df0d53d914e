//! How a job ended. Success is one of many, and needs evidence; every other end has a name.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Conclusion, Infrastructure};

/// Who stops the jobs of a run that is over its time.
pub const RUN_TIME_LIMIT: &str = "the run's time limit";

/// How a job ended, and the words for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Exit code 0 by the agent's own record, and no result that says otherwise.
    Success {
        /// Something people should know all the same, such as a child that was killed for memory.
        warning: Option<String>,
    },
    /// The process ended with another exit code.
    Exit {
        /// 1 to 255; 75 means "temporary, try again".
        code: i32,
    },
    /// The process was ended by a signal that we did not send.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// Exit code 0, but a `CO_RESULT` that is not `true`.
    ResultFalse {
        /// What it was, cut at 200 characters.
        value: String,
    },
    /// Exit code 0, but it posted a `CO_TASK_STATUS` with `status: false`.
    StatusFalse {
        /// The event's `result`, cut at 200 characters.
        result: String,
    },
    /// Exit code 0 and no `CO_RESULT`, of a job with `strict: true`.
    NoResult,
    /// Killed because it used more memory than its limit.
    OutOfMemory {
        /// The limit in bytes, where there was one.
        limit: Option<u64>,
        /// The most it had in bytes, where the machine tells.
        peak: Option<u64>,
    },
    /// It ran longer than it may.
    TimedOut {
        /// The limit.
        #[cfg_attr(feature = "server", schema(value_type = Object))]
        after: Duration,
    },
    /// Someone cancelled it, or a sibling's failure did.
    Cancelled {
        /// Who or what.
        by: String,
    },
    /// It was never started, because something before it failed.
    Skipped {
        /// What.
        reason: String,
    },
    /// Killed by the cluster because it wrote more than its workspace or its limit of local storage may hold. The
    /// author's doing.
    OutOfDisk {
        /// What the cluster said.
        message: String,
    },
    /// Stopped, or never started, because its whole run was over its time.
    RunTimedOut,
    /// The container is there, but the program in it cannot be started: no such file, not executable, a missing
    /// output that it subscribes to. The author's mistake.
    CannotStart {
        /// What the system said.
        message: String,
    },
    /// It ended well, but an artifact of it could not be kept. The author's mistake.
    NotKept {
        /// Which, and why.
        message: String,
    },
    /// The registry answers, and has no such image. The author's mistake.
    ImageNotFound {
        /// As the flow names it.
        image: String,
        /// What the registry or cluster said.
        message: String,
    },
    /// The registry answers, and wants to know who asks: the image is private, or does not exist.
    ImageDenied {
        /// As the flow names it.
        image: String,
        /// What the registry or cluster said.
        message: String,
    },
    /// What the flow names is no image's name, or names something that is no image. The author's mistake.
    ImageInvalid {
        /// As the flow names it.
        image: String,
        /// What is wrong with it.
        message: String,
    },
    /// The cluster does not take such a pod, whoever asks: a `LimitRange` or a policy forbids it.
    Refused {
        /// What the cluster said.
        message: String,
    },
    /// What a kubectl job describes is not what the cluster has: it may not be, it was refused, or it does not run.
    NotDeployed {
        /// Why, in the cluster's words where it has any.
        message: String,
    },
    /// A trigger job has started nothing, or the run that it waited for did not end well.
    NotTriggered {
        /// Why.
        message: String,
    },
    /// A service was not ready in time, or ended before it was. The author's mistake.
    NotReady {
        /// What was waited for, for how long, and what came instead.
        message: String,
    },
    /// Not the author's doing; the action is tried again, at most twice.
    Infrastructure {
        /// Which.
        kind: Infrastructure,
        /// The cluster's own words.
        message: String,
    },
}

impl Verdict {
    /// The plain success.
    pub const fn success() -> Self {
        Self::Success { warning: None }
    }

    /// The end of a job that someone, or something, wanted stopped.
    pub fn stopped_by(by: &str) -> Self {
        match by {
            RUN_TIME_LIMIT => Self::RunTimedOut,
            _ => Self::Cancelled { by: by.to_owned() },
        }
    }

    /// Its name: the same for all that ended so, whatever the words are.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Success { .. } => "success",
            Self::Exit { .. } => "exit",
            Self::Signal { .. } => "signal",
            Self::ResultFalse { .. } => "result_false",
            Self::StatusFalse { .. } => "status_false",
            Self::NoResult => "no_result",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::TimedOut { .. } => "timed_out",
            Self::Cancelled { .. } => "cancelled",
            Self::Skipped { .. } => "skipped",
            Self::OutOfDisk { .. } => "out_of_disk",
            Self::RunTimedOut => "run_timed_out",
            Self::CannotStart { .. } => "cannot_start",
            Self::NotKept { .. } => "not_kept",
            Self::ImageNotFound { .. } => "image_not_found",
            Self::ImageDenied { .. } => "image_denied",
            Self::ImageInvalid { .. } => "image_invalid",
            Self::Refused { .. } => "refused",
            Self::NotDeployed { .. } => "not_deployed",
            Self::NotTriggered { .. } => "not_triggered",
            Self::NotReady { .. } => "not_ready",
            Self::Infrastructure { kind, .. } => kind.as_str(),
        }
    }

    /// The colour of it.
    pub const fn conclusion(&self) -> Conclusion {
        match self {
            Self::Success { .. } => Conclusion::Success,
            Self::Exit { .. }
            | Self::Signal { .. }
            | Self::ResultFalse { .. }
            | Self::StatusFalse { .. }
            | Self::NoResult
            | Self::OutOfMemory { .. }
            | Self::OutOfDisk { .. }
            | Self::CannotStart { .. }
            | Self::NotKept { .. }
            | Self::ImageNotFound { .. }
            | Self::ImageDenied { .. }
            | Self::ImageInvalid { .. }
            | Self::NotDeployed { .. }
            | Self::NotTriggered { .. }
            | Self::NotReady { .. }
            | Self::Refused { .. } => Conclusion::Failure,
            Self::TimedOut { .. } | Self::RunTimedOut => Conclusion::TimedOut,
            Self::Cancelled { .. } => Conclusion::Cancelled,
            Self::Skipped { .. } => Conclusion::Skipped,
            Self::Infrastructure { .. } => Conclusion::Error,
        }
    }

    /// What can be done about it, for whom its words do not say that already.
    pub const fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoResult => "let it print `[COUT] CO_RESULT = true` when all is well, or remove `strict`",
            Self::OutOfMemory { .. } => "raise the job's `resources: {limits: {memory: …}}`, or let it need less",
            Self::NotKept { .. } => "let the artifact's `paths` name less, or ask the operator for a higher limit",
            Self::OutOfDisk { .. } => "write less, or ask the operator for a larger workspace",
            Self::TimedOut { .. } => "raise the job's `timeout`, or let it need less time",
            Self::RunTimedOut => "raise the flow's `timeout`, or let it need less time",
            Self::ImageNotFound { .. } => "check the image's name and tag",
            Self::ImageDenied { .. } => {
                "check the image's name; if it is private, set the secret `DOCKER_AUTH_CONFIG` of the repository or its \
                 owner: a Docker configuration with credentials for its registry"
            }
            Self::ImageInvalid { .. } => "write the image as `registry/repository:tag`, in lower case",
            Self::NotReady { .. } => "its log says more; if it only needs longer, raise `ready: {within: …}`",
            Self::Refused { .. } => "ask for resources that the cluster allows, or ask its operator",
            Self::Infrastructure { kind, .. } => return kind.advice(),
            Self::Success { .. }
            | Self::Exit { .. }
            | Self::Signal { .. }
            | Self::ResultFalse { .. }
            | Self::StatusFalse { .. }
            | Self::Cancelled { .. }
            | Self::Skipped { .. }
            | Self::NotDeployed { .. }
            | Self::NotTriggered { .. }
            | Self::CannotStart { .. } => return None,
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success { warning: None } => f.write_str("success"),
            Self::Success { warning: Some(warning) } => write!(f, "success, but {warning}"),
            Self::Exit { code: 75 } => f.write_str("exit code 75 (temporary failure)"),
            Self::Exit { code } => write!(f, "exit code {code}"),
            Self::Signal { signal } => write!(f, "killed by signal {signal}{}", SignalName(*signal)),
            Self::ResultFalse { value } => write!(f, "CO_RESULT = {value}"),
            Self::StatusFalse { result } if result.is_empty() => f.write_str("CO_TASK_STATUS = false"),
            Self::StatusFalse { result } => write!(f, "CO_TASK_STATUS = false: {result}"),
            Self::NoResult => f.write_str("no CO_RESULT, and the job is strict"),
            Self::OutOfMemory { limit, peak } => write!(f, "out of memory{}", Used { limit: *limit, peak: *peak }),
            Self::OutOfDisk { message } => write!(f, "out of disk: {message}"),
            Self::TimedOut { after } => write!(f, "timed out after {}", Span(*after)),
            Self::RunTimedOut => f.write_str("timed out: its run was over its time limit"),
            Self::Cancelled { by } => write!(f, "cancelled by {by}"),
            Self::Skipped { reason } => write!(f, "skipped: {reason}"),
            Self::NotKept { message } => write!(f, "not kept: {message}"),
            Self::CannotStart { message } => write!(f, "cannot start: {message}"),
            Self::ImageNotFound { image, message } => write!(f, "image {image} not found: {message}"),
            Self::ImageDenied { image, message } => write!(f, "image {image} denied: {message}"),
            Self::ImageInvalid { image, message } => write!(f, "image {image} invalid: {message}"),
            Self::Refused { message } => write!(f, "refused: {message}"),
            Self::NotDeployed { message } => write!(f, "not deployed: {message}"),
            Self::NotTriggered { message } => f.write_str(message),
            Self::NotReady { message } => write!(f, "not ready: {message}"),
            Self::Infrastructure { kind, message } => write!(f, "infrastructure: {}: {message}", kind.as_str()),
        }
    }
}

/// ` (SIGSEGV)`, for the signals that people meet.
struct SignalName(i32);

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(i32, &str); 12] = [
            (1, "SIGHUP"),
            (2, "SIGINT"),
            (3, "SIGQUIT"),
            (4, "SIGILL"),
            (6, "SIGABRT"),
            (7, "SIGBUS"),
            (8, "SIGFPE"),
            (9, "SIGKILL"),
            (11, "SIGSEGV"),
            (13, "SIGPIPE"),
            (15, "SIGTERM"),
            (24, "SIGXCPU"),
        ];
        let name = NAMES.iter().find(|(signal, _)| *signal == self.0);
        name.map_or(Ok(()), |(_, name)| write!(f, " ({name})"))
    }
}

/// ` (peak 60 of 64 MiB)`, as far as it is known.
struct Used {
    limit: Option<u64>,
    peak: Option<u64>,
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.peak, self.limit) {
            (Some(peak), Some(limit)) => write!(f, " (peak {} of {} MiB)", peak >> 20, limit >> 20),
            (Some(peak), None) => write!(f, " (peak {} MiB)", peak >> 20),
            (None, Some(limit)) => write!(f, " (limit {} MiB)", limit >> 20),
            (None, None) => Ok(()),
        }
    }
}

/// A duration for people: `850 ms`, `12 s`, `3 min 5 s`, `2 h 10 min`.
#[derive(Debug, Clone, Copy)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0.as_secs();
        match s {
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..60 => write!(f, "{s} s"),
            60..3600 => write!(f, "{} min {} s", s / 60, s % 60),
            _ => write!(f, "{} h {} min", s / 3600, s % 3600 / 60),
        }
    }
}
