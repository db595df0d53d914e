//! What the API server's errors mean to us: try again, or never.

use std::time::Duration;

use super::{away, refused};
use crate::executor::ExecutorError;

/// A call that did not do what we asked.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is one of this name already.
    Exists,
    /// There is none of this name, or no such namespace.
    Missing(String),
    /// It may not be, whoever asks: the object itself is wrong (400, 413, 422), or a policy of the cluster says no.
    Never(String),
    /// Not allowed to us, or no room in the quota: it will pass, or someone must do something about it.
    NotNow(String),
    /// No answer in time.
    Silent(Duration),
}

impl Refusal {
    /// As the answer to a call for which there is no "never".
    pub(super) fn away(self) -> ExecutorError {
        match self {
            Self::Exists => away("the API server says that it exists already".to_owned()),
            Self::Missing(message) | Self::Never(message) | Self::NotNow(message) => away(message),
            Self::Silent(span) => away(format!("the API server has not answered for {} s", span.as_secs())),
        }
    }

    /// As the answer to the creation of a pod or a Secret.
    pub(super) fn of_creation(self, namespace: &str) -> ExecutorError {
        match self {
            Self::Never(message) => refused(&message),
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
            (403, _) if is_for_a_while(&message) => Self::NotNow(message),
            (403, _) => Self::Never(message),
            (code, _) => Self::NotNow(format!("the API server answered {code}: {message}")),
        }
    }
}

/// Of the things that Kubernetes forbids, those that are not in the object itself: a full quota, a namespace that is
/// just coming or going, a right that our service account lacks. What is left are admission policies.
fn is_for_a_while(message: &str) -> bool {
    const WORDS: [&str; 6] = [
        "exceeded quota",
        "failed quota",
        "status unknown for quota",
        "being terminated",
        "error looking up service account",
        "is forbidden: User",
    ];
    WORDS.iter().any(|words| message.contains(words))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
}
