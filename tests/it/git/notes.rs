//! States of commits as notes.

use std::{fs, path::Path, sync::Arc};

use containerops::{
    forge::{Forge, ForgeError, Wanted, git::Git, mirror::Mirrors},
    model::{CheckoutOptions, Conclusion, Context, Event, Progress, Report},
};

use super::{Scene, pushed};
use crate::harness::{repository::git, say_skipped};

/// No commit of any repository.
const ABSENT: &str = "1234567890123456789012345678901234567890";

/// Gives everything below a directory to another user. Only root can.
fn give_away(path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::lchown(path, Some(65534), Some(65534))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give_away(&entry?.path())?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_repository_may_belong_to_another_user() {
    let (scene, event) = pushed(&[(".containerops.yml", vec![])]).await;
    if let Err(error) = give_away(&scene.bare) {
        say_skipped("a file of another user", &format!("only root can give files away: {error}"));
        return;
    }
    assert_eq!(scene.forge.flow_files(&event.repository, &event.sha).await.expect("it is readable").len(), 1);
    report(&scene.forge, &event, "context", Progress::Queued, "").await.expect("it is writable");
    let source = scene.forge.source(&event).await.expect("it is there");
    let mirrors = Mirrors::new(scene.directory.path().join("mirrors"));
    let into = scene.directory.path().join("snapshot");
    mirrors
        .snapshot(&event.repository, &event.sha, &source, &CheckoutOptions::default(), &into)
        .await
        .expect("it can be fetched");
}

/// Tells the forge a state of one context.
async fn report(forge: &Git, event: &Event, context: &str, progress: Progress, title: &str) -> Result<(), ForgeError> {
    let report = Report {
        progress,
        title: title.to_owned(),
        summary: String::new(),
        url: "http://ci/1".to_owned(),
        external_id: String::new(),
        buttons: Vec::new(),
        started: None,
        ended: None,
        annotations: Vec::new(),
    };
    let context = Context(context.to_owned());
    let wanted =
        Wanted { repository: &event.repository, sha: &event.sha, event: None, context: &context, report: &report };
    forge.report(&wanted, None).await.map(drop)
}

/// The notes as `git log --notes=containerops` shows them.
fn notes(scene: &Scene) -> String {
    git(&scene.bare, &["log", "-1", "--format=%N", "--notes=containerops", "main"]).trim_end().to_owned()
}

/// How often notes were written.
fn commits(scene: &Scene) -> String {
    git(&scene.bare, &["rev-list", "--count", "refs/notes/containerops"]).trim().to_owned()
}

#[tokio::test]
async fn states_are_notes_that_everybody_can_read() {
    let (scene, event) = pushed(&[]).await;
    let done = Progress::Done(Conclusion::Success);
    for (context, progress, title) in [
        ("containerops/ci/push", Progress::Queued, "4 jobs"),
        ("containerops/ci/push/test/unit", Progress::Running, "1 job"),
        ("containerops/ci/push", done, "4 jobs  in\n12 s\u{1b}[31m"),
        ("containerops/ci/push", done, "4 jobs  in\n12 s\u{1b}[31m"),
        ("containerops/build/push", Progress::Done(Conclusion::TimedOut), "after 1 h"),
    ] {
        report(&scene.forge, &event, context, progress, title).await.expect("it can be written");
    }
    insta::assert_snapshot!(notes(&scene), @r"
    timed out  containerops/build/push  after 1 h  http://ci/1
    success  containerops/ci/push  4 jobs in 12 s [31m  http://ci/1
    running  containerops/ci/push/test/unit  1 job  http://ci/1
    ");
    assert_eq!(commits(&scene), "4", "what was there already is not written again");
}

#[tokio::test]
async fn reports_at_the_same_time_do_not_undo_each_other() {
    let (scene, event) = pushed(&[]).await;
    // two forges on one root are like two processes: they share no lock but git's own
    let other = Arc::new(Git::new(scene.data().join("git"), vec![]));
    let mut writing = tokio::task::JoinSet::new();
    for n in 0..12 {
        let forge = Arc::clone(if n % 2 == 0 { &scene.forge } else { &other });
        let event = event.clone();
        writing.spawn(async move { report(&forge, &event, &format!("context/{n:02}"), Progress::Running, "").await });
    }
    for written in writing.join_all().await {
        written.expect("it can be written");
    }
    let contexts: Vec<String> =
        notes(&scene).lines().map(|line| line.split("  ").nth(1).unwrap_or_default().to_owned()).collect();
    assert_eq!(contexts, (0..12).map(|n| format!("context/{n:02}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn states_that_come_while_one_is_written_are_written_together() {
    let (scene, event) = pushed(&[]).await;
    let absent = Event { sha: ABSENT.parse().expect("a good name"), ..event.clone() };
    let contexts: Vec<String> = (0..50).map(|n| format!("context/{n:02}")).collect();
    let running = contexts.iter().map(|context| report(&scene.forge, &event, context, Progress::Running, ""));
    let all = futures::future::join_all(running).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(notes(&scene).lines().count(), 50);
    assert_eq!(commits(&scene), "2", "one, and all that came meanwhile");
    // one that cannot be written is in nobody's way
    let done = Progress::Done(Conclusion::Success);
    let states = contexts
        .iter()
        .enumerate()
        .map(|(n, context)| report(&scene.forge, if n == 7 { &absent } else { &event }, context, done, ""));
    let all = futures::future::join_all(states).await;
    assert_eq!(all.iter().filter(|written| written.is_err()).count(), 1);
    assert_eq!(notes(&scene).lines().filter(|line| line.starts_with("success")).count(), 49);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_written() {
    let (scene, event) = pushed(&[]).await;
    let tell = |context| Box::pin(report(&scene.forge, &event, context, Progress::Running, ""));
    let (mut first, mut second) = (tell("first"), tell("second"));
    assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
    drop(second);
    first.await.expect("it can be written");
    tell("third").await.expect("it can be written");
    let contexts: Vec<String> = notes(&scene).lines().map(|line| line.replace("running  ", "")).collect();
    assert!(contexts[0].starts_with("first") && contexts[1].starts_with("third"), "{contexts:?}");
}

#[tokio::test]
async fn a_note_is_found_in_whatever_folder_it_lies() {
    for depth in 0..=3 {
        let (scene, event) = pushed(&[]).await;
        report(&scene.forge, &event, "first", Progress::Running, "").await.expect("it can be written");
        let sha = event.sha.as_str();
        let folders: Vec<&str> = (0..depth).map(|at| &sha[2 * at..2 * at + 2]).collect();
        let place = [folders.as_slice(), &[&sha[2 * depth..]]].concat().join("/");
        let blob = git(&scene.bare, &["notes", "--ref=containerops", "list", sha]);
        let index = ["update-index", "--add", "--cacheinfo", &format!("100644,{},{place}", blob.trim())];
        git(&scene.bare, &index);
        let tree = git(&scene.bare, &["write-tree"]);
        let commit = git(&scene.bare, &["commit-tree", "-m", "moved", tree.trim()]);
        git(&scene.bare, &["update-ref", "refs/notes/containerops", commit.trim()]);
        report(&scene.forge, &event, "second", Progress::Running, "").await.expect("it can be written");
        assert_eq!(notes(&scene).lines().count(), 2, "{place}");
    }
}

#[tokio::test]
async fn a_note_for_an_absent_commit_is_refused() {
    let (scene, event) = pushed(&[]).await;
    let sha = ABSENT.parse().expect("a good name");
    let error = report(&scene.forge, &Event { sha, ..event }, "c", Progress::Queued, "").await.expect_err("not there");
    assert!(matches!(error, ForgeError::Refused { .. }), "{error}");
}
