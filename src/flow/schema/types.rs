//! What the keys of each level take, and a sentence for whoever writes one. A key that stands in `keys.rs` and not here
//! fails a test.

use crate::flow::{fields::Level, keys};

/// What a key takes.
#[derive(Debug)]
pub(super) enum Kind {
    /// Whatever the reader takes: its form is the reader's own business.
    Anything,
    /// Any scalar.
    Text,
    /// A text, or a list of them.
    Texts,
    /// `true` or `false`.
    Toggle,
    /// A whole number.
    Count,
    /// `90s`, `1h30m`, whole seconds.
    Duration,
    /// `500m`, `1Gi`.
    Quantity,
    /// One of these words.
    Words(&'static [&'static str]),
    /// Names and texts, or the original's list of such maps.
    Variables,
    /// Names and texts.
    Map,
    /// A list of these.
    List(&'static Kind),
    /// A map with the keys of this level.
    Level(&'static Level),
    /// Any of several.
    OneOf(&'static [Kind]),
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What an editor shows.
    pub(super) about: &'static str,
}

/// One level's keys.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name among the schema's definitions.
    pub(super) name: &'static str,
    pub(super) level: &'static Level,
    pub(super) keys: &'static [Key],
}

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, about }
}

const EVENTS: Kind = Kind::Words(&["push", "pull_request", "tag", "schedule", "manual", "flow"]);
const AUTO: Kind = Kind::Words(&["auto"]);
const INPUTS: Kind = Kind::OneOf(&[AUTO, Kind::List(&Kind::OneOf(&[AUTO, Kind::Level(&keys::INPUT)]))]);
const SECRETS: Kind = Kind::List(&Kind::OneOf(&[Kind::Text, Kind::Map]));
const NEWS: Kind = Kind::Words(&["failure", "fixed", "success", "always"]);
const RETRY_ON: Kind = Kind::Words(&["transient", "failure", "timeout", "out-of-memory"]);
const WHEN: &str = "A CEL expression; without its being true, this is skipped, and reported as skipped.";
const NAME: &str = "1 to 63 letters, digits, `-` and `_`, unique within its list.";
const TITLE: &str = "A text for people, at most 200 characters.";

/// All levels.
pub(super) static TABLES: &[Table] = &[
    Table {
        name: "flow",
        level: &keys::FLOW,
        keys: &[
            key("uri", Kind::Text, "<namespace>/<repository>/<name>; the last part is the flow's name in contexts."),
            key("title", Kind::Text, TITLE),
            key("version", Kind::Text, "A text of your own; it changes nothing."),
            key("tag", Kind::Text, "A text of your own; it changes nothing."),
            key(
                "on",
                Kind::OneOf(&[EVENTS, Kind::List(&EVENTS), Kind::Level(&keys::ON)]),
                "Which events start a run; every branch and every pull request if it is missing.",
            ),
            key("variables", Kind::Map, "Texts for `@NAME@`, which may stand in every value but `run` and `command`."),
            key("environments", Kind::Variables, "Variables for every job."),
            key(
                "concurrency",
                Kind::OneOf(&[Kind::Text, Kind::Level(&keys::CONCURRENCY)]),
                "Which runs wait for each other, or end each other.",
            ),
            key("timeout", Kind::Duration, "The run's time from its first job's start."),
            key("stages", Kind::List(&Kind::Level(&keys::STAGE)), "What runs, in order or as `needs` says."),
            key("namespace", Kind::Text, "The namespace of the cluster that kubectl jobs apply to."),
            key(
                "receivers",
                Kind::List(&Kind::Level(&keys::RECEIVER)),
                "Who is told of a run's end, besides the forge.",
            ),
        ],
    },
    Table {
        name: "stage",
        level: &keys::STAGE,
        keys: &[
            key("name", Kind::Text, NAME),
            key("title", Kind::Text, TITLE),
            key("type", Kind::Words(&["normal", "start", "end", "pause"]), "What the stage does; normal runs actions."),
            key(
                "sequencing",
                Kind::Words(&["sequence", "parallel"]),
                "How the actions run; sequence if it is missing.",
            ),
            key("needs", Kind::Texts, "The stages that must have ended well before; the one before if it is missing."),
            key("fail-fast", Kind::Toggle, "Whether the first failed action stops the others; true if it is missing."),
            key("actions", Kind::List(&Kind::Level(&keys::ACTION)), "Each is one pod with one workspace."),
            key("when", Kind::Text, WHEN),
            key("approval", Kind::Level(&keys::APPROVAL), "Who may let a stage of type pause go on."),
        ],
    },
    Table {
        name: "action",
        level: &keys::ACTION,
        keys: &[
            key("name", Kind::Text, NAME),
            key("title", Kind::Text, TITLE),
            key("allow-failure", Kind::Toggle, "Whether its failure leaves the run green, with a warning."),
            key("jobs", Kind::List(&Kind::Level(&keys::JOB)), "One after another, in one workspace."),
            key("when", Kind::Text, WHEN),
            key("matrix", Kind::Anything, "Runs the action once for each combination of these values."),
            key("cell", Kind::Level(&keys::CELL), "What `plan` writes of a matrix; nobody need write it."),
            key(
                "services",
                Kind::List(&Kind::Level(&keys::SERVICE)),
                "Containers beside the jobs, such as databases; a job reaches each by its name.",
            ),
            key(
                "cache",
                Kind::OneOf(&[Kind::Level(&keys::CACHE), Kind::List(&Kind::Level(&keys::CACHE))]),
                "Files that later runs find again.",
            ),
            key(
                "checkout",
                Kind::OneOf(&[Kind::Toggle, Kind::Level(&keys::CHECKOUT)]),
                "How the commit is checked out; `false` for not at all.",
            ),
            key("runtime", Kind::Text, "The RuntimeClass of the pod: how strongly it is isolated."),
            key("node", Kind::Map, "Labels that the pod's node must have."),
        ],
    },
    Table {
        name: "job",
        level: &keys::JOB,
        keys: &[
            key("name", Kind::Text, NAME),
            key("type", Kind::Words(&["component", "kubectl", "service", "trigger"]), "component if it is missing."),
            key("image", Kind::Text, "The image, with a tag or a digest."),
            key("endpoint", Kind::Text, "The original's word for `image`."),
            key("run", Kind::Text, "A text for `/bin/sh -e`; nothing is replaced in it."),
            key("command", Kind::List(&Kind::Text), "A program and its arguments, without a shell."),
            key("environments", Kind::Variables, "The job's variables; they stand over the flow's."),
            key("outputs", Kind::Texts, "The keys of `[COUT] KEY=VALUE` that are kept."),
            key(
                "subscriptions",
                Kind::OneOf(&[Kind::Map, Kind::List(&Kind::Map)]),
                "`{\"stage.action.job[KEY]\": VARIABLE}`: outputs of earlier jobs that become variables.",
            ),
            key("resources", Kind::Level(&keys::RESOURCES), "What it asks of the machine."),
            key("timeout", Kind::Duration, "The job's time."),
            key("allow-failure", Kind::Toggle, "Whether its failure leaves the action green, with a warning."),
            key("shell", Kind::Texts, "What `run` is a text for; `/bin/sh -e` if it is missing."),
            key("secrets", Kind::OneOf(&[Kind::Texts, Kind::Map, SECRETS]), "Names, or maps of variables to names."),
            key("inputs", INPUTS, "Links that build `CO_DATA`, or `auto`."),
            key(
                "retry",
                Kind::OneOf(&[Kind::Count, Kind::Level(&keys::RETRY)]),
                "How often, and after which ends, the job is tried again.",
            ),
            key("when", Kind::Text, WHEN),
            key("reports", Kind::Level(&keys::REPORTS), "Files with the results of tests."),
            key(
                "artifacts",
                Kind::OneOf(&[Kind::Level(&keys::ARTIFACT), Kind::List(&Kind::Level(&keys::ARTIFACT))]),
                "Files that are kept, or taken from earlier jobs.",
            ),
            key("strict", Kind::Toggle, "Whether an exit code of 0 without a `CO_RESULT` is a failure."),
            key("kubectl", Kind::Text, "A manifest in the repository, or an https URL of one."),
            key("namespace", Kind::Text, "The namespace that a kubectl job applies to."),
            key("wait", Kind::Duration, "How long a kubectl job waits for the roll-out."),
            key("roll-back", Kind::Toggle, "Whether a kubectl job that fails brings back what was there before."),
            key("trigger", Kind::OneOf(&[Kind::Text, Kind::Level(&keys::TRIGGER)]), "The flow that a job starts."),
            key("ready", Kind::Level(&keys::READY), "When a job of type service counts as ready."),
        ],
    },
    Table {
        name: "service",
        level: &keys::SERVICE,
        keys: &[
            key("name", Kind::Text, "The host name by which jobs reach it."),
            key("image", Kind::Text, "The image, with a tag or a digest."),
            key("endpoint", Kind::Text, "The original's word for `image`."),
            key("run", Kind::Text, "A text for `/bin/sh -e`; nothing is replaced in it."),
            key("command", Kind::List(&Kind::Text), "A program and its arguments, without a shell."),
            key("shell", Kind::Texts, "What `run` is a text for; `/bin/sh -e` if it is missing."),
            key("environments", Kind::Variables, "The service's variables; they stand over the flow's."),
            key("resources", Kind::Level(&keys::RESOURCES), "What it asks of the machine, beside the jobs."),
            key("ready", Kind::Level(&keys::READY), "When it counts as ready; if it is missing, when it has started."),
            key("secrets", Kind::OneOf(&[Kind::Texts, Kind::Map, SECRETS]), "Names, or maps of variables to names."),
        ],
    },
    Table {
        name: "ready",
        level: &keys::READY,
        keys: &[
            key("tcp", Kind::Count, "The port that something must listen on."),
            key("http", Kind::Text, "A port and a path, as `8080/healthz`, that must answer with 200 to 399."),
            key(
                "command",
                Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text)]),
                "What must exit with 0 in the service's container: a text for `/bin/sh -e`, or a program.",
            ),
            key("within", Kind::Duration, "By when, from its start; 60s if it is missing, an hour at most."),
        ],
    },
    Table {
        name: "trigger",
        level: &keys::TRIGGER,
        keys: &[
            key("flow", Kind::Text, "Its name; after owner/repository/ if it is another repository's."),
            key(
                "branch",
                Kind::Text,
                "The branch whose newest commit is built; the run's own commit if it is missing.",
            ),
            key("inputs", Kind::Map, "What is given to it."),
            key(
                "wait",
                Kind::OneOf(&[Kind::Toggle, Kind::Duration]),
                "Whether the job ends as it does, or how long it waits.",
            ),
        ],
    },
    Table {
        name: "input",
        level: &keys::INPUT,
        keys: &[
            key("from", Kind::Text, "`stage.action.job[KEY].path`, or `event.path` of the webhook."),
            key("to", Kind::Text, "Where it goes in `CO_DATA`: `release.version`."),
            key("optional", Kind::Toggle, "Whether the job runs without it if it is not there."),
        ],
    },
    Table {
        name: "cell",
        level: &keys::CELL,
        keys: &[
            key("of", Kind::Text, "The name of the matrix."),
            key("label", Kind::Text, "What pages call it."),
            key("values", Kind::Map, "The matrix' values in it."),
        ],
    },
    Table {
        name: "cache",
        level: &keys::CACHE,
        keys: &[
            key("name", Kind::Text, NAME),
            key("key-files", Kind::Texts, "Patterns of the files whose bytes make the key."),
            key("paths", Kind::Texts, "In the workspace; or elsewhere, if they begin with `/` or `~/`."),
        ],
    },
    Table {
        name: "checkout",
        level: &keys::CHECKOUT,
        keys: &[
            key("ref", Kind::Text, "`head`: a pull request's head instead of its merge; or a branch, a tag or a sha."),
            key("depth", Kind::Count, "How many commits of history there are; 1 if it is missing, 0 for all of them."),
            key(
                "submodules",
                Kind::OneOf(&[Kind::Toggle, Kind::Words(&["recursive"])]),
                "Whether submodules are checked out, too, and theirs.",
            ),
            key("lfs", Kind::Toggle, "Whether files kept by LFS are fetched."),
        ],
    },
    Table {
        name: "reports",
        level: &keys::REPORTS,
        keys: &[key("junit", Kind::Texts, "Patterns of paths in the workspace: reports in JUnit's XML.")],
    },
    Table {
        name: "artifact",
        level: &keys::ARTIFACT,
        keys: &[
            key("name", Kind::Text, NAME),
            key("paths", Kind::Texts, "Patterns of paths in the workspace that are kept."),
            key("on", Kind::Words(&["success", "failure", "always"]), "After which ends; success if it is missing."),
            key("keep", Kind::Duration, "For how long it is kept."),
            key("from", Kind::Text, "`stage.action.job`: the job whose artifact is taken."),
            key("to", Kind::Text, "A directory in the workspace, for what is taken."),
            key("optional", Kind::Toggle, "Whether the job runs without it if there is none."),
        ],
    },
    Table {
        name: "on",
        level: &keys::ON,
        keys: &[
            key("push", Kind::Level(&keys::BRANCHES), "Commits arrived on a branch."),
            key("pull_request", Kind::Level(&keys::BRANCHES), "A pull request, or a merge queue's merge."),
            key("tag", Kind::Level(&keys::TAGS), "A tag was made or moved."),
            key(
                "schedule",
                Kind::OneOf(&[Kind::Level(&keys::SCHEDULE), Kind::List(&Kind::Level(&keys::SCHEDULE))]),
                "Times, each of which starts a run.",
            ),
            key("manual", Kind::Level(&keys::MANUAL), "A person starts it, with inputs."),
            key("flow", Kind::Texts, "Another flow's success."),
        ],
    },
    Table {
        name: "branches",
        level: &keys::BRANCHES,
        keys: &[
            key("branches", Kind::Texts, "Patterns, of which one must match the branch."),
            key("paths", Kind::Texts, "Patterns, of which one must match a changed file."),
            key("ignore-paths", Kind::Texts, "Patterns of files whose change starts nothing."),
        ],
    },
    Table {
        name: "schedule",
        level: &keys::SCHEDULE,
        keys: &[
            key("cron", Kind::Text, "Minute, hour, day of the month, month and day of the week: `30 3 * * 1-5`."),
            key("timezone", Kind::Text, "The zone whose clock counts, as `Europe/Berlin`; UTC if it is missing."),
            key("branch", Kind::Text, "The branch that is built; the default branch if it is missing."),
        ],
    },
    Table {
        name: "manual",
        level: &keys::MANUAL,
        keys: &[key("inputs", Kind::Anything, "Names, each with its default, or with `default` and `options`.")],
    },
    Table {
        name: "manual-input",
        level: &keys::MANUAL_INPUT,
        keys: &[
            key("default", Kind::Text, "What it is if it is not given; without one it must be."),
            key("options", Kind::Texts, "What it may be."),
        ],
    },
    Table {
        name: "tags",
        level: &keys::TAGS,
        keys: &[key("names", Kind::Texts, "Patterns, of which one must match the tag.")],
    },
    Table {
        name: "concurrency",
        level: &keys::CONCURRENCY,
        keys: &[
            key("group", Kind::Text, "A name, or a CEL expression; runs of one group know each other."),
            key("policy", Kind::Words(&["cancel", "queue", "parallel"]), "What a new run does to the ones before it."),
            key("limit", Kind::Count, "How many runs of the group go at once."),
        ],
    },
    Table {
        name: "approval",
        level: &keys::APPROVAL,
        keys: &[
            key("by", Kind::Texts, "Roles and names of those who may answer; anyone if it is missing."),
            key("expires", Kind::Duration, "How long it waits; 7 days if it is missing."),
            key("note", Kind::Text, "The question, at most 200 characters."),
        ],
    },
    Table {
        name: "receiver",
        level: &keys::RECEIVER,
        keys: &[
            key("type", Kind::Words(&["mail", "webhook"]), "How somebody is told."),
            key("address", Kind::Text, "A mail address, or the https URL of a webhook."),
            key("on", Kind::OneOf(&[NEWS, Kind::List(&NEWS)]), "Of which ends; failure and fixed if it is missing."),
        ],
    },
    Table {
        name: "retry",
        level: &keys::RETRY,
        keys: &[
            key("max", Kind::Count, "How many attempts may follow the first; 1 if it is missing."),
            key(
                "on",
                Kind::OneOf(&[RETRY_ON, Kind::List(&RETRY_ON)]),
                "After which ends; failure and timeout if it is missing.",
            ),
        ],
    },
    Table {
        name: "resources",
        level: &keys::RESOURCES,
        keys: &[
            key("cpu", Kind::Quantity, "CPU asked for: `500m`, `2`."),
            key("memory", Kind::Quantity, "Memory asked for: `512Mi`, `4G`."),
            key("limits", Kind::Level(&keys::LIMITS), "What it may have at most."),
        ],
    },
    Table {
        name: "limits",
        level: &keys::LIMITS,
        keys: &[
            key("cpu", Kind::Quantity, "CPU at most."),
            key("memory", Kind::Quantity, "Memory at most: who uses more is killed."),
        ],
    },
];
