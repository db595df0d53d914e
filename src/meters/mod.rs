//! What happens here, in numbers, for whoever watches the service from outside: Prometheus' text.
//!
//! What is counted is counted when its transaction is committed, and how long something took is what its rows say: so a
//! restart between the two ends of it distorts nothing, and of several processes the one that did it counts it. What is
//! waiting is asked of the database when somebody looks. No label has a value that a repository, a webhook or a log
//! could choose.

mod fact;
mod family;
mod pulse;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus::{
    Encoder as _, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

pub use fact::{Fact, TellEnd};
pub use family::{FAMILIES, Family, Kind};
pub use pulse::{Beat, Pulse};

use crate::model::{ForgeKind, PhaseKind};

/// What the text is.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The upper bounds of what takes moments: from 5 ms to a minute.
const MOMENTS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// The upper bounds of what people wait for: from 100 ms to an hour.
const WAITS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

/// Counts for one process. Cheap to clone; a clone counts the same.
#[derive(Debug, Clone)]
pub struct Meters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    pulse: Pulse,
    deliveries: IntCounterVec,
    handled: IntCounterVec,
    handling: HistogramVec,
    first_state: HistogramVec,
    final_state: HistogramVec,
    reports: IntCounterVec,
    phases: HistogramVec,
    claims: IntCounterVec,
    log_bytes: IntCounter,
    job_ends: IntCounterVec,
    run_ends: IntCounterVec,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    limited: IntCounterVec,
    watchers: IntGaugeVec,
    rounds: IntCounterVec,
    last_round: prometheus::GaugeVec,
    queue: IntGaugeVec,
    oldest: prometheus::GaugeVec,
    connections: IntGaugeVec,
    stopping: Gauge,
}

/// What is waiting in one queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Queue {
    /// Its name.
    pub name: &'static str,
    /// How many wait.
    pub length: i64,
    /// How long the first of them has waited.
    pub oldest: Duration,
}

/// One who follows something live, as long as it lives.
#[derive(Debug)]
pub struct Watching(prometheus::IntGauge);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Meters {
    fn default() -> Self {
        Self::new()
    }
}

impl Meters {
    /// All at nothing.
    ///
    /// # Panics
    /// If two families have one name: a mistake in this file.
    pub fn new() -> Self {
        let make = Maker(Registry::new());
        let inner = Inner {
            deliveries: make.counters("containerops_deliveries_total"),
            handled: make.counters("containerops_deliveries_handled_total"),
            handling: make.histograms("containerops_delivery_handling_seconds", WAITS),
            first_state: make.histograms("containerops_push_to_first_state_seconds", WAITS),
            final_state: make.histograms("containerops_end_to_final_state_seconds", WAITS),
            reports: make.counters("containerops_reports_total"),
            phases: make.histograms("containerops_attempt_phase_seconds", WAITS),
            claims: make.counters("containerops_claims_total"),
            log_bytes: make.counters("containerops_log_bytes_total").with_label_values::<&str>(&[]),
            job_ends: make.counters("containerops_job_ends_total"),
            run_ends: make.counters("containerops_run_ends_total"),
            requests: make.counters("containerops_http_requests_total"),
            request_seconds: make.histograms("containerops_http_request_seconds", MOMENTS),
            limited: make.counters("containerops_limited_total"),
            watchers: make.gauges("containerops_watchers"),
            rounds: make.counters("containerops_loop_rounds_total"),
            last_round: make.floats("containerops_loop_last_round_timestamp_seconds"),
            queue: make.gauges("containerops_queue_length"),
            oldest: make.floats("containerops_queue_oldest_seconds"),
            connections: make.gauges("containerops_database_connections"),
            stopping: make.floats("containerops_stopping").with_label_values::<&str>(&[]),
            pulse: Pulse::default(),
            registry: make.0.clone(),
        };
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        make.floats("containerops_start_timestamp_seconds").with_label_values::<&str>(&[]).set(since_epoch);
        make.gauges("containerops_build_info").with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let new = Self(Arc::new(inner));
        new.begin();
        new
    }

    /// What may never happen is shown as never having happened: an alert on its rate needs a zero before the first one.
    fn begin(&self) {
        for outcome in ["taken", "lost", "fenced"] {
            self.0.claims.with_label_values(&[outcome]);
        }
        for conclusion in ["success", "failure", "error"] {
            self.0.run_ends.with_label_values(&[conclusion]);
        }
        self.0.watchers.with_label_values(&["log"]);
    }

    /// Whether this process lives and takes work.
    pub fn pulse(&self) -> &Pulse {
        &self.0.pulse
    }

    /// Something is true of the database from now on.
    pub fn count(&self, fact: &Fact) {
        let seconds = Duration::as_secs_f64;
        match fact {
            Fact::Delivered { forge, event, outcome } => self.delivery(*forge, event, outcome),
            Fact::Handled { forge, outcome, after } => {
                self.0.handled.with_label_values(&[forge.as_str(), outcome]).inc();
                self.0.handling.with_label_values(&[forge.as_str()]).observe(seconds(after));
            }
            Fact::FirstState { forge, after } => {
                self.0.first_state.with_label_values(&[forge.as_str()]).observe(seconds(after));
            }
            Fact::FinalState { forge, after } => {
                self.0.final_state.with_label_values(&[forge.as_str()]).observe(seconds(after));
            }
            Fact::Claimed(outcome) => self.0.claims.with_label_values(&[outcome]).inc(),
            Fact::JobEnded(name) => self.0.job_ends.with_label_values(&[name]).inc(),
            Fact::RunEnded(conclusion) => self.0.run_ends.with_label_values(&[conclusion]).inc(),
            Fact::Logged(bytes) => self.0.log_bytes.inc_by(*bytes),
        }
    }

    /// A delivery came, and this became of it.
    pub fn delivery(&self, forge: ForgeKind, event: &str, outcome: &str) {
        self.0.deliveries.with_label_values(&[forge.as_str(), fact::event(event), outcome]).inc();
    }

    /// A forge was told something.
    pub fn told(&self, forge: ForgeKind, end: TellEnd) {
        self.0.reports.with_label_values(&[forge.as_str(), end.as_str()]).inc();
    }

    /// An attempt is over; so long it took from one moment of it to the next.
    pub fn phase(&self, executor: &'static str, phase: PhaseKind, took: Duration) {
        self.0.phases.with_label_values(&[executor, phase.as_str()]).observe(took.as_secs_f64());
    }

    /// A request was answered.
    pub fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        self.0.requests.with_label_values(&[method, route, &status.to_string()]).inc();
        self.0.request_seconds.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }

    /// Somebody came up against a limit.
    pub fn limited(&self, limit: &'static str) {
        self.0.limited.with_label_values(&[limit]).inc();
    }

    /// Somebody follows something.
    pub fn watching(&self, what: &'static str) -> Watching {
        let gauge = self.0.watchers.with_label_values(&[what]);
        gauge.inc();
        Watching(gauge)
    }

    /// A loop has come around.
    pub fn round(&self, name: &'static str, outcome: &'static str) {
        self.0.rounds.with_label_values(&[name, outcome]).inc();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        self.0.last_round.with_label_values(&[name]).set(now);
    }

    /// Prometheus' text, with what the database says is waiting; without, if it said nothing.
    pub fn text(&self, queues: &[Queue], connections: &[(&'static str, &'static str, i64)]) -> Vec<u8> {
        self.0.queue.reset();
        self.0.oldest.reset();
        for Queue { name, length, oldest } in queues {
            self.0.queue.with_label_values(&[name]).set(*length);
            self.0.oldest.with_label_values(&[name]).set(oldest.as_secs_f64());
        }
        for (pool, state, count) in connections {
            self.0.connections.with_label_values(&[pool, state]).set(*count);
        }
        self.0.stopping.set(if self.0.pulse.is_stopping() { 1.0 } else { 0.0 });
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.0.registry.gather(), &mut text) {
            tracing::error!(%error, "the numbers cannot be written");
        }
        text
    }
}

/// Makes families as [`FAMILIES`] describes them.
struct Maker(Registry);

impl Maker {
    fn counters(&self, name: &'static str) -> IntCounterVec {
        let (opts, labels) = described(name, Kind::Counter);
        self.register(IntCounterVec::new(opts, labels))
    }

    fn gauges(&self, name: &'static str) -> IntGaugeVec {
        let (opts, labels) = described(name, Kind::Gauge);
        self.register(IntGaugeVec::new(opts, labels))
    }

    fn floats(&self, name: &'static str) -> prometheus::GaugeVec {
        let (opts, labels) = described(name, Kind::Gauge);
        self.register(prometheus::GaugeVec::new(opts, labels))
    }

    fn histograms(&self, name: &'static str, bounds: &[f64]) -> HistogramVec {
        let (opts, labels) = described(name, Kind::Histogram);
        self.register(HistogramVec::new(HistogramOpts::from(opts).buckets(bounds.to_vec()), labels))
    }

    #[expect(
        clippy::expect_used,
        reason = "names are constants of ours: the first test that starts a service finds a mistake"
    )]
    fn register<C: prometheus::core::Collector + Clone + 'static>(&self, family: prometheus::Result<C>) -> C {
        let family = family.expect("a well-formed family");
        self.0.register(Box::new(family.clone())).expect("a name of its own");
        family
    }
}

fn described(name: &'static str, kind: Kind) -> (Opts, &'static [&'static str]) {
    let Some(family) = FAMILIES.iter().find(|family| family.name == name && family.kind == kind) else {
        unreachable!("{name} is not described")
    };
    (Opts::new(family.name, family.help), family.labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_made() {
        let text = String::from_utf8(Meters::new().text(&[], &[])).expect("text");
        assert!(text.contains("containerops_claims_total{outcome=\"lost\"} 0"), "{text}");
        // those without a value yet are not in the text: whoever made them would have failed to register them twice
        let source = include_str!("mod.rs");
        let unmade: Vec<_> = FAMILIES.iter().filter(|one| !source.contains(&format!("(\"{}\"", one.name))).collect();
        assert!(unmade.is_empty(), "{unmade:?}");
    }

    #[test]
    fn what_a_webhook_says_is_no_label() {
        let meters = Meters::new();
        meters.delivery(ForgeKind::Github, "push", "new");
        meters.delivery(ForgeKind::Github, "\"} evil 1\n", "new");
        let text = String::from_utf8(meters.text(&[], &[])).expect("text");
        assert!(text.contains("{event=\"push\",forge=\"github\",outcome=\"new\"} 1"), "{text}");
        assert!(
            text.contains("{event=\"other\",forge=\"github\",outcome=\"new\"} 1") && !text.contains("evil"),
            "{text}"
        );
    }
}
