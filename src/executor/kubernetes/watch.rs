//! One shared watch over all our pods of an area, and one over what the cluster tells of them, however many attempts
//! there are.
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
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{self, Pod};
use kube::{
    Api, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event},
    },
};
use tokio::task::JoinSet;

use super::{
    attempt_of,
    heard::Heard,
    label,
    moments::moments,
    observation::{Seen, all_statuses, observation},
    patience::Patience,
};
use crate::{
    executor::{News, Sight},
    model::Clock,
};

/// The server ends each watch after this many seconds and we go on from where it was. A connection that died silently
/// is noticed a few seconds later, so this bounds how old our knowledge may be.
const WATCH_SECONDS: u32 = 30;
/// How long a new process waits for its first list before it asks for single pods.
const FIRST_LIST_MAX: Duration = Duration::from_secs(5);
/// After an interruption, how long until the next list: doubling, so that an API server that comes back is not hindered.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// So many pods may have been heard of and not be there (any more) before they are forgotten.
const STRANGERS_MAX: usize = 256;

/// The watch; it ends when this is dropped.
pub(super) struct Watch {
    pods: Store<Pod>,
    shared: Arc<Shared>,
    /// Aborted when they are dropped.
    _tasks: JoinSet<()>,
}

struct Shared {
    clock: Clock,
    begun: Instant,
    /// For people: the namespace, or `all`.
    namespace: String,
    /// What the pods have as labels.
    select: String,
    patience: Patience,
    is_current: AtomicBool,
    news: Arc<News>,
    /// By the pod's name.
    heard: Mutex<HashMap<String, Heard>>,
    /// In which namespace each pod is, by its name.
    places: Mutex<HashMap<String, String>>,
}

impl Watch {
    /// Begins to watch. The API server need not be there yet.
    pub(super) fn begin(
        pods: Api<Pod>,
        events: Api<v1::Event>,
        (namespace, select): (&str, &str),
        patience: Patience,
        news: Arc<News>,
    ) -> Self {
        let (store, writer) = reflector::store();
        let shared = Arc::new(Shared {
            clock: Clock::System,
            begun: Instant::now(),
            namespace: namespace.to_owned(),
            select: select.to_owned(),
            patience,
            is_current: AtomicBool::new(false),
            news,
            heard: Mutex::default(),
            places: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(pods, writer, Arc::clone(&shared)));
        tasks.spawn(listen(events, store.clone(), Arc::clone(&shared)));
        Self { pods: store, shared, _tasks: tasks }
    }

    /// The pod, if it is known for certain that this is its newest state.
    pub(super) async fn newest(&self, name: &str) -> Option<Arc<Pod>> {
        self.is_current().await.then(|| self.pods.get(&ObjectRef::new(name).within(&self.place(name)?))).flatten()
    }

    /// The namespace of the pod of this name, if anything was heard of it.
    pub(super) fn place(&self, name: &str) -> Option<String> {
        self.shared.places().get(name).cloned()
    }

    /// A pod was made just now: the watch may not know of it yet.
    pub(super) fn note_place(&self, pod: &Pod) {
        self.shared.note_place(pod);
    }

    /// All pods, if it is known for certain that these are all.
    pub(super) async fn all(&self) -> Option<Vec<Arc<Pod>>> {
        self.is_current().await.then(|| self.pods.state())
    }

    /// What became of the attempt whose pod this is, by all that was heard of it, and when.
    pub(super) fn look(&self, pod: &Pod) -> Sight {
        let heard = self.shared.heard().get(&pod.name_any()).cloned().unwrap_or_default();
        let now = self.shared.clock.now();
        let seen = Seen { pod, heard: &heard, patience: &self.shared.patience, now };
        Sight { observation: observation(&seen), moments: moments(&seen) }
    }

    async fn is_current(&self) -> bool {
        // once that has passed nobody waits any more: a namespace that is not there never has a list
        let left = FIRST_LIST_MAX.saturating_sub(self.shared.begun.elapsed());
        let first_list = tokio::time::timeout(left, self.pods.wait_until_ready()).await;
        matches!(first_list, Ok(Ok(()))) && self.shared.is_current.load(Ordering::Acquire)
    }
}

impl Shared {
    fn heard(&self) -> MutexGuard<'_, HashMap<String, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what the pod's status says now and may not say in a moment.
    fn remember(&self, pod: &Pod) {
        let mut new = Heard::default();
        all_statuses(pod).iter().for_each(|status| new.status(status));
        if !new.is_empty() {
            let mut heard = self.heard();
            let of_pod = heard.entry(pod.name_any()).or_default();
            all_statuses(pod).iter().for_each(|status| of_pod.status(status));
        }
    }

    /// Takes in an event of a pod of ours. It may come before we know of the pod, and after the pod is gone.
    fn hear(&self, event: &v1::Event, pods: &Store<Pod>) {
        let name = event.involved_object.name.as_deref().unwrap_or_default();
        let Some(attempt) = label::attempt_of_name(name) else { return };
        let mut heard = self.heard();
        heard.entry(name.to_owned()).or_default().event(event);
        if heard.len() > 2 * pods.len() + STRANGERS_MAX {
            let places = self.places();
            heard.retain(|name, _| places.contains_key(name));
        }
        drop(heard);
        self.news.tell(attempt);
    }

    fn places(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_place(&self, pod: &Pod) {
        self.places().insert(pod.name_any(), pod.namespace().unwrap_or_default());
    }

    fn forget(&self, pod: &Pod) {
        self.heard().remove(&pod.name_any());
        self.places().remove(&pod.name_any());
    }

    fn take(&self, event: Event<Pod>) {
        match event {
            Event::Apply(pod) => {
                self.note_place(&pod);
                self.remember(&pod);
                self.tell(&pod);
            }
            Event::InitApply(pod) => {
                self.note_place(&pod);
                self.remember(&pod);
            }
            Event::Delete(pod) => {
                self.forget(&pod);
                self.tell(&pod);
            }
            // what is not in the list that comes is gone
            Event::Init => self.places().clear(),
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
        let config = watcher::Config::default().labels(&shared.select).timeout(WATCH_SECONDS);
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

/// Follows the events of the area's pods. What happens to pods is known without them, and their words are not; so
/// trouble here is told once, and no more.
async fn listen(events: Api<v1::Event>, pods: Store<Pod>, shared: Arc<Shared>) {
    let config = watcher::Config::default().fields("involvedObject.kind=Pod").timeout(WATCH_SECONDS);
    let mut stream = pin!(watcher::watcher(events, config).default_backoff());
    let mut is_told = false;
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Apply(event) | Event::InitApply(event)) => shared.hear(&event, &pods),
            Ok(Event::Delete(_) | Event::Init) => {}
            Ok(Event::InitDone) => is_told = false,
            Err(error) if is_told => tracing::debug!(namespace = shared.namespace, %error, "no events of our pods"),
            Err(error) => {
                is_told = true;
                tracing::warn!(namespace = shared.namespace, %error, "no events of our pods: some ends will have fewer words");
            }
        }
    }
}
