//! A row of the picture: its phases as lines from left to right, one path for each kind.

use std::fmt::Write as _;

use super::axis::place;
use crate::{
    engine::timeline::Summary,
    model::{Phase, PhaseKind, Span, Time},
};

/// All phases of one kind in a row.
pub(super) struct Bar {
    /// The name of its style.
    pub(super) kind: &'static str,
    /// Its path's `d`.
    pub(super) path: String,
    /// What and how long, for those who point at it.
    pub(super) words: String,
}

/// A row's bars.
pub(super) fn bars(phases: &[Phase], from: Time, to: Time) -> Vec<Bar> {
    let bar = |(kind, span): &(PhaseKind, std::time::Duration)| Bar {
        kind: kind.as_str(),
        path: path(phases.iter().filter(|phase| phase.kind == *kind), from, to),
        words: format!("{} {}", word(*kind), Span(*span)),
    };
    Summary::of(phases).0.iter().map(bar).collect()
}

/// Also the shortest is seen.
fn path<'a>(phases: impl Iterator<Item = &'a Phase>, from: Time, to: Time) -> String {
    let mut path = String::new();
    for phase in phases {
        let at = |moment: Time| place(moment.since(from), to.since(from));
        let (started, ended) = (at(phase.started), at(phase.ended));
        // writing to a String cannot fail
        let _ = write!(path, "M{started} 8H{}", ended.max(started + 1));
    }
    path
}

/// The word for a kind, in the legend and in tables.
pub(super) const fn word(kind: PhaseKind) -> &'static str {
    match kind {
        PhaseKind::Approval => "approval",
        PhaseKind::Queue => "queue",
        PhaseKind::Schedule => "schedule",
        PhaseKind::Wait => "wait for turn",
        PhaseKind::Init => "init",
        PhaseKind::Pull => "pull",
        PhaseKind::Keep => "store",
        PhaseKind::Fetch => "fetch",
        PhaseKind::Source => "get source",
        PhaseKind::Restore => "restore caches",
        PhaseKind::Download => "download artifacts",
        PhaseKind::Run => "run",
        PhaseKind::Report => "read reports",
        PhaseKind::Upload => "upload artifacts",
        PhaseKind::Save => "save caches",
    }
}
