//! Every kind of mistake, as its author reads it.

mod data;
mod inputs;
mod jobs;
mod kubectl;
mod levels;
mod links;
mod matrix;
mod receivers;
mod reports;
mod secrets;
mod services;
mod starts;
mod text;
mod triggers;

use containerops::{flow, model::Severity};

use super::{all, bytes, repository, told};

/// What the author of a bad fixture is told.
fn mistakes(name: &str) -> String {
    let path = format!("{name}.yml");
    match flow::read(&path, &repository(), &bytes("bad", name)) {
        Ok(_) => panic!("{name} has no mistake"),
        Err(diagnostics) => flow::render(&path, &diagnostics),
    }
}

/// The messages alone.
fn messages(text: &str) -> Vec<String> {
    told(text).into_iter().map(|diagnostic| diagnostic.message).collect()
}

#[test]
fn every_bad_file_has_an_error() {
    for (name, text) in all("bad") {
        let diagnostics = flow::read(&name, &repository(), &text).err().unwrap_or_default();
        assert!(diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error), "{name}");
    }
}
