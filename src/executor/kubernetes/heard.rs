//! What the cluster has told of a pod and the pod itself does not show (any more).
//!
//! Between two tries at a pull the kubelet says only that it will try again; while it pulls it says nothing; and a
//! scheduler or a node controller that takes a pod away merely deletes it. The events of the pod say what happened. They
//! come in any order, may be missing, and may be forbidden to us: then we know less, and say so.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::{ContainerStatus, Event};

use super::observation::{time, words};
use crate::model::Time;

/// How the kubelet begins to tell of a pull that failed; the image's name and the reason follow.
const PULL_FAILED: &str = "Failed to pull image ";

/// What has been heard of one pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// By the container's name.
    pulls: BTreeMap<String, Pull>,
    /// Why no container can be made: the newest that was said.
    trouble: Option<String>,
    /// When it had a node: the scheduler tells that more exactly than the pod does.
    scheduled: Option<Time>,
    taken: Option<(Taker, String)>,
}

/// What has been heard of the pull of one image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Pull {
    /// What is being pulled, as the kubelet names it.
    going: Option<String>,
    is_done: bool,
    /// Why it failed when it was tried last.
    failed: Option<String>,
    /// When it was tried first, and when it was done.
    asked: Option<Time>,
    came: Option<Time>,
    /// How long the try took that brought it, and how many bytes that were.
    took: Option<Duration>,
    bytes: Option<u64>,
}

/// What took a pod away by deleting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taker {
    /// The scheduler, for a more important pod.
    Scheduler,
    /// The controller of nodes, because the node cannot be reached or is to be empty.
    NodeController,
}

impl Heard {
    /// Takes in what an event says.
    pub fn event(&mut self, event: &Event) {
        let said = event.message.as_deref().unwrap_or_default();
        match event.reason.as_deref().unwrap_or_default() {
            "Scheduled" => self.scheduled = moment(event),
            "Pulling" => self.pull(event).begins(event, said),
            "Pulled" => self.pull(event).ends(event, said),
            "Failed" if said.starts_with(PULL_FAILED) => self.pull(event).failed = Some(reason_of_pull(said)),
            "FailedMount" if is_of_our_secret(event, said) => {}
            "FailedMount" | "FailedAttachVolume" | "FailedCreatePodSandBox" | "NetworkNotReady" => {
                self.trouble = Some(words(said));
            }
            "Preempted" => self.taken = Some((Taker::Scheduler, words(said))),
            "TaintManagerEviction" if !said.starts_with("Cancelling") => {
                self.taken = Some((Taker::NodeController, words(said)));
            }
            _ => {}
        }
    }

    /// Takes in why an image was not pulled, as its container's status says until the kubelet says something else.
    pub(super) fn status(&mut self, status: &ContainerStatus) {
        let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
        let failed = waiting.filter(|waiting| waiting.reason.as_deref() == Some("ErrImagePull"));
        if let Some(said) = failed.and_then(|waiting| waiting.message.as_deref()).filter(|said| !said.is_empty()) {
            self.pulls.entry(status.name.clone()).or_default().failed = Some(words(said));
        }
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Why the container's image did not come when it was tried last.
    pub(super) fn failed_pull(&self, container: &str) -> Option<&str> {
        self.pulls.get(container)?.failed.as_deref()
    }

    /// The image that is being pulled for a container.
    pub(super) fn pulling(&self, container: &str) -> Option<&str> {
        self.pulls.get(container).filter(|pull| !pull.is_done)?.going.as_deref()
    }

    /// When the pod had a node.
    pub(super) fn scheduled(&self) -> Option<Time> {
        self.scheduled
    }

    /// When a container's image was asked for first, when it was there, and its bytes; `None`: nobody pulled it.
    pub(super) fn pulled(&self, container: &str) -> Option<(Time, Option<Time>, Option<u64>)> {
        let pull = self.pulls.get(container)?;
        let asked = pull.asked?;
        let ended = match (pull.took, &pull.failed) {
            // more exact than the moments
            (Some(took), None) => Some(asked.after(took)),
            (Some(_), Some(_)) | (None, _) => pull.came.map(|came| came.max(asked)),
        };
        Some((asked, ended.filter(|_| pull.is_done), pull.bytes))
    }

    /// Why no container can be made. Once an image was asked for, the pod has what it needs.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref().filter(|_| self.pulls.is_empty())
    }

    /// What took the pod away, and its words.
    pub(super) fn taken(&self) -> Option<(Taker, &str)> {
        self.taken.as_ref().map(|(taker, said)| (*taker, said.as_str()))
    }

    fn pull(&mut self, event: &Event) -> &mut Pull {
        let path = event.involved_object.field_path.as_deref().unwrap_or_default();
        let name = path.split_once('{').map_or(path, |(_, rest)| rest.trim_end_matches('}'));
        self.pulls.entry(name.to_owned()).or_default()
    }
}

impl Pull {
    fn begins(&mut self, event: &Event, said: &str) {
        self.going = Some(words(said));
        let first = event.first_timestamp.as_ref().map(time).or_else(|| moment(event));
        self.asked = self.asked.into_iter().chain(first).min();
    }

    fn ends(&mut self, event: &Event, said: &str) {
        self.is_done = true;
        self.came = self.came.or_else(|| moment(event));
        self.took = self.took.or_else(|| took(said));
        self.bytes = self.bytes.or_else(|| bytes(said));
    }
}

/// When something happened (last).
fn moment(event: &Event) -> Option<Time> {
    let exact = event.event_time.as_ref().map(|exact| Time::from_millis(exact.0.as_millisecond()));
    event.last_timestamp.as_ref().map(time).or(exact).or(event.metadata.creation_timestamp.as_ref().map(time))
}

/// `Successfully pulled image "x" in 1.2s (3.4s including waiting). Image size: …` → 3.4 s.
fn took(said: &str) -> Option<Duration> {
    let with_waiting = said.split_once(" including waiting").and_then(|(before, _)| before.rsplit_once('('));
    let text = with_waiting.or_else(|| said.rsplit_once("\" in ")).map(|(_, text)| text)?;
    duration(text.split([' ', ')']).next()?)
}

/// A duration as Go writes it: `1m2.5s`, `350ms`.
fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|digits| *digits > 0)?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |unit| digits + unit);
        let seconds = match &rest[digits..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "µs" | "us" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum = sum.checked_add(Duration::try_from_secs_f64(rest[..digits].parse::<f64>().ok()? * seconds).ok()?)?;
        rest = &rest[unit..];
    }
    Some(sum)
}

/// `… Image size: 2156518 bytes.`
fn bytes(said: &str) -> Option<u64> {
    said.rsplit_once("Image size: ")?.1.split(' ').next()?.parse().ok()
}

/// `Failed to pull image "x": why` → `why`.
fn reason_of_pull(said: &str) -> String {
    let rest = said.trim_start_matches(PULL_FAILED);
    words(rest.split_once("\": ").map_or(rest, |(_, why)| why))
}

/// The Secret is made a moment after its pod, so a node may look for it too early.
fn is_of_our_secret(event: &Event, said: &str) -> bool {
    let pod = event.involved_object.name.as_deref().unwrap_or_default();
    said.contains(&format!("secret \"{pod}\" not found"))
}
