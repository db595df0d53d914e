//! One shared watch over all our pods of the namespace, however many attempts there are.
//!
//! It promises the newest that is known, and says when it knows nothing: while the watch is interrupted its pods may
//! be old, and nobody may conclude from it that a pod is gone.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event},
    },
};
use tokio::{sync::Notify, task::JoinHandle};

use super::{label, observation::observation};
use crate::{
    executor::{Hopeless, Observation},
    model::{Clock, Time},
};

/// The server ends each watch after this many seconds and we go on from where it was. A connection that died silently
/// is noticed a few seconds later, so this bounds how old our knowledge may be.
const WATCH_SECONDS: u32 = 30;
/// How long a new process waits for its first list before it asks for single pods.
const FIRST_LIST_MAX: Duration = Duration::from_secs(5);
/// How the kubelet speaks of a pull between two tries, without a word about why the last one failed.
const BETWEEN_PULLS: &str = "Back-off pulling image";

/// The watch; it ends when this is dropped.
pub(super) struct Watch {
    pods: Store<Pod>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    clock: Clock,
    namespace: String,
    is_current: AtomicBool,
    news: Notify,
    /// By the pod's name: why it waits, as it was last said.
    said: Mutex<HashMap<String, Observation>>,
}

impl Watch {
    /// Begins to watch. The API server need not be there yet.
    pub(super) fn begin(pods: Api<Pod>, namespace: &str, clock: Clock) -> Self {
        let (store, writer) = reflector::store();
        let shared = Arc::new(Shared {
            clock,
            namespace: namespace.to_owned(),
            is_current: AtomicBool::new(false),
            news: Notify::new(),
            said: Mutex::default(),
        });
        let task = tokio::spawn(follow(pods, writer, Arc::clone(&shared)));
        Self { pods: store, shared, task }
    }

    /// The pod, if it is known for certain that this is its newest state.
    pub(super) async fn newest(&self, name: &str) -> Option<Arc<Pod>> {
        self.is_current().await.then(|| self.pods.get(&ObjectRef::new(name).within(&self.shared.namespace))).flatten()
    }

    /// All pods, if it is known for certain that these are all.
    pub(super) async fn all(&self) -> Option<Vec<Arc<Pod>>> {
        self.is_current().await.then(|| self.pods.state())
    }

    /// What the pod shows, with what it said before where it says less now.
    pub(super) fn observe(&self, pod: &Pod) -> Observation {
        let now = self.shared.clock.now();
        remembering(observation(pod, now), self.shared.said().get(&pod.name_any()))
    }

    /// Returns after the next change, or at once if there was one that nobody waited for.
    pub(super) async fn changed(&self) {
        self.shared.news.notified().await;
    }

    async fn is_current(&self) -> bool {
        let first_list = tokio::time::timeout(FIRST_LIST_MAX, self.pods.wait_until_ready()).await;
        matches!(first_list, Ok(Ok(()))) && self.shared.is_current.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn said(&self) -> MutexGuard<'_, HashMap<String, Observation>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, pod: &Pod, now: Time) {
        let mut said = self.said();
        match remembering(observation(pod, now), said.get(&pod.name_any())) {
            waiting @ Observation::Waiting { .. } => said.insert(pod.name_any(), waiting),
            Observation::Absent | Observation::Running | Observation::Ended { .. } => said.remove(&pod.name_any()),
        };
    }

    fn forget(&self, pod: &Pod) {
        self.said().remove(&pod.name_any());
    }

    /// Wakes all who wait; if nobody does, the next who comes.
    fn wake(&self) {
        self.news.notify_waiters();
        self.news.notify_one();
    }
}

async fn follow(pods: Api<Pod>, writer: reflector::store::Writer<Pod>, shared: Arc<Shared>) {
    let config = watcher::Config::default().labels(&label::selector()).timeout(WATCH_SECONDS);
    let mut events = pin!(watcher::watcher(pods, config).default_backoff().reflect(writer));
    while let Some(event) = events.next().await {
        let is_current = event.is_ok();
        match event {
            Ok(Event::Apply(pod) | Event::InitApply(pod)) => shared.remember(&pod, shared.clock.now()),
            Ok(Event::Delete(pod)) => shared.forget(&pod),
            Ok(Event::Init | Event::InitDone) => {}
            Err(error) => tracing::warn!(namespace = shared.namespace, %error, "the watch of our pods was interrupted"),
        }
        shared.is_current.store(is_current, Ordering::Release);
        shared.wake();
    }
}

/// Between two tries to pull an image the kubelet says only that it will try again: what it said after the last try
/// still stands.
fn remembering(seen: Observation, before: Option<&Observation>) -> Observation {
    match (seen, before) {
        (
            Observation::Waiting { message, hopeless },
            Some(Observation::Waiting { message: earlier, hopeless: earlier_hopeless }),
        ) if message.contains(BETWEEN_PULLS) && !earlier.is_empty() => Observation::Waiting {
            hopeless: earlier_hopeless.clone().or(hopeless.map(|why| in_words(why, earlier))),
            message: earlier.clone(),
        },
        (seen, _) => seen,
    }
}

fn in_words(why: Hopeless, words: &str) -> Hopeless {
    match why {
        Hopeless::Infrastructure(kind, _) => Hopeless::Infrastructure(kind, words.to_owned()),
        Hopeless::ImageNotFound { .. } | Hopeless::CannotStart { .. } => why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Infrastructure;

    fn waiting(message: &str, hopeless: Option<Hopeless>) -> Observation {
        Observation::Waiting { message: message.to_owned(), hopeless }
    }

    #[test]
    fn what_was_said_of_a_pull_stands_until_the_next_try() {
        let refused = waiting("job-0: connection refused", None);
        let between = waiting("job-0: Back-off pulling image \"x\"", None);
        assert_eq!(remembering(between.clone(), Some(&refused)), refused);
        assert_eq!(remembering(between.clone(), None), between);
        assert_eq!(remembering(Observation::Running, Some(&refused)), Observation::Running);
    }

    #[test]
    fn giving_up_between_two_tries_says_what_the_last_try_said() {
        let give_up = |words: &str| Some(Hopeless::Infrastructure(Infrastructure::ImagePull, words.to_owned()));
        let between = waiting("job-0: Back-off pulling image \"x\"", give_up("job-0: Back-off pulling image \"x\""));
        let before = waiting("job-0: connection refused", None);
        assert_eq!(
            remembering(between, Some(&before)),
            waiting("job-0: connection refused", give_up("job-0: connection refused"))
        );
    }
}
