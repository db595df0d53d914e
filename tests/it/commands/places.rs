//! Commands where more than this machine takes part: real containers and pods, and a server that is asked.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
};

use containerops::{model::Conclusion, store::RunFilter};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;

use super::{call, code, containerops, err, out, run};
use crate::harness::{
    cluster::Cluster,
    place::{Engine, Machine, Place},
    server::Server,
};

/// Two actions, the second of which needs what the first has said.
const FLOW: &str = "
stages:
  - name: make
    image: busybox
    run: |
      cat greeting
      echo '[COUT] WORD = done'
    outputs: [WORD]
  - name: use
    image: busybox
    run: 'echo \"it is $WORD\"'
    subscriptions: [{\"make.make.make[WORD]\": WORD}]
";

/// `containerops run` at a place, as its settings say.
fn by_hand(folder: &Path, place: &impl Place) -> std::process::Command {
    let mut command = containerops(folder, &["run"]);
    for (name, value) in place.settings() {
        match name {
            "EXECUTOR" => command.args(["--executor", &value]),
            _ => command.env(format!("CONTAINEROPS_{name}"), value),
        };
    }
    command.env("CONTAINEROPS_LISTEN", format!("{}:0", place.host()));
    command
}

fn assert_ran_by_hand(place: &impl Place) {
    let folder = run::repository(&[(".containerops.yml", FLOW), ("greeting", "hello\n")]);
    let ran = by_hand(folder.path(), place).output().expect("containerops starts");
    assert_eq!(code(&ran), Some(0), "{}{}", out(&ran), err(&ran));
    let text = out(&ran);
    for line in ["make | hello\n", "use | it is done\n", "✔ ci: success in "] {
        assert!(text.contains(line), "{text}");
    }
    assert_eq!(err(&ran), "");
}

#[tokio::test]
async fn a_run_by_hand_goes_into_pods_and_leaves_none() {
    let Some(cluster) = Cluster::get("byhand").await else { return };
    assert_ran_by_hand(&cluster);
    let left = cluster.api::<Pod>().list(&ListParams::default()).await.expect("an answer");
    let left: Vec<_> = left.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_run_by_hand_goes_into_containers() {
    let Some(engine) = Engine::get() else { return };
    assert_ran_by_hand(&engine);
}

#[test]
fn what_a_run_by_hand_waits_for_is_told() {
    let Some(engine) = Engine::get() else { return };
    let flow = "stages:\n  - {name: pull, image: \"nowhere.invalid/x:1\", run: echo never}\n";
    let folder = run::repository(&[(".containerops.yml", flow)]);
    let mut child = by_hand(folder.path(), &engine).stdout(Stdio::piped()).spawn().expect("containerops starts");
    let mut lines = BufReader::new(child.stdout.take().expect("standard output")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    let told = std::iter::repeat_with(&mut line).find(|line| line.contains("cannot be pulled")).expect("it is told");
    assert!(told.starts_with("pull … | image nowhere.invalid/x:1 cannot be pulled: "), "{told}");
    run::interrupt(child.id());
    assert_eq!(child.wait().expect("an exit code").code(), Some(1));
}

#[test]
fn an_engine_that_is_away_is_told_at_once() {
    let Some(engine) = Engine::get() else { return };
    let folder = run::repository(&[(".containerops.yml", FLOW)]);
    let mut command = by_hand(folder.path(), &engine);
    let ran =
        command.env("CONTAINEROPS_DOCKER_HOST", "unix:///nowhere/docker.sock").output().expect("containerops starts");
    assert_eq!((code(&ran), out(&ran).as_str()), (Some(1), ""));
    assert!(err(&ran).contains("the docker executor is away: "), "{}", err(&ran));
}

/// `containerops start` on a server.
async fn start(server: &Server<Machine>, words: &[&str]) -> std::process::Output {
    let url = server.url();
    let words = [&["start"], words, &["--server", &url]].concat();
    let folder = tempfile::tempdir().expect("a directory");
    let mut command = tokio::process::Command::from(containerops(folder.path(), &words));
    command.output().await.expect("containerops starts")
}

#[tokio::test]
async fn flows_are_started_by_a_command_and_what_hinders_is_told() {
    let server = Server::at(Machine).await;
    let flow = "
on: {push: {}, manual: {inputs: {level: {default: info, options: [info, debug]}}}}
image: busybox
run: 'echo $CO_EVENT $LEVEL'
environments: {LEVEL: \"@level@\"}
";
    server.end(server.push(flow).await).await;
    let started = start(&server, &["acme/shop", "--input", "level=debug"]).await;
    assert_eq!(code(&started), Some(0), "{}{}", out(&started), err(&started));
    assert_eq!(out(&started), format!("ci #2: {}/git/acme/shop/runs/2\n", server.url()));
    let newest = RunFilter { limit: 1, ..RunFilter::default() };
    let run = server.found(async |tx| tx.runs(&newest).await.ok()?.first().map(|run| run.id)).await.expect("a run");
    let story = server.end(run).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success));
    assert_eq!(server.text(&story, "ci/ci/ci").await, "manual debug\n");

    for (words, expected) in [
        (&["acme/shop", "--input", "level=loud"][..], "`loud` is none of them"),
        (&["acme/shop", "--branch", "gone"], "there is no branch gone"),
        (&["acme/nothing"], "starting flows of acme/nothing: 404 Not Found: there is nothing here"),
        (&["shop"], "shop"),
    ] {
        let refused = start(&server, words).await;
        assert_eq!((code(&refused), out(&refused).as_str()), (Some(1), ""), "{words:?}");
        assert!(err(&refused).contains(expected), "{words:?}: {}", err(&refused));
    }
}

#[test]
fn a_server_that_is_away_is_told_by_its_address() {
    let folder = tempfile::tempdir().expect("a directory");
    let asked = call(&folder, &["start", "acme/shop", "--server", "http://127.0.0.1:1"]);
    assert_eq!(code(&asked), Some(1));
    assert!(err(&asked).contains("http://127.0.0.1:1 does not answer"), "{}", err(&asked));
}
