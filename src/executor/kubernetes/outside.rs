//! What the cluster did to a pod: evictions, preemptions, lost nodes, deletions. But for a pod that wrote more than it
//! may, none of it is the author's doing.

use k8s_openapi::api::core::v1::Pod;

use super::{
    heard::Taker,
    observation::{Seen, all_terminated, any_runs, condition, phase, statuses, terminated, time, words},
    pod::WORKSPACE_VOLUME,
};
use crate::{executor::Outside, model::Infrastructure};

/// What ended the pod, or is about to, in the cluster's own words. Nothing, if its containers all ended well by
/// themselves: a graceful finish wins over whatever came at the same time.
pub(super) fn ended_by(seen: &Seen<'_>) -> Option<Outside> {
    if ended_well(seen.pod) {
        return None;
    }
    by_reason(seen.pod).or_else(|| by_disruption(seen.pod)).or_else(|| by_deletion(seen))
}

fn ended_well(pod: &Pod) -> bool {
    let exits_well = |status| terminated(status).is_some_and(|terminated| terminated.exit_code == 0);
    phase(pod) == "Succeeded" || (all_terminated(pod) && statuses(pod).all(exits_well))
}

/// By the reason on the pod itself, which the kubelet and the node controller write.
fn by_reason(pod: &Pod) -> Option<Outside> {
    let status = pod.status.as_ref()?;
    let reason = status.reason.as_deref()?;
    let message = status.message.as_deref().unwrap_or_default();
    let kind = match reason {
        "Evicted" => return Some(evicted(reason, message)),
        "Preempting" => Infrastructure::Preempted,
        "NodeLost" | "NodeShutdown" | "Shutdown" | "Terminated" => Infrastructure::NodeLost,
        // The agent enforces the time limits: whoever is still there at the pod's own deadline does not answer.
        "DeadlineExceeded" => Infrastructure::AgentLost,
        "NodeAffinity" | "NodeName" | "NodePorts" => Infrastructure::Unschedulable,
        _ if reason.starts_with("OutOf") => Infrastructure::Unschedulable,
        _ => Infrastructure::Executor,
    };
    Some(Outside::Infrastructure(kind, said(reason, message)))
}

/// The kubelet evicts pods that wrote more than they may, and any pod when its node has no room left.
fn evicted(reason: &str, message: &str) -> Outside {
    let workspace = format!("EmptyDir volume \"{WORKSPACE_VOLUME}\"");
    let over_own_limit = ["ephemeral storage limit", "exceeds the total limit of containers", workspace.as_str()];
    let memory = ["low on resource: memory", "MemoryPressure"];
    let disk = ["low on resource: ephemeral-storage", "low on resource: inodes", "fs.available", "DiskPressure"];
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    match message {
        _ if says(&over_own_limit) => Outside::OutOfDisk(words(message)),
        _ if says(&memory) => Outside::Infrastructure(Infrastructure::NodeMemory, said(reason, message)),
        _ if says(&disk) => Outside::Infrastructure(Infrastructure::NodeDisk, said(reason, message)),
        _ => Outside::Infrastructure(Infrastructure::Evicted, said(reason, message)),
    }
}

/// By the condition that newer clusters set before they end a pod.
fn by_disruption(pod: &Pod) -> Option<Outside> {
    let disruption = condition(pod, "DisruptionTarget").filter(|condition| condition.status == "True")?;
    let reason = disruption.reason.as_deref().unwrap_or_default();
    let message = disruption.message.as_deref().unwrap_or_default();
    let kind = match reason {
        "PreemptionByScheduler" => Infrastructure::Preempted,
        "DeletionByTaintManager" | "DeletionByPodGC" => Infrastructure::NodeLost,
        _ => return Some(evicted(reason, message)),
    };
    Some(Outside::Infrastructure(kind, said(reason, message)))
}

/// By a deletion: our finalizer holds the pod, so that it is seen. A container that still "runs" long after its last
/// moment is on a node that does not answer.
fn by_deletion(seen: &Seen<'_>) -> Option<Outside> {
    let last_moment = time(seen.pod.metadata.deletion_timestamp.as_ref()?);
    let node = seen.pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
    let is_silent = any_runs(seen.pod) && seen.now.since(last_moment) > seen.patience.silence;
    let (kind, message) = match (seen.heard.taken(), is_silent) {
        (Some((Taker::Scheduler, said)), _) => (Infrastructure::Preempted, said.to_owned()),
        (Some((Taker::NodeController, said)), true) => {
            (Infrastructure::NodeLost, format!("node {node} does not answer, and the cluster has given it up: {said}"))
        }
        (Some((Taker::NodeController, said)), false) => (Infrastructure::Evicted, format!("from node {node}: {said}")),
        (None, true) => {
            (Infrastructure::NodeLost, format!("the pod was deleted, and node {node} does not say that it ended"))
        }
        (None, false) => (Infrastructure::Deleted, "the pod was deleted, but not by ContainerOps".to_owned()),
    };
    Some(Outside::Infrastructure(kind, message))
}

fn said(reason: &str, message: &str) -> String {
    match message.trim() {
        "" => reason.to_owned(),
        message => words(&format!("{reason}: {message}")),
    }
}
