//! An attempt's pod and its Secret, computed from the placement and the settings alone.
//!
//! What is written here is kept by the cluster and read by whoever may read pods. So it holds no environment, no
//! secret and no command of a flow: a container knows the server's address and where its token is, and the agent in it
//! is told the rest.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use k8s_openapi::{
    ByteString,
    api::core::v1::{
        Capabilities, Container, EmptyDirVolumeSource, ExecAction, HostAlias, KeyToPath, Lifecycle, LifecycleHandler,
        LocalObjectReference, Pod, PodSecurityContext, PodSpec, SeccompProfile, Secret, SecretVolumeSource,
        SecurityContext, Toleration, Volume, VolumeMount,
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{ObjectMeta, OwnerReference},
    },
};
use secrecy::ExposeSecret as _;

use super::{KubernetesSettings, Users, label, resources};
use crate::executor::{self, Isolation, Placement};

/// The name of the container that brings the agent.
pub(super) const INSTALL: &str = "install";
/// What the jobs' containers start.
pub(super) const AGENT: &str = "/containerops/bin/containerops-agent";
/// Where the agent image has the agent.
const AGENT_IN_ITS_IMAGE: &str = "/containerops-agent";
/// Where a job's container has the agent: a directory that it cannot write.
const BIN: &str = "/containerops/bin";
const SCRATCH: &str = "/containerops/scratch";
const TOKEN: &str = "/containerops/token";
const WORKSPACE: &str = "/workspace";
/// The volume of the workspace, as the kubelet names it when it is full.
pub(super) const WORKSPACE_VOLUME: &str = "workspace";
const TERMINATION_LOG: &str = "/dev/termination-log";
/// Between SIGTERM and SIGKILL when someone else deletes the pod or drains its node: enough for the agent to end its
/// job (10 s) and to write its end record.
const GRACE: Duration = Duration::from_secs(15);
/// Any user of any image must be able to read its token: a tighter mode would need the image's user id, which only
/// the image knows, or an `fsGroup`, which every process of the container gets too. The mount is what keeps the token
/// from the other containers, and it is worth nothing after the first claim.
const TOKEN_MODE: i32 = 0o444;

/// The pod of an attempt.
pub fn pod(placement: &Placement, settings: &KubernetesSettings) -> Pod {
    let settings = &bounded(placement, settings);
    Pod {
        metadata: ObjectMeta {
            name: Some(label::object_name(placement.attempt)),
            labels: Some(label::labels(placement, &settings.server)),
            annotations: Some(label::annotations(placement)),
            finalizers: Some(vec![label::FINALIZER.to_owned()]),
            ..Default::default()
        },
        spec: Some(spec(placement, settings)),
        ..Default::default()
    }
}

/// The tokens of an attempt's jobs, one key each by the container's name, owned by the pod with this `uid` so that it
/// goes when the pod goes.
pub fn secret(placement: &Placement, uid: &str, settings: &KubernetesSettings) -> Secret {
    let name = label::object_name(placement.attempt);
    let token = |container: &executor::Container| {
        (container.name.clone(), ByteString(container.token.expose_secret().as_bytes().to_vec()))
    };
    Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some(label::labels(placement, &settings.server)),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Pod".to_owned(),
                name,
                uid: uid.to_owned(),
                ..Default::default()
            }]),
            ..Default::default()
        },
        data: Some(placement.containers.iter().map(token).collect()),
        immutable: Some(true),
        ..Default::default()
    }
}

/// The keys by which the attempt's images are fetched, owned by the pod as its tokens are; `None`: it needs none.
pub fn registry_secret(placement: &Placement, uid: &str, settings: &KubernetesSettings) -> Option<Secret> {
    let config = placement.keys.config()?;
    let data = ByteString(config.expose_secret().as_bytes().to_vec());
    let tokens = secret(placement, uid, settings);
    Some(Secret {
        metadata: ObjectMeta { name: Some(registry_secret_name(placement)), ..tokens.metadata },
        data: Some(BTreeMap::from([(".dockerconfigjson".to_owned(), data)])),
        type_: Some("kubernetes.io/dockerconfigjson".to_owned()),
        ..tokens
    })
}

fn registry_secret_name(placement: &Placement) -> String {
    format!("{}-registries", label::object_name(placement.attempt))
}

/// The settings as they are for this placement: untrusted code gets less.
fn bounded<'a>(placement: &Placement, settings: &'a KubernetesSettings) -> Cow<'a, KubernetesSettings> {
    match (placement.isolation, &settings.untrusted) {
        (Isolation::Strict, Some(untrusted)) => Cow::Owned(KubernetesSettings {
            resources: untrusted.resources.clone(),
            workspace_limit: untrusted.workspace_limit.clone(),
            scratch_limit: untrusted.scratch_limit.clone(),
            ..settings.clone()
        }),
        (Isolation::Usual, _) | (Isolation::Strict, None) => Cow::Borrowed(settings),
    }
}

/// What untrusted code runs by, whatever its flow file says; only where nobody has chosen may a flow do so.
fn runtime(placement: &Placement, settings: &KubernetesSettings) -> Option<String> {
    let chosen = settings.untrusted.as_ref().and_then(|untrusted| untrusted.runtime.clone());
    chosen.filter(|_| placement.isolation == Isolation::Strict).or_else(|| placement.runtime.clone())
}

/// `Some(false)`: the pod has users of its own.
fn host_users(placement: &Placement, settings: &KubernetesSettings) -> Option<bool> {
    let users = settings.untrusted.as_ref().map(|untrusted| untrusted.users);
    (placement.isolation == Isolation::Strict && users == Some(Users::Own)).then_some(false)
}

fn spec(placement: &Placement, settings: &KubernetesSettings) -> PodSpec {
    let seconds = placement.deadline.as_secs().saturating_add(u64::from(placement.deadline.subsec_nanos() > 0));
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        active_deadline_seconds: Some(i64::try_from(seconds).unwrap_or(i64::MAX).clamp(1, i64::from(i32::MAX))),
        termination_grace_period_seconds: i64::try_from(GRACE.as_secs()).ok(),
        tolerations: Some(["not-ready", "unreachable"].map(|taint| outlives(taint, settings.patience.node)).to_vec()),
        security_context: Some(PodSecurityContext {
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..Default::default() }),
            ..Default::default()
        }),
        runtime_class_name: runtime(placement, settings),
        host_users: host_users(placement, settings),
        node_selector: (!placement.node.is_empty()).then(|| placement.node.clone()),
        host_aliases: host_aliases(placement),
        image_pull_secrets: (!placement.keys.is_empty())
            .then(|| vec![LocalObjectReference { name: registry_secret_name(placement) }]),
        containers: std::iter::once(install(settings)).chain(jobs(placement, settings)).collect(),
        volumes: Some(volumes(placement, settings)),
        ..Default::default()
    }
}

/// All containers of a pod share one network: a service is on the jobs' own machine.
fn host_aliases(placement: &Placement) -> Option<Vec<HostAlias>> {
    let names = placement.services();
    (!names.is_empty()).then(|| vec![HostAlias { ip: "127.0.0.1".to_owned(), hostnames: Some(names) }])
}

/// How long the pod stays on a node with this taint.
fn outlives(taint: &str, patience: Duration) -> Toleration {
    Toleration {
        key: Some(format!("node.kubernetes.io/{taint}")),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        toleration_seconds: i64::try_from(patience.as_secs()).ok(),
        ..Default::default()
    }
}

/// Copies the agent to where the jobs' containers see it, before they are created.
///
/// It is the pod's first container, and the copying is its start hook: the kubelet starts containers in their order,
/// and the next one only when the hook of the one before has ended. An init container would do the same, but its end
/// is noticed by the kubelet's next look at its containers, up to a second later: measured, a job's first line came
/// 1.0 s after a bare pod's with an init container, and 0.2 s after it with this. Should a kubelet ever not wait, or
/// the agent's image not come, the jobs' containers find no agent: that is seen, and is nobody's red build.
fn install(settings: &KubernetesSettings) -> Container {
    Container {
        name: INSTALL.to_owned(),
        image: Some(settings.agent_image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some([AGENT_IN_ITS_IMAGE, "hold"].map(str::to_owned).to_vec()),
        lifecycle: Some(Lifecycle {
            post_start: Some(LifecycleHandler {
                exec: Some(ExecAction {
                    command: Some([AGENT_IN_ITS_IMAGE, "install", BIN].map(str::to_owned).to_vec()),
                }),
                ..Default::default()
            }),
            ..Default::default()
        }),
        resources: Some(resources::small()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Default::default() }),
            read_only_root_filesystem: Some(true),
            ..Default::default()
        }),
        volume_mounts: Some(vec![mount("bin", BIN)]),
        ..Default::default()
    }
}

fn jobs(placement: &Placement, settings: &KubernetesSettings) -> Vec<Container> {
    let is_job = |container: &&executor::Container| container.service.is_none();
    let of_jobs: Vec<_> = placement.containers.iter().filter(is_job).map(|container| &container.resources).collect();
    let services = placement.containers.iter().filter(|container| container.service.is_some());
    // one job after another is awake, and all services with it
    let requirements = resources::requirements(&of_jobs, &settings.resources).into_iter();
    let requirements = requirements
        .chain(services.flat_map(|service| resources::requirements(&[&service.resources], &settings.resources)));
    placement
        .containers
        .iter()
        .zip(requirements)
        .map(|(container, requirements)| Container {
            resources: Some(requirements),
            security_context: Some(rights(placement.isolation, container.privileged)),
            ..job(container, &placement.agent_url)
        })
        .collect()
}

/// What a job's container may. Untrusted code may be root there, as most images would have it, but a root without any
/// capability, who may do no more than others; whatever is said of its image, it is never privileged.
fn rights(isolation: Isolation, privileged: bool) -> SecurityContext {
    match isolation {
        Isolation::Strict => SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Default::default() }),
            privileged: Some(false),
            ..Default::default()
        },
        // the cluster refuses one that may not gain what it has already
        Isolation::Usual if privileged => SecurityContext { privileged: Some(true), ..Default::default() },
        Isolation::Usual => SecurityContext { allow_privilege_escalation: Some(false), ..Default::default() },
    }
}

/// A job's container: its image as it is, but for the program, which is the agent's. It names no working directory,
/// because the image's own may be what its entrypoint needs: the agent chooses.
fn job(container: &executor::Container, agent_url: &str) -> Container {
    Container {
        name: container.name.clone(),
        image: Some(container.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(command(container, agent_url)),
        termination_message_path: Some(TERMINATION_LOG.to_owned()),
        termination_message_policy: Some("File".to_owned()),
        volume_mounts: Some(vec![
            VolumeMount { read_only: Some(true), ..mount("bin", BIN) },
            mount(WORKSPACE_VOLUME, WORKSPACE),
            mount("scratch", SCRATCH),
            VolumeMount { read_only: Some(true), ..mount(&token_volume(container), TOKEN) },
        ]),
        ..Default::default()
    }
}

fn command(container: &executor::Container, agent_url: &str) -> Vec<String> {
    let scratch = format!("{SCRATCH}/{}", container.name);
    let options = [
        ("--url", agent_url),
        ("--token-file", "/containerops/token/token"),
        ("--workspace", WORKSPACE),
        ("--scratch", &scratch),
        ("--termination-log", TERMINATION_LOG),
    ];
    let mut command = vec![AGENT.to_owned(), "job".to_owned()];
    command.extend(options.into_iter().flat_map(|(name, value)| [name.to_owned(), value.to_owned()]));
    command
}

fn volumes(placement: &Placement, settings: &KubernetesSettings) -> Vec<Volume> {
    let empty = |name: &str, limit: &str| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { size_limit: Some(Quantity(limit.to_owned())), ..Default::default() }),
        ..Default::default()
    };
    let shared = [
        empty("bin", "64Mi"),
        empty(WORKSPACE_VOLUME, &settings.workspace_limit),
        empty("scratch", &settings.scratch_limit),
    ];
    shared.into_iter().chain(placement.containers.iter().map(|container| token(container, placement))).collect()
}

/// One job's token, and no other's.
fn token(container: &executor::Container, placement: &Placement) -> Volume {
    Volume {
        name: token_volume(container),
        secret: Some(SecretVolumeSource {
            secret_name: Some(label::object_name(placement.attempt)),
            items: Some(vec![KeyToPath {
                key: container.name.clone(),
                path: "token".to_owned(),
                mode: Some(TOKEN_MODE),
            }]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn token_volume(container: &executor::Container) -> String {
    format!("token-{}", container.name)
}

fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { name: volume.to_owned(), mount_path: path.to_owned(), ..Default::default() }
}
