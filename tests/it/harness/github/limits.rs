//! What the model takes, and when: a budget of writes that it enforces, calls that it holds back, and calls that it
//! carries out long after it has given up the connection.

use std::sync::Arc;

use axum::{body::Body, extract::Request, http::Method, middleware::Next, response::Response};
use containerops::model::{Clock, Time};
use tokio::sync::oneshot;

use super::{Fault, ModelGithub, World};

/// A limit on calls that write, by the test's clock.
pub(super) struct Budget {
    clock: Clock,
    per_minute: usize,
    per_hour: usize,
    taken: Vec<Time>,
    refused: usize,
}

/// A call that was given up and not yet carried out.
pub(super) struct Late {
    call: Request,
    next: Next,
}

/// A call that GitHub works at until the test lets it go on. Dropped, it goes on, too.
pub(crate) struct Held {
    world: Arc<World>,
    let_go: Option<oneshot::Sender<()>>,
}

impl Budget {
    /// Whether a call may be made now.
    pub(super) fn takes(&mut self, method: &Method, path: &str) -> bool {
        if *method == Method::GET || path.starts_with("/app/") {
            return true;
        }
        let now = self.clock.now();
        let within = |seconds: u64| self.taken.iter().filter(|at| now.since(**at).as_secs() < seconds).count();
        let takes = within(60) < self.per_minute && within(3600) < self.per_hour;
        if takes {
            self.taken.push(now)
        } else {
            self.refused += 1
        }
        takes
    }
}

/// Keeps a call to be carried out later. Its body is read now: the connection will be gone.
pub(super) async fn keep(world: &World, call: Request, next: Next) {
    let (head, body) = call.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a whole body");
    let call = Request::from_parts(head, Body::from(body));
    world.state().late.push(Late { call, next });
}

/// Waits as long as the test wants.
pub(super) async fn hold(world: &World, goes_on: oneshot::Receiver<()>) {
    world.state().holding = true;
    world.held.notify_waiters();
    let _ = goes_on.await;
}

impl ModelGithub {
    /// From now on only so many writes are taken in a minute and in an hour of this clock; the others are answered with
    /// 403 and `retry-after`.
    pub(crate) fn takes_writes(&self, clock: &Clock, per_minute: usize, per_hour: usize) {
        let clock = clock.clone();
        self.state().budget = Some(Budget { clock, per_minute, per_hour, taken: Vec::new(), refused: 0 });
    }

    /// How many writes were taken since there is a budget, and how many refused.
    pub(crate) fn budget(&self) -> (usize, usize) {
        let state = self.state();
        let budget = state.budget.as_ref().expect("there is a budget");
        (budget.taken.len(), budget.refused)
    }

    /// The next call is answered with 504 and carried out when the test [lands](Self::land) it.
    pub(crate) fn late_next(&self) {
        self.state().faults.push_back(Fault::Late);
    }

    /// Carries out all calls that were given up.
    pub(crate) async fn land(&self) {
        let late = std::mem::take(&mut self.state().late);
        for Late { call, next } in late {
            let answer: Response = next.run(call).await;
            assert!(answer.status().is_success(), "a late call was refused: {}", answer.status());
        }
    }

    /// The next call is carried out only when the test lets it go on.
    pub(crate) fn hold_next(&self) -> Held {
        let (let_go, goes_on) = oneshot::channel();
        self.state().faults.push_back(Fault::Hold(goes_on));
        Held { world: Arc::clone(&self.world), let_go: Some(let_go) }
    }
}

impl Held {
    /// Waits until the call has arrived.
    pub(crate) async fn arrived(&self) {
        loop {
            let more = self.world.held.notified();
            if self.world.state().holding {
                return;
            }
            more.await;
        }
    }

    /// The call goes on.
    pub(crate) fn go_on(mut self) {
        self.world.state().holding = false;
        let _ = self.let_go.take().map(|let_go| let_go.send(()));
    }
}
