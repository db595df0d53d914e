//! The names that we write on pods, Secrets, containers and volumes, and how they are found again by them alone.

use std::collections::BTreeMap;

use crate::{
    executor::{Isolation, Placement},
    model::AttemptId,
};

/// Kubernetes' own label for whose an object is; our watch selects by it.
pub(super) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Our value of [`MANAGED_BY`].
pub(super) const OURS: &str = "containerops";
/// Which server placed it. Pods of earlier releases have no such label: they are driven by their rows, and where those
/// are lost, nobody can say whose they are.
pub(super) const SERVER: &str = "containerops.io/server";
/// The attempt's id.
pub(super) const ATTEMPT: &str = "containerops.io/attempt";
/// The run's id.
pub(super) const RUN: &str = "containerops.io/run";
/// The flow's name.
pub(super) const FLOW: &str = "containerops.io/flow";
/// `owner/repository`.
pub(super) const REPOSITORY: &str = "containerops.io/repository";
/// `stage.action`.
pub(super) const ACTION: &str = "containerops.io/action";
/// Of untrusted code, so that policies of the cluster can select it.
pub(super) const TRUST: &str = "containerops.io/trust";
/// Annotation: the ids of the pod's jobs, separated by commas, in the order of its containers.
pub(super) const JOBS: &str = "containerops.io/jobs";
/// Holds a deleted pod until we have seen how its containers ended.
pub(super) const FINALIZER: &str = "containerops.io/attempt";

/// How the names of our objects begin.
const PREFIX: &str = "co-";
/// A label's value has at most this many bytes.
const VALUE_MAX: usize = 63;

/// The name of an attempt's pod and of its Secret; on an engine, that of its volume, and how its containers' begin.
pub(super) fn object_name(attempt: AttemptId) -> String {
    format!("{PREFIX}{attempt}")
}

/// A container's own name, of the one that it has on an engine: `co-…-job-0` → `job-0`.
pub(super) fn short_name(name: &str) -> &str {
    let own = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
    own.map_or(name, |(_, own)| own)
}

/// The attempt whose pod has this name, if it may be one of ours.
pub(super) fn attempt_of_name(name: &str) -> Option<AttemptId> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

/// What the watch selects.
pub(super) fn selector() -> String {
    format!("{MANAGED_BY}={OURS}")
}

/// What only this server has placed.
pub(super) fn selector_of(server: &str) -> String {
    format!("{},{SERVER}={server}", selector())
}

/// Whether the labels say that this server has placed it.
pub(super) fn is_of(labels: &BTreeMap<String, String>, server: &str) -> bool {
    labels.get(SERVER).is_some_and(|label| label == server)
}

/// What people and our own watch select by: shortened to what labels may hold.
pub(super) fn labels(placement: &Placement, server: &str) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<_, _> =
        facts(placement).into_iter().map(|(name, text)| (name.to_owned(), value(&text))).collect();
    labels.insert(MANAGED_BY.to_owned(), OURS.to_owned());
    labels.insert(SERVER.to_owned(), value(server));
    if placement.isolation == Isolation::Strict {
        labels.insert(TRUST.to_owned(), "untrusted".to_owned());
    }
    labels
}

/// The same facts in full, for people and for reading the jobs back.
pub(super) fn annotations(placement: &Placement) -> BTreeMap<String, String> {
    let jobs: Vec<String> = placement.containers.iter().map(|container| container.job.to_string()).collect();
    let mut annotations: BTreeMap<_, _> =
        facts(placement).into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    annotations.insert(JOBS.to_owned(), jobs.join(","));
    annotations
}

fn facts(placement: &Placement) -> [(&'static str, String); 5] {
    [
        (ATTEMPT, placement.attempt.to_string()),
        (RUN, placement.run.to_string()),
        (FLOW, placement.flow.clone()),
        (REPOSITORY, placement.tenant.repository.to_string()),
        (ACTION, placement.action.clone()),
    ]
}

/// A text as a label's value may be: letters, digits, `-`, `_` and `.`, a letter or digit at either end.
pub(super) fn value(text: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let value: String = text.chars().map(legal).skip_while(|c| !c.is_ascii_alphanumeric()).take(VALUE_MAX).collect();
    value.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::value;

    #[test]
    fn a_value_is_legal_and_recognisable() {
        assert_eq!(value("acme/shop"), "acme-shop");
        assert_eq!(value("_release/ünï_"), "release--n");
        assert_eq!(value(&format!("{}/x", "a".repeat(62))), "a".repeat(62));
        assert_eq!(value("///"), "");
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_legal_value(text in any::<String>()) {
            let value = value(&text);
            prop_assert!(value.len() <= 63);
            prop_assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)));
            let ends = value.chars().next().into_iter().chain(value.chars().last());
            prop_assert!(ends.into_iter().all(|c| c.is_ascii_alphanumeric()));
        }
    }
}
