//! Stories of the whole service: a webhook in, a check and a page out, and the pods between as the story wants them.

mod artifacts;
mod attacks;
mod backup;
mod bucket;
mod caches;
mod checkouts;
mod comments;
mod component_events;
mod conditions;
mod contact;
mod control;
mod deaths;
mod deliveries;
mod dry_runs;
mod events;
mod filters;
mod forge_away;
mod gitea;
mod gitlab;
mod gitlab_forks;
mod green;
mod hooks;
mod infrastructure;
mod inputs;
mod janitor;
mod kubectl;
mod lost;
mod matrix;
mod pause;
mod problems;
mod queue;
mod quotas;
mod receivers;
mod red;
mod registry;
mod reports;
mod rerun;
mod retention;
mod retry;
mod secrets;
mod services;
mod set_back;
mod stages;
mod starts;
mod tested;
mod token;
mod triggers;
mod untrusted;
mod webhooks;

/// The smallest flow.
const SMALL: &str = r#"stages: [{name: test, image: "rust:1", run: cargo test}]"#;
/// The context of its run, and of its action.
const RUN: &str = "containerops/ci/push";
const ACTION: &str = "containerops/ci/push/test/test";
