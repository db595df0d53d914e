//! What each container asks of the node, so that the pod asks for its largest job and not for the sum of them.
//!
//! The scheduler adds up the requests of a pod's containers, but our jobs run one after another. So for CPU and for
//! memory, the container that asks for most keeps its request and all others ask for an explicit zero: the pod's sum
//! is its largest job's, and no request is above its own container's limit. The zero must be written down, or the API
//! server would put the limit there. Nothing is lost by it while a job runs: quota, scheduler, evictions and the pod's
//! cgroup all go by the pod's sum, and within the pod only one job is awake. Every container keeps its own limits.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

use crate::model::{Resources, amount, compare};

/// One resource of one container.
#[derive(Debug, Clone)]
struct Share {
    request: String,
    limit: String,
}

/// What the containers of one pod ask for, in the order of `jobs`. What a job does not say comes from `defaults`.
pub(super) fn requirements(jobs: &[&Resources], defaults: &Resources) -> Vec<ResourceRequirements> {
    let cpu = shares(jobs.iter().map(|job| share(&job.cpu, &job.cpu_limit, &defaults.cpu, &defaults.cpu_limit)));
    let memory =
        shares(jobs.iter().map(|job| share(&job.memory, &job.memory_limit, &defaults.memory, &defaults.memory_limit)));
    cpu.into_iter().zip(memory).map(|(cpu, memory)| together(cpu, memory)).collect()
}

/// The requirements of a container that needs next to nothing for a moment.
pub(super) fn small() -> ResourceRequirements {
    let share = |request: &str, limit: &str| Share { request: request.to_owned(), limit: limit.to_owned() };
    together(share("10m", "1"), share("16Mi", "128Mi"))
}

/// The most memory that a container may have, in bytes.
pub(super) fn memory_limit(container: &Container) -> Option<u64> {
    let limit = container.resources.as_ref()?.limits.as_ref()?.get("memory")?;
    Some(amount(&limit.0)).filter(|bytes| *bytes >= 1.0).map(|bytes| bytes as u64)
}

/// Whether one quantity is more than another.
pub(super) fn exceeds(one: &str, other: &str) -> bool {
    compare(one, other).is_gt()
}

fn together(cpu: Share, memory: Share) -> ResourceRequirements {
    let map =
        |cpu, memory| BTreeMap::from([("cpu".to_owned(), Quantity(cpu)), ("memory".to_owned(), Quantity(memory))]);
    ResourceRequirements {
        requests: Some(map(cpu.request, memory.request)),
        limits: Some(map(cpu.limit, memory.limit)),
        ..Default::default()
    }
}

/// A job that asks for more than the default limit, and names no limit of its own, may use what it asked for: the
/// larger of the two is its limit. One that names a limit below the default request asks for no more than its limit.
fn share(
    request: &Option<String>,
    limit: &Option<String>,
    default_request: &Option<String>,
    default_limit: &Option<String>,
) -> Share {
    let zero = || "0".to_owned();
    let request = request.clone().or_else(|| default_request.clone()).unwrap_or_else(zero);
    let limit = limit.clone().unwrap_or_else(|| {
        let default = default_limit.clone().unwrap_or_else(zero);
        if compare(&request, &default).is_gt() { request.clone() } else { default }
    });
    let request = if compare(&request, &limit).is_gt() { limit.clone() } else { request };
    Share { request, limit }
}

/// Leaves the largest request where it is and makes the others zero.
fn shares(all: impl Iterator<Item = Share>) -> Vec<Share> {
    let mut all: Vec<Share> = all.collect();
    let largest = (0..all.len())
        .reduce(|best, place| if compare(&all[place].request, &all[best].request).is_gt() { place } else { best });
    for (place, share) in all.iter_mut().enumerate() {
        if Some(place) != largest {
            "0".clone_into(&mut share.request);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Resources {
        Resources {
            cpu: Some("100m".into()),
            memory: Some("128Mi".into()),
            cpu_limit: Some("4".into()),
            memory_limit: Some("4Gi".into()),
        }
    }

    fn written(jobs: &[Resources]) -> Vec<String> {
        let jobs: Vec<_> = jobs.iter().collect();
        let name = |map: &Option<BTreeMap<String, Quantity>>, key: &str| {
            map.as_ref().and_then(|map| map.get(key)).map(|quantity| quantity.0.clone()).unwrap_or_default()
        };
        requirements(&jobs, &defaults())
            .iter()
            .map(|of| {
                format!(
                    "cpu {}/{} memory {}/{}",
                    name(&of.requests, "cpu"),
                    name(&of.limits, "cpu"),
                    name(&of.requests, "memory"),
                    name(&of.limits, "memory")
                )
            })
            .collect()
    }

    #[test]
    fn the_pod_asks_for_its_largest_job() {
        let small = Resources { cpu: Some("500m".into()), memory: Some("1Gi".into()), ..Resources::default() };
        let large = Resources { cpu: Some("1.5".into()), memory: Some("900Mi".into()), ..Resources::default() };
        assert_eq!(
            written(&[small, large, Resources::default()]),
            ["cpu 0/4 memory 1Gi/4Gi", "cpu 1.5/4 memory 0/4Gi", "cpu 0/4 memory 0/4Gi"]
        );
    }

    #[test]
    fn a_request_is_never_above_its_limit() {
        let much = Resources { memory: Some("8Gi".into()), ..Resources::default() };
        let tight =
            Resources { memory_limit: Some("64Mi".into()), cpu_limit: Some("50m".into()), ..Resources::default() };
        assert_eq!(written(&[much]), ["cpu 100m/4 memory 8Gi/8Gi"]);
        assert_eq!(written(&[tight]), ["cpu 50m/50m memory 64Mi/64Mi"]);
    }
}
