//! An attempt's containers and its volume, computed from the placement and the settings alone.
//!
//! What is written here is kept by the engine and read by whoever may ask it. So it holds no environment, no secret and
//! no command of a flow: a container knows the server's address and where its token is, and the agent in it is told the
//! rest.

use std::{collections::HashMap, io};

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType, MountVolumeOptions,
    RestartPolicy, RestartPolicyNameEnum, VolumeCreateRequest,
};
use bytes::Bytes;
use secrecy::ExposeSecret as _;

use super::DockerSettings;
use crate::{
    executor::{Container, Hopeless, Isolation, Placement, label},
    model::{AttemptId, amount},
};

/// Where the agent leaves its end record.
pub(super) const END: &str = "/containerops/end";
const AGENT: &str = "/containerops/bin/containerops-agent";
const SCRATCH: &str = "/containerops/scratch";
const TOKEN: &str = "/containerops/token";
const WORKSPACE: &str = "/workspace";
/// The job's id.
pub(super) const JOB: &str = "containerops.io/job";
/// Why nothing of the attempt can ever run, as JSON.
const HOPELESS: &str = "containerops.io/hopeless";
/// No job needs more processes, and a machine has room for that many.
const PIDS_MAX: i64 = 16_384;
/// What sleeping takes.
const HOLDER_MEMORY: i64 = 64 << 20;
const HOLDER_PIDS: i64 = 16;
/// An engine refuses less.
const MEMORY_MIN: i64 = 6 << 20;
const NANO: f64 = 1e9;
/// The agent copies the job's lines to its own output, for `docker logs`; the last of it will do.
const LOG_MAX: &str = "10m";

/// What the engine's machine has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Machine {
    /// Processors; 0 if it does not say.
    pub(super) cpus: i64,
}

/// A container's name.
pub(super) fn name(attempt: AttemptId, container: &Container) -> String {
    format!("{}-{}", label::object_name(attempt), container.name)
}

/// A job's container: its image as it is, but for the program, which is the agent's. It names no working directory,
/// because the image's own may be what its entrypoint needs: the agent chooses.
pub(super) fn body(
    placement: &Placement,
    container: &Container,
    settings: &DockerSettings,
    machine: &Machine,
) -> ContainerCreateBody {
    let job = (JOB.to_owned(), container.job.to_string());
    let name = name(placement.attempt, container);
    ContainerCreateBody {
        image: Some(container.image.clone()),
        entrypoint: Some(command(placement)),
        cmd: Some(Vec::new()),
        labels: Some(labels(placement, settings).chain([job]).collect()),
        // an image's own check would be run beside the job, for nobody
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..Default::default() }),
        host_config: Some(HostConfig {
            network_mode: Some(network(placement, &name, settings)),
            extra_hosts: extra_hosts(placement, &name, settings),
            runtime: placement.runtime.clone(),
            mounts: Some(vec![workspace(placement)]),
            privileged: is_privileged(placement, container).then_some(true),
            security_opt: (!is_privileged(placement, container)).then(|| vec!["no-new-privileges".to_owned()]),
            cap_drop: (placement.isolation == Isolation::Strict).then(|| vec!["ALL".to_owned()]),
            restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from([("max-size".to_owned(), LOG_MAX.to_owned())])),
            }),
            pids_limit: Some(PIDS_MAX),
            ..limits(container, settings, machine)
        }),
        ..Default::default()
    }
}

/// Untrusted code never is, whatever is said of its image.
fn is_privileged(placement: &Placement, container: &Container) -> bool {
    container.privileged && placement.isolation == Isolation::Usual
}

/// A container that does nothing but have the network: of the last container's image, which is there, with the agent.
pub(super) fn holder(placement: &Placement, image: &str, settings: &DockerSettings) -> ContainerCreateBody {
    let name = holder_name(placement);
    let seconds = placement.deadline.as_secs().to_string();
    ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some([AGENT, "hold", "--for", &seconds].map(str::to_owned).to_vec()),
        cmd: Some(Vec::new()),
        // it has nothing to clean up
        stop_signal: Some("SIGKILL".to_owned()),
        labels: Some(labels(placement, settings).collect()),
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..Default::default() }),
        host_config: Some(HostConfig {
            network_mode: Some(network(placement, &name, settings)),
            extra_hosts: extra_hosts(placement, &name, settings),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            memory: Some(HOLDER_MEMORY),
            pids_limit: Some(HOLDER_PIDS),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The workspace's volume. Where nothing can ever run, it is all that there is of the attempt, and says why.
pub(super) fn volume(
    placement: &Placement,
    settings: &DockerSettings,
    hopeless: Option<&Hopeless>,
) -> VolumeCreateRequest {
    let why = hopeless.and_then(|hopeless| Some((HOPELESS.to_owned(), serde_json::to_string(hopeless).ok()?)));
    VolumeCreateRequest {
        name: Some(label::object_name(placement.attempt)),
        labels: Some(labels(placement, settings).chain(why).collect()),
        ..Default::default()
    }
}

/// What [`volume`] says.
pub(super) fn hopeless(labels: &HashMap<String, String>) -> Option<Hopeless> {
    serde_json::from_str(labels.get(HOPELESS)?).ok()
}

/// What a container gets before it is started, as a tar for its root. Any user of any image must be able to use it.
pub(super) fn files(container: &Container, agent: &[u8]) -> io::Result<Bytes> {
    let mut tar = tar::Builder::new(Vec::with_capacity(agent.len() + (64 << 10)));
    for (path, mode) in [
        ("containerops/", 0o755),
        ("containerops/bin/", 0o755),
        ("containerops/scratch/", 0o777),
        ("containerops/token/", 0o755),
        ("workspace/", 0o777),
    ] {
        append(&mut tar, path, tar::EntryType::Directory, mode, &[])?;
    }
    let plain = tar::EntryType::Regular;
    append(&mut tar, AGENT.trim_start_matches('/'), plain, 0o755, agent)?;
    append(&mut tar, END.trim_start_matches('/'), plain, 0o666, &[])?;
    append(&mut tar, "containerops/token/token", plain, 0o444, container.token.expose_secret().as_bytes())?;
    Ok(tar.into_inner()?.into())
}

fn append(tar: &mut tar::Builder<Vec<u8>>, path: &str, kind: tar::EntryType, mode: u32, text: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(text.len() as u64);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, path, text)
}

/// People and our own watch select by them. An engine takes any text, so the facts are written in full.
fn labels(placement: &Placement, settings: &DockerSettings) -> impl Iterator<Item = (String, String)> {
    label::labels(placement, &settings.server).into_iter().chain(label::annotations(placement))
}

fn command(placement: &Placement) -> Vec<String> {
    let alone = placement.deadline.as_secs().to_string();
    let token = format!("{TOKEN}/token");
    let options = [
        ("--url", placement.agent_url.as_str()),
        ("--token-file", &token),
        ("--workspace", WORKSPACE),
        ("--scratch", SCRATCH),
        ("--termination-log", END),
        // nobody else would end a container whose server never comes back
        ("--alone-max", &alone),
    ];
    let mut command = vec![AGENT.to_owned(), "job".to_owned()];
    command.extend(options.into_iter().flat_map(|(name, value)| [name.to_owned(), value.to_owned()]));
    command
}

/// The container whose network is the attempt's: the last job's, which is the last to end. Services may end at any
/// time, and after the last job: beside them there is a container that does nothing but have the network.
fn network_owner(placement: &Placement) -> String {
    match placement.containers.last() {
        Some(last) if last.service.is_none() => name(placement.attempt, last),
        Some(_) | None => holder_name(placement),
    }
}

/// Whether the attempt's containers have a network of their own, which somebody must hold for its services.
pub(super) fn needs_holder(placement: &Placement, settings: &DockerSettings) -> bool {
    let has_service = placement.containers.iter().any(|container| container.service.is_some());
    has_service && !is_shared(settings)
}

/// Whether all containers of the engine have one network.
fn is_shared(settings: &DockerSettings) -> bool {
    matches!(settings.network.as_str(), "host" | "none")
}

/// The name of the container that does nothing but have the network.
pub(super) fn holder_name(placement: &Placement) -> String {
    format!("{}-network", label::object_name(placement.attempt))
}

fn has_own_network(placement: &Placement, name: &str, settings: &DockerSettings) -> bool {
    is_shared(settings) || network_owner(placement) == name
}

fn network(placement: &Placement, name: &str, settings: &DockerSettings) -> String {
    if has_own_network(placement, name, settings) {
        settings.network.clone()
    } else {
        format!("container:{}", network_owner(placement))
    }
}

/// The services' names; and the machine's own, as Docker's users know it: where the server runs on it. Who shares
/// another's network has its hosts, too.
fn extra_hosts(placement: &Placement, name: &str, settings: &DockerSettings) -> Option<Vec<String>> {
    if !has_own_network(placement, name, settings) {
        return None;
    }
    let mut hosts: Vec<String> = placement.services().iter().map(|name| format!("{name}:127.0.0.1")).collect();
    if settings.network != "host" && placement.agent_url.contains("//host.docker.internal") {
        hosts.push("host.docker.internal:host-gateway".to_owned());
    }
    (!hosts.is_empty()).then_some(hosts)
}

fn workspace(placement: &Placement) -> Mount {
    Mount {
        target: Some(WORKSPACE.to_owned()),
        source: Some(label::object_name(placement.attempt)),
        typ: Some(MountType::VOLUME),
        // what an image has there is not the repository
        volume_options: Some(MountVolumeOptions { no_copy: Some(true), ..Default::default() }),
        ..Default::default()
    }
}

/// A job that asks for more than the default limit may use what it asked for. An engine places nothing, so what is only
/// asked for changes nothing; and it refuses more processors than there are.
fn limits(container: &Container, settings: &DockerSettings, machine: &Machine) -> HostConfig {
    let (own, default) = (&container.resources, &settings.resources);
    let most = |limit: &Option<String>, request: &Option<String>, default: &Option<String>| {
        let number = |quantity: &Option<String>| quantity.as_deref().map_or(0.0, amount);
        if limit.is_some() { number(limit) } else { number(request).max(number(default)) }
    };
    let cpus = most(&own.cpu_limit, &own.cpu, &default.cpu_limit);
    let cpus = if machine.cpus > 0 { cpus.min(machine.cpus as f64) } else { cpus };
    let memory = most(&own.memory_limit, &own.memory, &default.memory_limit) as i64;
    let memory = (memory > 0).then(|| memory.max(MEMORY_MIN));
    HostConfig {
        nano_cpus: (cpus > 0.0).then_some((cpus * NANO) as i64),
        memory,
        // no swap: what is over the limit is killed
        memory_swap: memory,
        ..Default::default()
    }
}
