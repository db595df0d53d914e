//! A pod as the cluster shows it → what became of the attempt. Pure: the present moment is an argument.
//!
//! A pod's phase may be ahead of its containers' states, a container may end while another still waits, and a kubelet
//! that is gone reports nothing any more. So an attempt has ended only when its containers say so, when something from
//! outside has ended it, or when they have been silent for too long after the phase said so.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::{Container, ContainerStateTerminated, ContainerStatus, Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1,
};

use super::{label, outside, pod::INSTALL, waiting};
use crate::{
    executor::{ContainerEnd, Observation},
    model::{Infrastructure, JobId, Time},
};

/// How long the containers' states may lag behind the pod's: the kubelet's own updates take a second or two.
pub(super) const SETTLE: Duration = Duration::from_secs(30);
/// How much of the cluster's own words is kept, in characters.
const WORDS_MAX: usize = 2000;

/// What became of the attempt whose pod this is.
pub fn observation(pod: &Pod, now: Time) -> Observation {
    if let Some(hopeless) = waiting::cannot_start(pod) {
        return hopeless;
    }
    let infrastructure = outside::ended_by(pod, now);
    if is_over(pod, infrastructure.as_ref(), now) {
        return Observation::Ended { containers: ends(pod), infrastructure };
    }
    waiting::waiting(pod, now).unwrap_or(Observation::Running)
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

fn all_statuses(pod: &Pod) -> &[ContainerStatus] {
    pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default()
}

fn is_over(pod: &Pod, outside: Option<&(Infrastructure, String)>, now: Time) -> bool {
    if all_terminated(pod) {
        return true;
    }
    let phase_is_terminal = matches!(phase(pod), "Succeeded" | "Failed");
    let deleted = pod.metadata.deletion_timestamp.is_some();
    let node_is_lost = matches!(outside, Some((Infrastructure::NodeLost, _)));
    (phase_is_terminal && (outside.is_some() || is_settled(pod, now))) || (deleted && (!any_runs(pod) || node_is_lost))
}

/// Whether the last change of a condition is so long ago that nothing more will come.
fn is_settled(pod: &Pod, now: Time) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let last = conditions.iter().filter_map(|condition| condition.last_transition_time.as_ref()).max();
    let last = last.or(pod.metadata.creation_timestamp.as_ref());
    last.is_none_or(|last| now.since(time(last)) > SETTLE)
}

fn ends(pod: &Pod) -> Vec<ContainerEnd> {
    let ids = pod.metadata.annotations.as_ref().and_then(|all| all.get(label::JOBS)).map_or("", String::as_str);
    let named = jobs(pod).zip(ids.split(',')).filter_map(|(container, id)| Some((&container.name, id.parse().ok()?)));
    named
        .map(|(name, job)| match statuses(pod).find(|status| status.name == *name).and_then(terminated) {
            Some(terminated) => end(job, terminated),
            None => ContainerEnd {
                job,
                exit_code: None,
                oom_killed: false,
                reason: "the cluster does not say how this container ended".to_owned(),
                end_record: None,
            },
        })
        .collect()
}

fn end(job: JobId, terminated: &ContainerStateTerminated) -> ContainerEnd {
    let reason = terminated.reason.as_deref().unwrap_or_default();
    let message = terminated.message.as_deref().unwrap_or_default().trim();
    let is_record = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(message).is_ok();
    let told = if is_record || message.is_empty() { reason.to_owned() } else { format!("{reason}: {message}") };
    ContainerEnd {
        job,
        // The kubelet makes up an exit code for a container whose end it has not seen.
        exit_code: (reason != "ContainerStatusUnknown").then_some(terminated.exit_code),
        oom_killed: reason == "OOMKilled",
        reason: words(&told),
        end_record: is_record.then(|| message.to_owned()),
    }
}
