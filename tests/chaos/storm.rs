//! A day of pushes, and a network that drops, doubles and reorders what the forge says of them.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use containerops::model::Sha;
use tokio::task::JoinSet;

use super::{
    dice::Dice,
    harness::github::{Delivery, ModelGithub},
};

/// GitHub takes 500 writes an hour for each owner.
const PUSHES_EACH: u64 = 60;
/// How soon GitHub does what it is asked for.
const REDELIVERY: Duration = Duration::from_millis(200);
/// GitHub waits ten seconds for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How far behind its time what is reordered arrives.
const LATE: Duration = Duration::from_millis(1500);

/// What one push must come to.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// Counts the pushes.
    pub(crate) number: u64,
    pub(crate) repository: String,
    pub(crate) exit_code: i32,
    pub(crate) lines: u64,
}

/// What is to happen.
pub(crate) struct Storm {
    pub(crate) pushes: u64,
    /// The time from the first push to the last.
    pub(crate) lasts: Duration,
    pub(crate) dice: Dice,
}

/// How the network treated the deliveries.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) dropped: usize,
    pub(crate) doubled: usize,
    pub(crate) reordered: usize,
    /// Sent, and not answered with a 2xx.
    pub(crate) unanswered: usize,
}

impl Weather {
    /// Nobody took them, as far as the sender knows.
    pub(crate) const fn lost(&self) -> usize {
        self.dropped + self.unanswered
    }
}

impl Storm {
    /// Pushes, and sends what follows on it. What each commit must come to.
    pub(crate) async fn rage(
        mut self,
        github: &Arc<ModelGithub>,
        url: &str,
        began_dir: &Path,
    ) -> (BTreeMap<Sha, Expected>, Weather) {
        let mut expected = BTreeMap::new();
        let (mut weather, mut senders) = (Weather::default(), JoinSet::new());
        let began = Instant::now();
        for n in 0..self.pushes {
            let due = began + self.lasts.mul_f64(n as f64 / self.pushes as f64);
            tokio::time::sleep_until(due.into()).await;
            let (sha, promise, delivery) = self.push(github, n, began_dir);
            expected.insert(sha, promise);
            self.send(&mut senders, &mut weather, github, url, delivery);
        }
        while let Some(answered) = senders.join_next().await {
            weather.unanswered += usize::from(!answered.expect("no sender panics"));
        }
        (expected, weather)
    }

    fn push(&mut self, github: &ModelGithub, n: u64, began_dir: &Path) -> (Sha, Expected, Delivery) {
        // every owner has a budget of writes, and a push needs some of it
        let owners = self.pushes / PUSHES_EACH + 4;
        let repository = format!("acme-{}/widget", self.dice.between(0, owners));
        // most go to one branch, as in life
        let branch = if self.dice.happens(20) { format!("topic-{n}") } else { "main".to_owned() };
        let expected = Expected {
            number: n,
            repository,
            exit_code: if self.dice.happens(10) { 3 } else { 0 },
            lines: self.dice.between(1, 400),
        };
        let flow = expected.flow(began_dir);
        let sha = github.commit(&expected.repository, &branch, &[(".containerops.yml", flow.as_bytes())]);
        let delivery = github.push(&expected.repository, &branch);
        (sha, expected, delivery)
    }

    fn send(
        &mut self,
        senders: &mut JoinSet<bool>,
        weather: &mut Weather,
        github: &Arc<ModelGithub>,
        url: &str,
        delivery: Delivery,
    ) {
        if self.dice.happens(5) {
            weather.dropped += 1;
            github.drops(delivery);
            return;
        }
        let late = self.dice.happens(5);
        weather.reordered += usize::from(late);
        let wait = if late { LATE } else { Duration::ZERO };
        let copies = 1 + usize::from(self.dice.happens(10));
        weather.doubled += copies - 1;
        for _ in 0..copies {
            senders.spawn(deliver(Arc::clone(github), url.to_owned(), delivery.clone(), wait));
        }
    }
}

/// Delivers again what the service asks for, for as long as it is polled.
pub(crate) async fn redeliver(github: Arc<ModelGithub>, url: String) {
    loop {
        for delivery in github.asked() {
            tokio::spawn(deliver(Arc::clone(&github), url.clone(), delivery, Duration::ZERO));
        }
        tokio::time::sleep(REDELIVERY).await;
    }
}

/// Sends once, as GitHub does: what is not answered with a 2xx in time has failed, and is not sent again unasked.
async fn deliver(github: Arc<ModelGithub>, url: String, delivery: Delivery, wait: Duration) -> bool {
    tokio::time::sleep(wait).await;
    let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build().expect("a client");
    let request = client.post(format!("{url}/hooks/github")).headers(delivery.headers.clone());
    let answered = request.body(delivery.body.clone()).send().await.is_ok_and(|answer| answer.status().is_success());
    github.tried(delivery, if answered { 202 } else { 502 });
    answered
}

impl Expected {
    /// Its job says that it began, in a place that no restart touches, then some lines, and ends.
    fn flow(&self, began_dir: &Path) -> String {
        let Self { number, exit_code, lines, .. } = self;
        format!(
            "stages:\n- name: test\n  image: any\n  run: |\n    echo x >> {}/$CO_SHA\n    sleep 0.{}\n    \
             seq -f 'line %g of push {number}' {lines}\n    exit {exit_code}\n",
            began_dir.display(),
            number % 10,
        )
    }

    /// What its job writes.
    pub(crate) fn log(&self) -> String {
        (1..=self.lines).map(|line| format!("line {line} of push {}\n", self.number)).collect()
    }

    /// How its run ends, in GitHub's word.
    pub(crate) const fn conclusion(&self) -> &'static str {
        if self.exit_code == 0 { "success" } else { "failure" }
    }
}
