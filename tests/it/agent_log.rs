//! Logs that are too long for their limit or for the disk, from the real agent: the job goes on, what is kept is exact,
//! and what is not is said.

use std::{path::Path, process::Stdio};

use containerops::agent::protocol::{Cause, EndRecord, LOG_LIMIT, LeftOut, Stream, Work};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

use crate::agent::server::{Ran, Server, script};

/// The most memory that an agent may have, in KiB.
const MEMORY_MAX: u64 = 64 << 10;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn limited(text: &str, limit: u64) -> Work {
    Work { log_limit: limit, ..script(text) }
}

/// The end record, whose seal must be of what the server has.
fn sealed<'a>(server: &Server, ran: &'a Ran) -> &'a EndRecord {
    let end = ran.end.as_ref().expect("an end record");
    let seen = server.seen();
    assert_eq!((end.log.length, &end.log.sha256), (seen.text.len() as u64, &hex::encode(Sha256::digest(&seen.text))));
    end
}

#[tokio::test]
async fn of_a_long_log_head_and_tail_are_kept_and_outputs_are_found_in_all_of_it() {
    let mut work =
        limited("seq 1 20000; echo '[COUT] VERSION=1.2.3'; echo '[COUT] CO_RESULT=false'; seq 20001 50000", 10_000);
    work.outputs = vec!["VERSION".to_owned()];
    let server = Server::with(work).await;
    let ran = server.run(dir().path()).await;
    let end = sealed(&server, &ran);
    assert_eq!((&end.cause, end.result.as_deref()), (&Cause::Exit { code: 0 }, Some("false")));
    assert_eq!(server.seen().outputs.as_ref().expect("outputs").outputs["VERSION"], "1.2.3");
    let text = server.text();
    let lines: Vec<&str> = text.lines().collect();
    let LeftOut { line, bytes, lines: left_out } = end.log.left_out.expect("something is left out");
    let head: Vec<String> = (1..line).map(|n| n.to_string()).collect();
    assert!(lines[..head.len()] == head);
    assert_eq!(server.stream(Stream::Agent), format!("{}\n", lines[head.len()]).as_bytes());
    assert!(lines[head.len()].contains("left out here: the log is over its limit of 10 kB"), "{}", lines[head.len()]);
    let tail = &lines[head.len() + 1..];
    let first: u64 = tail[0].parse().expect("a number");
    assert!(tail == (first..=50_000).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(left_out, first - line + 2, "with both lines of outputs");
    let written = (1..=50_000).map(|n: u64| n.to_string().len() as u64 + 1).sum::<u64>() + 44;
    let words = lines[head.len()].len() as u64 + 1;
    assert_eq!(end.log.length - words + bytes, written);
    assert!(end.log.length - words <= 10_000 && end.log.length - words > 9_900);
}

#[tokio::test]
async fn a_log_within_its_limit_is_exact_though_its_end_comes_late() {
    let expected: String = (1..=2_000).map(|n| format!("{n}\n")).collect();
    let server = Server::with(limited("seq 1 2000", expected.len() as u64)).await;
    let ran = server.run(dir().path()).await;
    assert!(server.text() == expected);
    assert_eq!(sealed(&server, &ran).log.left_out, None);
}

#[tokio::test]
async fn a_line_of_a_hundred_megabytes_costs_an_agent_little_memory_and_less_disk() {
    let dir = dir();
    let line = "head -c 100000000 /dev/zero | tr '\\0' x; echo; head -c 30000000 /dev/urandom; echo";
    let text =
        format!("{line}; du -sb ../scratch | cut -f1; sed -n 's/VmHWM:[^0-9]*//p' /proc/$PPID/status | cut -d' ' -f1");
    let server = Server::with(limited(&text, 4_000_000)).await;
    let ran = server.run(dir.path()).await;
    let end = sealed(&server, &ran);
    assert_eq!(end.cause, Cause::Exit { code: 0 });
    assert!(end.log.left_out.expect("most is left out").bytes > 125_000_000);
    let text = server.text();
    let mut last = text.trim_end().rsplit('\n').map(|number| number.trim().parse::<u64>().expect("a number"));
    let (memory, disk) = (last.next().expect("memory"), last.next().expect("disk"));
    assert!(memory < MEMORY_MAX, "{memory} KiB");
    assert!(disk < 6_000_000, "{disk} bytes");
    let left = ["log", "log.end"].map(|name| std::fs::metadata(dir.path().join("scratch").join(name)).expect("a file"));
    assert!(left.iter().all(|file| file.len() == 0), "the disk is given back");
}

#[tokio::test]
async fn a_full_disk_ends_no_job_and_the_gap_is_said_at_its_place() {
    let dir = dir();
    let (full, free) = (pipe(dir.path(), "full"), pipe(dir.path(), "free"));
    let text = format!(
        "echo first; echo > {full}; cat {full}; seq 1 1000; echo > {free}; cat {free}; echo last",
        full = full.display(),
        free = free.display()
    );
    let server = Server::with(script(&text)).await;
    // what the system does to a process that writes too large a file is ignored here, and writing fails
    let agent = server.agent(dir.path());
    let mut command = tokio::process::Command::new("/bin/sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(agent.as_std().get_program())
        .args(agent.as_std().get_args());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("it starts");
    let (pid, mut copy) = (child.id().expect("it runs"), child.stdout.take().expect("a pipe"));
    for (pipe, size, copied) in [(&full, "10", "first\n"), (&free, "unlimited", "\n1000\n")] {
        tokio::fs::read(pipe).await.expect("the job is there");
        read_until(&mut copy, copied).await;
        let mut limit = std::process::Command::new("prlimit");
        limit.args(["--pid", &pid.to_string(), &format!("--fsize={size}:")]);
        assert!(limit.status().expect("prlimit is installed").success());
        tokio::fs::write(pipe, "").await.expect("the job goes on");
    }
    read_until(&mut copy, "last\n").await;
    let ran = server.finish(child).await;
    let end = sealed(&server, &ran);
    assert_eq!(end.cause, Cause::Exit { code: 0 });
    assert_eq!(
        server.text(),
        "first\n… 3,893 bytes (1,000 lines) are missing here: the disk had no room for them, or failed …\nlast\n"
    );
    assert_eq!(end.log.lost, 3_893);
}

#[test]
fn an_older_server_says_no_limit_and_an_older_agents_record_leaves_nothing_out() {
    let mut work = serde_json::to_value(script("true")).expect("JSON");
    work.as_object_mut().expect("an object").remove("log_limit");
    assert_eq!(serde_json::from_value::<Work>(work).expect("it is read").log_limit, LOG_LIMIT);
    let seal = r#"{"length": 3, "lines": 1, "sha256": "ab"}"#;
    let seal: containerops::agent::protocol::LogSeal = serde_json::from_str(seal).expect("it is read");
    assert_eq!((seal.left_out, seal.lost), (None, 0));
    assert_eq!(serde_json::to_value(&seal).expect("JSON").as_object().map(|seal| seal.len()), Some(3));
}

/// Reads the agent's copy of the lines, which it makes when it has done with them.
async fn read_until(copy: &mut tokio::process::ChildStdout, end: &str) {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        assert!(copy.read_buf(&mut read).await.expect("a pipe") > 0, "it ended too early");
    }
}

/// A named pipe: whoever opens one end waits for the other.
fn pipe(folder: &Path, name: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is installed");
    assert!(made.success());
    path
}
