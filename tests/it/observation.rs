//! A pod as the cluster shows it, and its events → what became of the attempt: a pure half of the Kubernetes executor,
//! by table.

mod moments;
mod outside;
mod waiting;

use std::time::Duration;

use containerops::{
    executor::{
        ContainerEnd, Hopeless, Observation, Why,
        kubernetes::{Heard, Patience, Seen, observation, pod},
    },
    model::{JobId, Time},
};
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::{Value, json};

use crate::pod::{placement, settings};

/// 2026-03-01T12:00:00Z, when the fixtures' pods were made.
const MADE: Time = Time::from_millis(1_772_366_400_000);
/// The fixtures' jobs.
const JOBS: [JobId; 2] = [JobId::from_i64(100), JobId::from_i64(101)];

/// The pod as the cluster has it, with this status.
fn with_status(status: Value) -> Pod {
    let mut pod = serde_json::to_value(pod(&placement(), &settings())).expect("a pod is JSON");
    pod["metadata"]["creationTimestamp"] = json!("2026-03-01T12:00:00Z");
    pod["spec"]["nodeName"] = json!("node-1");
    pod["status"] = status;
    let scheduled = json!({ "type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-03-01T12:00:00Z" });
    if pod["status"]["conditions"].is_null() {
        pod["status"]["conditions"] = json!([scheduled]);
    }
    serde_json::from_value(pod).expect("a pod")
}

fn deleted(pod: Pod) -> Pod {
    let mut pod = serde_json::to_value(pod).expect("a pod is JSON");
    pod["metadata"]["deletionTimestamp"] = json!("2026-03-01T12:00:00Z");
    serde_json::from_value(pod).expect("a pod")
}

/// Both containers in this state.
fn both(phase: &str, state: &Value) -> Value {
    json!({ "phase": phase, "startTime": "2026-03-01T12:00:00Z", "containerStatuses": [
        container("job-0", state), container("job-1", state),
    ]})
}

fn container(name: &str, state: &Value) -> Value {
    json!({ "name": name, "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": state })
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({ "waiting": { "reason": reason, "message": message } })
}

fn terminated(code: i32, reason: &str, message: &str) -> Value {
    json!({ "terminated": { "exitCode": code, "reason": reason, "message": message } })
}

fn running() -> Value {
    json!({ "running": { "startedAt": "2026-03-01T12:00:00Z" } })
}

/// What was heard, as `reason: message`, of the first job's container.
fn heard(events: &[(&str, &str)]) -> Heard {
    let mut heard = Heard::default();
    for (reason, message) in events {
        let object = json!({ "kind": "Pod", "name": "co-0000000000001", "fieldPath": "spec.containers{job-0}" });
        let event = json!({ "metadata": {}, "involvedObject": object, "reason": reason, "message": message });
        heard.event(&serde_json::from_value::<Event>(event).expect("an event"));
    }
    heard
}

/// What is seen some minutes after the pod was made, when these events were heard.
fn seen_with(minutes: u64, pod: &Pod, events: &[(&str, &str)]) -> Observation {
    let now = MADE.after(Duration::from_secs(60 * minutes));
    observation(&Seen { pod, heard: &heard(events), patience: &Patience::default(), now })
}

fn seen_after(minutes: u64, pod: &Pod) -> Observation {
    seen_with(minutes, pod, &[])
}

fn seen(status: Value) -> Observation {
    seen_after(0, &with_status(status))
}

fn hopeless(seen: Observation) -> Option<Hopeless> {
    let Observation::Waiting { hopeless, .. } = seen else { panic!("it does not wait: {seen:?}") };
    hopeless
}

fn why(seen: Observation) -> Option<Why> {
    hopeless(seen).map(|hopeless| hopeless.why)
}

#[test]
fn it_runs_while_one_container_does_and_says_which_have_ended() {
    assert_eq!(seen(both("Running", &running())), Observation::Running);
    let one_is_done = json!({ "phase": "Running", "containerStatuses": [
        container("job-0", &terminated(137, "Error", "")), container("job-1", &running()),
    ]});
    let Observation::PartlyEnded { containers } = seen(one_is_done) else { panic!("one has ended") };
    assert_eq!(containers.iter().map(|end| (end.job, end.exit_code)).collect::<Vec<_>>(), [(JOBS[0], Some(137))]);
}

#[test]
fn it_has_ended_when_all_containers_have() {
    let record = r#"{"job":"0000000000034"}"#;
    let status = json!({ "phase": "Running", "containerStatuses": [
        container("job-1", &terminated(137, "OOMKilled", "not a record")),
        container("job-0", &terminated(0, "Completed", record)),
    ]});
    let Observation::Ended { containers, outside: None } = seen(status) else { panic!("it has ended") };
    let end = |job, exit_code, oom_killed, reason: &str, end_record: Option<&str>| ContainerEnd {
        job,
        exit_code: Some(exit_code),
        oom_killed,
        memory_limit: Some(4 << 30),
        reason: reason.to_owned(),
        end_record: end_record.map(str::to_owned),
    };
    let expected =
        [end(JOBS[0], 0, false, "Completed", Some(record)), end(JOBS[1], 137, true, "OOMKilled: not a record", None)];
    assert_eq!(containers, expected);
}

#[test]
fn a_phase_that_is_ahead_of_its_containers_is_not_the_end_yet() {
    let pod = with_status(both("Failed", &running()));
    assert_eq!(seen_after(0, &pod), Observation::Running);
    let Observation::Ended { containers, .. } = seen_after(1, &pod) else { panic!("nothing more will come") };
    assert_eq!(containers.iter().map(|end| end.exit_code).collect::<Vec<_>>(), [None, None]);
}

#[test]
fn the_container_that_brings_the_agent_may_outlive_the_jobs() {
    let status = json!({ "phase": "Running", "containerStatuses": [
        container("install", &running()),
        container("job-0", &terminated(0, "Completed", "")),
        container("job-1", &terminated(1, "Error", "")),
    ]});
    let Observation::Ended { containers, outside: None } = seen(status) else { panic!("it has ended") };
    assert_eq!(containers.iter().map(|end| end.exit_code).collect::<Vec<_>>(), [Some(0), Some(1)]);
}
