//! Why a pod does not run yet, and whether it ever will.
//!
//! Only what names the author's mistake ends the waiting at once: an image that the registry does not know, a
//! container that cannot be created. A registry or a scheduler that has no room now is waited for, for a while.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStateWaiting, ContainerStatus, Pod};

use super::{
    observation::{condition, jobs, status_of_agent, statuses, terminated, time, words},
    pod::AGENT,
};
use crate::{
    executor::{Hopeless, Observation},
    model::{Infrastructure, Time},
};

/// How long the scheduler may look for a node: an autoscaler needs minutes to bring one.
const UNSCHEDULABLE_MAX: Duration = Duration::from_secs(10 * 60);
/// How long a registry, or a node's container runtime, may be away.
const AWAY_MAX: Duration = Duration::from_secs(5 * 60);

/// What is wrong with a waiting container, by the kubelet's word for it.
enum Trouble {
    /// Nothing: it is being made.
    None,
    /// Its image's name cannot be read.
    ImageName,
    /// Its image did not come.
    Image,
    /// It could not be made from its image and its spec.
    Container,
}

/// Set if a container can never start, whatever the others do: the runtime refused to start it. Such a pod counts as
/// ended for the cluster, but not as one that ran.
pub(super) fn cannot_start(pod: &Pod) -> Option<Observation> {
    let refused = statuses(pod).find_map(|status| {
        let terminated = terminated(status)?;
        let refused = matches!(terminated.reason.as_deref(), Some("StartError" | "ContainerCannotRun"));
        refused.then(|| (status, terminated.message.as_deref().unwrap_or_default()))
    });
    let (status, message) = refused?;
    let message = container_words(status, message);
    if message.contains(AGENT) && message.contains("no such file") {
        return Some(without_agent(pod, &message));
    }
    Some(hopeless(message.clone(), Hopeless::CannotStart { message }))
}

/// Ours or the operator's trouble: the container that brings the agent did not, and the jobs' containers were started
/// all the same.
fn without_agent(pod: &Pod, message: &str) -> Observation {
    let why = status_of_agent(pod).and_then(state).map_or(message, said);
    let message = words(&format!("the agent was not installed: {why}"));
    hopeless(message.clone(), Hopeless::Infrastructure(Infrastructure::Executor, message))
}

/// Why the pod waits; `None` if it doesn't.
pub(super) fn waiting(pod: &Pod, now: Time) -> Option<Observation> {
    let waiting: Vec<_> = statuses(pod).filter_map(|status| Some((status, state(status)?))).collect();
    let jobs = waiting.iter().filter_map(|(status, state)| trouble_of_job(pod, status, state, now));
    let troubles: Vec<_> = unscheduled(pod, now).into_iter().chain(trouble_of_agent(pod, now)).chain(jobs).collect();
    let is_hopeless = |trouble: &&Observation| matches!(trouble, Observation::Waiting { hopeless: Some(_), .. });
    let worst = troubles.iter().find(is_hopeless).or_else(|| troubles.first());
    let is_young = statuses(pod).next().is_none() || !waiting.is_empty();
    worst.cloned().or_else(|| is_young.then(|| Observation::Waiting { message: String::new(), hopeless: None }))
}

fn unscheduled(pod: &Pod, now: Time) -> Option<Observation> {
    let scheduled = condition(pod, "PodScheduled").filter(|condition| condition.status == "False")?;
    let message = words(scheduled.message.as_deref().unwrap_or_default());
    let since = scheduled.last_transition_time.as_ref().or(pod.metadata.creation_timestamp.as_ref()).map(time);
    Some(for_a_while(message, Infrastructure::Unschedulable, since, UNSCHEDULABLE_MAX, now))
}

/// The agent's image is the operator's: whatever is wrong with it is no author's mistake.
fn trouble_of_agent(pod: &Pod, now: Time) -> Option<Observation> {
    let status = status_of_agent(pod)?;
    let state = state(status)?;
    let kind = match trouble(state) {
        Trouble::None => return None,
        Trouble::ImageName | Trouble::Image => Infrastructure::ImagePull,
        Trouble::Container => Infrastructure::Executor,
    };
    let message = format!("the agent's image: {}", container_words(status, said(state)));
    Some(for_a_while(message, kind, started(pod), AWAY_MAX, now))
}

fn trouble_of_job(
    pod: &Pod,
    status: &ContainerStatus,
    state: &ContainerStateWaiting,
    now: Time,
) -> Option<Observation> {
    let message = container_words(status, said(state));
    let not_found = || Hopeless::ImageNotFound { image: image(pod, &status.name), message: words(said(state)) };
    Some(match trouble(state) {
        Trouble::None => return None,
        Trouble::ImageName => hopeless(message, not_found()),
        Trouble::Image if is_unknown_to_registry(said(state)) => hopeless(message, not_found()),
        Trouble::Image => for_a_while(message, Infrastructure::ImagePull, started(pod), AWAY_MAX, now),
        Trouble::Container if is_transient(said(state)) => {
            for_a_while(message, Infrastructure::Executor, started(pod), AWAY_MAX, now)
        }
        Trouble::Container => hopeless(message.clone(), Hopeless::CannotStart { message }),
    })
}

fn trouble(state: &ContainerStateWaiting) -> Trouble {
    match state.reason.as_deref().unwrap_or_default() {
        "InvalidImageName" => Trouble::ImageName,
        "ErrImagePull" | "ImagePullBackOff" | "ImageInspectError" | "ErrImageNeverPull" | "RegistryUnavailable" => {
            Trouble::Image
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => Trouble::Container,
        _ => Trouble::None,
    }
}

/// Whether the registry answered, and its answer was that there is no such image for us. containerd, CRI-O and Docker
/// each have their own words for it; a name server's "no such host" is none of them.
fn is_unknown_to_registry(message: &str) -> bool {
    const ANSWERS: [&str; 9] = [
        "code = NotFound",
        "manifest unknown",
        "name unknown",
        "repository does not exist",
        "pull access denied",
        "insufficient_scope",
        "requested access to the resource is denied",
        "404 Not Found",
        "no match for platform",
    ];
    ANSWERS.iter().any(|answer| message.contains(answer))
        || message.trim_end_matches(['"', '\'']).ends_with(": not found")
}

/// Whether the runtime was only too slow, or still busy with its last attempt.
fn is_transient(message: &str) -> bool {
    const WORDS: [&str; 6] = [
        "deadline exceeded",
        "is reserved for",
        "context canceled",
        "connection refused",
        "failed to sync",
        "Unavailable",
    ];
    WORDS.iter().any(|word| message.contains(word))
}

fn state(status: &ContainerStatus) -> Option<&ContainerStateWaiting> {
    status.state.as_ref()?.waiting.as_ref()
}

fn said(state: &ContainerStateWaiting) -> &str {
    let message = state.message.as_deref().filter(|message| !message.is_empty());
    message.or(state.reason.as_deref()).unwrap_or_default()
}

fn container_words(status: &ContainerStatus, message: &str) -> String {
    words(&format!("{}: {message}", status.name))
}

/// The image as the placement named it: the status may show another name of it.
fn image(pod: &Pod, container: &str) -> String {
    jobs(pod).filter(|one| one.name == container).find_map(|one| one.image.clone()).unwrap_or_default()
}

/// When the kubelet took the pod.
fn started(pod: &Pod) -> Option<Time> {
    let started = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
    started.or(pod.metadata.creation_timestamp.as_ref()).map(time)
}

fn hopeless(message: String, why: Hopeless) -> Observation {
    Observation::Waiting { message, hopeless: Some(why) }
}

fn for_a_while(message: String, kind: Infrastructure, since: Option<Time>, most: Duration, now: Time) -> Observation {
    let too_long = since.is_some_and(|since| now.since(since) > most);
    let hopeless = too_long.then(|| Hopeless::Infrastructure(kind, message.clone()));
    Observation::Waiting { message, hopeless }
}
