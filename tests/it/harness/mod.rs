//! What the tests stand on: a real cluster for those who have one, and models of the outside: small, strict, and able
//! to fail.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Mutex,
};

pub(crate) mod agent;
pub(crate) mod agents;
pub(crate) mod app;
pub(crate) mod authority;
pub(crate) mod bucket;
pub(crate) mod cluster;
pub(crate) mod database;
pub(crate) mod faults;
pub(crate) mod gitea;
pub(crate) mod github;
pub(crate) mod gitlab;
pub(crate) mod image;
pub(crate) mod inboxes;
pub(crate) mod oauth;
pub(crate) mod place;
pub(crate) mod pods;
pub(crate) mod relay;
pub(crate) mod repository;
pub(crate) mod server;
pub(crate) mod service;
pub(crate) mod small_disk;
pub(crate) mod story;

/// The kubeconfig of the cluster that tests may use, or nothing: then the test says so and skips.
pub(crate) fn kubeconfig() -> Option<PathBuf> {
    required("kubernetes", "CONTAINEROPS_TEST_KUBECONFIG").map(PathBuf::from)
}

/// The variable's value, if the real thing that a test needs is there. If not, it is said aloud that the test skips,
/// unless `CONTAINEROPS_TEST_REQUIRE` names the thing: then the test fails.
pub(crate) fn required(thing: &str, variable: &str) -> Option<String> {
    if let Ok(value) = std::env::var(variable) {
        return Some(value);
    }
    let must = std::env::var("CONTAINEROPS_TEST_REQUIRE").unwrap_or_default();
    assert!(!must.split([',', ' ']).any(|name| name == thing), "{thing} is required, but {variable} is not set");
    say_skipped(thing, &format!("set {variable}"));
    None
}

/// Says that tests skip, once for each thing that they lack, and to the terminal itself: what a test prints by
/// `eprintln!` is kept from everybody if it passes.
pub(crate) fn say_skipped(thing: &str, remedy: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().expect("nobody panics here").insert(thing.to_owned()) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: what needs {thing}, which is not there; {remedy}");
    }
}

/// A named pipe: whoever opens one end waits for the other.
pub(crate) fn pipe(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is installed");
    assert!(made.success());
    path
}
