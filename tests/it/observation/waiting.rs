//! Why pods wait, and which never run.

use containerops::{
    executor::{Hopeless, Observation, Why},
    model::Infrastructure,
};
use serde_json::json;

use super::{
    JOBS, both, container, hopeless, running, seen, seen_after, seen_with, terminated, waiting, why, with_status,
};

/// The first job's image.
const IMAGE: &str = "registry.example/team/image-0@sha256:00";

fn silent() -> Observation {
    Observation::Waiting { message: String::new(), hopeless: None }
}

fn said(seen: Observation) -> String {
    let Observation::Waiting { message, hopeless: None } = seen else { panic!("it waits with hope: {seen:?}") };
    message
}

fn infrastructure(seen: Observation) -> Option<(Infrastructure, String)> {
    let why = why(seen)?;
    let Why::Infrastructure(kind, message) = why else { panic!("{why:?}") };
    Some((kind, message))
}

#[test]
fn a_young_pod_waits_without_a_word() {
    assert_eq!(seen(json!({ "phase": "Pending" })), silent());
    assert_eq!(seen(both("Pending", &waiting("PodInitializing", ""))), silent());
    assert_eq!(seen(both("Pending", &waiting("ContainerCreating", ""))), silent());
}

#[test]
fn the_scheduler_has_ten_minutes() {
    let pod = with_status(json!({ "phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": "2026-03-01T12:00:00Z",
        "message": "0/1 nodes are available: 1 Insufficient cpu.",
    }]}));
    let message = "0/1 nodes are available: 1 Insufficient cpu.".to_owned();
    assert_eq!(said(seen_after(10, &pod)), message);
    assert_eq!(infrastructure(seen_after(11, &pod)), Some((Infrastructure::Unschedulable, message)));
}

#[test]
fn whoever_is_silent_for_too_long_is_named() {
    let no_scheduler = with_status(json!({ "phase": "Pending", "conditions": [] }));
    let no_kubelet = with_status(json!({ "phase": "Pending" }));
    let no_container = with_status(both("Pending", &waiting("ContainerCreating", "")));
    for (pod, minutes, kind, message) in [
        (no_scheduler, 10, Infrastructure::Unschedulable, "no scheduler has looked at the pod for 10 min 0 s"),
        (no_kubelet, 5, Infrastructure::NodeLost, "node node-1 has not taken the pod for 5 min 0 s"),
        (no_container, 30, Infrastructure::NotStarted, "the pod's containers were not made for 30 min 0 s"),
    ] {
        assert_eq!(seen_after(minutes, &pod), silent());
        assert_eq!(infrastructure(seen_after(minutes + 1, &pod)), Some((kind, message.to_owned())));
    }
}

#[test]
fn a_registrys_answer_is_the_authors_and_its_silence_nobodys() {
    let not_found = [
        r#"rpc error: code = NotFound desc = failed to pull and unpack image "r/x:y": not found"#,
        r#"failed to resolve reference "docker.io/library/nosuch:1": docker.io/library/nosuch:1: not found"#,
        "Error response from daemon: manifest for x:y not found: manifest unknown",
        "name unknown: repository name not known to registry",
        "no match for platform in manifest",
    ];
    for message in not_found {
        let seen = seen(both("Pending", &waiting("ErrImagePull", message)));
        let why = Why::ImageNotFound { image: IMAGE.to_owned(), message: message.to_owned() };
        assert_eq!(hopeless(seen), Some(Hopeless { job: Some(JOBS[0]), why }));
    }
    let denied = [
        "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
        "reading manifest y in docker.io/r/x: requested access to the resource is denied",
        "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
        "unexpected status code https://r.example/v2/x/manifests/1: 403 Forbidden",
        "Head \"https://r.example/v2/x/manifests/1\": unauthorized: authentication required",
        "Head \"https://r.example/v2/x/manifests/1\": no basic auth credentials",
        "denied: permission_denied: read_package",
    ];
    for message in denied {
        let seen = seen(both("Pending", &waiting("ErrImagePull", message)));
        assert_eq!(why(seen), Some(Why::ImageDenied { image: IMAGE.to_owned(), message: message.to_owned() }));
    }
    let away = [
        "dial tcp: lookup registry.example: no such host",
        "dial tcp 10.0.0.9:443: connect: connection refused",
        "dial tcp 10.0.0.9:443: i/o timeout",
        "received unexpected HTTP status: 503 Service Unavailable",
        "x509: certificate signed by unknown authority",
        "toomanyrequests: You have reached your pull rate limit. unauthorized: authentication required",
    ];
    for message in away {
        let pod = with_status(both("Pending", &waiting("ErrImagePull", message)));
        let message = format!("job-0: {message}");
        assert_eq!(said(seen_after(5, &pod)), message);
        assert_eq!(infrastructure(seen_after(6, &pod)), Some((Infrastructure::ImagePull, message)));
    }
    let name = seen(both("Pending", &waiting("InvalidImageName", "couldn't parse image reference")));
    let message = "couldn't parse image reference".to_owned();
    assert_eq!(why(name), Some(Why::ImageInvalid { image: IMAGE.to_owned(), message }));
}

#[test]
fn what_was_said_of_a_pull_stands_until_the_next_try() {
    let pod = with_status(both("Pending", &waiting("ImagePullBackOff", "Back-off pulling image \"r/x:y\"")));
    assert_eq!(said(seen_with(0, &pod, &[])), "job-0: Back-off pulling image \"r/x:y\"");
    let refused = ("Failed", "Failed to pull image \"r/x:y\": rpc error: connection refused");
    let pulling = ("Pulling", "Pulling image \"r/x:y\"");
    assert_eq!(said(seen_with(0, &pod, &[pulling, refused, pulling])), "job-0: rpc error: connection refused");
    let unknown = ("Failed", "Failed to pull image \"r/x:y\": rpc error: code = NotFound desc = not found");
    let message = "rpc error: code = NotFound desc = not found".to_owned();
    let expected = Why::ImageNotFound { image: IMAGE.to_owned(), message };
    assert_eq!(why(seen_with(0, &pod, &[pulling, unknown, ("Failed", "Error: ErrImagePull")])), Some(expected));
}

#[test]
fn while_an_image_is_pulled_its_name_is_told() {
    let pod = with_status(both("Pending", &waiting("ContainerCreating", "")));
    let pulling = ("Pulling", "Pulling image \"r/x:y\"");
    assert_eq!(said(seen_with(29, &pod, &[pulling])), "pulling image \"r/x:y\"");
    let expected = Some((Infrastructure::ImagePull, "pulling image \"r/x:y\"".to_owned()));
    assert_eq!(infrastructure(seen_with(31, &pod, &[pulling])), expected);
    assert_eq!(seen_with(0, &pod, &[pulling, ("Pulled", "Successfully pulled image \"r/x:y\" in 3s")]), silent());
}

#[test]
fn a_volume_that_does_not_come_is_told_unless_it_is_only_our_own() {
    let pod = with_status(both("Pending", &waiting("ContainerCreating", "")));
    let young = "MountVolume.SetUp failed for volume \"token-job-0\" : secret \"co-0000000000001\" not found";
    assert_eq!(seen_with(0, &pod, &[("FailedMount", young)]), silent());
    let sandbox = ("FailedCreatePodSandBox", "Failed to create pod sandbox: no network");
    assert_eq!(said(seen_with(5, &pod, &[sandbox])), sandbox.1);
    let expected = Some((Infrastructure::NotStarted, sandbox.1.to_owned()));
    assert_eq!(infrastructure(seen_with(6, &pod, &[sandbox])), expected);
    let goes_on = [sandbox, ("Pulling", "Pulling image \"r/x:y\"")];
    assert_eq!(said(seen_with(6, &pod, &goes_on)), "pulling image \"r/x:y\"", "it was only late");
}

#[test]
fn the_agents_image_is_never_the_authors_mistake() {
    let status = json!({ "phase": "Pending", "startTime": "2026-03-01T12:00:00Z",
        "containerStatuses": [
            container("install", &waiting("ErrImagePull", "manifest unknown")),
            container("job-0", &waiting("ContainerCreating", "")),
        ],
    });
    let pod = with_status(status);
    let message = "image registry.example/containerops:1: manifest unknown".to_owned();
    assert_eq!(said(seen_after(1, &pod)), message);
    assert_eq!(infrastructure(seen_after(6, &pod)), Some((Infrastructure::AgentImage, message)));
}

#[test]
fn an_agent_that_is_not_installed_is_the_operators_trouble() {
    let no_agent = r#"exec: "/containerops/bin/containerops-agent": stat /containerops/bin/containerops-agent: no such file or directory"#;
    let status = json!({ "phase": "Pending", "containerStatuses": [
        container("install", &waiting("ErrImagePull", "connection refused")),
        container("job-0", &terminated(128, "StartError", no_agent)),
    ]});
    let message = "image registry.example/containerops:1: connection refused".to_owned();
    assert_eq!(infrastructure(seen(status)), Some((Infrastructure::AgentImage, message)));
}

#[test]
fn a_container_that_cannot_be_created_is_the_authors_mistake() {
    let user = "unable to find user nobody-here: no matching entries in passwd file".to_owned();
    for state in [waiting("CreateContainerError", &user), terminated(128, "StartError", &user)] {
        let why = hopeless(seen(both("Pending", &state)));
        assert_eq!(why, Some(Hopeless { job: Some(JOBS[0]), why: Why::CannotStart { message: user.clone() } }));
    }
    let slow = both("Pending", &waiting("CreateContainerError", "context deadline exceeded"));
    assert_eq!(hopeless(seen(slow)), None);
}

#[test]
fn a_runtime_that_goes_away_while_it_makes_a_container_is_nobodys_mistake() {
    for what in ["context canceled: unknown", "ttrpc: closed: unknown", "transport is closing: unavailable"] {
        let message = format!("failed to create containerd task: failed to create shim task: {what}");
        let status = seen(both("Failed", &terminated(128, "StartError", &message)));
        assert_eq!(infrastructure(status), Some((Infrastructure::NotStarted, message)));
    }
}

#[test]
fn a_job_that_runs_beside_a_hopeless_one_is_not_to_blame() {
    let status = json!({ "phase": "Running", "startTime": "2026-03-01T12:00:00Z", "containerStatuses": [
        container("job-0", &running()), container("job-1", &waiting("ErrImagePull", "manifest unknown")),
    ]});
    assert_eq!(hopeless(seen(status)).and_then(|hopeless| hopeless.job), Some(JOBS[1]));
}
