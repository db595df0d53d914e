//! Runs outlive whatever breaks around them: parts of the cluster, the network between pods and server, and the server
//! itself in the middle of it. Every job is started once, and every line of its log arrives.

use std::{collections::BTreeMap, time::Duration};

use containerops::model::RunId;

use crate::harness::{
    faults::{BEAT, Counter, Cut, Mechanic, mechanic},
    server::Server,
    story::Story,
};

/// Longer than silence may last unmentioned, twice: on a machine that stands still for a while it counts from anew.
const PATIENT: Duration = Duration::from_secs(300);
/// How many runs go on together.
const RUNS: usize = 20;

/// A server, somebody who counts, and somebody who can stop what is around them.
struct Scene {
    server: Server,
    counter: Counter,
    mechanic: Mechanic,
}

impl Scene {
    async fn set(test: &str) -> Option<Self> {
        mechanic()?;
        Self::around(Server::start_alone(test).await?).await
    }

    /// For a fault that touches nobody else.
    async fn set_beside_others(test: &str) -> Option<Self> {
        mechanic()?;
        Self::around(Server::start(test).await?).await
    }

    async fn around(server: Server) -> Option<Self> {
        let mechanic = mechanic()?;
        let counter = Counter::listen(&server.cluster.host).await;
        Some(Self { server, counter, mechanic })
    }

    /// A job that writes a line about twice a second until it is over, and one after it, whose pod must be placed while
    /// or after things are broken. Where pods come and go, a connection may hang: it is given up, and said to nobody.
    async fn push(&self) -> RunId {
        let url = self.counter.url();
        let started =
            format!("timeout 20 wget -q -O /dev/null {url}/started-$CO_RUN_NUMBER-$CO_ACTION || echo not counted");
        let flow = format!(
            r#"
stages:
  - name: long
    image: busybox
    resources: {{cpu: 10m, memory: 16Mi}}
    run: |
      {started}
      i=0
      while heard=$(timeout 5 wget -q -O - "{url}/{BEAT}$CO_RUN_NUMBER?line=$((i + 1))" 2> /dev/null || true); [ "$heard" != over ]; do
        if [ "$heard" = go ]; then i=$((i + 1)); echo line $i; fi
        sleep 0.4
      done
  - name: after
    image: busybox
    resources: {{cpu: 10m, memory: 16Mi}}
    run: |
      {started}
      echo after
"#,
        );
        self.server.push(&flow).await
    }

    /// Until the jobs have said so many times more that they go on.
    async fn beats(&self, times: usize) {
        self.counter.more(BEAT, times).await;
    }

    /// The server dies without a word, and starts again.
    async fn kill_and_resume(&mut self) {
        self.server.kill().await;
        self.server.resume().await;
    }

    /// Tells the jobs to end. All of each run is there then, and nothing was done twice.
    async fn are_whole(&self, runs: &[RunId]) {
        self.counter.over(true);
        for &run in runs {
            self.is_whole(run).await;
        }
        self.counter.over(false);
    }

    async fn is_whole(&self, run: RunId) {
        let story = self.server.end(run).await;
        let beats = self.counter.counts().get(&format!("{BEAT}{}", story.run.number)).copied().unwrap_or(0);
        let expected: String = (1..=beats).map(|n| format!("line {n}\n")).collect();
        assert_eq!(self.server.text(&story, "long/long/long").await, expected, "{}", story.told());
        assert_eq!(self.server.text(&story, "after/after/after").await, "after\n", "{}", story.told());
        assert_eq!(
            what_ran(&story.told()),
            "run: success\nlong/long: success\n  long: success\nafter/after: success\n  after: success\n"
        );
    }

    fn all_started_once(&self, runs: usize) {
        let mut started = self.counter.counts();
        started.retain(|name, _| !name.starts_with(BEAT));
        let expected: BTreeMap<String, usize> =
            (1..=runs).flat_map(|run| ["long", "after"].map(|action| (format!("started-{run}-{action}"), 1))).collect();
        assert_eq!(started, expected);
    }
}

/// A pod whose containers were being made when their runtime stopped is made once more: no job has begun in it, as the
/// counter shows.
fn what_ran(told: &str) -> String {
    let ran = told.lines().filter(|line| !line.contains(": infrastructure: "));
    ran.map(|line| line.replace(", attempt 2", "").replace(", attempt 3", "") + "\n").collect()
}

#[tokio::test]
async fn a_run_goes_on_whichever_part_of_the_cluster_is_away() {
    let Some(mut scene) = Scene::set("parts").await else { return };
    let parts = ["kubelet", "apiserver", "containerd", "etcd"];
    for part in parts {
        let run = scene.push().await;
        scene.beats(3).await;
        let mechanic = scene.mechanic.clone();
        let away = mechanic.stop(part);
        scene.beats(10).await;
        scene.kill_and_resume().await;
        let page = reqwest::get(scene.server.url()).await.expect("pages are there all the same");
        assert!(page.status().is_success());
        scene.beats(20).await;
        drop(away);
        scene.are_whole(&[run]).await;
        eprintln!("{part} was away");
    }
    scene.all_started_once(parts.len());
    scene.server.until_nothing_is_left().await;
}

#[tokio::test]
async fn what_is_pushed_while_the_cluster_is_away_runs_when_it_is_back() {
    let Some(mut scene) = Scene::set("later").await else { return };
    let mechanic = scene.mechanic.clone();
    let away = mechanic.stop("apiserver");
    scene.kill_and_resume().await;
    let run = scene.push().await;
    let told = |story: &Story| story.action("long/long").row.reason.contains("cannot be reached");
    scene.server.until("why it waits is told", run, told).await;
    drop(away);
    scene.beats(10).await;
    scene.are_whole(&[run]).await;
    scene.all_started_once(1);
}

#[tokio::test]
async fn an_agent_that_is_cut_off_is_waited_for_and_nothing_of_its_log_is_missing() {
    let Some(mut scene) = Scene::set_beside_others("cut").await else { return };
    let run = scene.push().await;
    scene.beats(3).await;
    let cut = Cut::of(scene.server.address());
    let silent = |story: &Story| story.action("long/long").row.reason.starts_with("no contact with the agent");
    scene.server.until_within(PATIENT, "the silence is told", run, silent).await;
    drop(cut);
    let heard = |story: &Story| story.action("long/long").row.reason.is_empty();
    scene.server.until("it speaks again", run, heard).await;
    scene.kill_and_resume().await;
    scene.beats(3).await;
    scene.are_whole(&[run]).await;
    scene.all_started_once(1);
}

#[tokio::test]
async fn twenty_runs_survive_one_thing_after_another() {
    let Some(mut scene) = Scene::set("twenty").await else { return };
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(scene.push().await);
    }
    let mechanic = scene.mechanic.clone();
    let beats = |n: usize| n * RUNS / 2;
    scene.beats(RUNS).await;
    for part in ["kubelet", "apiserver"] {
        let away = mechanic.stop(part);
        scene.kill_and_resume().await;
        scene.beats(beats(10)).await;
        drop(away);
        scene.beats(beats(4)).await;
    }
    let cut = Cut::of(scene.server.address());
    scene.beats(beats(10)).await;
    let away = mechanic.stop("containerd");
    scene.kill_and_resume().await;
    scene.beats(beats(6)).await;
    drop(cut);
    drop(away);
    scene.are_whole(&runs).await;
    scene.all_started_once(RUNS);
    scene.server.until_nothing_is_left().await;
}
