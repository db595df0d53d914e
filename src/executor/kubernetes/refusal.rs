//! What the API server's errors mean to us: try again, or never.

use std::time::Duration;

use super::{away, refused, resources::exceeds};
use crate::executor::{ExecutorError, ExecutorKind};

/// How RBAC says that we have no right to something.
const NO_RIGHT: &str = "is forbidden: User";

/// A call that did not do what we asked.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is one of this name already.
    Exists,
    /// There is none of this name, or no such namespace.
    Missing(String),
    /// It may not be, whoever asks: the object itself is wrong (400, 413, 422), or a policy of the cluster says no.
    Never(String),
    /// Not allowed to us, or not possible just now: it will pass, or someone must do something about it.
    NotNow(String),
    /// The namespace's quota has no room: it will pass when others end, unless someone must raise it.
    NoRoom(String),
    /// No answer in time.
    Silent(Duration),
}

impl Refusal {
    /// As the answer to a call for which there is no "never".
    pub(super) fn away(self) -> ExecutorError {
        away(self.message())
    }

    /// In words.
    pub(super) fn message(self) -> String {
        match self {
            Self::Exists => "the API server says that it exists already".to_owned(),
            Self::Missing(message) | Self::Never(message) | Self::NotNow(message) | Self::NoRoom(message) => message,
            Self::Silent(span) => format!("the API server has not answered for {} s", span.as_secs()),
        }
    }

    /// Whether there is no such namespace, or none in which we may do anything.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Missing(_) => true,
            Self::NotNow(message) => message.contains(NO_RIGHT),
            Self::Exists | Self::Never(_) | Self::NoRoom(_) | Self::Silent(_) => false,
        }
    }

    /// As the answer to the creation of a pod or a Secret.
    pub(super) fn of_creation(self, namespace: &str) -> ExecutorError {
        match self {
            Self::Never(message) => refused(&message),
            Self::NoRoom(message) => ExecutorError::NoRoom { kind: ExecutorKind::Kubernetes, message },
            Self::Missing(message) => away(format!("{message}; create it with `kubectl create namespace {namespace}`")),
            Self::Exists | Self::NotNow(_) | Self::Silent(_) => self.away(),
        }
    }
}

impl From<kube::Error> for Refusal {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::NotNow(format!("the API server cannot be reached: {}", with_causes(&error)));
        };
        let message = status.message.clone();
        match (status.code, status.reason.as_str()) {
            (409, "AlreadyExists") => Self::Exists,
            (404, _) => Self::Missing(message),
            (400 | 413 | 422, _) => Self::Never(message),
            (403, _) if never_fits(&message) => Self::Never(message),
            (403, _) if message.contains("exceeded quota") || message.contains("failed quota") => Self::NoRoom(message),
            (403, _) if is_for_a_while(&message) => Self::NotNow(message),
            (403, _) => Self::Never(message),
            (code, _) => Self::NotNow(format!("the API server answered {code}: {message}")),
        }
    }
}

/// Whether a quota would have no room for the pod if there were no other: `exceeded quota: q, requested: cpu=4, used:
/// cpu=0, limited: cpu=2`. A limit of nothing at all is an operator's pause.
fn never_fits(message: &str) -> bool {
    let Some((_, rest)) = message.split_once("exceeded quota: ") else { return false };
    let list = |name: &str| rest.split_once(name).map(|(_, list)| list.split(", ").next().unwrap_or_default());
    let pairs = |list: Option<&'_ str>| -> Vec<(String, String)> {
        let pairs = list.unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, amount)| (name.to_owned(), amount.to_owned())).collect()
    };
    let (requested, limited) = (pairs(list("requested: ")), pairs(list("limited: ")));
    let most = |name: &str| limited.iter().find(|(limit, _)| limit == name).map(|(_, most)| most.as_str());
    requested.iter().any(|(name, amount)| most(name).is_some_and(|most| exceeds(amount, most) && exceeds(most, "0")))
}

/// Of the things that Kubernetes forbids, those that are not in the object itself: a quota that is not known yet, a
/// namespace that is just coming or going, a right that our service account lacks. What is left are admission policies.
fn is_for_a_while(message: &str) -> bool {
    const WORDS: [&str; 4] =
        ["status unknown for quota", "being terminated", "error looking up service account", NO_RIGHT];
    WORDS.iter().any(|words| message.contains(words))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
}

#[cfg(test)]
mod tests {
    use super::never_fits;

    #[test]
    fn a_quota_that_is_full_is_not_one_that_is_too_small() {
        let of = |requested: &str, limited: &str| {
            never_fits(&format!(
                "pods \"co-1\" is forbidden: exceeded quota: mine, requested: {requested}, used: pods=3,cpu=1, limited: {limited}"
            ))
        };
        assert!(!of("pods=1,limits.cpu=500m", "pods=3,limits.cpu=1"));
        assert!(of("pods=1,limits.memory=4Gi", "pods=3,limits.memory=512Mi"));
        assert!(!never_fits("pods \"co-1\" is forbidden: exceeded quota"));
    }
}
