//! The real agent against a modelled server: what a job writes arrives exactly, whatever the server does meanwhile,
//! and every end has its own name.

pub(crate) mod server;

use std::time::Duration;

use containerops::agent::protocol::{Cause, Start, Stream};
use sha2::{Digest, Sha256};

use server::{Fault, LONG_AGO, Ran, Server, script, work};

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn cause(ran: &Ran) -> &Cause {
    &ran.end.as_ref().expect("an end record").cause
}

/// The seal is of what the server has.
fn assert_sealed(server: &Server, ran: &Ran) {
    let seen = server.seen();
    let seal = &ran.end.as_ref().expect("an end record").log;
    assert_eq!(seal.length, seen.text.len() as u64);
    assert_eq!(seal.sha256, hex::encode(Sha256::digest(&seen.text)));
    assert_eq!(seal.lines, seen.text.split_inclusive(|&byte| byte == b'\n').count() as u64);
    assert!(seen.pieces.iter().all(|piece| piece.time > LONG_AGO));
}

#[tokio::test]
async fn a_job_runs_and_its_end_is_told() {
    let server = Server::with(script("echo $GREETING from $PWD; echo problem >&2; exit 3")).await;
    let dir = dir();
    let ran = server.run(dir.path()).await;
    assert_eq!((ran.exit, cause(&ran)), (Some(3), &Cause::Exit { code: 3 }));
    let workspace = dir.path().join("workspace").canonicalize().expect("a workspace");
    assert_eq!(server.stream(Stream::Out), format!("hello from {}\n", workspace.display()).as_bytes());
    assert_eq!(server.stream(Stream::Err), b"problem\n");
    assert_eq!(ran.output.stdout.len(), server.seen().text.len(), "the lines are copied to standard output");
    assert_sealed(&server, &ran);
    let left = std::fs::read(dir.path().join("termination-log")).expect("a record");
    assert!(left.len() <= 4096);
    assert_eq!(serde_json::from_slice::<containerops::agent::protocol::EndRecord>(&left).ok(), ran.end);
}

#[tokio::test]
async fn ten_thousand_lines_arrive_in_few_chunks() {
    let server = Server::with(script("i=0; while [ $i -lt 10000 ]; do echo line $i; i=$((i+1)); done")).await;
    let ran = server.run(dir().path()).await;
    let expected: String = (0..10_000).map(|i| format!("line {i}\n")).collect();
    assert!(server.text() == expected);
    assert!(server.seen().chunks < 1000, "{} chunks", server.seen().chunks);
    assert_sealed(&server, &ran);
}

#[tokio::test]
async fn a_line_of_five_megabytes_is_whole_though_others_write() {
    let line = "head -c 5242880 /dev/zero | tr '\\0' x; echo; kill $noise";
    let text = format!("(while :; do echo noise >&2; done) & noise=$!; {line}");
    let server = Server::with(script(&text)).await;
    server.run(dir().path()).await;
    assert!(server.stream(Stream::Out) == [vec![b'x'; 5 << 20], b"\n".to_vec()].concat());
    let text = server.text();
    assert!(text.lines().all(|line| line == "noise" || line.len() == 5 << 20));
}

#[tokio::test]
async fn bytes_that_are_no_text_and_a_missing_newline_arrive_exactly() {
    let server = Server::with(script(r"printf '\000\377\376\n\200 end'")).await;
    let ran = server.run(dir().path()).await;
    assert_eq!(server.seen().text, b"\x00\xff\xfe\n\x80 end");
    assert_sealed(&server, &ran);
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_by_a_server_that_fails() {
    use Fault::{Error, Forgot, LostAnswer};
    let text = "i=0; while [ $i -lt 2000 ]; do echo line $i; echo err $i >&2; i=$((i+1)); done";
    let server = Server::failing(script(text), &[LostAnswer, Error, Forgot, Error, LostAnswer]).await;
    let ran = server.run(dir().path()).await;
    let expected: String = (0..2000).map(|i| format!("line {i}\n")).collect();
    assert!(String::from_utf8_lossy(&server.stream(Stream::Out)) == expected);
    assert_eq!(server.stream(Stream::Err).iter().filter(|&&byte| byte == b'\n').count(), 2000);
    assert_sealed(&server, &ran);
}

#[tokio::test]
async fn a_signal_has_its_own_name() {
    let server = Server::with(script("kill -9 $$")).await;
    let ran = server.run(dir().path()).await;
    assert_eq!((ran.exit, cause(&ran)), (Some(137), &Cause::Signal { signal: 9 }));
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    for (command, says) in [("no-such-program", "PATH"), ("/dev/null", "not executable"), ("", "empty")] {
        let server = Server::with(work(Start::Command(vec![command.to_owned()]))).await;
        let ran = server.run(dir().path()).await;
        let Cause::CannotStart { message } = cause(&ran) else { panic!("{:?}", ran.end) };
        assert!(message.contains(says) && message.contains(command), "{message}");
        assert_eq!(ran.end.as_ref().and_then(|end| end.started), None);
        assert!(server.text().contains(says), "the log says it too");
    }
}

#[tokio::test]
async fn an_entrypoint_is_found_in_the_jobs_own_path_and_directory() {
    let dir = dir();
    let mut work = work(Start::Entrypoint(vec!["true-of-mine".to_owned(), "a b".to_owned()]));
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).expect("a directory");
    std::os::unix::fs::symlink("/bin/echo", bin.join("true-of-mine")).expect("a link");
    work.environments.insert("PATH".to_owned(), bin.display().to_string());
    let server = Server::with(work).await;
    let ran = server.run(dir.path()).await;
    assert_eq!((ran.exit, server.text().as_str()), (Some(0), "a b\n"));
}

#[tokio::test]
async fn the_time_limit_ends_a_job() {
    let mut work = script("echo begun; sleep 600 & wait");
    work.timeout = Duration::from_millis(300);
    let server = Server::with(work).await;
    let ran = server.run(dir().path()).await;
    assert_eq!(cause(&ran), &Cause::TimedOut);
    assert_eq!(server.text(), "begun\nstopped after 300 ms: its time limit\n");
}

#[tokio::test]
async fn a_cancelled_job_may_clean_up() {
    let server = Server::with(script("trap 'echo bye; exit 0' TERM; echo begun; while :; do sleep 0.05; done")).await;
    let dir = dir();
    let child = server.agent(dir.path()).spawn().expect("the agent starts");
    server.logged().await;
    server.cancel();
    let ran = server.finish(child).await;
    assert_eq!(cause(&ran), &Cause::Cancelled { by: "ada".to_owned() });
    assert_eq!(server.stream(Stream::Out), b"begun\nbye\n");
    assert_eq!(server.stream(Stream::Agent), b"cancelled by ada\n");
}

#[tokio::test]
async fn a_job_that_does_not_listen_is_killed_with_its_children_after_the_grace() {
    let deaf = "trap '' TERM; while :; do sleep 0.05; done";
    let text = format!("trap '' TERM; sh -c \"{deaf}\" & a=$!; setsid sh -c \"{deaf}\" & echo $$ $a $!; {deaf}");
    let server = Server::with(script(&text)).await;
    let dir = dir();
    let child = server.agent(dir.path()).spawn().expect("the agent starts");
    server.logged().await;
    let begun = std::time::Instant::now();
    server.cancel();
    let ran = server.finish(child).await;
    assert!(begun.elapsed() >= Duration::from_secs(10), "it had {:?} to end by itself", begun.elapsed());
    assert_eq!(cause(&ran), &Cause::Cancelled { by: "ada".to_owned() });
    for pid in server.text().lines().next().expect("a line").split(' ') {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid} lives");
    }
}

#[tokio::test]
async fn a_deleted_pods_job_hears_of_it_and_is_not_blamed() {
    for (ends, cause_told) in [(4, Cause::Terminated), (0, Cause::Exit { code: 0 })] {
        assert_eq!(cause(&told_to_stop(ends).await), &cause_told, "it ended with {ends}");
    }
}

/// A job that ends with this code when its pod is deleted.
async fn told_to_stop(code: i32) -> Ran {
    let server =
        Server::with(script(&format!("trap 'exit {code}' TERM; echo begun; while :; do sleep 0.05; done"))).await;
    let dir = dir();
    let child = server.agent(dir.path()).spawn().expect("the agent starts");
    server.logged().await;
    let pid = child.id().expect("it runs").to_string();
    std::process::Command::new("kill").arg(pid).status().expect("kill");
    server.finish(child).await
}

#[tokio::test]
async fn a_daemon_that_keeps_the_streams_does_not_hold_up_the_end() {
    let server = Server::with(script("setsid sleep 600 & echo $!")).await;
    let ran = server.run(dir().path()).await;
    assert_eq!(cause(&ran), &Cause::Exit { code: 0 });
    let daemon = server.text();
    assert!(!std::path::Path::new(&format!("/proc/{}", daemon.trim())).exists(), "it is killed with its job");
}

#[tokio::test]
async fn outputs_come_from_lines_and_from_the_file() {
    let mut work = script(concat!(
        "printf '  \\033[32m[COUT]\\033[0m URL = https://h/x?a=b\\033[0m\\n' >&2\n",
        "echo '[COUT] CO_JSON_CONTENT {\"a\": 1}'\n",
        "echo '[COUT] OTHER=no'; echo '[COUT] CO_RESULT = False'; echo '[COUT] CO_RESULT = true'\n",
        "printf 'NOTES<<END\\none\\n two=2\\nEND\\nPLAIN=3\\n' >> $CO_OUTPUT\n",
    ));
    work.outputs = ["URL", "CO_JSON_CONTENT", "NOTES", "PLAIN"].map(str::to_owned).to_vec();
    let server = Server::with(work).await;
    let ran = server.run(dir().path()).await;
    assert_eq!(ran.end.and_then(|end| end.result).as_deref(), Some("False"));
    let outputs = server.seen().outputs.clone().expect("outputs").outputs;
    insta::assert_debug_snapshot!(outputs, @r#"
    {
        "CO_JSON_CONTENT": "{\"a\": 1}",
        "NOTES": "one\n two=2",
        "PLAIN": "3",
        "URL": "https://h/x?a=b",
    }
    "#);
}

#[tokio::test]
async fn floods_of_outputs_and_of_masks_end_no_job_and_take_no_more_than_they_may() {
    // 12,000 outputs of a kilobyte, of which 8 MiB may be; 12,000 values to hide, of which 200 are
    let text = concat!(
        "line=$(printf '%01000d' 0)\n",
        "i=0; while [ $i -lt 12000 ]; do i=$((i+1)); echo \"[COUT] KEY-$i = $line\"; ",
        "echo \"::add-mask::value-number-$i-end\"; done; echo value-number-7-end value-number-9999-end; echo the end\n",
    );
    let mut work = script(text);
    work.outputs = (1..=12_000).map(|n| format!("KEY-{n}")).collect();
    let server = Server::with(work).await;
    let begun = std::time::Instant::now();
    let ran = server.run(dir().path()).await;
    assert_eq!((ran.exit, cause(&ran)), (Some(0), &Cause::Exit { code: 0 }));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let outputs = server.seen().outputs.clone().expect("outputs").outputs;
    let size: usize = outputs.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(size <= 8 << 20 && outputs.len() > 8000 && outputs.len() < 12_000, "{} with {size} bytes", outputs.len());
    let text = server.text();
    assert!(text.contains("*** value-number-9999-end\nthe end\n"), "{}", &text[text.len() - 200..]);
    assert_eq!(text.matches("::add-mask:: takes up to 200 values").count(), 1, "it is said once");
    assert!(text.matches("was dropped: all outputs of a job have at most 8 MiB").count() > 100);
    assert!(!text.contains("::add-mask::value-number"));
}

#[tokio::test]
async fn secrets_do_not_leave_the_pod() {
    let mut work =
        script("echo a $GREETING b; printf '%s' hel; sleep 0.1; echo lo; echo '[COUT] K=hello'; echo line-2");
    work.masks = vec!["hello".to_owned(), "line-1\nline-2\n".to_owned(), "b".to_owned()];
    work.outputs = vec!["K".to_owned()];
    let server = Server::with(work).await;
    let ran = server.run(dir().path()).await;
    assert_eq!(server.text(), "a *** b\n***\n[COUT] K=***\n***\n");
    assert_eq!(server.seen().outputs.clone().expect("outputs").outputs["K"], "***");
    assert!(!String::from_utf8_lossy(&ran.output.stdout).contains("hello"));
}

fn snapshot(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> (String, Vec<u8>) {
    let mut tar = tar::Builder::new(Vec::new());
    build(&mut tar);
    let bytes = zstd::encode_all(&tar.into_inner().expect("a tar")[..], 1).expect("zstd");
    (format!("sha256:{}", hex::encode(Sha256::digest(&bytes))), bytes)
}

fn add(tar: &mut tar::Builder<Vec<u8>>, name: &str, kind: tar::EntryType, mode: u32, content: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    // written into the field itself: the crate's own ways refuse what a hostile archive has
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    let link = matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link);
    header.set_size(if link { 0 } else { content.len() as u64 });
    if link {
        header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content.as_bytes());
    }
    header.set_cksum();
    tar.append(&header, if link { &[][..] } else { content.as_bytes() }).expect("an entry");
}

#[tokio::test]
async fn the_source_is_in_the_workspace_and_everybodys() {
    let (digest, blob) = snapshot(|tar| {
        add(tar, "d", tar::EntryType::Directory, 0o555, "");
        add(tar, "d/run", tar::EntryType::Regular, 0o500, "#!/bin/sh\necho ran\n");
        add(tar, "text", tar::EntryType::Regular, 0o600, "text\n");
        add(tar, "link", tar::EntryType::Symlink, 0o777, "text");
    });
    let mut work = script("d/run; cat link; stat -c %a d d/run text");
    work.source = Some(digest);
    let server = Server::with_blob(work, blob).await;
    let ran = server.run(dir().path()).await;
    assert_eq!(cause(&ran), &Cause::Exit { code: 0 });
    assert_eq!(server.text(), "ran\ntext\n777\n777\n666\n");
}

#[tokio::test]
async fn a_hostile_source_writes_nothing_outside_the_workspace() {
    use tar::EntryType::{Char, Link, Regular, Symlink};
    let hostile: [&[(&str, tar::EntryType, &str)]; 4] = [
        &[("../evil", Regular, "x")],
        &[("up", Symlink, ".."), ("up/evil", Regular, "x")],
        &[("hard", Link, "/etc/hostname")],
        &[("device", Char, "")],
    ];
    for entries in hostile {
        let (digest, blob) =
            snapshot(|tar| entries.iter().for_each(|(name, kind, text)| add(tar, name, *kind, 0o644, text)));
        let mut work = script("echo not reached");
        work.source = Some(digest);
        let server = Server::with_blob(work, blob).await;
        let dir = dir();
        let ran = server.run(dir.path()).await;
        assert!(matches!(cause(&ran), Cause::NotPrepared { .. }), "{entries:?}: {:?}", ran.end);
        assert!(!dir.path().join("evil").exists());
        assert!(server.stream(Stream::Out).is_empty());
    }
}

#[tokio::test]
async fn an_agent_that_is_not_wanted_leaves_quietly() {
    let ran = Server::leaving().await.run(dir().path()).await;
    assert_eq!((ran.exit, ran.end), (Some(0), None));
    let ran = Server::forgetful().await.run(dir().path()).await;
    assert_eq!((ran.exit, ran.end), (Some(i32::from(containerops::agent::command::EXIT_GONE)), None));
}

#[tokio::test]
async fn an_agent_that_is_told_to_end_while_the_server_is_away_ends_soon_and_leaves_its_record() {
    let server = Server::with(script("echo begun; while :; do sleep 0.05; done")).await;
    let dir = dir();
    let child = server.agent(dir.path()).spawn().expect("the agent starts");
    server.logged().await;
    server.goes_away();
    let pid = child.id().expect("it runs").to_string();
    std::process::Command::new("kill").arg(pid).status().expect("kill");
    let ran = server.finish(child).await;
    assert_eq!((ran.exit, ran.end), (Some(i32::from(containerops::agent::command::EXIT_GONE)), None));
    assert_eq!(left(dir.path()).cause, Cause::Terminated);
}

#[tokio::test]
async fn an_agent_whose_server_never_comes_back_ends_by_itself() {
    let server = Server::with(script("echo begun; while :; do sleep 0.05; done")).await;
    let dir = dir();
    let child = server.agent(dir.path()).args(["--alone-max", "2"]).spawn().expect("the agent starts");
    server.logged().await;
    server.goes_away();
    let ran = server.finish(child).await;
    assert_eq!(ran.exit, Some(i32::from(containerops::agent::command::EXIT_GONE)));
    let log = std::fs::read_to_string(dir.path().join("scratch/log")).expect("a log");
    // behind it is the room that a log has from the beginning
    let log = log.trim_end_matches('\0');
    assert!(log.ends_with("stopped: the server has not answered for too long\n"), "{log}");
    assert_eq!(left(dir.path()).cause, Cause::Terminated);
}

/// The record that an agent has left for its executor.
fn left(dir: &std::path::Path) -> containerops::agent::protocol::EndRecord {
    let left = std::fs::read(dir.join("termination-log")).expect("a record");
    serde_json::from_slice(&left).expect("a whole one")
}

fn in_shell(shell: &[&str], text: &str) -> containerops::agent::protocol::Work {
    let shell = shell.iter().map(|&word| word.to_owned()).collect();
    containerops::agent::protocol::Work { shell, ..script(text) }
}

#[tokio::test]
async fn a_script_may_have_a_shell_of_its_own() {
    let server =
        Server::with(in_shell(&["bash", "-eo", "pipefail"], "[[ x == x ]]; false | cat; echo not reached")).await;
    let ran = server.run(dir().path()).await;
    assert_eq!((cause(&ran), server.text().as_str()), (&Cause::Exit { code: 1 }, ""));
    let server = Server::with(in_shell(&["perl", "-w"], "print qq($ENV{GREETING} from line ${\\ __LINE__}\\n);")).await;
    let ran = server.run(dir().path()).await;
    assert_eq!((cause(&ran), server.text().as_str()), (&Cause::Exit { code: 0 }, "hello from line 1\n"));
}

#[tokio::test]
async fn a_shell_that_the_image_has_not_is_named() {
    let server = Server::with(in_shell(&["fish"], "echo hello")).await;
    let ran = server.run(dir().path()).await;
    let Cause::CannotStart { message } = cause(&ran) else { panic!("{:?}", cause(&ran)) };
    assert_eq!(
        message,
        "`fish`: the image has no such shell: check the job's `shell`, or use an image that has it (No such file or \
         directory (os error 2))"
    );
}
