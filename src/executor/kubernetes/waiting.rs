//! Why a pod does not run yet, and whether it ever will.
//!
//! Only what names the author's mistake ends the waiting at once: an image that the registry does not know, a
//! container that cannot be created. A registry or a scheduler that has no room now is waited for, for a while.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStateWaiting, ContainerStatus, Pod};

use super::{
    observation::{Seen, condition, image_of, job_of, jobs, status_of_agent, statuses, terminated, time, words},
    pod::{AGENT, INSTALL},
};
use crate::{
    executor::{
        Hopeless, Observation, Why,
        answer::{self, Answer},
    },
    model::{Infrastructure, JobId, Span, Time},
};

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
pub(super) fn cannot_start(seen: &Seen<'_>) -> Option<Observation> {
    let refused = statuses(seen.pod).find_map(|status| {
        let terminated = terminated(status)?;
        let refused = matches!(terminated.reason.as_deref(), Some("StartError" | "ContainerCannotRun"));
        refused.then(|| (status, terminated.message.as_deref().unwrap_or_default()))
    });
    let (status, message) = refused?;
    if message.contains(AGENT) && message.contains("no such file") {
        return Some(without_agent(seen, message));
    }
    let message = words(message);
    if is_transient(&message) {
        // the runtime itself went away while it made the container
        return Some(hopeless(message.clone(), None, Why::Infrastructure(Infrastructure::NotStarted, message)));
    }
    Some(hopeless(message.clone(), job_of(seen.pod, &status.name), Why::CannotStart { message }))
}

/// The operator's trouble: the container that brings the agent did not, and the jobs' containers were started all the
/// same.
fn without_agent(seen: &Seen<'_>, message: &str) -> Observation {
    let state = status_of_agent(seen.pod).and_then(state);
    let why = state.map_or(message, |state| said(seen, INSTALL, state));
    let message = of_agent(seen.pod, why);
    hopeless(message.clone(), None, Why::Infrastructure(Infrastructure::AgentImage, message))
}

/// Why the pod waits; `None` if it doesn't.
pub(super) fn waiting(seen: &Seen<'_>) -> Option<Observation> {
    let waiting: Vec<_> = statuses(seen.pod).filter_map(|status| Some((status, state(status)?))).collect();
    let jobs = waiting.iter().filter_map(|(status, state)| trouble_of_job(seen, status, state));
    let troubles: Vec<_> = unscheduled(seen).into_iter().chain(trouble_of_agent(seen)).chain(jobs).collect();
    let is_hopeless = |trouble: &&Observation| matches!(trouble, Observation::Waiting { hopeless: Some(_), .. });
    let worst = troubles.iter().find(is_hopeless).or_else(|| troubles.first());
    let is_young = statuses(seen.pod).next().is_none() || !waiting.is_empty();
    worst.cloned().or_else(|| is_young.then(|| being_made(seen)))
}

fn unscheduled(seen: &Seen<'_>) -> Option<Observation> {
    let scheduled = condition(seen.pod, "PodScheduled").filter(|condition| condition.status == "False")?;
    let message = words(scheduled.message.as_deref().unwrap_or_default());
    let since = scheduled.last_transition_time.as_ref().map(time).or(made(seen.pod));
    Some(for_a_while(seen, message, Infrastructure::Unschedulable, since, seen.patience.scheduling))
}

/// Nothing fails, but it may last too long.
fn being_made(seen: &Seen<'_>) -> Observation {
    let scheduled = condition(seen.pod, "PodScheduled").filter(|condition| condition.status == "True");
    let patience = seen.patience;
    let Some(scheduled) = scheduled else {
        let words = "no scheduler has looked at the pod";
        return silently(seen, words, Infrastructure::Unschedulable, made(seen.pod), patience.scheduling);
    };
    let is_taken = seen.pod.status.as_ref().is_some_and(|status| status.start_time.is_some());
    if !is_taken {
        let node = seen.pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
        let since = scheduled.last_transition_time.as_ref().map(time);
        let words = format!("node {node} has not taken the pod");
        return silently(seen, &words, Infrastructure::NodeLost, since, patience.trouble);
    }
    let pulled = all_names(seen.pod).find_map(|name| seen.heard.pulling(name));
    match (pulled, seen.heard.trouble()) {
        (Some(said), _) => {
            let message = lower_first(said);
            for_a_while(seen, message, Infrastructure::ImagePull, started(seen.pod), patience.making)
        }
        (None, Some(said)) => {
            for_a_while(seen, said.to_owned(), Infrastructure::NotStarted, started(seen.pod), patience.trouble)
        }
        (None, None) => {
            let words = "the pod's containers were not made";
            silently(seen, words, Infrastructure::NotStarted, started(seen.pod), patience.making)
        }
    }
}

/// The agent's image is the operator's: whatever is wrong with it is no author's mistake.
fn trouble_of_agent(seen: &Seen<'_>) -> Option<Observation> {
    let state = status_of_agent(seen.pod).and_then(state)?;
    match trouble(state) {
        Trouble::None => return None,
        Trouble::ImageName | Trouble::Image | Trouble::Container => {}
    }
    let message = of_agent(seen.pod, said(seen, INSTALL, state));
    Some(for_a_while(seen, message, Infrastructure::AgentImage, started(seen.pod), seen.patience.trouble))
}

fn trouble_of_job(seen: &Seen<'_>, status: &ContainerStatus, state: &ContainerStateWaiting) -> Option<Observation> {
    let said = said(seen, &status.name, state);
    let (image, message) = (image_of(seen.pod, &status.name), words(said));
    let job = job_of(seen.pod, &status.name);
    let never = |why: Why| Some(hopeless(message.clone(), job, why));
    let wait = |kind| {
        let message = container_words(status, said);
        Some(for_a_while(seen, message, kind, started(seen.pod), seen.patience.trouble))
    };
    match trouble(state) {
        Trouble::None => None,
        Trouble::ImageName => never(Why::ImageInvalid { image, message: message.clone() }),
        Trouble::Image => match answer::answer(said) {
            Answer::NotFound => never(Why::ImageNotFound { image, message: message.clone() }),
            Answer::Denied => never(Why::ImageDenied { image, message: message.clone() }),
            Answer::None => wait(Infrastructure::ImagePull),
        },
        Trouble::Container if is_transient(said) => wait(Infrastructure::NotStarted),
        Trouble::Container => never(Why::CannotStart { message: message.clone() }),
    }
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

/// Whether the runtime was only too slow, or still busy with its last attempt.
fn is_transient(message: &str) -> bool {
    const WORDS: [&str; 8] = [
        "deadline exceeded",
        "is reserved for",
        "context canceled",
        "connection refused",
        "failed to sync",
        "Unavailable",
        "transport is closing",
        "ttrpc: closed",
    ];
    WORDS.iter().any(|word| message.contains(word))
}

fn state(status: &ContainerStatus) -> Option<&ContainerStateWaiting> {
    status.state.as_ref()?.waiting.as_ref()
}

/// The words for why a container waits: while the kubelet waits for its next try at a pull, what it said of the last.
fn said<'a>(seen: &Seen<'a>, container: &str, state: &'a ContainerStateWaiting) -> &'a str {
    let message = state.message.as_deref().filter(|message| !message.is_empty());
    let earlier = seen.heard.failed_pull(container).filter(|_| message.is_none_or(answer::is_between_pulls));
    earlier.or(message).or(state.reason.as_deref()).unwrap_or_default()
}

fn container_words(status: &ContainerStatus, message: &str) -> String {
    words(&format!("{}: {message}", status.name))
}

fn of_agent(pod: &Pod, message: &str) -> String {
    words(&format!("image {}: {message}", image_of(pod, INSTALL)))
}

fn all_names(pod: &Pod) -> impl Iterator<Item = &str> {
    jobs(pod).map(|container| container.name.as_str()).chain([INSTALL])
}

/// When the kubelet took the pod.
fn started(pod: &Pod) -> Option<Time> {
    let started = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
    started.map(time).or(made(pod))
}

fn made(pod: &Pod) -> Option<Time> {
    pod.metadata.creation_timestamp.as_ref().map(time)
}

fn hopeless(message: String, job: Option<JobId>, why: Why) -> Observation {
    Observation::Waiting { message, hopeless: Some(Hopeless { job, why }) }
}

fn for_a_while(
    seen: &Seen<'_>,
    message: String,
    kind: Infrastructure,
    since: Option<Time>,
    most: Duration,
) -> Observation {
    let why = || Hopeless::all(Why::Infrastructure(kind, message.clone()));
    let hopeless = is_past(seen, since, most).then(why);
    Observation::Waiting { message, hopeless }
}

/// The same where nobody says anything: there is nothing to tell until it has lasted too long.
fn silently(seen: &Seen<'_>, words: &str, kind: Infrastructure, since: Option<Time>, most: Duration) -> Observation {
    if is_past(seen, since, most) {
        return for_a_while(seen, format!("{words} for {}", Span(most)), kind, since, most);
    }
    Observation::Waiting { message: String::new(), hopeless: None }
}

fn is_past(seen: &Seen<'_>, since: Option<Time>, most: Duration) -> bool {
    since.is_some_and(|since| seen.now.since(since) > most)
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
