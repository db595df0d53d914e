//! What the cluster did to a pod: evictions, preemptions, lost nodes, deletions. None of it is the author's doing.

use k8s_openapi::api::core::v1::Pod;

use super::observation::{SETTLE, all_terminated, any_runs, condition, phase, statuses, terminated, time, words};
use crate::model::{Infrastructure, Time};

/// What ended the pod, or is about to, in the cluster's own words. Nothing, if its containers all ended well by
/// themselves: a graceful finish wins over whatever came at the same time.
pub(super) fn ended_by(pod: &Pod, now: Time) -> Option<(Infrastructure, String)> {
    if ended_well(pod) {
        return None;
    }
    by_reason(pod).or_else(|| by_disruption(pod)).or_else(|| by_deletion(pod, now))
}

fn ended_well(pod: &Pod) -> bool {
    let exits_well = |status| terminated(status).is_some_and(|terminated| terminated.exit_code == 0);
    phase(pod) == "Succeeded" || (all_terminated(pod) && statuses(pod).all(exits_well))
}

/// By the reason on the pod itself, which the kubelet and the node controller write.
fn by_reason(pod: &Pod) -> Option<(Infrastructure, String)> {
    let status = pod.status.as_ref()?;
    let reason = status.reason.as_deref()?;
    let kind = match reason {
        "Evicted" => Infrastructure::Evicted,
        "Preempting" => Infrastructure::Preempted,
        "NodeLost" | "NodeShutdown" | "Shutdown" | "Terminated" => Infrastructure::NodeLost,
        // The agent enforces the time limits: whoever is still there at the pod's own deadline does not answer.
        "DeadlineExceeded" => Infrastructure::AgentLost,
        "NodeAffinity" | "NodeName" | "NodePorts" => Infrastructure::Unschedulable,
        _ if reason.starts_with("OutOf") => Infrastructure::Unschedulable,
        _ => Infrastructure::Executor,
    };
    Some((kind, said(reason, status.message.as_deref())))
}

/// By the condition that newer clusters set before they end a pod.
fn by_disruption(pod: &Pod) -> Option<(Infrastructure, String)> {
    let disruption = condition(pod, "DisruptionTarget").filter(|condition| condition.status == "True")?;
    let reason = disruption.reason.as_deref().unwrap_or_default();
    let kind = match reason {
        "PreemptionByScheduler" => Infrastructure::Preempted,
        "DeletionByTaintManager" | "DeletionByPodGC" => Infrastructure::NodeLost,
        _ => Infrastructure::Evicted,
    };
    Some((kind, said(reason, disruption.message.as_deref())))
}

/// By a deletion: our finalizer holds the pod, so that it is seen. A container that still "runs" long after its last
/// moment is on a node that does not answer.
fn by_deletion(pod: &Pod, now: Time) -> Option<(Infrastructure, String)> {
    let last_moment = time(pod.metadata.deletion_timestamp.as_ref()?);
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
    if any_runs(pod) && now.since(last_moment) > SETTLE {
        return Some((
            Infrastructure::NodeLost,
            format!("the pod was deleted, and node {node} does not say that it ended"),
        ));
    }
    Some((Infrastructure::Deleted, "the pod was deleted, but not by ContainerOps".to_owned()))
}

fn said(reason: &str, message: Option<&str>) -> String {
    match message.map(str::trim).filter(|message| !message.is_empty()) {
        Some(message) => words(&format!("{reason}: {message}")),
        None => reason.to_owned(),
    }
}
