//! The process executor with the real agent: attempts outlive the server, start once, and leave nothing behind.

use std::{path::Path, time::Duration};

use containerops::{
    agent::protocol::{Cause, EndRecord},
    executor::{Container, Executor, Observation, Placement, Process},
    model::{AttemptId, Clock, JobId, Resources, RunId},
};

use crate::{
    agent::server::{Server, TOKEN, script},
    harness::{pipe, small_disk::SmallDisk},
};

fn executor(dir: &Path) -> Process {
    Process::new(dir.to_owned(), vec![env!("CARGO_BIN_EXE_containerops-agent").into()])
}

/// Every test's own: processes are found, and killed, by it.
fn attempt() -> AttemptId {
    AttemptId::mint(Clock::System.now())
}

fn placement(server: &Server, attempt: AttemptId) -> Placement {
    Placement {
        isolation: containerops::executor::Isolation::Usual,
        runtime: None,
        node: Default::default(),
        attempt,
        run: RunId::from_i64(1),
        tenant: crate::pod::tenant("acme/shop"),
        keys: Default::default(),
        flow: "ci".to_owned(),
        action: "check.unit".to_owned(),
        containers: vec![Container {
            service: None,
            job: JobId::from_i64(7),
            name: "job-0".to_owned(),
            image: "ignored".to_owned(),
            resources: Resources::default(),
            privileged: false,
            token: TOKEN.to_owned().into(),
        }],
        deadline: Duration::from_secs(60),
        agent_url: server.url.clone(),
    }
}

/// Asks again whenever something changed, as the engine does, but never by a clock of ours.
async fn until(executor: &Process, attempt: AttemptId, wanted: impl Fn(&Observation) -> bool) -> Observation {
    loop {
        let observation = executor.observe(attempt).await.expect("an observation");
        if wanted(&observation) {
            return observation;
        }
        executor.changed().await;
    }
}

fn has_ended(observation: &Observation) -> bool {
    matches!(observation, Observation::Ended { .. })
}

/// The exit code is known a moment after the end.
fn has_exit_code(observation: &Observation) -> bool {
    matches!(observation, Observation::Ended { containers, .. } if containers[0].exit_code.is_some())
}

#[tokio::test]
async fn an_attempt_runs_once_however_often_it_is_started() {
    let server = Server::with(script("pwd; env | cut -d= -f1 | sort | tr '\\n' ' '; echo; exit 3")).await;
    let (dir, attempt) = (tempfile::tempdir().expect("a directory"), attempt());
    let executor = executor(dir.path());
    assert_eq!(executor.observe(attempt).await.expect("an observation"), Observation::Absent);
    let placement = placement(&server, attempt);
    for _ in 0..3 {
        executor.start(&placement).await.expect("a start");
    }
    let seen = until(&executor, attempt, has_exit_code).await;
    let Observation::Ended { containers, outside: None } = seen else { panic!("it ends by itself") };
    assert_eq!((containers[0].job, containers[0].exit_code), (JobId::from_i64(7), Some(3)));
    let record = containers[0].end_record.as_deref().and_then(|record| serde_json::from_str(record).ok());
    assert_eq!(record, server.seen().end);
    executor.start(&placement).await.expect("a start after its end");
    assert_eq!(server.sessions(), 1);
    assert!(!server.text().contains("CARGO"), "the server's environment is not the job's: {}", server.text());
    assert_eq!(executor.attempts().await.expect("attempts"), [attempt]);
    executor.remove(attempt).await.expect("a removal");
    executor.remove(attempt).await.expect("nothing is left to remove");
    assert_eq!(executor.attempts().await.expect("attempts"), []);
}

#[tokio::test]
async fn a_server_that_starts_again_finds_what_runs_and_can_remove_all_of_it() {
    let text = "mkdir -p ro/sub; chmod 500 ro/sub ro; setsid sleep 600 & echo $$ $!; wait";
    let server = Server::with(script(text)).await;
    let (dir, attempt) = (tempfile::tempdir().expect("a directory"), attempt());
    executor(dir.path()).start(&placement(&server, attempt)).await.expect("a start");
    server.logged().await;
    let again = executor(dir.path());
    assert_eq!(again.observe(attempt).await.expect("an observation"), Observation::Running);
    again.remove(attempt).await.expect("a removal");
    assert_eq!(again.observe(attempt).await.expect("an observation"), Observation::Absent);
    assert!(!dir.path().join(attempt.to_string()).exists());
    for pid in server.text().lines().next().expect("a line").split(' ') {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid} lives");
    }
}

#[tokio::test]
async fn a_killed_agent_has_ended_without_a_record() {
    let server = Server::with(script("echo $PPID; sleep 600")).await;
    let (dir, attempt) = (tempfile::tempdir().expect("a directory"), attempt());
    let executor = executor(dir.path());
    executor.start(&placement(&server, attempt)).await.expect("a start");
    server.logged().await;
    let agent = server.text().trim().to_owned();
    std::process::Command::new("kill").args(["-9", &agent]).status().expect("kill");
    let Observation::Ended { containers, .. } = until(&executor, attempt, has_ended).await else {
        panic!("it has ended")
    };
    assert_eq!(containers[0].end_record, None);
    // its lock says that it is gone a moment before its parent has noted how
    assert!(matches!(containers[0].exit_code, None | Some(137)), "{:?}", containers[0].exit_code);
    executor.start(&placement(&server, attempt)).await.expect("a start that finds it dead");
    assert!(has_ended(&executor.observe(attempt).await.expect("an observation")), "it is not started again");
    executor.remove(attempt).await.expect("a removal, also of the orphaned job");
}

#[tokio::test]
async fn a_process_that_outlived_its_attempts_directory_is_found_and_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (executor, id) = (executor(dir.path()), attempt());
    let mut stray = tokio::process::Command::new("sleep");
    stray.arg("600").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    stray.env("CONTAINEROPS_ATTEMPT", id.to_string()).env("HOME", dir.path().join(id.to_string()));
    let mut stray = stray.kill_on_drop(true).spawn().expect("a process");
    assert_eq!(executor.attempts().await.expect("a list"), [id]);
    let another = tempfile::tempdir().expect("a directory");
    let another = self::executor(another.path());
    assert_eq!(another.attempts().await.expect("a list"), [], "another server's is left alone");
    executor.remove(id).await.expect("it is removed");
    assert!(!stray.wait().await.expect("it ended").success());
    assert_eq!(executor.attempts().await.expect("a list"), []);
}

/// As `executor`, with an agent that begins when somebody has written into the pipe.
fn executor_behind(dir: &Path, pipe: &Path) -> Process {
    let wait = format!("read go < {}; exec \"$0\" \"$@\"", pipe.display());
    let agent = ["/bin/sh", "-c", &wait, env!("CARGO_BIN_EXE_containerops-agent")];
    Process::new(dir.to_owned(), agent.map(Into::into).to_vec())
}

/// A job that writes numbers when its disk is full, and ends with 3: what its server has of the log, and its end.
async fn counts_on_a_full_disk(numbers: u32) -> Option<(String, EndRecord)> {
    let dir = tempfile::tempdir().expect("a directory");
    let (full, attempt) = (pipe(dir.path(), "full"), attempt());
    let disk = SmallDisk::mount(&dir.path().join("disk"), 4)?;
    let text = format!("echo first; read go < {}; seq {numbers}; exit 3", full.display());
    let server = Server::with(script(&text)).await;
    let executor = executor(disk.path());
    executor.start(&placement(&server, attempt)).await.expect("a start");
    server.logged().await;
    disk.fill();
    tokio::fs::write(&full, "go\n").await.expect("the job goes on");
    let seen = until(&executor, attempt, has_exit_code).await;
    let Observation::Ended { containers, .. } = seen else { panic!("it ends by itself") };
    assert_eq!((containers[0].exit_code, containers[0].end_record.as_deref()), (Some(3), None));
    let sight = executor.look(attempt).await.expect("a look");
    assert!(sight.moments.containers[0].ended.is_some());
    executor.remove(attempt).await.expect("a removal");
    let end = server.seen().end.clone().expect("the server is told of its end");
    assert_eq!(end.cause, Cause::Exit { code: 3 });
    Some((server.text(), end))
}

#[tokio::test]
async fn a_disk_that_is_full_while_a_job_runs_takes_nothing_but_what_an_ordinary_log_has_not() {
    let Some((text, end)) = counts_on_a_full_disk(9_999).await else { return };
    let numbers: String = (1..10_000).map(|number| format!("{number}\n")).collect();
    assert!(text == format!("first\n{numbers}"), "{} bytes", text.len());
    assert_eq!(end.log.lost, 0);
    let (_, end) = counts_on_a_full_disk(100_000).await.expect("a small disk");
    assert!(end.log.lost > 0, "{:?}", end.log);
}

#[tokio::test]
async fn an_agent_that_finds_no_room_for_its_lock_is_not_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let (begin, attempt) = (pipe(dir.path(), "begin"), attempt());
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk"), 4) else { return };
    let server = Server::with(script("echo it runs")).await;
    let executor = executor_behind(disk.path(), &begin);
    executor.start(&placement(&server, attempt)).await.expect("a start");
    let waits = executor.look(attempt).await.expect("a look");
    assert!(matches!(waits.observation, Observation::Waiting { .. }), "{waits:?}");
    assert_eq!(waits.moments.containers.len(), 0, "it has not begun");
    disk.fill();
    tokio::fs::write(&begin, "go\n").await.expect("the agent begins");
    let seen = until(&executor, attempt, has_exit_code).await;
    let Observation::Ended { containers, .. } = seen else { panic!("it ends by itself") };
    assert!(containers[0].reason.contains("left no record"), "{}", containers[0].reason);
    assert_eq!(server.sessions(), 0, "the job has not begun");
}
