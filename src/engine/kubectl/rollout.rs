//! Whether what was applied runs: as `kubectl rollout status` sees it, from the object alone. Pure.

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

/// How far a rollout is, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rollout {
    /// It is there; or nothing has to roll out.
    Done(String),
    /// Not yet.
    Waiting(String),
    /// It will not be.
    Failed(String),
}

/// The state of an object that was applied.
pub(super) fn rollout(object: &Value) -> Rollout {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    let group = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let is_seen = number(object, "/status/observedGeneration") >= number(object, "/metadata/generation");
    match (group, kind) {
        ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet") if !is_seen => {
            Rollout::Waiting("the cluster has not looked at it yet".to_owned())
        }
        ("apps/v1", "Deployment") => deployment(object),
        ("apps/v1", "StatefulSet") => stateful_set(object),
        ("apps/v1", "DaemonSet") => daemon_set(object),
        ("batch/v1", "Job") => job(object),
        _ => Rollout::Done(String::new()),
    }
}

/// The labels of the pods that an object has made, as a list call takes them.
pub(super) fn pods_of(object: &Value) -> Option<String> {
    let labels = object.pointer("/spec/selector/matchLabels")?.as_object()?;
    let pairs = labels.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)));
    let all: Vec<String> = pairs.collect();
    (!all.is_empty()).then(|| all.join(","))
}

/// What keeps pods from running, in the cluster's words: the newest pod's that has a trouble.
pub(super) fn trouble(pods: &[Pod]) -> Option<String> {
    let mut pods: Vec<&Pod> = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
    pods.sort_by(|a, b| b.metadata.creation_timestamp.cmp(&a.metadata.creation_timestamp));
    pods.into_iter().find_map(|pod| {
        let words = of_containers(pod).or_else(|| of_schedule(pod))?;
        Some(format!("pod {}: {words}", pod.metadata.name.as_deref().unwrap_or_default()))
    })
}

fn of_containers(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    all.into_iter().find_map(|container| {
        let state = container.state.as_ref()?;
        let (reason, message) = match (&state.waiting, &state.terminated) {
            (Some(waiting), _) => (waiting.reason.clone(), waiting.message.clone()),
            (None, Some(end)) if end.exit_code != 0 => {
                (end.reason.clone(), Some(format!("exit code {}", end.exit_code)))
            }
            (None, _) => return None,
        };
        let reason = reason.filter(|reason| !matches!(reason.as_str(), "ContainerCreating" | "PodInitializing"))?;
        let message = message.map_or_else(String::new, |message| format!(": {message}"));
        Some(format!("container {}: {reason}{message}", container.name))
    })
}

fn of_schedule(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let refused = conditions.iter().find(|one| one.type_ == "PodScheduled" && one.status == "False")?;
    Some(format!("not scheduled: {}", refused.message.as_deref().unwrap_or_default()))
}

fn deployment(object: &Value) -> Rollout {
    if let Some(message) = condition(object, "Progressing", "False") {
        return Rollout::Failed(message);
    }
    let wanted = number_or(object, "/spec/replicas", 1);
    let (updated, all) = (number(object, "/status/updatedReplicas"), number(object, "/status/replicas"));
    let available = number(object, "/status/availableReplicas");
    if updated < wanted {
        Rollout::Waiting(format!("{updated} of {wanted} new pods are made"))
    } else if all > updated {
        Rollout::Waiting(format!("{} old pods are to end", all - updated))
    } else if available < updated {
        Rollout::Waiting(format!("{available} of {updated} new pods are available"))
    } else {
        Rollout::Done(format!("{available} of {wanted} pods are available"))
    }
}

fn stateful_set(object: &Value) -> Rollout {
    if is_manual(object) {
        return Rollout::Done("its pods change when somebody deletes them (OnDelete)".to_owned());
    }
    let wanted = number_or(object, "/spec/replicas", 1);
    let (ready, updated) = (number(object, "/status/readyReplicas"), number(object, "/status/updatedReplicas"));
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    let meant = (wanted - partition).max(0);
    let is_new = object.pointer("/status/updateRevision") == object.pointer("/status/currentRevision");
    if ready < wanted {
        Rollout::Waiting(format!("{ready} of {wanted} pods are ready"))
    } else if !is_new && updated < meant {
        Rollout::Waiting(format!("{updated} of {meant} pods are new"))
    } else {
        Rollout::Done(format!("{ready} of {wanted} pods are ready"))
    }
}

fn daemon_set(object: &Value) -> Rollout {
    if is_manual(object) {
        return Rollout::Done("its pods change when somebody deletes them (OnDelete)".to_owned());
    }
    let wanted = number(object, "/status/desiredNumberScheduled");
    let (updated, available) =
        (number(object, "/status/updatedNumberScheduled"), number(object, "/status/numberAvailable"));
    if updated < wanted {
        Rollout::Waiting(format!("{updated} of {wanted} nodes have the new pod"))
    } else if available < wanted {
        Rollout::Waiting(format!("{available} of {wanted} new pods are available"))
    } else {
        Rollout::Done(format!("{available} of {wanted} pods are available"))
    }
}

fn job(object: &Value) -> Rollout {
    if let Some(message) = condition(object, "Failed", "True") {
        return Rollout::Failed(message);
    }
    if condition(object, "Complete", "True").is_some() {
        return Rollout::Done("it is complete".to_owned());
    }
    let wanted = number_or(object, "/spec/completions", 1);
    let (done, failed) = (number(object, "/status/succeeded"), number(object, "/status/failed"));
    let failures = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    Rollout::Waiting(format!("{done} of {wanted} pods have succeeded{failures}"))
}

/// What a condition says, if it has this status: its reason and its message.
fn condition(object: &Value, kind: &str, status: &str) -> Option<String> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    let text = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let found = all.iter().find(|one| text(one, "type") == kind && text(one, "status") == status)?;
    Some(format!("{}: {}", text(found, "reason"), text(found, "message")))
}

fn is_manual(object: &Value) -> bool {
    object.pointer("/spec/updateStrategy/type").and_then(Value::as_str) == Some("OnDelete")
}

fn number(object: &Value, path: &str) -> i64 {
    number_or(object, path, 0)
}

fn number_or(object: &Value, path: &str, default: i64) -> i64 {
    object.pointer(path).and_then(Value::as_i64).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(api_version: &str, kind: &str, spec: &Value, status: &Value) -> String {
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"generation": 2}, "spec": spec,
            "status": status});
        match rollout(&object) {
            Rollout::Done(words) => format!("done: {words}"),
            Rollout::Waiting(words) => format!("waiting: {words}"),
            Rollout::Failed(words) => format!("failed: {words}"),
        }
    }

    #[test]
    fn a_deployment_is_done_when_only_new_pods_are_there_and_available() {
        let deployment = |status: Value| of("apps/v1", "Deployment", &json!({"replicas": 2}), &status);
        let table = [
            (json!({"observedGeneration": 1, "availableReplicas": 2}), "waiting: the cluster has not looked at it yet"),
            (
                json!({"observedGeneration": 2, "updatedReplicas": 1, "replicas": 2}),
                "waiting: 1 of 2 new pods are made",
            ),
            (json!({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 3}), "waiting: 1 old pods are to end"),
            (
                json!({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 1}),
                "waiting: 1 of 2 new pods are available",
            ),
            (
                json!({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}),
                "done: 2 of 2 pods are available",
            ),
            (
                json!({"observedGeneration": 2, "conditions": [{"type": "Progressing", "status": "False",
                    "reason": "ProgressDeadlineExceeded", "message": "it has timed out"}]}),
                "failed: ProgressDeadlineExceeded: it has timed out",
            ),
        ];
        for (status, expected) in table {
            assert_eq!(deployment(status), expected);
        }
    }

    #[test]
    fn other_workloads_have_their_own_ends() {
        let seen = |mut status: Value| {
            status["observedGeneration"] = 2.into();
            status
        };
        let set = |status: Value| of("apps/v1", "StatefulSet", &json!({"replicas": 2}), &seen(status));
        assert_eq!(set(json!({"readyReplicas": 1})), "waiting: 1 of 2 pods are ready");
        let mixed = json!({"readyReplicas": 2, "updatedReplicas": 1, "updateRevision": "b", "currentRevision": "a"});
        assert_eq!(set(mixed), "waiting: 1 of 2 pods are new");
        assert_eq!(set(json!({"readyReplicas": 2})), "done: 2 of 2 pods are ready");
        let daemon = |status: Value| of("apps/v1", "DaemonSet", &json!({}), &seen(status));
        assert_eq!(daemon(json!({"desiredNumberScheduled": 2})), "waiting: 0 of 2 nodes have the new pod");
        let all = json!({"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2});
        assert_eq!(daemon(all), "done: 2 of 2 pods are available");
        let manual = json!({"updateStrategy": {"type": "OnDelete"}});
        assert!(of("apps/v1", "DaemonSet", &manual, &seen(json!({}))).starts_with("done: its pods change"));
        let job = |status: Value| of("batch/v1", "Job", &json!({}), &status);
        assert_eq!(job(json!({"failed": 1})), "waiting: 0 of 1 pods have succeeded, 1 failed");
        assert_eq!(job(json!({"conditions": [{"type": "Complete", "status": "True"}]})), "done: it is complete");
        let failed = json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
            "message": "too often"}]});
        assert_eq!(job(failed), "failed: BackoffLimitExceeded: too often");
        assert_eq!(of("v1", "ConfigMap", &json!({}), &json!({})), "done: ");
    }
}
