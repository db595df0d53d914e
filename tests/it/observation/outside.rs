//! What the cluster does to pods has a name.

use containerops::{
    executor::{Observation, Outside},
    model::Infrastructure,
};
use serde_json::json;

use super::{both, deleted, running, seen, seen_after, seen_with, terminated, with_status};

fn outside(seen: Observation) -> Option<Outside> {
    let Observation::Ended { outside, .. } = seen else { panic!("it has not ended: {seen:?}") };
    outside
}

fn infrastructure(seen: Observation) -> Option<Infrastructure> {
    match outside(seen)? {
        Outside::Infrastructure(kind, _) => Some(kind),
        Outside::OutOfDisk(message) => panic!("{message}"),
    }
}

#[test]
fn what_the_cluster_did_has_a_name() {
    let table = [
        ("Evicted", Infrastructure::NodeMemory),
        ("Preempting", Infrastructure::Preempted),
        ("NodeLost", Infrastructure::NodeLost),
        ("Terminated", Infrastructure::NodeLost),
        ("DeadlineExceeded", Infrastructure::AgentLost),
        ("OutOfmemory", Infrastructure::Unschedulable),
        ("UnexpectedAdmissionError", Infrastructure::Executor),
    ];
    for (reason, expected) in table {
        let mut status = both("Failed", &terminated(137, "Error", ""));
        status["reason"] = json!(reason);
        status["message"] = json!("The node was low on resource: memory.");
        let message = format!("{reason}: The node was low on resource: memory.");
        assert_eq!(outside(seen(status)), Some(Outside::Infrastructure(expected, message)));
    }
}

#[test]
fn an_eviction_says_whose_limit_it_was() {
    let of = |message: &str| {
        let mut status = both("Failed", &terminated(137, "Error", ""));
        status["reason"] = json!("Evicted");
        status["message"] = json!(message);
        outside(seen(status)).expect("it was evicted")
    };
    for authors in [
        "Usage of EmptyDir volume \"workspace\" exceeds the limit \"20Gi\". ",
        "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
        "Container job-0 exceeded its local ephemeral storage limit \"1Gi\". ",
    ] {
        assert_eq!(of(authors), Outside::OutOfDisk(authors.trim().to_owned()));
    }
    for (message, kind) in [
        ("The node was low on resource: memory. Container job-0 was using 1Gi.", Infrastructure::NodeMemory),
        ("The node had condition: [MemoryPressure]. ", Infrastructure::NodeMemory),
        ("The node was low on resource: ephemeral-storage. Container job-0 was using 1Gi.", Infrastructure::NodeDisk),
        ("The node had condition: [DiskPressure]. ", Infrastructure::NodeDisk),
        ("Usage of EmptyDir volume \"scratch\" exceeds the limit \"4Gi\". ", Infrastructure::Evicted),
        ("The node was low on resource: pids.", Infrastructure::Evicted),
    ] {
        assert_eq!(of(message), Outside::Infrastructure(kind, format!("Evicted: {}", message.trim())));
    }
}

#[test]
fn newer_clusters_say_it_in_a_condition() {
    let table = [
        ("PreemptionByScheduler", Infrastructure::Preempted),
        ("DeletionByTaintManager", Infrastructure::NodeLost),
        ("EvictionByEvictionAPI", Infrastructure::Evicted),
        ("TerminationByKubelet", Infrastructure::Evicted),
    ];
    for (reason, expected) in table {
        let mut status = both("Failed", &terminated(143, "Error", ""));
        status["conditions"] = json!([{ "type": "DisruptionTarget", "status": "True", "reason": reason }]);
        assert_eq!(infrastructure(seen(status)), Some(expected), "{reason}");
    }
}

#[test]
fn older_clusters_say_it_in_an_event() {
    let pod = deleted(with_status(both("Failed", &terminated(143, "Error", ""))));
    let preempted = ("Preempted", "Preempted by other/urgent on node node-1");
    let expected = Outside::Infrastructure(Infrastructure::Preempted, preempted.1.to_owned());
    assert_eq!(outside(seen_with(0, &pod, &[preempted])), Some(expected));

    let given_up = ("TaintManagerEviction", "Marking for deletion Pod mine/co-1");
    let drained = deleted(with_status(both("Failed", &terminated(143, "Error", ""))));
    assert_eq!(infrastructure(seen_with(0, &drained, &[given_up])), Some(Infrastructure::Evicted));
    let silent = deleted(with_status(both("Running", &running())));
    let message = format!("node node-1 does not answer, and the cluster has given it up: {}", given_up.1);
    let expected = Outside::Infrastructure(Infrastructure::NodeLost, message);
    assert_eq!(outside(seen_with(1, &silent, &[given_up])), Some(expected));
    let back = ("TaintManagerEviction", "Cancelling deletion of Pod mine/co-1");
    assert_eq!(infrastructure(seen_with(0, &drained, &[back])), Some(Infrastructure::Deleted));
}

#[test]
fn a_deletion_is_seen_and_a_node_that_does_not_answer_is_lost() {
    let killed = deleted(with_status(both("Failed", &terminated(137, "Error", ""))));
    assert_eq!(infrastructure(seen_after(0, &killed)), Some(Infrastructure::Deleted));
    let never_ran = deleted(with_status(json!({ "phase": "Pending" })));
    assert_eq!(infrastructure(seen_after(0, &never_ran)), Some(Infrastructure::Deleted));
    let ending = deleted(with_status(both("Running", &running())));
    assert_eq!(seen_after(0, &ending), Observation::Running);
    assert_eq!(infrastructure(seen_after(1, &ending)), Some(Infrastructure::NodeLost));
}

#[test]
fn a_graceful_finish_wins_over_a_deletion() {
    let done = deleted(with_status(both("Succeeded", &terminated(0, "Completed", ""))));
    assert_eq!(outside(seen_after(0, &done)), None);
}
