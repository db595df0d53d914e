//! Placement → pod, and pod → observation: the pure halves of the Kubernetes executor, by table.

use std::time::Duration;

use containerops::{
    executor::{
        Container, ContainerEnd, Hopeless, Observation, Placement,
        kubernetes::{KubernetesSettings, observation, pod, secret},
    },
    model::{AttemptId, Infrastructure, JobId, Resources, RunId, Time},
};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

/// 2026-03-01T12:00:00Z, when the fixtures' pods were made.
const MADE: Time = Time::from_millis(1_772_366_400_000);

fn placement() -> Placement {
    let container = |place: i64| Container {
        job: JobId::from_i64(100 + place),
        name: format!("job-{place}"),
        image: format!("registry.example/team/image-{place}@sha256:00"),
        resources: Resources::default(),
        token: format!("secret-token-{place}").into(),
    };
    Placement {
        attempt: AttemptId::from_i64(1),
        run: RunId::from_i64(2),
        repository: "acme/shop".to_owned(),
        flow: "build & test".to_owned(),
        action: "check.unit".to_owned(),
        containers: vec![container(0), container(1)],
        deadline: Duration::from_millis(3_600_500),
        agent_url: "http://10.0.0.1:8080".to_owned(),
    }
}

fn settings() -> KubernetesSettings {
    KubernetesSettings::new("containerops", "registry.example/containerops:1")
}

/// The pod as the cluster has it, with this status.
fn with_status(status: Value) -> Pod {
    let mut pod = serde_json::to_value(pod(&placement(), &settings())).expect("a pod is JSON");
    pod["metadata"]["creationTimestamp"] = json!("2026-03-01T12:00:00Z");
    pod["status"] = status;
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
    json!({ "name": name, "state": state, "image": "", "imageID": "", "ready": false, "restartCount": 0 })
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

/// What is seen some minutes after the pod was made.
fn seen_after(minutes: u64, pod: &Pod) -> Observation {
    observation(pod, MADE.after(Duration::from_secs(60 * minutes)))
}

fn seen(status: Value) -> Observation {
    seen_after(0, &with_status(status))
}

fn hopeless(seen: Observation) -> Option<Hopeless> {
    let Observation::Waiting { hopeless, .. } = seen else { panic!("it does not wait: {seen:?}") };
    hopeless
}

fn infrastructure(seen: Observation) -> Option<Infrastructure> {
    let Observation::Ended { infrastructure, .. } = seen else { panic!("it has not ended: {seen:?}") };
    infrastructure.map(|(kind, _)| kind)
}

#[test]
fn the_pod_of_one_job() {
    let placement = Placement { containers: placement().containers[..1].to_vec(), ..placement() };
    let pod = serde_json::to_value(pod(&placement, &settings())).expect("a pod is JSON");
    insta::assert_snapshot!(serde_json::to_string_pretty(&pod["metadata"]).expect("JSON"), @r#"
    {
      "annotations": {
        "containerops.io/action": "check.unit",
        "containerops.io/attempt": "0000000000001",
        "containerops.io/flow": "build & test",
        "containerops.io/jobs": "0000000000034",
        "containerops.io/repository": "acme/shop",
        "containerops.io/run": "0000000000002"
      },
      "finalizers": [
        "containerops.io/attempt"
      ],
      "labels": {
        "app.kubernetes.io/managed-by": "containerops",
        "containerops.io/action": "check.unit",
        "containerops.io/attempt": "0000000000001",
        "containerops.io/flow": "build---test",
        "containerops.io/repository": "acme-shop",
        "containerops.io/run": "0000000000002",
        "containerops.io/server": "unnamed"
      },
      "name": "co-0000000000001"
    }
    "#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&pod["spec"]).expect("JSON"), @r#"
    {
      "activeDeadlineSeconds": 3601,
      "automountServiceAccountToken": false,
      "containers": [
        {
          "command": [
            "/containerops-agent",
            "hold"
          ],
          "image": "registry.example/containerops:1",
          "imagePullPolicy": "IfNotPresent",
          "lifecycle": {
            "postStart": {
              "exec": {
                "command": [
                  "/containerops-agent",
                  "install",
                  "/containerops/bin"
                ]
              }
            }
          },
          "name": "install",
          "resources": {
            "limits": {
              "cpu": "1",
              "memory": "128Mi"
            },
            "requests": {
              "cpu": "10m",
              "memory": "16Mi"
            }
          },
          "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {
              "drop": [
                "ALL"
              ]
            },
            "readOnlyRootFilesystem": true
          },
          "volumeMounts": [
            {
              "mountPath": "/containerops/bin",
              "name": "bin"
            }
          ]
        },
        {
          "command": [
            "/containerops/bin/containerops-agent",
            "job",
            "--url",
            "http://10.0.0.1:8080",
            "--token-file",
            "/containerops/token/token",
            "--workspace",
            "/workspace",
            "--scratch",
            "/containerops/scratch/job-0",
            "--termination-log",
            "/dev/termination-log"
          ],
          "image": "registry.example/team/image-0@sha256:00",
          "imagePullPolicy": "IfNotPresent",
          "name": "job-0",
          "resources": {
            "limits": {
              "cpu": "4",
              "memory": "4Gi"
            },
            "requests": {
              "cpu": "100m",
              "memory": "128Mi"
            }
          },
          "securityContext": {
            "allowPrivilegeEscalation": false
          },
          "terminationMessagePath": "/dev/termination-log",
          "terminationMessagePolicy": "File",
          "volumeMounts": [
            {
              "mountPath": "/containerops/bin",
              "name": "bin",
              "readOnly": true
            },
            {
              "mountPath": "/workspace",
              "name": "workspace"
            },
            {
              "mountPath": "/containerops/scratch",
              "name": "scratch"
            },
            {
              "mountPath": "/containerops/token",
              "name": "token-job-0",
              "readOnly": true
            }
          ]
        }
      ],
      "enableServiceLinks": false,
      "restartPolicy": "Never",
      "securityContext": {
        "seccompProfile": {
          "type": "RuntimeDefault"
        }
      },
      "terminationGracePeriodSeconds": 15,
      "volumes": [
        {
          "emptyDir": {
            "sizeLimit": "64Mi"
          },
          "name": "bin"
        },
        {
          "emptyDir": {
            "sizeLimit": "20Gi"
          },
          "name": "workspace"
        },
        {
          "emptyDir": {
            "sizeLimit": "4Gi"
          },
          "name": "scratch"
        },
        {
          "name": "token-job-0",
          "secret": {
            "items": [
              {
                "key": "job-0",
                "mode": 292,
                "path": "token"
              }
            ],
            "secretName": "co-0000000000001"
          }
        }
      ]
    }
    "#);
}

#[test]
fn each_job_sees_its_own_token_and_no_other() {
    let spec = pod(&placement(), &settings()).spec.expect("a spec");
    for (place, container) in spec.containers[1..].iter().enumerate() {
        let mounts = container.volume_mounts.iter().flatten().map(|mount| mount.name.as_str());
        assert_eq!(mounts.collect::<Vec<_>>(), ["bin", "workspace", "scratch", &format!("token-job-{place}")]);
    }
    let keys = spec.volumes.iter().flatten().filter_map(|volume| volume.secret.as_ref()?.items.clone());
    assert_eq!(keys.map(|items| items[0].key.clone()).collect::<Vec<_>>(), ["job-0", "job-1"]);
}

#[test]
fn tokens_are_in_the_secret_alone_and_the_pod_owns_it() {
    let pod = serde_json::to_string(&pod(&placement(), &settings())).expect("a pod is JSON");
    assert!(!pod.contains("secret-token"));
    let secret = secret(&placement(), "the-pods-uid", &settings());
    let data = secret.data.expect("tokens");
    assert_eq!(data["job-1"].0, b"secret-token-1");
    assert_eq!(secret.metadata.owner_references.expect("an owner")[0].uid, "the-pods-uid");
}

#[test]
fn a_young_pod_waits_without_a_word() {
    let silent = Observation::Waiting { message: String::new(), hopeless: None };
    assert_eq!(seen(json!({ "phase": "Pending" })), silent);
    assert_eq!(seen(both("Pending", &waiting("PodInitializing", ""))), silent);
    assert_eq!(seen(both("Pending", &waiting("ContainerCreating", ""))), silent);
}

#[test]
fn the_scheduler_has_ten_minutes() {
    let pod = with_status(json!({ "phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": "2026-03-01T12:00:00Z",
        "message": "0/1 nodes are available: 1 Insufficient cpu.",
    }]}));
    let message = "0/1 nodes are available: 1 Insufficient cpu.".to_owned();
    assert_eq!(seen_after(10, &pod), Observation::Waiting { message: message.clone(), hopeless: None });
    let why = Hopeless::Infrastructure(Infrastructure::Unschedulable, message);
    assert_eq!(hopeless(seen_after(11, &pod)), Some(why));
}

#[test]
fn an_image_is_the_authors_mistake_only_if_the_registry_says_so() {
    let not_found = [
        ("InvalidImageName", "couldn't parse image reference"),
        ("ErrImagePull", r#"rpc error: code = NotFound desc = failed to pull and unpack image "r/x:y": not found"#),
        (
            "ErrImagePull",
            r#"failed to resolve reference "docker.io/library/nosuch:1": docker.io/library/nosuch:1: not found"#,
        ),
        ("ErrImagePull", "Error response from daemon: manifest for x:y not found: manifest unknown"),
        ("ErrImagePull", "pull access denied, repository does not exist or may require authorization"),
        ("ImagePullBackOff", "reading manifest y in docker.io/r/x: requested access to the resource is denied"),
    ];
    for (reason, message) in not_found {
        let why = hopeless(seen(both("Pending", &waiting(reason, message))));
        let image = "registry.example/team/image-0@sha256:00".to_owned();
        assert_eq!(why, Some(Hopeless::ImageNotFound { image, message: message.to_owned() }), "{message}");
    }
    let away = [
        "dial tcp: lookup registry.example: no such host",
        "dial tcp 10.0.0.9:443: connect: connection refused",
        "received unexpected HTTP status: 503 Service Unavailable",
        "toomanyrequests: You have reached your pull rate limit",
    ];
    for message in away {
        let pod = with_status(both("Pending", &waiting("ErrImagePull", message)));
        assert_eq!(hopeless(seen_after(5, &pod)), None, "{message}");
        let why = Hopeless::Infrastructure(Infrastructure::ImagePull, format!("job-0: {message}"));
        assert_eq!(hopeless(seen_after(6, &pod)), Some(why), "{message}");
    }
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
    assert_eq!(hopeless(seen_after(1, &pod)), None);
    assert!(matches!(hopeless(seen_after(6, &pod)), Some(Hopeless::Infrastructure(Infrastructure::ImagePull, _))));
}

#[test]
fn a_container_that_cannot_be_created_is_the_authors_mistake() {
    let user = "unable to find user nobody-here: no matching entries in passwd file";
    let message = format!("job-0: {user}");
    for state in [waiting("CreateContainerError", user), terminated(128, "StartError", user)] {
        let why = hopeless(seen(both("Pending", &state)));
        assert_eq!(why, Some(Hopeless::CannotStart { message: message.clone() }));
    }
    let slow = both("Pending", &waiting("CreateContainerError", "context deadline exceeded"));
    assert_eq!(hopeless(seen(slow)), None);
}

#[test]
fn it_runs_while_one_container_does() {
    assert_eq!(seen(both("Running", &running())), Observation::Running);
    let one_is_done = json!({ "phase": "Running", "containerStatuses": [
        container("job-0", &terminated(0, "Completed", "")), container("job-1", &running()),
    ]});
    assert_eq!(seen(one_is_done), Observation::Running);
}

#[test]
fn it_has_ended_when_all_containers_have() {
    let record = r#"{"job":"0000000000034"}"#;
    let status = json!({ "phase": "Running", "containerStatuses": [
        container("job-1", &terminated(137, "OOMKilled", "not a record")),
        container("job-0", &terminated(0, "Completed", record)),
    ]});
    let Observation::Ended { containers, infrastructure: None } = seen(status) else { panic!("it has ended") };
    let end = |job, exit_code, oom_killed, reason: &str, end_record: Option<&str>| ContainerEnd {
        job: JobId::from_i64(job),
        exit_code: Some(exit_code),
        oom_killed,
        reason: reason.to_owned(),
        end_record: end_record.map(str::to_owned),
    };
    let expected =
        [end(100, 0, false, "Completed", Some(record)), end(101, 137, true, "OOMKilled: not a record", None)];
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
fn what_the_cluster_did_has_a_name() {
    let table = [
        ("Evicted", Infrastructure::Evicted),
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
        let Observation::Ended { infrastructure, .. } = seen(status) else { panic!("it has ended") };
        assert_eq!(infrastructure, Some((expected, format!("{reason}: The node was low on resource: memory."))));
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
    assert_eq!(infrastructure(seen_after(0, &done)), None);
}

#[test]
fn an_agent_that_is_not_installed_is_our_trouble() {
    let no_agent = r#"exec: "/containerops/bin/containerops-agent": stat /containerops/bin/containerops-agent: no such file or directory"#;
    let status = json!({ "phase": "Pending", "containerStatuses": [
        container("install", &waiting("ErrImagePull", "connection refused")),
        container("job-0", &terminated(128, "StartError", no_agent)),
    ]});
    let message = "the agent was not installed: connection refused".to_owned();
    assert_eq!(hopeless(seen(status)), Some(Hopeless::Infrastructure(Infrastructure::Executor, message)));
}

#[test]
fn the_container_that_brings_the_agent_may_outlive_the_jobs() {
    let status = json!({ "phase": "Running", "containerStatuses": [
        container("install", &running()),
        container("job-0", &terminated(0, "Completed", "")),
        container("job-1", &terminated(1, "Error", "")),
    ]});
    let Observation::Ended { containers, infrastructure: None } = seen(status) else { panic!("it has ended") };
    assert_eq!(containers.iter().map(|end| end.exit_code).collect::<Vec<_>>(), [Some(0), Some(1)]);
}
