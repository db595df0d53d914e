//! GitHub behind the seam that all forges share: what deliveries mean, and what we ask of it and tell it.

mod deliveries;
mod failures;
mod files;
mod reports;
mod tokens;

use containerops::{
    forge::github::Github,
    model::{Event, Repository},
};

use crate::harness::github::ModelGithub;
use containerops::forge::{Forge as _, Reading};

const WIDGET: &str = "acme/widget";

/// The App, as the service has it.
fn app(model: &ModelGithub) -> Github {
    Github::new(model.settings()).expect("good settings")
}

/// The event of a push of the branch, read from its delivery.
pub(crate) fn pushed(github: &Github, model: &ModelGithub, branch: &str) -> Event {
    match github.read("push", &model.push(WIDGET, branch).body) {
        Ok(Reading::Event(event)) => event,
        other => panic!("a push reads as {other:?}"),
    }
}

/// A repository with one commit on `main`, as a delivery describes it.
fn widget(github: &Github, model: &ModelGithub, files: &[(&str, &[u8])]) -> (Repository, containerops::model::Sha) {
    let sha = model.commit(WIDGET, "main", files);
    (pushed(github, model, "main").repository, sha)
}
