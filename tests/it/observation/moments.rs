//! When what happened to a pod, as the cluster told of real ones: `fixtures/pods` has them as they were, with their events.

use containerops::{
    executor::kubernetes::{Heard, Patience, Seen, moments},
    model::{Moments, Time},
};
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::{Value, json};

use super::{MADE, container, running, terminated, with_status};

fn told(pod: &Pod, events: &[Event]) -> Moments {
    let mut heard = Heard::default();
    events.iter().for_each(|event| heard.event(event));
    moments(&Seen { pod, heard: &heard, patience: &Patience::default(), now: MADE })
}

/// An event about the first job's container, seconds after the pod was made.
fn event(reason: &str, message: &str, first: u64, last: u64) -> Event {
    let moment = |seconds: u64| format!("2026-03-01T12:{:02}:{:02}Z", seconds / 60, seconds % 60);
    let object = json!({ "kind": "Pod", "name": "co-0000000000001", "fieldPath": "spec.containers{job-0}" });
    let event = json!({ "metadata": {}, "involvedObject": object, "reason": reason, "message": message,
                        "firstTimestamp": moment(first), "lastTimestamp": moment(last) });
    serde_json::from_value(event).expect("an event")
}

fn seconds(time: Time) -> f64 {
    (time.as_millis() - MADE.as_millis()) as f64 / 1000.0
}

/// From when to when the first image was pulled, and its bytes.
fn pulled(events: &[Event]) -> Option<(f64, Option<f64>, Option<u64>)> {
    let told = told(&with_status(json!({})), events);
    told.pulls.first().map(|pull| (seconds(pull.started), pull.ended.map(seconds), pull.bytes))
}

#[test]
fn a_pull_is_as_long_as_the_kubelet_says() {
    let pulling = event("Pulling", "Pulling image \"busybox\"", 3, 3);
    let done = |message: &str, at| event("Pulled", message, at, at);
    let exact = "Successfully pulled image \"busybox\" in 1.5s (1m2.25s including waiting). Image size: 2156518 bytes.";
    for (events, expected) in [
        (vec![], None),
        (vec![done("Container image \"busybox\" already present on machine", 4)], None),
        (vec![pulling.clone()], Some((3.0, None, None))),
        (vec![pulling.clone(), done(exact, 66)], Some((3.0, Some(65.25), Some(2_156_518)))),
        (vec![done(exact, 66), pulling.clone()], Some((3.0, Some(65.25), Some(2_156_518)))),
        (
            vec![pulling.clone(), done("Successfully pulled image \"busybox\" in 350.5ms", 4)],
            Some((3.0, Some(3.35), None)),
        ),
        (
            vec![pulling.clone(), done("Successfully pulled image \"busybox\" in an hour", 9)],
            Some((3.0, Some(9.0), None)),
        ),
        (
            vec![
                event("Pulling", "Pulling image \"busybox\"", 3, 40),
                event("Failed", "Failed to pull image \"busybox\": EOF", 5, 5),
                done("Successfully pulled image \"busybox\" in 2s", 42),
            ],
            Some((3.0, Some(42.0), None)),
        ),
    ] {
        assert_eq!(pulled(&events), expected, "{events:?}");
    }
}

#[test]
fn a_container_that_never_was_has_no_moment() {
    let never =
        json!({ "terminated": { "exitCode": 128, "reason": "StartError", "startedAt": "1970-01-01T00:00:00Z" } });
    let status = json!({ "containerStatuses": [
        container("install", &terminated(0, "Completed", "")), container("job-0", &running()), container("job-1", &never),
    ]});
    let told = told(&with_status(status), &[]);
    let ran: Vec<_> = told.containers.iter().map(|ran| (ran.container.as_str(), seconds(ran.started))).collect();
    assert_eq!(ran, [("job-0", 0.0)]);
    assert_eq!((told.node.as_deref(), told.made, told.scheduled), (Some("node-1"), Some(MADE), Some(MADE)));
}

/// Each pod of a fixture with its events.
fn fixture(text: &str) -> Vec<(Pod, Vec<Event>)> {
    let all: Vec<Value> = serde_json::from_str(text).expect("a list of pods");
    let one = |mut value: Value| {
        let events = serde_json::from_value(value["events"].take()).expect("events");
        (serde_json::from_value(value["pod"].take()).expect("a pod"), events)
    };
    all.into_iter().map(one).collect()
}

#[test]
fn real_pods_tell_their_moments() {
    let mut text = String::new();
    for (pod, events) in fixture(include_str!("../../../fixtures/pods/real.json")) {
        let told = told(&pod, &events);
        let made = told.made.expect("a pod that was made");
        let after = |time: Time| (time.as_millis() - made.as_millis()) as f64 / 1000.0;
        let node = if told.node.is_some() { "a node" } else { "no node" };
        text += &format!("{node}, scheduled {:?}\n", told.scheduled.map(after));
        for pull in &told.pulls {
            let ended = pull.ended.map(after);
            text +=
                &format!("  {} pulled {} to {ended:?}: {:?} bytes\n", pull.container, after(pull.started), pull.bytes);
        }
        for ran in &told.containers {
            text += &format!("  {} ran {} to {:?}\n", ran.container, after(ran.started), ran.ended.map(after));
        }
    }
    insta::assert_snapshot!(text);
}
