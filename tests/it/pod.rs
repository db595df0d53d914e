//! Placement → pod: a pure half of the Kubernetes executor. The other is `observation`.

use std::time::Duration;

use containerops::{
    executor::{
        Container, Isolation, Placement, Tenant,
        kubernetes::{KubernetesSettings, Untrusted, Users, pod, registry_secret, secret},
        registry::RegistryKeys,
    },
    model::{
        Admission, AttemptId, Author, Behind, ForgeKind, JobId, Resources, Role, RunId, RunUntrusted, Sha, Trust,
        UntrustedPolicy, UntrustedReason, Vouched,
    },
};
use proptest::prelude::*;

/// A repository on GitHub, without quotas.
pub(crate) fn tenant(repository: &str) -> Tenant {
    Tenant { forge: ForgeKind::Github, repository: repository.parse().expect("a name"), quotas: Default::default() }
}

/// Two jobs.
pub(crate) fn placement() -> Placement {
    let container = |place: i64| Container {
        service: None,
        job: JobId::from_i64(100 + place),
        name: format!("job-{place}"),
        image: format!("registry.example/team/image-{place}@sha256:00"),
        resources: Resources::default(),
        privileged: false,
        token: format!("secret-token-{place}").into(),
    };
    Placement {
        isolation: Isolation::Usual,
        runtime: None,
        node: Default::default(),
        attempt: AttemptId::from_i64(1),
        run: RunId::from_i64(2),
        tenant: tenant("acme/shop"),
        keys: RegistryKeys::default(),
        flow: "build & test".to_owned(),
        action: "check.unit".to_owned(),
        containers: vec![container(0), container(1)],
        deadline: Duration::from_millis(3_600_500),
        agent_url: "http://10.0.0.1:8080".to_owned(),
    }
}

/// The defaults.
pub(crate) fn settings() -> KubernetesSettings {
    KubernetesSettings::new("containerops", "registry.example/containerops:1")
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
      "tolerations": [
        {
          "effect": "NoExecute",
          "key": "node.kubernetes.io/not-ready",
          "operator": "Exists",
          "tolerationSeconds": 300
        },
        {
          "effect": "NoExecute",
          "key": "node.kubernetes.io/unreachable",
          "operator": "Exists",
          "tolerationSeconds": 300
        }
      ],
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
fn services_run_beside_jobs_and_are_hosts_for_them() {
    let mut placement = placement();
    let limits = |memory: &str| Resources { memory: Some(memory.to_owned()), ..Resources::default() };
    placement.containers[0].resources = limits("1Gi");
    for (place, name) in ["db", "cache"].into_iter().enumerate() {
        let service = placement.containers[0].clone();
        let (name, service) = (format!("service-{place}"), Container { service: Some(name.to_owned()), ..service });
        placement.containers.push(Container { name, resources: limits("256Mi"), ..service });
    }
    placement.runtime = Some("gvisor".to_owned());
    placement.node = [("kubernetes.io/arch".to_owned(), "arm64".to_owned())].into();
    let pod = serde_json::to_value(pod(&placement, &settings())).expect("a pod is JSON");
    let spec = &pod["spec"];
    let asked: Vec<String> = spec["containers"]
        .as_array()
        .expect("containers")
        .iter()
        .skip(1)
        .map(|one| format!("{}: {}", one["name"].as_str().unwrap_or_default(), one["resources"]["requests"]))
        .collect();
    insta::assert_snapshot!(asked.join("\n"), @r#"
    job-0: {"cpu":"100m","memory":"1Gi"}
    job-1: {"cpu":"0","memory":"0"}
    service-0: {"cpu":"100m","memory":"256Mi"}
    service-1: {"cpu":"100m","memory":"256Mi"}
    "#);
    let chosen = serde_json::json!({"aliases": spec["hostAliases"], "runtime": spec["runtimeClassName"], "node": spec["nodeSelector"]});
    insta::assert_snapshot!(chosen, @r#"{"aliases":[{"hostnames":["db","cache"],"ip":"127.0.0.1"}],"node":{"kubernetes.io/arch":"arm64"},"runtime":"gvisor"}"#);
}

#[test]
fn a_pod_of_untrusted_code_has_no_capability_and_less_of_everything() {
    let untrusted = Untrusted { runtime: Some("kata".to_owned()), users: Users::Own, ..Untrusted::new("strangers") };
    let settings = KubernetesSettings { untrusted: Some(Box::new(untrusted)), ..settings() };
    let mut placement = Placement { isolation: Isolation::Strict, ..placement() };
    placement.runtime = Some("whatever-the-flow-says".to_owned());
    let pod = serde_json::to_value(pod(&placement, &settings)).expect("a pod is JSON");
    let spec = &pod["spec"];
    assert_eq!(pod["metadata"]["labels"]["containerops.io/trust"], "untrusted");
    assert_eq!((&spec["runtimeClassName"], &spec["hostUsers"]), (&"kata".into(), &false.into()));
    for host in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
        assert!(spec[host].is_null(), "{host}");
    }
    insta::assert_snapshot!(spec["containers"][1]["securityContext"], @r#"{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"privileged":false}"#);
    insta::assert_snapshot!(spec["containers"][1]["resources"]["limits"], @r#"{"cpu":"2","memory":"2Gi"}"#);
    let volumes = spec["volumes"].as_array().expect("volumes");
    let sizes: Vec<&str> = volumes.iter().filter_map(|volume| volume["emptyDir"]["sizeLimit"].as_str()).collect();
    assert_eq!(sizes, ["64Mi", "10Gi", "2Gi"]);
    assert_eq!(settings.namespace_of(Isolation::Strict), Some("strangers"));
    assert_eq!(self::settings().namespace_of(Isolation::Strict), None, "never that of trusted code");
}

#[test]
fn a_container_is_privileged_where_that_is_said_and_its_code_is_trusted() {
    let mut placement = placement();
    placement.containers[0].privileged = true;
    let rights = |placement: &Placement| {
        let pod = serde_json::to_value(pod(placement, &settings())).expect("a pod is JSON");
        pod["spec"]["containers"].as_array().expect("containers")[1..]
            .iter()
            .map(|container| container["securityContext"].to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(rights(&placement), [r#"{"privileged":true}"#, r#"{"allowPrivilegeEscalation":false}"#]);
    let strict = Placement { isolation: Isolation::Strict, ..placement };
    assert!(rights(&strict).iter().all(|rights| rights.contains(r#""privileged":false"#)), "{:?}", rights(&strict));
}

#[test]
fn the_keys_of_registries_are_in_a_secret_that_goes_with_the_pod() {
    let keys = r#"{"auths": {"registry.example": {"username": "ada", "password": "sesame"}}}"#;
    let keys = RegistryKeys::read(keys).expect("a configuration");
    let placement = Placement { keys, ..placement() };
    let pod = serde_json::to_value(pod(&placement, &settings())).expect("a pod is JSON");
    let of_registries = registry_secret(&placement, "uid-1", &settings()).expect("there are keys");
    let secret = serde_json::to_value(of_registries).expect("a Secret is JSON");
    assert_eq!(pod["spec"]["imagePullSecrets"][0]["name"], secret["metadata"]["name"]);
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], "uid-1");
    assert_eq!(secret["type"], "kubernetes.io/dockerconfigjson");
    assert!(!pod.to_string().contains("sesame"), "{pod}");
    let without = self::placement();
    assert!(registry_secret(&without, "uid-1", &settings()).is_none());
}

fn reasons() -> impl Strategy<Value = Trust> {
    prop_oneof![
        Just(Trust::Trusted),
        "[a-z]{1,8}/[a-z]{1,8}".prop_map(|fork| Trust::Untrusted(UntrustedReason::Fork(fork))),
        Just(Trust::Untrusted(UntrustedReason::HeadRepositoryGone)),
        "[a-z]{1,8}".prop_map(|who| Trust::Untrusted(UntrustedReason::FlowFile(who))),
    ]
}

fn roles() -> impl Strategy<Value = Option<Role>> {
    prop_oneof![
        Just(None),
        Just(Some(Role::Reader)),
        Just(Some(Role::Writer)),
        Just(Some(Role::Maintainer)),
        Just(Some(Role::Owner))
    ]
}

fn rules() -> impl Strategy<Value = UntrustedPolicy> {
    let run = prop_oneof![Just("never"), Just("approval"), Just("contributors"), Just("always")];
    (run, prop_oneof![Just(""), Just("+head")]).prop_map(|(run, from)| format!("{run}{from}").parse().expect("a rule"))
}

proptest! {
    /// Whoever is behind an event, and whatever the rule is: what is untrusted gives no proof of trust, is admitted only as the
    /// rule says, is granted nothing without somebody's word for just its commit and flow file, and is placed apart.
    #[test]
    fn untrusted_code_is_never_granted_anything_and_never_where_trusted_code_is(
        (by_payload, author, actor, changes_flow) in (reasons(), roles(), roles(), any::<bool>()),
        (policy, known) in (rules(), any::<bool>()),
        (sha, other) in ("[0-9a-f]{40}", "[0-9a-f]{40}"),
    ) {
        let judged = by_payload.clone().judged(Behind { author, actor, changes_flow }, "eve");
        let event = crate::flow::pull_of(judged.clone());
        let is_trusted = judged == Trust::Trusted;
        prop_assert_eq!(event.trusted().is_some(), is_trusted);
        // nobody becomes trusted but by somebody's right to write
        if by_payload != Trust::Trusted && is_trusted {
            prop_assert!(author >= Some(Role::Writer) && actor >= Some(Role::Writer));
        }
        let settings = KubernetesSettings { untrusted: Some(Box::new(Untrusted::new("strangers"))), ..settings() };
        let namespace = settings.namespace_of(Isolation::from(&event));
        prop_assert_eq!(namespace == Some(settings.namespace.as_str()), is_trusted);
        let author = if known { Author::Contributor } else { Author::Stranger };
        let admitted = policy.admits(author);
        prop_assert!(admitted != Admission::Runs || matches!(policy.run, RunUntrusted::Always) || known);
        let (sha, other): (Sha, Sha) = (sha.parse().expect("a sha"), other.parse().expect("a sha"));
        let vouched = Vouched { sha: sha.clone(), flow: "f".to_owned(), secrets: ["S".to_owned()].into() };
        prop_assert!(vouched.for_run(&sha, "f").is_some());
        prop_assert!(vouched.for_run(&sha, "g").is_none());
        prop_assert!(sha == other || vouched.for_run(&other, "f").is_none());
    }
}
