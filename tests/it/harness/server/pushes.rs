//! Pushes by the real git, and what becomes of them.

use std::path::PathBuf;

use containerops::{
    model::{ForgeKind, RunId, Sha},
    store::{DeliveryFilter, DeliverySummary, RunFilter},
};

use super::{REPOSITORY, Server};
use crate::harness::{
    place::Place,
    repository::{git, make},
};

impl<P: Place> Server<P> {
    /// Commits this flow file and pushes it by the real git and its hook. Returns the run that it starts.
    pub(crate) async fn push(&self, flow: &str) -> RunId {
        self.push_to("main", "Change the flow", flow).await
    }

    /// The same to any branch, with any title.
    pub(crate) async fn push_to(&self, branch: &str, title: &str, flow: &str) -> RunId {
        self.ada.write(".containerops.yml", flow);
        self.ada.write("README", "a file of the repository\n");
        let sha = self.ada.commit(title);
        let said = self.ada.git(&["push", "--quiet", "origin", &format!("main:refs/heads/{branch}")]);
        self.run_of(&sha, &said).await
    }

    /// The same while its hook finds nobody, who then looks for what was pushed.
    pub(crate) async fn push_unheard(&self, flow: &str) -> RunId {
        let bare = self.bare();
        self.ada.write(".containerops.yml", flow);
        let sha = self.ada.commit("Find nobody");
        git(&bare, &["config", "containerops.url", "http://127.0.0.1:1"]);
        let said = self.ada.git(&["push", "--quiet", "origin", "main"]);
        assert!(said.contains("this is kept, and found once ContainerOps is there"), "{said}");
        git(&bare, &["config", "containerops.url", &self.url()]);
        self.app().engine.recover().await.expect("the database answers");
        self.run_of(&sha, &said).await
    }

    /// How many deliveries there are.
    pub(crate) async fn deliveries(&self) -> usize {
        self.newest_deliveries().await.len()
    }

    /// The run of what was pushed; `said` is what the push printed.
    async fn run_of(&self, sha: &Sha, said: &str) -> RunId {
        let name = REPOSITORY.parse().expect("a name");
        let run = self.found(async |tx| {
            let known = tx.repository_named(ForgeKind::Git, &name).await.expect("the database answers")?;
            let filter = RunFilter { repository: Some(known.id), limit: 10, ..RunFilter::default() };
            let runs = tx.runs(&filter).await.expect("the database answers");
            runs.into_iter().find(|run| run.sha == *sha).map(|run| run.id)
        });
        match run.await {
            Some(run) => run,
            None => panic!("the push starts no run of {sha}: {}", self.why_no_run(said).await),
        }
    }

    /// How far what was pushed has come.
    async fn why_no_run(&self, said: &str) -> String {
        let deliveries = self.newest_deliveries().await;
        let state = |row: &DeliverySummary| format!("{:?} ({} tries) {}", row.state.0, row.tries, row.trouble);
        let deliveries: Vec<_> = deliveries.iter().map(state).collect();
        let ready = match reqwest::get(format!("{}/readyz", self.url())).await {
            Ok(answer) => format!("{} {:?}", answer.status(), answer.text().await),
            Err(error) => format!("{error:?}"),
        };
        let kept = std::fs::read_dir(self.bare().join("containerops-undelivered"));
        let kept: Vec<_> = kept.into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
        format!("the push said {said:?}; deliveries: {deliveries:?}; kept by the hook: {kept:?}; /readyz: {ready}")
    }

    async fn newest_deliveries(&self) -> Vec<DeliverySummary> {
        let mut tx = self.app().engine.store.read().await.expect("the database answers");
        tx.deliveries(&DeliveryFilter { limit: 20, ..DeliveryFilter::default() }).await.expect("the database answers")
    }

    pub(super) fn make_repository(&self) {
        let bare = self.bare();
        make(&bare, &self.url(), &self.data());
        self.ada.git(&["remote", "add", "origin", &bare.display().to_string()]);
    }

    fn bare(&self) -> PathBuf {
        self.data().join(format!("git/{REPOSITORY}.git"))
    }
}
