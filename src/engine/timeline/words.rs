//! Where the time went, in one sentence.

use std::{fmt, time::Duration};

use super::{PullTimes, Timeline};
use crate::model::{Phase, PhaseKind, Size, Span, Time};

/// What is shorter than this part of the whole is not worth a word,
const PART: u32 = 50;
/// unless it is longer than this.
const LONG: Duration = Duration::from_secs(10);

/// How long each kind of phase took in all, in the order in which they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary(pub Vec<(PhaseKind, Duration)>);

impl Summary {
    /// Of these phases.
    pub fn of(phases: &[Phase]) -> Self {
        let sum = |kind: PhaseKind| phases.iter().filter(|phase| phase.kind == kind).map(Phase::span).sum();
        let all = PhaseKind::ALL.into_iter().map(|kind| (kind, sum(kind)));
        Self(all.filter(|(_, span): &(_, Duration)| !span.is_zero()).collect())
    }

    /// All of it.
    pub fn total(&self) -> Duration {
        self.0.iter().map(|(_, span)| *span).sum()
    }
}

/// `waited 12 s for a node, pulled images for 34 s, ran 2 min 0 s`: what is worth a word.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        let counts = |span: Duration| span * PART >= total || span >= LONG;
        let mut between = "";
        for (kind, span) in self.0.iter().filter(|(_, span)| counts(*span)) {
            let span = Span(*span);
            f.write_str(between)?;
            match kind {
                PhaseKind::Queue => write!(f, "waited {span} in the queue"),
                PhaseKind::Approval => write!(f, "waited {span} for an approval"),
                PhaseKind::Schedule => write!(f, "waited {span} for a node"),
                PhaseKind::Pull => write!(f, "pulled images for {span}"),
                PhaseKind::Init => write!(f, "got ready for {span}"),
                PhaseKind::Wait => write!(f, "waited {span} for its turn"),
                PhaseKind::Fetch => write!(f, "fetched files for {span}"),
                PhaseKind::Source => write!(f, "fetched the source for {span}"),
                PhaseKind::Restore => write!(f, "restored caches for {span}"),
                PhaseKind::Download => write!(f, "downloaded artifacts for {span}"),
                PhaseKind::Run => write!(f, "ran {span}"),
                PhaseKind::Keep => write!(f, "stored results for {span}"),
                PhaseKind::Report => write!(f, "read test reports for {span}"),
                PhaseKind::Upload => write!(f, "uploaded artifacts for {span}"),
                PhaseKind::Save => write!(f, "saved caches for {span}"),
            }?;
            between = ", ";
        }
        Ok(())
    }
}

/// Where the time of an attempt went; empty if it took none.
pub fn words(phases: &[Phase]) -> String {
    Summary::of(phases).to_string()
}

/// What an attempt that goes on does now, and for how long: the more so the longer it takes. `reason` is what its
/// executor says. `None`: it has ended.
pub fn now_words(timeline: &Timeline, reason: &str, now: Time) -> Option<String> {
    let last = timeline.phases.last().filter(|_| timeline.open)?;
    let span = Span(last.span());
    let pulling = timeline.pulls.iter().find(|pull| pull.ended.is_none());
    let said = match (last.kind, pulling) {
        (PhaseKind::Pull, Some(pull)) => pulling_words(pull, now),
        (PhaseKind::Queue, _) => format!("not placed for {span}"),
        (PhaseKind::Approval, _) => format!("waiting for an approval for {span}"),
        (PhaseKind::Schedule, _) => format!("waiting for a node for {span}"),
        (PhaseKind::Pull, None) => format!("pulling images for {span}"),
        (PhaseKind::Init, _) => format!("starting containers for {span}"),
        (PhaseKind::Wait, _) => format!("waiting for its turn for {span}"),
        (PhaseKind::Fetch, _) => format!("fetching files for {span}"),
        (PhaseKind::Source, _) => format!("fetching the source for {span}"),
        (PhaseKind::Restore, _) => format!("restoring caches for {span}"),
        (PhaseKind::Download, _) => format!("downloading artifacts for {span}"),
        (PhaseKind::Run, _) => format!("running for {span}"),
        (PhaseKind::Keep, _) => format!("storing results for {span}"),
        (PhaseKind::Report, _) => format!("reading test reports for {span}"),
        (PhaseKind::Upload, _) => format!("uploading artifacts for {span}"),
        (PhaseKind::Save, _) => format!("saving caches for {span}"),
    };
    let is_said = last.kind == PhaseKind::Pull && reason.starts_with("pulling image");
    let adds = last.kind < PhaseKind::Keep && !reason.is_empty() && !is_said;
    Some(if adds { format!("{said}: {reason}") } else { said })
}

fn pulling_words(pull: &PullTimes, now: Time) -> String {
    let size = pull.bytes.map_or_else(String::new, |bytes| format!(" ({})", Size(bytes)));
    format!("pulling {}{size} for {}", plain_image(&pull.image), Span(now.since(pull.started)))
}

/// An image as people call it: without the default registry, and with its digest only if it has no tag.
pub fn plain_image(image: &str) -> String {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    let has_tag = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    match digest.filter(|_| !has_tag) {
        Some(digest) => format!("{name}@{}", digest.chars().take(19).collect::<String>()),
        None => name.to_owned(),
    }
}
