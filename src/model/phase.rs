//! What a stretch of time went into. Pure: spans that may overlap, touch or be upside down → phases that follow each
//! other without a gap.

use serde::{Deserialize, Serialize};

use super::Time;

/// What time goes into. Where several things go on at once, the one that comes later here counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub enum PhaseKind {
    /// A person is asked.
    Approval,
    /// It is wanted, and nobody has taken it yet.
    Queue,
    /// It looks for a machine that has room.
    Schedule,
    /// It is there, and it is not its turn.
    Wait,
    /// Containers are made, the agent is brought, a service gets ready.
    Init,
    /// Images are fetched.
    Pull,
    /// What a job leaves is kept: its log, and whatever has no kind of its own.
    Keep,
    /// Reports of its tests are read.
    Report,
    /// Its artifacts are kept.
    Upload,
    /// Caches are kept.
    Save,
    /// What a job needs is brought: whatever has no kind of its own.
    Fetch,
    /// The commit's files are brought.
    Source,
    /// Caches are restored.
    Restore,
    /// Artifacts of other jobs are brought.
    Download,
    /// A job's own process runs.
    Run,
}

impl PhaseKind {
    /// All of them, in the order in which they come.
    pub const ALL: [Self; 15] = [
        Self::Queue,
        Self::Approval,
        Self::Schedule,
        Self::Pull,
        Self::Init,
        Self::Wait,
        Self::Fetch,
        Self::Source,
        Self::Restore,
        Self::Download,
        Self::Run,
        Self::Keep,
        Self::Report,
        Self::Upload,
        Self::Save,
    ];

    /// A word for it, which is also the name of its style.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Queue => "queue",
            Self::Schedule => "schedule",
            Self::Wait => "wait",
            Self::Init => "init",
            Self::Pull => "pull",
            Self::Keep => "keep",
            Self::Report => "report",
            Self::Upload => "upload",
            Self::Save => "save",
            Self::Fetch => "fetch",
            Self::Source => "source",
            Self::Restore => "restore",
            Self::Download => "download",
            Self::Run => "run",
        }
    }
}

/// A stretch of time that went into one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Into what.
    pub kind: PhaseKind,
    /// Its first moment.
    pub started: Time,
    /// The moment after its last.
    pub ended: Time,
}

impl Phase {
    /// A phase of this kind.
    pub const fn new(kind: PhaseKind, started: Time, ended: Time) -> Self {
        Self { kind, started, ended }
    }

    /// How long it is.
    pub fn span(&self) -> std::time::Duration {
        self.ended.since(self.started)
    }
}

/// What the time between two moments went into: phases in their order, which follow each other without a gap and add up
/// to the whole. What is known may overlap; where nothing is known, it went into `otherwise`.
pub fn partition(from: Time, to: Time, otherwise: PhaseKind, known: &[Phase]) -> Vec<Phase> {
    let inside = known.iter().map(|phase| (phase.kind, phase.started.max(from), phase.ended.min(to)));
    let mut turns: Vec<(Time, PhaseKind, i32)> = inside
        .filter(|(_, started, ended)| started < ended)
        .flat_map(|(kind, started, ended)| [(started, kind, 1), (ended, kind, -1)])
        .collect();
    turns.sort_unstable();
    let mut under_way = [0; PhaseKind::ALL.len()];
    let (mut phases, mut at) = (Vec::new(), from);
    for (moment, kind, change) in turns {
        push(&mut phases, Phase::new(foremost(&under_way).unwrap_or(otherwise), at, moment));
        at = moment;
        under_way[kind as usize] += change;
    }
    push(&mut phases, Phase::new(otherwise, at, to));
    phases
}

/// The kind that counts of those that go on.
fn foremost(under_way: &[i32; PhaseKind::ALL.len()]) -> Option<PhaseKind> {
    PhaseKind::ALL.into_iter().filter(|kind| under_way[*kind as usize] > 0).max()
}

fn push(phases: &mut Vec<Phase>, next: Phase) {
    match phases.last_mut() {
        _ if next.started >= next.ended => {}
        Some(last) if last.kind == next.kind => last.ended = next.ended,
        Some(_) | None => phases.push(next),
    }
}

/// A stretch of time that another clock has measured, at the place nearest to it between two of our moments: as long as
/// it was, if it fits.
pub fn fitted((started, ended): (Time, Time), lowest: Time, highest: Time) -> (Time, Time) {
    let length = ended.since(started).min(highest.since(lowest));
    let latest = highest.before(length).max(lowest);
    let started = started.clamp(lowest.min(latest), latest);
    (started, started.after(length))
}
