//! What is known of a log as a whole: whether every byte that its agent wrote is here, and if not, what is missing. One
//! pure function over the job's row; page, API and raw text say its words.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::log::missing;
use crate::{
    agent::protocol::{Held, LeftOut, LogSeal},
    model::{Counted, Grouped, JobState, Size},
    store::{Check, JobRow},
};

/// A log as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Whether it is complete.
    pub state: State,
    /// How many lines are here, counting a last one without a newline.
    pub lines: u64,
    /// How many bytes are here.
    pub bytes: u64,
    /// What its agent left out of it, because it was over its limit.
    pub left_out: Option<LeftOut>,
    /// The limit, if its agent was told one.
    pub limit: Option<u64>,
}

/// How complete a log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The job was never started: there is no log.
    Nothing,
    /// More may come. Some of it may be held back in the pod until the end.
    Growing {
        /// What.
        held: Held,
    },
    /// All of it is here, but its digest has not been compared yet.
    Arrived,
    /// All of it is here, and is what the agent wrote.
    Complete {
        /// Its digest, by our own reckoning.
        sha256: String,
    },
    /// All of it is here, and we have put stars in the place of secrets that its agent had let pass: its digest is not
    /// the agent's, and cannot be compared with it.
    Hidden {
        /// The digest of what is here.
        sha256: String,
        /// How many bytes are stars of ours.
        bytes: u64,
    },
    /// Its end never arrived.
    Short {
        /// How many bytes.
        bytes: u64,
        /// How many lines, about.
        lines: u64,
    },
    /// Its agent could not keep all of it, because the pod's disk failed or was full. The log says where.
    Lost {
        /// How many bytes.
        bytes: u64,
    },
    /// We did not take its end: it was longer than it may be, and its agent did not mind.
    Refused {
        /// How many bytes, if the agent has told the end.
        bytes: Option<u64>,
    },
    /// It was here, and is not any more, or is not the same: our fault.
    Damaged {
        /// Where, as far as we know.
        holes: Vec<[u64; 2]>,
    },
    /// The agent is lost: nobody knows what it wrote besides.
    Unknown,
}

impl Whole {
    /// What is known of a job's log.
    pub fn of(job: &JobRow) -> Self {
        let seal = job.record.as_ref().map(|record| &record.log);
        Self {
            state: State::of(job, seal),
            lines: job.log_lines().cast_unsigned(),
            bytes: job.log_length.cast_unsigned(),
            left_out: seal.and_then(|seal| seal.left_out),
            limit: job.log_limit.map(i64::cast_unsigned),
        }
    }

    /// Whether people who follow the log must hear of it, because no line will tell them.
    pub const fn is_withheld(&self) -> bool {
        matches!(self.state, State::Growing { held: Held { bytes: 1.., .. } } | State::Refused { .. })
    }

    /// The digest of all that is here and is what was written, or stands in its place.
    pub fn sha256(&self) -> Option<&str> {
        match &self.state {
            State::Complete { sha256 } | State::Hidden { sha256, .. } => Some(sha256),
            State::Nothing
            | State::Growing { .. }
            | State::Arrived
            | State::Short { .. }
            | State::Lost { .. }
            | State::Refused { .. }
            | State::Damaged { .. }
            | State::Unknown => None,
        }
    }

    /// What readers of the text itself must be told at its end, because the text is known to end too early.
    pub fn notice(&self) -> Option<String> {
        match self.state {
            State::Short { .. } | State::Refused { .. } => Some(format!("[containerops: {self}]")),
            State::Nothing
            | State::Growing { .. }
            | State::Arrived
            | State::Complete { .. }
            | State::Hidden { .. }
            | State::Lost { .. }
            | State::Damaged { .. }
            | State::Unknown => None,
        }
    }
}

impl State {
    fn of(job: &JobRow, seal: Option<&LogSeal>) -> Self {
        let length = job.log_length.cast_unsigned();
        match (&job.state.0, seal) {
            (JobState::Waiting, _) => Self::Nothing,
            (JobState::Running, _) if job.log_over > 0 => Self::Refused { bytes: None },
            (JobState::Running, _) => Self::Growing { held: job.log_held.as_deref().copied().unwrap_or_default() },
            (JobState::Ended(_), None) if job.started.is_none() => Self::Nothing,
            (JobState::Ended(_), seal) => match job.log_check.as_deref() {
                Some(Check { holes, .. }) if !holes.is_empty() => Self::Damaged { holes: holes.clone() },
                check => Self::of_end(job, length, seal, check),
            },
        }
    }

    fn of_end(job: &JobRow, length: u64, seal: Option<&LogSeal>, check: Option<&Check>) -> Self {
        if job.log_over > 0 {
            return Self::Refused { bytes: seal.map(|seal| seal.length.saturating_sub(length)) };
        }
        let Some(seal) = seal else { return Self::Unknown };
        if seal.length > length {
            let lines = seal.lines.saturating_sub(job.log_lines().cast_unsigned());
            return Self::Short { bytes: seal.length - length, lines };
        }
        let sha256 = match check {
            Some(check) => check.sha256.clone(),
            None if length == 0 => hex::encode(Sha256::digest(b"")),
            None => return Self::Arrived,
        };
        let hidden = job.log_hidden.cast_unsigned();
        match seal.lost {
            0 if hidden > 0 && seal.length == length => Self::Hidden { sha256, bytes: hidden },
            _ if seal.length != length || sha256 != seal.sha256 => Self::Damaged { holes: Vec::new() },
            0 => Self::Complete { sha256 },
            bytes => Self::Lost { bytes },
        }
    }

    /// One word for programs.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Growing { .. } => "growing",
            Self::Arrived => "arrived",
            Self::Complete { .. } => "complete",
            Self::Hidden { .. } => "redacted",
            Self::Short { .. } | Self::Lost { .. } => "incomplete",
            Self::Refused { .. } => "over_limit",
            Self::Damaged { .. } => "damaged",
            Self::Unknown => "unknown",
        }
    }
}

/// In ASCII alone, so that it can stand in an HTTP header.
impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lines, bytes) = (Counted(self.lines, "line"), Counted(self.bytes, "byte"));
        match &self.state {
            State::Nothing => f.write_str("there is no log: the job was not started"),
            State::Growing { held } => {
                write!(f, "{lines} so far")?;
                self.held(f, *held)
            }
            State::Arrived => write!(f, "arrived, not verified yet: {lines}, {bytes}"),
            State::Complete { sha256 } if self.left_out.is_some() => {
                write!(f, "complete but for its middle, {lines}, sha256 {sha256}, {bytes}")
            }
            State::Complete { sha256 } => write!(f, "complete, {lines}, sha256 {sha256}, {bytes}"),
            State::Hidden { sha256, bytes: hidden } => {
                let hidden = Counted(*hidden, "byte");
                write!(
                    f,
                    "complete, {lines}, {bytes}; {hidden} of secrets that the agent had let pass are stars, so that "
                )?;
                write!(f, "its digest cannot be compared: sha256 {sha256} is that of what is kept")
            }
            State::Short { bytes: 1, .. } => write!(f, "the last byte never arrived; {lines} did"),
            State::Short { bytes, lines: 0 } => {
                write!(f, "the last {} never arrived; {lines} did", Counted(*bytes, "byte"))
            }
            State::Short { bytes, lines: short } => {
                let (bytes, short) = (Counted(*bytes, "byte"), Counted(*short, "line"));
                write!(f, "the last {bytes} (about {short}) never arrived; {lines} did")
            }
            State::Lost { bytes: lost } => {
                let lost = Counted(*lost, "byte");
                write!(f, "{lost} of it are lost, because the pod's disk had no room for them; {lines}, {bytes}")
            }
            State::Refused { bytes } => self.refused(f, *bytes),
            State::Damaged { holes } if holes.is_empty() => {
                write!(f, "the stored log does not match its digest: our fault; {lines}, {bytes}")
            }
            State::Damaged { holes } => {
                let all: Vec<String> = holes.iter().map(|[from, to]| missing(&(*from..*to))).collect();
                write!(f, "{}: our fault; {lines}, {bytes}", all.join(", "))
            }
            State::Unknown => write!(f, "no end record, so nobody knows whether lines are missing; {lines} arrived"),
        }?;
        match self.left_out {
            Some(left_out) => self.left_out(f, left_out),
            None => Ok(()),
        }
    }
}

impl Whole {
    fn held(&self, f: &mut fmt::Formatter<'_>, held: Held) -> fmt::Result {
        if held.bytes == 0 {
            return Ok(());
        }
        let (lines, size) = (Counted(held.lines, "line"), Size(held.bytes));
        write!(f, "; {lines} ({size}) more are held back in the pod: ")?;
        let limit = self.limit.map_or_else(|| "its limit".to_owned(), |limit| format!("its limit of {}", Size(limit)));
        write!(f, "the end of them will come when the job has ended, and what is over {limit} is left out")
    }

    fn refused(&self, f: &mut fmt::Formatter<'_>, bytes: Option<u64>) -> fmt::Result {
        let (here, lines) = (Counted(self.bytes, "byte"), Counted(self.lines, "line"));
        write!(f, "the log is over its limit, and its agent went on: the first {here} ({lines}) are kept, ")?;
        match bytes {
            Some(bytes) => write!(f, "{} after them are not", Counted(bytes, "byte")),
            None => f.write_str("what comes after them is not"),
        }
    }

    fn left_out(&self, f: &mut fmt::Formatter<'_>, left_out: LeftOut) -> fmt::Result {
        let LeftOut { line, bytes, lines } = left_out;
        let total = self.bytes.saturating_add(bytes);
        let (lines, bytes, line) = (Counted(lines, "line"), Size(bytes), Grouped(line));
        write!(
            f,
            "; {lines} ({bytes} of {}) were left out at line {line}, because the log is over its limit",
            Size(total)
        )
    }
}
