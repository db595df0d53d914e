//! "How a job ends", row by row.

use std::time::Duration;

use containerops::{
    agent::protocol::{Cause, Chores, EndRecord, LogSeal},
    engine::{Evidence, verdict},
    executor::{ContainerEnd, Outside},
    model::{Conclusion, Infrastructure, JobId, Time},
};
use insta::assert_snapshot;

fn record(cause: Cause) -> EndRecord {
    EndRecord {
        ready: None,
        chores: Chores::default(),
        job: JobId::from_i64(1),
        cause,
        started: None,
        ended: Time::from_millis(0),
        result: None,
        memory_peak: Some(60 << 20),
        memory_limit: Some(64 << 20),
        oom_kills: 0,
        log: LogSeal::default(),
    }
}

fn exit(code: i32) -> EndRecord {
    record(Cause::Exit { code })
}

fn resulting_in(value: &str) -> EndRecord {
    EndRecord { result: Some(value.to_owned()), ..exit(0) }
}

fn killed_for_memory(cause: Cause) -> EndRecord {
    EndRecord { oom_kills: 1, ..record(cause) }
}

fn container(exit_code: i32, oom_killed: bool) -> ContainerEnd {
    let reason = "Error".to_owned();
    let memory_limit = Some(64 << 20);
    ContainerEnd {
        job: JobId::from_i64(1),
        exit_code: Some(exit_code),
        oom_killed,
        memory_limit,
        reason,
        end_record: None,
    }
}

fn by(record: &EndRecord) -> String {
    said(&Evidence { record: Some(record), timeout: Duration::from_secs(60), ..Evidence::default() })
}

fn said(evidence: &Evidence<'_>) -> String {
    let verdict = verdict(evidence);
    format!("{}: {verdict}", verdict.conclusion())
}

#[test]
fn the_agents_record_is_the_first_witness() {
    let all = [
        by(&exit(0)),
        by(&exit(1)),
        by(&exit(75)),
        by(&resulting_in("true")),
        by(&resulting_in(" TRUE ")),
        by(&resulting_in("false")),
        by(&resulting_in("")),
        by(&EndRecord { result: Some("true".to_owned()), ..exit(1) }),
        by(&record(Cause::Signal { signal: 11 })),
        by(&killed_for_memory(Cause::Signal { signal: 9 })),
        by(&killed_for_memory(Cause::Exit { code: 137 })),
        by(&killed_for_memory(Cause::Exit { code: 0 })),
        by(&record(Cause::TimedOut)),
        by(&record(Cause::Cancelled { by: "ada".to_owned() })),
        by(&record(Cause::CannotStart { message: "make: no such file".to_owned() })),
        by(&record(Cause::NotPrepared { message: "the disk is full".to_owned() })),
    ];
    assert_snapshot!(all.join("\n"), @r"
    success: success
    failure: exit code 1
    failure: exit code 75 (temporary failure)
    success: success
    success: success
    failure: CO_RESULT = false
    failure: CO_RESULT = 
    failure: exit code 1
    failure: killed by signal 11 (SIGSEGV)
    failure: out of memory (peak 60 of 64 MiB)
    failure: out of memory (peak 60 of 64 MiB)
    success: success, but one of its processes was killed for memory
    timed out: timed out after 1 min 0 s
    cancelled: cancelled by ada
    failure: cannot start: make: no such file
    infrastructure: infrastructure: source not prepared: the disk is full
    ");
}

#[test]
fn without_a_record_nothing_is_a_success() {
    let evicted = Outside::Infrastructure(Infrastructure::Evicted, "low on memory".to_owned());
    let (silent, killed) = (container(0, false), container(137, true));
    let all = [
        said(&Evidence::default()),
        said(&Evidence { container: Some(&silent), ..Evidence::default() }),
        said(&Evidence { container: Some(&killed), ..Evidence::default() }),
        said(&Evidence { outside: Some(&evicted), ..Evidence::default() }),
        said(&Evidence { outside: Some(&evicted), container: Some(&silent), ..Evidence::default() }),
    ];
    assert_snapshot!(all.join("\n"), @r"
    infrastructure: infrastructure: agent lost: the container is gone, and its agent left no end record
    infrastructure: infrastructure: agent lost: the container ended with code 0 (Error) without the agent's end record
    failure: out of memory (limit 64 MiB)
    infrastructure: infrastructure: evicted: low on memory
    infrastructure: infrastructure: evicted: low on memory
    ");
}

#[test]
fn what_a_job_made_of_its_pods_end_is_not_its_authors_doing() {
    let evicted = Outside::Infrastructure(Infrastructure::Evicted, "low on memory".to_owned());
    let with = |record: &EndRecord| {
        let record = Some(record);
        verdict(&Evidence { record, outside: Some(&evicted), ..Evidence::default() }).conclusion()
    };
    assert_eq!(with(&exit(143)), Conclusion::Error);
    assert_eq!(with(&record(Cause::Signal { signal: 15 })), Conclusion::Error);
    assert_eq!(with(&record(Cause::Terminated)), Conclusion::Error);
    let alone = record(Cause::Terminated);
    let told = verdict(&Evidence { record: Some(&alone), ..Evidence::default() });
    assert_eq!(told.to_string(), "infrastructure: pod deleted: the container was told to stop from outside");
    assert_eq!(with(&exit(0)), Conclusion::Success, "it was over before");
    assert_eq!(with(&killed_for_memory(Cause::Signal { signal: 9 })), Conclusion::Failure);
}

#[test]
fn a_node_without_memory_is_not_the_jobs_fault() {
    let of = |peak: u64, limit| EndRecord {
        memory_peak: Some(peak << 20),
        memory_limit: limit,
        ..killed_for_memory(Cause::Signal { signal: 9 })
    };
    let all = [by(&of(47, Some(64 << 20))), by(&of(49, Some(64 << 20))), by(&of(47, None))];
    assert_snapshot!(all.join("\n"), @r"
    infrastructure: infrastructure: node out of memory: the kernel killed it when it had 47 of 64 MiB at most
    failure: out of memory (peak 49 of 64 MiB)
    failure: out of memory (peak 47 MiB)
    ");
}

#[test]
fn a_container_that_a_signal_ended_was_killed_from_outside() {
    let told = |code| said(&Evidence { container: Some(&container(code, false)), ..Evidence::default() });
    assert_eq!(
        told(137),
        "infrastructure: infrastructure: agent killed: signal 9 ended it from outside, with all that it had started"
    );
    assert!(told(123).contains("agent lost: the container ended with code 123"), "{}", told(123));
}

#[test]
fn what_was_written_too_much_is_its_authors() {
    let full = Outside::OutOfDisk("Usage of EmptyDir volume exceeds the limit".to_owned());
    let terminated = record(Cause::Terminated);
    for record in [None, Some(&terminated)] {
        let told = said(&Evidence { record, outside: Some(&full), ..Evidence::default() });
        assert_eq!(told, "failure: out of disk: Usage of EmptyDir volume exceeds the limit");
    }
}

#[test]
fn a_strict_job_needs_a_result_to_be_green() {
    let strict = |record: &EndRecord| said(&Evidence { record: Some(record), strict: true, ..Evidence::default() });
    assert_eq!(strict(&exit(0)), "failure: no CO_RESULT, and the job is strict");
    assert_eq!(strict(&resulting_in("true")), "success: success");
    assert_eq!(strict(&resulting_in("false")), "failure: CO_RESULT = false");
    assert_eq!(strict(&exit(2)), "failure: exit code 2");
    assert_eq!(by(&exit(0)), "success: success");
}

#[test]
fn what_an_end_of_a_service_means_depends_on_when_it_comes() {
    use containerops::{
        agent::protocol::JOBS_ENDED,
        engine::service::{Standing, end},
        model::{Check, Ready, Verdict},
    };
    let ready = Ready { check: Check::Tcp(5432), within: Duration::from_secs(60) };
    let plain = Ready::default();
    let of = |found: Verdict, ready: &Ready, was_ready: bool, jobs_ended: bool| {
        let ran = Duration::from_secs(3);
        end(found, &Standing { ready, was_ready, jobs_ended, ran }).to_string()
    };
    let exit = |code| Verdict::Exit { code };
    let cancelled = || Verdict::Cancelled { by: "ada".to_owned() };
    let lost = || Verdict::Infrastructure { kind: Infrastructure::Evicted, message: "full".to_owned() };
    let early = "not ready: exit code 1 after 3 s, while TCP port 5432 was waited for";
    for (found, ready, was_ready, jobs_ended, expected) in [
        (exit(1), &ready, false, false, early),
        (exit(1), &plain, false, false, "not ready: exit code 1 after 3 s"),
        (Verdict::success(), &plain, false, false, "not ready: exit code 0 after 3 s"),
        (exit(1), &ready, true, false, "exit code 1"),
        (Verdict::success(), &ready, true, false, "success"),
        (exit(1), &ready, true, true, "success"),
        (exit(1), &ready, false, true, "success"),
        (lost(), &ready, true, true, "success"),
        (lost(), &ready, false, false, "infrastructure: evicted: full"),
        (cancelled(), &ready, true, false, "cancelled by ada"),
        (cancelled(), &ready, true, true, "cancelled by ada"),
        (Verdict::Cancelled { by: JOBS_ENDED.to_owned() }, &ready, true, true, "success"),
        (Verdict::RunTimedOut, &ready, true, true, "timed out: its run was over its time limit"),
        (Verdict::OutOfMemory { limit: None, peak: None }, &ready, false, false, "out of memory"),
    ] {
        let case = format!("{found:?}, ready {was_ready}, all over {jobs_ended}");
        assert_eq!(of(found, ready, was_ready, jobs_ended), expected, "{case}");
    }
}
