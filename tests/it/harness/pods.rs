//! Pods as a story wants them: placed at once, and dead when it says so. Their agents are the story's own, over HTTP.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use containerops::{
    agent::protocol::EndRecord,
    executor::{
        Changed, ContainerEnd, Executor, ExecutorError, ExecutorKind, Hopeless, News, Observation, Outside, Placement,
        Sight, Unable,
    },
    model::{AttemptId, Infrastructure, JobId, Moments},
};

/// The modelled executor. Its clones are one.
#[derive(Clone)]
pub(crate) struct Pods {
    kind: ExecutorKind,
    state: Arc<Mutex<State>>,
    news: Arc<News>,
}

/// What goes wrong when a pod is to be placed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Nothing is placed, and it may work later.
    Away,
    /// It is placed, but nobody hears of it.
    LostAnswer,
    /// Nothing is placed: there is no room.
    NoRoom,
    /// It will never work.
    Refused,
}

#[derive(Default)]
struct State {
    pods: BTreeMap<AttemptId, Pod>,
    faults: VecDeque<Fault>,
    /// What was removed and is still there; nothing stays if this is none.
    held: Option<BTreeSet<AttemptId>>,
    /// It keeps nothing apart.
    shares: bool,
    /// Nobody can ask it anything.
    is_away: bool,
    /// How often each attempt was placed when there was none of it.
    placed: BTreeMap<AttemptId, usize>,
}

struct Pod {
    placement: Placement,
    observation: Observation,
    moments: Moments,
}

impl Pods {
    pub(crate) fn of_kind(kind: ExecutorKind) -> Self {
        Self { kind, state: Arc::default(), news: Arc::default() }
    }

    /// It cannot keep untrusted code apart.
    pub(crate) fn keep_nothing_apart(&self) {
        self.state().shares = true;
    }

    /// The newest pod of an action (`stage.action`), also one that has ended.
    pub(crate) fn newest(&self, action: &str) -> Option<Placement> {
        let state = self.state();
        state.pods.values().rev().find(|pod| pod.placement.action == action).map(|pod| pod.placement.clone())
    }

    /// The actions that have pods, by name.
    pub(crate) fn placed(&self) -> Vec<String> {
        let mut actions: Vec<_> = self.state().pods.values().map(|pod| pod.placement.action.clone()).collect();
        actions.sort();
        actions
    }

    /// The most often that one attempt was placed.
    pub(crate) fn most_placed(&self) -> usize {
        self.state().placed.values().copied().max().unwrap_or(0)
    }

    /// The next placing goes wrong like this.
    pub(crate) fn fail_next(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// From now on removed pods stay, as on a node that does not answer.
    pub(crate) fn hold(&self) {
        self.state().held = Some(BTreeSet::new());
    }

    /// They go at last.
    pub(crate) fn release(&self) {
        let mut state = self.state();
        for attempt in state.held.take().unwrap_or_default() {
            state.pods.remove(&attempt);
        }
    }

    /// From now on the executor cannot be asked what became of its pods.
    pub(crate) fn away(&self) {
        self.state().is_away = true;
    }

    /// It can be asked again.
    pub(crate) fn back(&self) {
        self.state().is_away = false;
    }

    /// An action's newest pod dies from outside.
    pub(crate) fn dies(&self, action: &str, kind: Infrastructure, message: &str) {
        self.is_taken(action, Outside::Infrastructure(kind, message.to_owned()));
    }

    /// The same, also where the author is to blame.
    pub(crate) fn is_taken(&self, action: &str, outside: Outside) {
        self.observe_as(action, |_| Observation::Ended { containers: Vec::new(), outside: Some(outside) });
    }

    /// The only container of an action's newest pod ends like this, and no agent has said a word.
    pub(crate) fn ends_as(&self, action: &str, end: impl FnOnce(ContainerEnd) -> ContainerEnd) {
        self.observe_as(action, |placement| Observation::Ended {
            containers: vec![end(silent(placement.containers[0].job, 0))],
            outside: None,
        });
    }

    /// The container of the job in this place ends with this code and no word, and the others go on.
    pub(crate) fn loses(&self, action: &str, place: usize, exit_code: i32) {
        self.observe_as(action, |placement| Observation::PartlyEnded {
            containers: vec![silent(placement.containers[place].job, exit_code)],
        });
    }

    /// The job in this place of an action's newest pod.
    pub(crate) fn job(&self, action: &str, place: usize) -> JobId {
        self.newest(action).unwrap_or_else(|| panic!("there is no pod of {action}")).containers[place].job
    }

    /// All containers of an action's newest pod end with this code, and no agent has said a word.
    pub(crate) fn ends_silently(&self, action: &str, exit_code: i32) {
        self.observe_as(action, |placement| Observation::Ended {
            containers: placement.containers.iter().map(|container| silent(container.job, exit_code)).collect(),
            outside: None,
        });
    }

    /// The only container of an action's newest pod ends, and its agent has left this record with it alone.
    pub(crate) fn ends_with(&self, action: &str, record: &EndRecord) {
        let end_record = serde_json::to_string(record).ok();
        self.observe_as(action, |placement| Observation::Ended {
            containers: vec![ContainerEnd { end_record, ..silent(placement.containers[0].job, 0) }],
            outside: None,
        });
    }

    /// Someone removes an action's newest pod, and nothing is left.
    pub(crate) fn vanishes(&self, action: &str) {
        self.observe_as(action, |_| Observation::Absent);
    }

    /// An action's newest pod waits, for this reason.
    pub(crate) fn waits(&self, action: &str, message: &str, hopeless: Option<Hopeless>) {
        let message = message.to_owned();
        self.observe_as(action, |_| Observation::Waiting { message, hopeless });
    }

    /// An action's newest pod runs.
    pub(crate) fn runs(&self, action: &str) {
        self.observe_as(action, |_| Observation::Running);
    }

    /// An action's newest pod tells of its moments.
    pub(crate) fn tells(&self, action: &str, moments: impl FnOnce(&Placement) -> Moments) {
        let mut state = self.state();
        let newest = state.pods.values_mut().rev().find(|pod| pod.placement.action == action);
        let pod = newest.unwrap_or_else(|| panic!("there is no pod of {action}"));
        pod.moments = moments(&pod.placement);
        self.news.tell(pod.placement.attempt);
    }

    /// How many pods there are.
    pub(crate) fn left(&self) -> usize {
        self.state().pods.len()
    }

    fn observe_as(&self, action: &str, observation: impl FnOnce(&Placement) -> Observation) {
        let mut state = self.state();
        let newest = state.pods.values_mut().rev().find(|pod| pod.placement.action == action);
        let pod = newest.unwrap_or_else(|| panic!("there is no pod of {action}"));
        pod.observation = observation(&pod.placement);
        self.news.tell(pod.placement.attempt);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with it")
    }
}

fn silent(job: JobId, exit_code: i32) -> ContainerEnd {
    let reason = "Error".to_owned();
    ContainerEnd { job, exit_code: Some(exit_code), oom_killed: false, memory_limit: None, reason, end_record: None }
}

#[async_trait]
impl Executor for Pods {
    fn kind(&self) -> ExecutorKind {
        self.kind
    }

    fn unable_to_isolate(&self) -> Option<Unable> {
        let message = "untrusted code would share the machine of the story".to_owned();
        self.state().shares.then_some(Unable { message, hint: "use another story" })
    }

    async fn start(&self, placement: &Placement) -> Result<(), ExecutorError> {
        let (kind, message) = (self.kind, "no route to host".to_owned());
        let mut state = self.state();
        let fault = state.faults.pop_front();
        match fault {
            Some(Fault::Away) => return Err(ExecutorError::Away { kind, message }),
            Some(Fault::Refused) => return Err(ExecutorError::Refused { kind, message: "no such class".to_owned() }),
            Some(Fault::NoRoom) => {
                return Err(ExecutorError::NoRoom { kind, message: "exceeded quota: mine".to_owned() });
            }
            Some(Fault::LostAnswer) | None => {}
        }
        if !state.pods.contains_key(&placement.attempt) {
            *state.placed.entry(placement.attempt).or_default() += 1;
            let pod =
                Pod { placement: placement.clone(), observation: Observation::Running, moments: Moments::default() };
            state.pods.insert(placement.attempt, pod);
        }
        match fault {
            Some(_) => Err(ExecutorError::Away { kind, message }),
            None => Ok(()),
        }
    }

    async fn look(&self, attempt: AttemptId) -> Result<Sight, ExecutorError> {
        if self.state().is_away {
            return Err(ExecutorError::Away { kind: self.kind, message: "no route to host".to_owned() });
        }
        let seen = |pod: &Pod| Sight { observation: pod.observation.clone(), moments: pod.moments.clone() };
        Ok(self.state().pods.get(&attempt).map_or_else(Sight::absent, seen))
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), ExecutorError> {
        let mut state = self.state();
        match &mut state.held {
            Some(held) => drop(held.insert(attempt)),
            None => drop(state.pods.remove(&attempt)),
        }
        Ok(())
    }

    async fn attempts(&self) -> Result<Vec<AttemptId>, ExecutorError> {
        Ok(self.state().pods.keys().copied().collect())
    }

    async fn changed(&self) -> Changed {
        self.news.next().await
    }
}
