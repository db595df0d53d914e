//! Gitea and Forgejo behind the seam that all forges share: what deliveries mean, and what we ask of them and tell them.

mod asked;
mod deliveries;

use containerops::{
    forge::{Forge as _, Reading, gitea::Gitea},
    model::{Event, Repository, Sha},
};

use crate::harness::gitea::ModelGitea;

const WIDGET: &str = "acme/widget";

/// The forge, as the service has it.
fn gitea(model: &ModelGitea) -> Gitea {
    Gitea::new(model.settings()).expect("good settings")
}

/// The event of a push of the branch, read from its delivery.
fn pushed(gitea: &Gitea, model: &ModelGitea, branch: &str) -> Event {
    match gitea.read("push", &model.push(WIDGET, branch).body) {
        Ok(Reading::Event(event)) => event,
        other => panic!("a push reads as {other:?}"),
    }
}

/// A repository with one commit on `main`, as a delivery describes it.
fn widget(gitea: &Gitea, model: &ModelGitea, files: &[(&str, &[u8])]) -> (Repository, Sha) {
    let sha = model.commit(WIDGET, "main", files);
    (pushed(gitea, model, "main").repository, sha)
}
