//! A pod as the cluster shows it, and its events → when what happened to it, by the cluster's clocks. Pure.
//!
//! The cluster tells whole seconds; only when it had a node and how long a pull took is said more exactly.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::observation::{Seen, all_statuses, condition, image_of, job_of, time};
use crate::model::{Moments, Pull, Ran, Time};

/// What the cluster's own clock does not tell apart.
const SECOND: Duration = Duration::from_secs(1);

/// What the pod and its events tell of its moments.
pub fn moments(seen: &Seen<'_>) -> Moments {
    let pod = seen.pod;
    let scheduled = condition(pod, "PodScheduled").filter(|condition| condition.status == "True");
    let scheduled = scheduled.and_then(|condition| condition.last_transition_time.as_ref()).map(time);
    Moments {
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        made: pod.metadata.creation_timestamp.as_ref().map(time),
        scheduled: scheduled
            .map(|at| seen.heard.scheduled().filter(|exact| exact.since(at) < SECOND).unwrap_or(at).max(at)),
        pulls: pulls(seen),
        containers: all_statuses(pod).iter().filter_map(|status| ran(pod, status)).collect(),
    }
}

fn pulls(seen: &Seen<'_>) -> Vec<Pull> {
    let names = seen.pod.spec.iter().flat_map(|spec| &spec.containers).map(|container| container.name.as_str());
    let pull = |name: &str| {
        let (started, ended, bytes) = seen.heard.pulled(name)?;
        let (image, job) = (image_of(seen.pod, name), job_of(seen.pod, name));
        Some(Pull { container: name.to_owned(), job, image, started, ended, bytes })
    };
    names.filter_map(pull).collect()
}

fn ran(pod: &Pod, status: &ContainerStatus) -> Option<Ran> {
    let state = status.state.as_ref()?;
    let (running, terminated) = (state.running.as_ref(), state.terminated.as_ref());
    let started = running.and_then(|running| running.started_at.as_ref());
    let started = started.or(terminated.and_then(|terminated| terminated.started_at.as_ref()));
    // of one that never was, the kubelet says that it began with time itself
    let started = started.map(time).filter(|started| *started > Time::from_millis(0))?;
    let ended = terminated.and_then(|terminated| terminated.finished_at.as_ref()).map(time);
    Some(Ran { container: status.name.clone(), job: job_of(pod, &status.name), started, ended })
}
