//! What webhooks did not bring runs late, and once.

mod deliveries;
mod heads;
mod trouble;
mod unheard;

use std::time::Duration;

use containerops::{
    executor::ExecutorKind,
    model::{ForgeKind, Sha},
};

use super::SMALL;
use crate::harness::{
    app::{Identity, Tester, WIDGET},
    github::Delivery,
};

const MINUTE: Duration = Duration::from_secs(60);

/// A service that knows the repository and has seen its heads.
async fn in_service() -> Tester {
    in_service_as(Identity::App).await
}

async fn in_service_as(identity: Identity) -> Tester {
    let t = Tester::start_as(identity, ExecutorKind::Process).await;
    t.push("main", SMALL).await;
    t.sweep().await;
    t
}

/// A change of the small flow, so that its commit is new.
fn changed(what: &str) -> String {
    format!("# {what}\n{SMALL}")
}

/// A push of which GitHub tells, but not to us.
fn dropped_push(t: &Tester, branch: &str, flow: &str) -> (Sha, Delivery) {
    let sha = t.commit(branch, flow);
    let delivery = t.github.push(WIDGET, branch);
    t.github.drops(delivery.clone());
    (sha, delivery)
}

/// Why the last look at a repository did not see everything.
async fn trouble(t: &Tester, name: &str) -> String {
    let mut tx = t.app().engine.store.read().await.expect("the database is there");
    let sweep = tx.sweep(ForgeKind::Github, name).await.expect("the database is there");
    sweep.expect("it is swept").trouble
}
