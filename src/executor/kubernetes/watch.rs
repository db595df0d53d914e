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
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event},
    },
};
use tokio::task::JoinHandle;

use super::{attempt_of, label, observation::observation};
use crate::{
    executor::{Changed, Hopeless, News, Observation},
    model::{Clock, Time},
};

/// The server ends each watch after this many seconds and we go on from where it was. A connection that died silently
/// is noticed a few seconds later, so this bounds how old our knowledge may be.
const WATCH_SECONDS: u32 = 30;
/// How long a new process waits for its first list before it asks for single pods.
const FIRST_LIST_MAX: Duration = Duration::from_secs(5);
/// After an interruption, how long until the next list: doubling, so that an API server that comes back is not hindered.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
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
    news: News,
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
            news: News::default(),
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

    /// Returns after the next change, or at once if there was one that nobody has asked for.
    pub(super) async fn changed(&self) -> Changed {
        self.shared.news.next().await
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

    fn take(&self, event: Event<Pod>) {
        match event {
            Event::Apply(pod) => {
                self.remember(&pod, self.clock.now());
                self.tell(&pod);
            }
            Event::InitApply(pod) => self.remember(&pod, self.clock.now()),
            Event::Delete(pod) => {
                self.forget(&pod);
                self.tell(&pod);
            }
            Event::Init => {}
            Event::InitDone => {
                if !self.is_current.swap(true, Ordering::AcqRel) {
                    tracing::info!(namespace = self.namespace, "our pods are watched");
                }
                // what went while nobody watched is not told one by one
                self.news.tell_all();
            }
        }
    }

    /// Says so once, however long it lasts: what is asked for meanwhile is asked of the API server itself.
    fn interrupted(&self, error: &watcher::Error) {
        if self.is_current.swap(false, Ordering::AcqRel) {
            tracing::warn!(namespace = self.namespace, %error, "the watch of our pods was interrupted");
        } else {
            tracing::debug!(namespace = self.namespace, %error, "our pods cannot be watched yet");
        }
    }

    fn tell(&self, pod: &Pod) {
        if let Some(attempt) = attempt_of(pod) {
            self.news.tell(attempt);
        }
    }
}

/// Watches for ever. After every interruption all pods are listed anew: only then is it certain again what there is.
async fn follow(pods: Api<Pod>, mut writer: reflector::store::Writer<Pod>, shared: Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let config = watcher::Config::default().labels(&label::selector()).timeout(WATCH_SECONDS);
        let mut events = pin!(watcher::watcher(pods.clone(), config));
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    shared.interrupted(&error);
                    break;
                }
            };
            writer.apply_watcher_event(&event);
            if matches!(event, Event::InitDone) {
                pause = FIRST_PAUSE;
            }
            shared.take(event);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
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
