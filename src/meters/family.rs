//! Every family of numbers: what it is called, what it says, and by what it is told apart.

/// What kind of numbers they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from nothing at each start.
    Counter,
    /// As it is now.
    Gauge,
    /// How many took how long.
    Histogram,
}

/// Numbers of one name.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// By what its numbers are told apart.
    pub labels: &'static [&'static str],
}

const fn family(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, help, kind, labels }
}

use Kind::{Counter, Gauge, Histogram};

/// All of them.
pub const FAMILIES: &[Family] = &[
    family(
        "containerops_deliveries_total",
        Counter,
        &["forge", "event", "outcome"],
        "Webhooks that came: new, again, unreadable, refused (wrong or no signature) or not_stored.",
    ),
    family(
        "containerops_deliveries_handled_total",
        Counter,
        &["forge", "outcome"],
        "What became of deliveries: started, obeyed, nothing or unreadable.",
    ),
    family(
        "containerops_delivery_handling_seconds",
        Histogram,
        &["forge"],
        "From a delivery's arrival until what it comes to was written down.",
    ),
    family(
        "containerops_push_to_first_state_seconds",
        Histogram,
        &["forge"],
        "From a delivery's arrival until the forge had taken the first state of the run that it started.",
    ),
    family(
        "containerops_end_to_final_state_seconds",
        Histogram,
        &["forge"],
        "From a run's end until the forge had taken its last state.",
    ),
    family(
        "containerops_reports_total",
        Counter,
        &["forge", "outcome"],
        "Calls that told forges a state: taken, partly, full, away, limited or refused.",
    ),
    family(
        "containerops_attempt_phase_seconds",
        Histogram,
        &["executor", "phase"],
        "What the time of attempts at actions went into, as on the run's page.",
    ),
    family(
        "containerops_claims_total",
        Counter,
        &["outcome"],
        "Leases of actions: taken, lost (somebody else was faster) or fenced (somebody else has taken over since).",
    ),
    family("containerops_log_bytes_total", Counter, &[], "Bytes of logs that were taken."),
    family("containerops_job_ends_total", Counter, &["verdict"], "How jobs ended, by name."),
    family("containerops_run_ends_total", Counter, &["conclusion"], "How runs ended."),
    family(
        "containerops_http_requests_total",
        Counter,
        &["method", "route", "status"],
        "Requests that were answered, by the pattern of their route.",
    ),
    family(
        "containerops_http_request_seconds",
        Histogram,
        &["method", "route"],
        "How long answers took until they began; of what is live that is not how long they went on.",
    ),
    family(
        "containerops_limited_total",
        Counter,
        &["limit"],
        "How often somebody came up against a limit of docs/limits.md.",
    ),
    family("containerops_watchers", Gauge, &["what"], "Live streams that are open."),
    family(
        "containerops_loop_rounds_total",
        Counter,
        &["loop", "outcome"],
        "Rounds of the service's loops: well, failed or panicked.",
    ),
    family(
        "containerops_loop_last_round_timestamp_seconds",
        Gauge,
        &["loop"],
        "When a loop of this process last came around.",
    ),
    family(
        "containerops_queue_length",
        Gauge,
        &["queue"],
        "What waits, in the whole service: every process says the same.",
    ),
    family("containerops_queue_oldest_seconds", Gauge, &["queue"], "How long the first that waits has waited."),
    family(
        "containerops_database_connections",
        Gauge,
        &["pool", "state"],
        "Connections of this process to the database: used, idle, and the most that there may be.",
    ),
    family("containerops_stopping", Gauge, &[], "1 once this process was told to stop."),
    family("containerops_start_timestamp_seconds", Gauge, &[], "When this process started."),
    family("containerops_build_info", Gauge, &["version"], "Always 1, of this release."),
];
