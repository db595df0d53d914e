//! `/agent/v1`: what agent and server say to each other. Every call may be repeated.
//!
//! | call | says | hears |
//! | --- | --- | --- |
//! | `POST claim` | [`ClaimRequest`], with the job's token | [`ClaimAnswer`]; a long poll |
//! | `PUT log?offset=N` | a [`Chunk`] | [`LogAnswer`]; 409 if the server has less than N bytes |
//! | `POST outputs` | [`Outputs`] | 204 |
//! | `POST heartbeat` | nothing, or [`Heartbeat`] | [`HeartbeatAnswer`]; a long poll |
//! | `POST ready` | nothing; of a service | 204 |
//! | `POST end` | [`EndRecord`] | 204 |
//! | `POST events/{name}?job=…&token=…` | an event of the original's; from the job itself, by its `CO_*` variables | 204 |
//! | `GET blobs/{digest}` | | the bytes: `tar` in `zstd`, or a part of a bundle |
//! | `PUT blobs/{digest}` | a part of a [`Bundle`] | 204 |
//! | `POST caches` | [`CacheRequest`] | [`CacheAnswer`] |
//! | `GET caches/{name}` | | [`CacheWish`] |
//! | `POST caches/kept` | [`NewCache`], whose parts are there | 204 |
//! | `POST artifacts` | [`NewArtifact`], whose parts are there | 204 |
//! | `POST reports` | [`NewReports`], whose parts are there | [`ReportsAnswer`] |
//! | `GET refused` | | `true`: by an event of its own the job has said that it failed, whatever its exit code says |
//!
//! The first claim carries a session secret of the agent's own making. From then on the job's token is worth nothing
//! without it: all other calls, and repeated claims, are good for this session alone. 401 ends an agent: it was
//! replaced. One whose attempt was given up meanwhile is told to cancel: it kills its job, and what it still has to say
//! of the log and the end is kept with that attempt and decides nothing any more.
//!
//! # Versions
//! A server speaks with the agents of its own release and of older ones: every version from [`OLDEST`] to [`VERSION`].
//! - What is added is a field that the other side may not know: both ignore unknown fields, and a field that an older
//!   agent does not send has a default.
//! - Whatever else changes, such as a new answer or another meaning, makes a new [`VERSION`], and the server goes on
//!   answering older agents as they know it.
//! - [`OLDEST`] moves when no pod of that release can live any more.
//! - What an older agent would silently leave out is not given to it: [`Work::needs`] says which version does all of a
//!   job's work, and the attempt of an older one ends with words that say so.
//!
//! Version 2 brings artifacts and caches, and shells other than `/bin/sh`; version 3 secrets, and what is said before the
//! start; version 4 reports of tests.
//!
//! `fixtures/agent/v1` holds a conversation as the first release has it; a test replays it against this server.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

pub use super::bundle::{Bundle, Entry, EntryKind, PART_LENGTH, PART_SIZE_MAX, Part};
use crate::model::{JobId, KeepOn, Ready, Time};

/// The protocol's version: an agent says it in its claim.
pub const VERSION: u32 = 4;
/// The first version whose agents know artifacts, caches, services and shells.
const SECOND: u32 = 2;
/// The first version whose agents hide secrets in all their forms.
const THIRD: u32 = 3;
/// The first version whose agents bring reports of tests.
const FOURTH: u32 = 4;
/// The oldest version that a server still speaks. A server that takes over meets the pods of the releases before it,
/// and jobs may last for days.
pub const OLDEST: u32 = 1;
/// Who stops a service when all is done: no failure of it.
pub const JOBS_ENDED: &str = "the end of the action's jobs";
/// How long the server keeps a claim or a heartbeat that has no news.
pub const LONG_POLL: Duration = Duration::from_secs(20);
/// The most text in one chunk, in bytes.
pub const CHUNK_TEXT_MAX: usize = 1 << 20;
/// The most bytes of a log, unless the server says otherwise. Of a longer one the first and the last half of it are kept.
pub const LOG_LIMIT: u64 = 200_000_000;
/// The most bytes in one output's value.
pub const OUTPUT_VALUE_MAX: usize = 1 << 20;
/// The most bytes in all of a job's outputs.
pub const OUTPUTS_MAX: usize = 8 << 20;
/// A cache's key if there are no key files: the SHA-256 of nothing.
pub const NO_KEY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// The most files, directories and links in one artifact.
pub const ARTIFACT_ENTRIES_MAX: u64 = 100_000;
/// The most files with reports of one job.
pub const REPORT_FILES_MAX: usize = 1000;
/// The most bytes of one of them.
pub const REPORT_MAX: u64 = 16 << 20;
/// The most bytes of all of them.
pub const REPORTS_MAX: u64 = 64 << 20;
/// The same as a tar, in which each has a name and is rounded up.
pub const REPORTS_TAR_MAX: u64 = REPORTS_MAX + (REPORT_FILES_MAX as u64) * (16 << 10);
/// The most that an agent notes of the files.
pub const REPORT_NOTES_MAX: usize = 20;

/// Whether a server speaks this version.
pub const fn is_spoken(version: u32) -> bool {
    OLDEST <= version && version <= VERSION
}

/// `POST claim`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// [`VERSION`].
    pub protocol: u32,
    /// The agent's own release, for logs.
    pub version: String,
    /// 64 hexadecimal digits, made by the agent at its start and kept in its memory alone.
    pub session: String,
}

/// What an agent is told to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum ClaimAnswer {
    /// Its turn has not come: ask again at once.
    Wait,
    /// Go.
    Run(Box<Work>),
    /// Its turn will not come: exit with code 0.
    Leave {
        /// Why.
        reason: String,
    },
}

/// One job, with all it needs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Which.
    pub job: JobId,
    /// What to start.
    pub start: Start,
    /// The job's variables, over the image's own. The agent adds `CO_WORKSPACE` and `CO_OUTPUT`.
    pub environments: BTreeMap<String, String>,
    /// The snapshot to unpack into the workspace before the start: its digest. Only the first job of an action has it.
    pub source: Option<String>,
    /// Its time limit, counted from the process's start.
    pub timeout: Duration,
    /// The keys that are kept of its outputs. `CO_RESULT` is always looked for.
    pub outputs: Vec<String>,
    /// Texts that must not leave the pod.
    pub masks: Vec<String>,
    /// Secrets of the job, each in its environment, too: they must not leave the pod in any of their forms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// What the server has to say in the log before the job starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The most bytes of the log that are kept, not counting a line that says what was left out. A server that does not
    /// say means [`LOG_LIMIT`].
    #[serde(default = "log_limit")]
    pub log_limit: u64,
    /// Who reads a [`Start::Script`]: a program and its arguments, to which the script's file is added. Empty, as from a
    /// server that does not say: `/bin/sh -e`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
    /// Artifacts of other jobs, to be put into the workspace before the start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub downloads: Vec<Download>,
    /// What is kept of the workspace after the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Upload>,
    /// Patterns of paths in the workspace: reports of tests in JUnit's XML.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<String>,
    /// The most bytes of an artifact, as a tar.
    #[serde(default)]
    pub artifact_limit: u64,
    /// What the action finds again of earlier runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<Cached>,
    /// The most bytes of a cache, as a tar.
    #[serde(default)]
    pub cache_limit: u64,
    /// Whether an end without a `CO_RESULT` is a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// Of a service: when it counts as ready. It is a job without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
}

/// There are secrets in it, so it is not shown.
impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("job", &self.job).finish_non_exhaustive()
    }
}

impl Work {
    /// The oldest version whose agents do all of it.
    pub const fn needs(&self) -> u32 {
        let has_bundles = !self.downloads.is_empty() || !self.artifacts.is_empty() || !self.caches.is_empty();
        let has_second = has_bundles || !self.shell.is_empty() || self.ready.is_some();
        match (self.reports.is_empty(), self.secrets.is_empty(), has_second) {
            (false, _, _) => FOURTH,
            (true, false, _) => THIRD,
            (true, true, true) => SECOND,
            (true, true, false) => OLDEST,
        }
    }
}

/// A cache of the job's action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cached {
    /// Its name.
    pub name: String,
    /// Patterns of the files whose bytes make its key.
    pub key_files: Vec<String>,
    /// In the workspace; or elsewhere, if they begin with `/` or `~/`.
    pub paths: Vec<String>,
    /// The job is the first of the action that runs: it makes the key, and restores what lies in the workspace.
    pub is_first: bool,
    /// The job may be the last of the action that runs: it keeps the cache. If another one runs after it, that one's
    /// counts.
    pub is_last: bool,
}

/// `POST caches`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheRequest {
    /// Which.
    pub name: String,
    /// 64 hexadecimal digits; none: the one that the action's first job had.
    pub key: Option<String>,
}

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheAnswer {
    /// `None`: nothing.
    pub hit: Option<Hit>,
}

/// `GET caches/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheWish {
    /// Whether it should be kept.
    pub keep: bool,
    /// Why not, for the log.
    pub why: String,
}

/// A cache that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// How, for the log.
    pub words: String,
    /// It.
    pub bundle: Bundle,
}

/// `POST caches/kept`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCache {
    /// Which.
    pub name: String,
    /// It. Its parts were put by this job.
    pub bundle: Bundle,
    /// Files, directories and links in it.
    pub files: u64,
}

/// An artifact of another job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// Its name.
    pub name: String,
    /// Whose: `stage.action.job`, for the log.
    pub from: String,
    /// Where to, from the workspace; empty: the workspace itself.
    pub to: String,
    /// It.
    pub bundle: Bundle,
}

/// What becomes an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its name.
    pub name: String,
    /// Patterns of paths in the workspace.
    pub paths: Vec<String>,
    /// After which ends.
    pub on: KeepOn,
}

/// `POST artifacts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewArtifact {
    /// Its name.
    pub name: String,
    /// It. Its parts were put by this job.
    pub bundle: Bundle,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// `POST reports`: what a job's tests have written, once, after its process's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewReports {
    /// The files. Its parts were put by this job.
    pub bundle: Bundle,
    /// What is in it: files.
    pub entries: Vec<Entry>,
    /// What is odd: files that were left out, patterns that match nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What they say, in words for the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportsAnswer {
    /// A line each.
    pub words: Vec<String>,
}

const fn log_limit() -> u64 {
    LOG_LIMIT
}

/// What to start, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// A text for `/bin/sh -e` or [`Work::shell`], in the workspace.
    Script(String),
    /// A program and its arguments, in the workspace.
    Command(Vec<String>),
    /// The image's own entrypoint and its arguments, in the image's own working directory.
    Entrypoint(Vec<String>),
}

/// `PUT log`: which of a log's bytes the server has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogAnswer {
    /// All bytes before this offset are durable; send from here.
    pub length: u64,
}

/// Standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// The agent's own words: "unpacking the source", "killed after 20 min".
    Agent,
}

/// A run of bytes of one stream, with the moment they were read: one or more whole lines, or a part of a line. A piece
/// begins a line if the log's byte before it is a newline or there is none; a line longer than a chunk is several
/// pieces. No line holds bytes of two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// How many bytes of the chunk's text.
    pub length: u64,
    /// When they were read.
    pub time: Time,
    /// Where from.
    pub stream: Stream,
}

/// A part of a log: the bytes exactly as the job wrote them (but for masks), and which are whose.
///
/// Written as: length of the index (u32, little endian), the index, the text in zstd. The index is three varints
/// (LEB128) a piece: length, milliseconds since the piece before (zigzag; the first: Unix milliseconds), stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chunk {
    /// In the text's order; their lengths add up to the text's.
    pub pieces: Vec<Piece>,
    /// At most [`CHUNK_TEXT_MAX`] bytes.
    pub text: Vec<u8>,
}

/// A body that is no [`Chunk`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// It ends too early, or a number in it is out of range.
    #[error("the log chunk is damaged: {0}")]
    Damaged(&'static str),
    /// Too much text.
    #[error("a log chunk holds at most {CHUNK_TEXT_MAX} bytes of text")]
    TooLarge,
}

/// `POST outputs`. A key that comes again replaces the older value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Key and value; a value has at most [`OUTPUT_VALUE_MAX`] bytes.
    pub outputs: BTreeMap<String, String>,
}

/// `POST heartbeat`, where there is something to say; else its body is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Heartbeat {
    /// What is held back of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Held>,
}

/// What an agent does not send yet, because the log has filled the first half of its limit: the last of it will be sent
/// when the job has ended, and the rest left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Held {
    /// Bytes.
    pub bytes: u64,
    /// Newlines in them.
    pub lines: u64,
}

/// What a heartbeat hears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum HeartbeatAnswer {
    /// All is well.
    GoOn,
    /// Stop the job: SIGTERM to its process group, SIGKILL ten seconds later.
    Cancel {
        /// Who or what wants it.
        by: String,
    },
}

/// `POST end`, and the pod's termination message: the only evidence that can make a job green.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRecord {
    /// Which job.
    pub job: JobId,
    /// How the process ended.
    pub cause: Cause,
    /// When the process was started; `None` if it never was.
    pub started: Option<Time>,
    /// When it had ended.
    pub ended: Time,
    /// What `CO_RESULT` said: the last one, or the first that was not `true`, which sticks. Cut at 200 characters.
    pub result: Option<String>,
    /// The most memory the container had, in bytes, where the cgroup tells.
    pub memory_peak: Option<u64>,
    /// The container's limit in bytes, where there is one.
    pub memory_limit: Option<u64>,
    /// How many of its processes the kernel killed for memory.
    pub oom_kills: u64,
    /// The whole log.
    pub log: LogSeal,
    /// Of a service: when it was ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Time>,
    /// What the agent did besides. An agent that does not say has done nothing that we know of.
    #[serde(default, skip_serializing_if = "Chores::is_none")]
    pub chores: Chores,
}

/// When an agent did what is not the job's own: each is one stretch of time, by its clock. What is not here it had not to
/// do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Chores {
    /// The commit's files came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Stretch>,
    /// Caches were looked for and restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Stretch>,
    /// Artifacts of other jobs came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download: Option<Stretch>,
    /// Reports of tests were found, sent and read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Stretch>,
    /// Artifacts were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Stretch>,
    /// Caches were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<Stretch>,
}

impl Chores {
    /// Whether there was nothing to do.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch(pub Time, pub Time);

/// How long a log is, and what it says, so that a missing line is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogSeal {
    /// Bytes.
    pub length: u64,
    /// Lines, counting a last one without a newline.
    pub lines: u64,
    /// SHA-256 of the bytes, hexadecimal.
    pub sha256: String,
    /// What the job wrote besides; it is in none of the numbers above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// Bytes that the pod's disk did not take; they are in none of the numbers above, and lines of the log say where.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A part of a log that was over its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct LeftOut {
    /// The line of the log that says so, from 1: what is left out was in its place.
    pub line: u64,
    /// Bytes.
    pub bytes: u64,
    /// Newlines in them.
    pub lines: u64,
}

/// How a job's process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// It exited.
    Exit {
        /// 0 to 255.
        code: i32,
    },
    /// A signal ended it.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// There was never a process.
    CannotStart {
        /// What the system said.
        message: String,
    },
    /// It ended well, but an artifact of it cannot be kept: too large, or a file that cannot be read.
    NotKept {
        /// Which, and why.
        message: String,
    },
    /// We ended it, for it was not ready in time; of a service.
    NotReady {
        /// What was tried, for how long, and what came of it last.
        message: String,
    },
    /// We ended it after its time.
    TimedOut,
    /// We ended it because the server said so.
    Cancelled {
        /// Who or what wanted it.
        by: String,
    },
    /// The container was told to stop from outside, as when its pod is deleted or its node drained, and the job did not
    /// end well in the time that it was given. Not the author's doing.
    Terminated,
    /// We could not prepare it: the snapshot did not come or does not fit on the disk. Not the author's doing.
    NotPrepared {
        /// What went wrong.
        message: String,
    },
}
