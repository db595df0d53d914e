//! GitLab behind the seam that all forges share: what deliveries mean, and what we ask of it and tell it.

mod asked;
mod deliveries;
mod forks;
mod reports;

use containerops::{
    forge::{Forge as _, ForgeError, Reading, Told, Wanted, gitlab::Gitlab},
    model::{Conclusion, Context, Event, Progress, Report},
};

use crate::harness::{github::Delivery, gitlab::ModelGitlab};

/// In a group within a group, as many are.
pub(crate) const WIDGET: &str = "acme/tools/widget";
const RUN: &str = "containerops/ci/push";
const DONE: Progress = Progress::Done(Conclusion::Success);

/// The event that a delivery tells of.
pub(crate) fn event(gitlab: &Gitlab, delivery: &Delivery) -> Event {
    match gitlab.read("any", &delivery.body) {
        Ok(Reading::Event(event)) => event,
        other => panic!("it reads as {other:?}"),
    }
}

/// A project with one commit on `main`, and its push.
fn pushed(model: &ModelGitlab, gitlab: &Gitlab) -> Event {
    model.commit(WIDGET, "main", &[("a", b"1")]);
    event(gitlab, &model.push(WIDGET, "main"))
}

/// A merge request from a fork, opened.
fn forked(model: &ModelGitlab, gitlab: &Gitlab) -> (u64, Event) {
    model.commit(WIDGET, "main", &[("a", b"1")]);
    model.commit("mallory/widget", "fix", &[("a", b"2")]);
    let iid = model.open(WIDGET, "main", "mallory/widget", "fix");
    (iid, event(gitlab, &model.merge_request(WIDGET, iid, "open")))
}

/// A context on a commit, told to GitLab again and again.
struct Place<'a> {
    gitlab: &'a Gitlab,
    event: Event,
    context: Context,
    known: Option<String>,
}

impl<'a> Place<'a> {
    fn new(gitlab: &'a Gitlab, event: &Event, context: &str) -> Self {
        Self { gitlab, event: event.clone(), context: Context(context.to_owned()), known: None }
    }

    /// Tells a state as the reporter does: until it is told whole. How many calls that took.
    async fn tell(&mut self, progress: Progress, title: &str) -> Result<usize, ForgeError> {
        let report = report(progress, title);
        for calls in 1..=3 {
            match self.gitlab.report(&self.wanted(&report), self.known.as_deref()).await? {
                Told::Whole { known } => {
                    self.known = known;
                    return Ok(calls);
                }
                Told::Part { known } => self.known = Some(known),
                full @ Told::Full { .. } => panic!("GitLab takes any number of states: {full:?}"),
            }
        }
        panic!("it was never told whole: {:?}", self.known)
    }

    fn wanted<'r>(&'r self, report: &'r Report) -> Wanted<'r> {
        let Self { event, context, .. } = self;
        Wanted { repository: &event.repository, sha: &event.sha, event: Some(event), context, report }
    }

    /// Whether what GitLab shows is what it was told.
    async fn is_shown(&self, progress: Progress, title: &str) -> bool {
        let events = [self.event.clone()];
        let shown = self.gitlab.shown(&self.event.repository, &self.event.sha, &events).await.expect("it is there");
        let shown = shown.expect("it can be read");
        let report = report(progress, title);
        let expected = self.gitlab.expected(&self.wanted(&report));
        shown.iter().any(|shown| shown.is(&expected))
    }

    /// Where the states are shown, for people.
    fn way(&self) -> Option<String> {
        self.gitlab.way(self.known.as_deref().expect("it was told"))
    }
}

fn report(progress: Progress, title: &str) -> Report {
    Report {
        progress,
        title: title.to_owned(),
        summary: "| stage | state |".to_owned(),
        url: "https://ci.example.com/gitlab/acme/tools/widget/runs/1".to_owned(),
        external_id: "01kabcdefghjk".to_owned(),
        buttons: Vec::new(),
        started: None,
        ended: None,
        annotations: Vec::new(),
    }
}
