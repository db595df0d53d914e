//! A pod as the cluster shows it → what became of the attempt. Pure: the present moment is an argument.
//!
//! A pod's phase may be ahead of its containers' states, a container may end while another still waits, and a kubelet
//! that is gone reports nothing any more. So an attempt has ended only when its containers say so, when something from
//! outside has ended it, or when they have been silent for too long after the phase said so.

use k8s_openapi::{
    api::core::v1::{Container, ContainerStateTerminated, ContainerStatus, Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1,
};

use super::{heard::Heard, label, outside, patience::Patience, pod::INSTALL, resources, waiting};
use crate::{
    executor::{ContainerEnd, Observation, Outside},
    model::{JobId, Time},
};

/// How much of the cluster's own words is kept, in characters.
const WORDS_MAX: usize = 2000;

/// All that is known of a pod at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// As the cluster shows it.
    pub pod: &'a Pod,
    /// What was heard of it besides.
    pub heard: &'a Heard,
    /// How long its cluster is waited for.
    pub patience: &'a Patience,
    /// The moment.
    pub now: Time,
}

/// What became of the attempt whose pod this is.
pub fn observation(seen: &Seen<'_>) -> Observation {
    if let Some(hopeless) = waiting::cannot_start(seen) {
        return hopeless;
    }
    let outside = outside::ended_by(seen);
    if is_over(seen, outside.as_ref()) {
        return Observation::Ended { containers: ends(seen.pod, Unknown::Told), outside };
    }
    if let Some(waiting) = waiting::waiting(seen) {
        return waiting;
    }
    let containers = ends(seen.pod, Unknown::LeftOut);
    if containers.is_empty() { Observation::Running } else { Observation::PartlyEnded { containers } }
}

/// What is told of a container whose end the cluster does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// That it is not known.
    Told,
    /// Nothing: it may still run.
    LeftOut,
}

/// The states of the jobs' containers, as far as the kubelet has told.
pub(super) fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    all_statuses(pod).iter().filter(|status| status.name != INSTALL)
}

/// The state of the container that installs the agent.
pub(super) fn status_of_agent(pod: &Pod) -> Option<&ContainerStatus> {
    all_statuses(pod).iter().find(|status| status.name == INSTALL)
}

/// The jobs' containers.
pub(super) fn jobs(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| &spec.containers).filter(|container| container.name != INSTALL)
}

/// The job that a container is of.
pub(super) fn job_of(pod: &Pod, container: &str) -> Option<JobId> {
    named(pod).find(|(one, _)| one.name == container).map(|(_, job)| job)
}

/// The image as the placement named it: the status may show another name of it.
pub(super) fn image_of(pod: &Pod, container: &str) -> String {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.filter(|one| one.name == container).find_map(|one| one.image.clone()).unwrap_or_default()
}

/// How a container ended, if it did.
pub(super) fn terminated(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    status.state.as_ref()?.terminated.as_ref()
}

/// Whether a container runs, by the last that was heard of it.
pub(super) fn any_runs(pod: &Pod) -> bool {
    statuses(pod).any(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()))
}

/// Whether every container of the pod has ended.
pub(super) fn all_terminated(pod: &Pod) -> bool {
    let expected = jobs(pod).count();
    let ended = statuses(pod).filter(|status| terminated(status).is_some()).count();
    expected > 0 && ended >= expected
}

/// The pod's phase; empty if nobody has set it.
pub(super) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// The pod's condition of this type.
pub(super) fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == type_)
}

/// Their time as ours.
pub(super) fn time(theirs: &v1::Time) -> Time {
    Time::from_millis(theirs.0.as_millisecond())
}

/// The cluster's own words, on one line and of bounded length.
pub(super) fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(WORDS_MAX).collect()
}

/// The states of all containers, as far as the kubelet has told.
pub(super) fn all_statuses(pod: &Pod) -> &[ContainerStatus] {
    pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default()
}

fn is_over(seen: &Seen<'_>, outside: Option<&Outside>) -> bool {
    let pod = seen.pod;
    if all_terminated(pod) {
        return true;
    }
    let phase_is_terminal = matches!(phase(pod), "Succeeded" | "Failed");
    let deleted = pod.metadata.deletion_timestamp.is_some();
    (phase_is_terminal && (outside.is_some() || is_settled(seen)))
        || (deleted && (!any_runs(pod) || is_past_its_last_moment(seen)))
}

/// Whether a deleted pod should have ended so long ago that nothing more will come.
fn is_past_its_last_moment(seen: &Seen<'_>) -> bool {
    let last_moment = seen.pod.metadata.deletion_timestamp.as_ref();
    last_moment.is_some_and(|last| seen.now.since(time(last)) > seen.patience.silence)
}

/// Whether the last change of a condition is so long ago that nothing more will come.
fn is_settled(seen: &Seen<'_>) -> bool {
    let conditions = seen.pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let last = conditions.iter().filter_map(|condition| condition.last_transition_time.as_ref()).max();
    let last = last.or(seen.pod.metadata.creation_timestamp.as_ref());
    last.is_none_or(|last| seen.now.since(time(last)) > seen.patience.silence)
}

fn ends(pod: &Pod, unknown: Unknown) -> Vec<ContainerEnd> {
    let end_of = |(container, job): (&Container, JobId)| {
        let end = ContainerEnd { memory_limit: resources::memory_limit(container), ..unknown_end(job) };
        match statuses(pod).find(|status| status.name == container.name).and_then(terminated) {
            Some(terminated) => Some(told_end(end, terminated)),
            None => (unknown == Unknown::Told).then_some(end),
        }
    };
    named(pod).filter_map(end_of).collect()
}

/// The jobs' containers with their jobs.
fn named(pod: &Pod) -> impl Iterator<Item = (&Container, JobId)> {
    let ids = pod.metadata.annotations.as_ref().and_then(|all| all.get(label::JOBS)).map_or("", String::as_str);
    jobs(pod).zip(ids.split(',')).filter_map(|(container, id)| Some((container, id.parse().ok()?)))
}

fn unknown_end(job: JobId) -> ContainerEnd {
    ContainerEnd {
        job,
        exit_code: None,
        oom_killed: false,
        memory_limit: None,
        reason: "the cluster does not say how this container ended".to_owned(),
        end_record: None,
    }
}

fn told_end(end: ContainerEnd, terminated: &ContainerStateTerminated) -> ContainerEnd {
    let reason = terminated.reason.as_deref().unwrap_or_default();
    let message = terminated.message.as_deref().unwrap_or_default().trim();
    let is_record = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(message).is_ok();
    let told = if is_record || message.is_empty() { reason.to_owned() } else { format!("{reason}: {message}") };
    ContainerEnd {
        // The kubelet makes up an exit code for a container whose end it has not seen.
        exit_code: (reason != "ContainerStatusUnknown").then_some(terminated.exit_code),
        oom_killed: reason == "OOMKilled",
        reason: words(&told),
        end_record: is_record.then(|| message.to_owned()),
        ..end
    }
}
