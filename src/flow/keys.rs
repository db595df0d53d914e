//! Every key of the language, by level.

use super::fields::Level;

/// The whole file.
pub(super) static FLOW: Level = Level {
    name: "a flow",
    keys: &[
        "uri",
        "title",
        "version",
        "tag",
        "on",
        "variables",
        "environments",
        "concurrency",
        "timeout",
        "namespace",
        "receivers",
        "stages",
    ],
    ignored: &["number", "Number", "status", "logs"],
};

/// One of `stages`.
pub(super) static STAGE: Level = Level {
    name: "a stage",
    keys: &["name", "title", "type", "sequencing", "needs", "fail-fast", "when", "actions", "approval"],
    ignored: &["status", "logs"],
};

/// One of `actions`.
pub(super) static ACTION: Level = Level {
    name: "an action",
    keys: &[
        "name",
        "title",
        "when",
        "allow-failure",
        "jobs",
        "cache",
        "checkout",
        "matrix",
        "cell",
        "services",
        "runtime",
        "node",
    ],
    ignored: &["status", "logs"],
};

/// One of `jobs`.
pub(super) static JOB: Level = Level {
    name: "a job",
    keys: &[
        "name",
        "type",
        "image",
        "endpoint",
        "run",
        "command",
        "environments",
        "outputs",
        "subscriptions",
        "inputs",
        "resources",
        "timeout",
        "allow-failure",
        "when",
        "artifacts",
        "retry",
        "strict",
        "shell",
        "kubectl",
        "namespace",
        "wait",
        "roll-back",
        "trigger",
        "ready",
        "secrets",
        "reports",
    ],
    ignored: &["status", "logs"],
};

/// `trigger`.
pub(super) static TRIGGER: Level =
    Level { name: "`trigger`", keys: &["flow", "branch", "inputs", "wait"], ignored: &[] };

/// `cell`: what `plan` writes of a matrix.
pub(super) static CELL: Level = Level { name: "`cell`", keys: &["of", "label", "values"], ignored: &[] };

/// One of `services`.
pub(super) static SERVICE: Level = Level {
    name: "a service",
    keys: &["name", "image", "endpoint", "run", "command", "shell", "environments", "resources", "ready", "secrets"],
    ignored: &[],
};

/// `ready`.
pub(super) static READY: Level = Level { name: "`ready`", keys: &["tcp", "http", "command", "within"], ignored: &[] };

/// One of `inputs`.
pub(super) static INPUT: Level = Level { name: "an input", keys: &["from", "to", "optional"], ignored: &[] };

/// `on`.
pub(super) static ON: Level =
    Level { name: "`on`", keys: &["push", "pull_request", "tag", "schedule", "manual", "flow"], ignored: &[] };

/// `on: push` and `on: pull_request`.
pub(super) static BRANCHES: Level =
    Level { name: "a branch filter", keys: &["branches", "paths", "ignore-paths"], ignored: &[] };

/// `on: tag`.
pub(super) static TAGS: Level = Level { name: "a tag filter", keys: &["names"], ignored: &[] };

/// One of `on: schedule`.
pub(super) static SCHEDULE: Level = Level { name: "a schedule", keys: &["cron", "timezone", "branch"], ignored: &[] };

/// `on: manual`.
pub(super) static MANUAL: Level = Level { name: "`manual`", keys: &["inputs"], ignored: &[] };

/// One of the `inputs` of `manual`.
pub(super) static MANUAL_INPUT: Level = Level { name: "an input", keys: &["default", "options"], ignored: &[] };

/// `concurrency`.
pub(super) static CONCURRENCY: Level =
    Level { name: "`concurrency`", keys: &["group", "policy", "limit"], ignored: &[] };

/// `approval`.
pub(super) static APPROVAL: Level = Level { name: "`approval`", keys: &["by", "expires", "note"], ignored: &[] };

/// One of `receivers`.
pub(super) static RECEIVER: Level = Level { name: "a receiver", keys: &["type", "address", "on"], ignored: &[] };

/// `retry`.
pub(super) static RETRY: Level = Level { name: "`retry`", keys: &["max", "on"], ignored: &[] };

/// `resources`.
pub(super) static RESOURCES: Level = Level { name: "`resources`", keys: &["cpu", "memory", "limits"], ignored: &[] };

/// One of `cache`.
pub(super) static CACHE: Level = Level { name: "a cache", keys: &["name", "key-files", "paths"], ignored: &[] };

/// `checkout`.
pub(super) static CHECKOUT: Level =
    Level { name: "`checkout`", keys: &["ref", "depth", "submodules", "lfs"], ignored: &[] };

/// `reports`.
pub(super) static REPORTS: Level = Level { name: "`reports`", keys: &["junit"], ignored: &[] };

/// One of `artifacts`.
pub(super) static ARTIFACT: Level =
    Level { name: "an artifact", keys: &["name", "paths", "on", "keep", "from", "to", "optional"], ignored: &[] };

/// `resources: limits`.
pub(super) static LIMITS: Level = Level { name: "`limits`", keys: &["cpu", "memory"], ignored: &[] };

/// Every key of the four levels: by hoisting, most may be meant anywhere.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    [&FLOW, &STAGE, &ACTION, &JOB].into_iter().flat_map(|level| level.keys).copied()
}

/// The level that a key belongs to, if it is one of the four.
pub(super) fn owner(key: &str) -> Option<&'static Level> {
    [&FLOW, &STAGE, &ACTION, &JOB].into_iter().find(|level| level.has(key))
}
