//! A story on the modelled Gitea: the service is GitHub's in other stories, and set up for both here.

use std::{collections::BTreeMap, ops::Deref, sync::Arc, sync::Mutex};

use containerops::{
    executor::ExecutorKind,
    forge::{Forge, gitea::Gitea},
    model::Sha,
};
use reqwest::StatusCode;

use super::{ModelGitea, Status};
use crate::harness::{
    app::{Identity, Neighbour, Tester, WIDGET},
    github::Delivery,
};

/// A service with a Gitea beside it.
pub(crate) struct GiteaStory {
    t: Tester,
    pub(crate) gitea: ModelGitea,
    /// What Gitea was told last of each context of each commit.
    shown: Mutex<BTreeMap<(String, String), Status>>,
}

impl Deref for GiteaStory {
    type Target = Tester;
    fn deref(&self) -> &Tester {
        &self.t
    }
}

impl GiteaStory {
    pub(crate) async fn start() -> Self {
        let gitea = ModelGitea::start().await;
        let settings = gitea.settings();
        let neighbour: Neighbour =
            Arc::new(move || -> Arc<dyn Forge> { Arc::new(Gitea::new(settings.clone()).expect("good settings")) });
        let t = Tester::start_among(Identity::App, ExecutorKind::Process, vec![neighbour]).await;
        gitea.set_clock(&t.clock);
        Self { t, gitea, shown: Mutex::default() }
    }

    /// Delivers as Gitea does; it must be taken.
    pub(crate) async fn delivers(&self, delivery: Delivery) {
        let (status, answer) = self.t.send("gitea", delivery).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        self.t.settle().await;
    }

    /// Commits this flow file alone, delivers the push, and settles.
    pub(crate) async fn pushes(&self, branch: &str, flow: &str) -> Sha {
        let sha = self.commits(branch, flow);
        self.delivers(self.gitea.push(WIDGET, branch)).await;
        sha
    }

    /// Commits this flow file alone; nobody hears of it.
    pub(crate) fn commits(&self, branch: &str, flow: &str) -> Sha {
        self.gitea.commit(WIDGET, branch, &[(".containerops.yml", flow.as_bytes())])
    }

    /// What Gitea shows of each context of a commit: `state context: title`.
    pub(crate) fn statuses(&self, sha: &Sha) -> String {
        self.read_statuses();
        let shown = self.shown.lock().expect("no test panics with it");
        let of_commit = shown.iter().filter(|((commit, _), _)| commit == sha.as_str());
        of_commit.map(|(_, status)| format!("{} {}: {}\n", status.state, status.context, status.title)).collect()
    }

    /// How often Gitea was told something since this was asked last.
    pub(crate) fn read_statuses(&self) -> usize {
        let writes = self.gitea.writes();
        let count = writes.len();
        let mut shown = self.shown.lock().expect("no test panics with it");
        shown.extend(writes.into_iter().map(|status| ((status.sha.clone(), status.context.clone()), status)));
        count
    }
}
