//! What an agent keeps on the disk and reads from the kernel's files.

use std::{fs, path::Path};

use containerops::{
    agent::{
        cgroup::{Cgroup, Memory},
        log::Log,
        protocol::{CHUNK_TEXT_MAX, Stream},
    },
    model::Time,
};
use proptest::prelude::*;

fn cgroup(files: &[(&str, &str)], membership: &str) -> Memory {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    Cgroup::find(dir.path(), membership).memory()
}

#[test]
fn memory_is_read_from_either_version_of_cgroups() {
    let v2 = [
        ("pod/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n"),
        ("pod/memory.peak", "4096\n"),
        ("pod/memory.max", "max\n"),
    ];
    assert_eq!(cgroup(&v2, "0::/pod\n"), Memory { peak: Some(4096), limit: None, oom_kills: 2 });
    let v1 = [
        ("memory/memory.limit_in_bytes", "1048576\n"),
        ("memory/memory.max_usage_in_bytes", "524288\n"),
        ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
    ];
    let expected = Memory { peak: Some(524_288), limit: Some(1_048_576), oom_kills: 1 };
    assert_eq!(cgroup(&v1, "5:cpu:/x\n4:memory,hugetlb:/not/mounted\n0::/\n"), expected);
    let unlimited = [("memory/memory.limit_in_bytes", "9223372036854771712\n")];
    assert_eq!(cgroup(&unlimited, "4:memory:/\n"), Memory::default());
    assert_eq!(cgroup(&[], ""), Memory::default());
}

/// Reads a log as a server would that acknowledges `step` bytes of every chunk.
fn read_all(log: &Log, length: u64, step: u64) -> (Vec<u8>, Vec<(Stream, Vec<u8>)>) {
    let (mut text, mut parts) = (Vec::new(), Vec::<(Stream, Vec<u8>)>::new());
    while (text.len() as u64) < length {
        let chunk = log.chunk(text.len() as u64).expect("a chunk");
        assert!(!chunk.text.is_empty() && chunk.text.len() <= CHUNK_TEXT_MAX);
        let mut rest = &chunk.text[..chunk.text.len().min(usize::try_from(step).expect("a size"))];
        text.extend_from_slice(rest);
        for piece in chunk.pieces {
            let (part, after) = rest.split_at(rest.len().min(usize::try_from(piece.length).expect("a size")));
            match parts.last_mut() {
                Some((stream, whole)) if *stream == piece.stream => whole.extend_from_slice(part),
                Some(_) | None if part.is_empty() => {}
                Some(_) | None => parts.push((piece.stream, part.to_vec())),
            }
            rest = after;
        }
    }
    (text, parts)
}

proptest! {
    #[test]
    fn a_log_is_read_back_from_any_offset(
        lines in proptest::collection::vec((0_u8..3, 0_i64..4, "[a-c]{0,5}\n?"), 0..40),
        step in 1_u64..20,
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let log = create(dir.path());
        let mut expected = Vec::<(Stream, Vec<u8>)>::new();
        for (stream, time, line) in lines.iter().filter(|(.., line)| !line.is_empty()) {
            let stream = Stream::from_code(*stream).expect("a stream");
            log.append(stream, Time::from_millis(*time), line.as_bytes());
            match expected.last_mut() {
                Some((last, whole)) if *last == stream => whole.extend_from_slice(line.as_bytes()),
                last => {
                    // another stream's unfinished line is ended first
                    let open = last.filter(|(_, whole)| whole.last() != Some(&b'\n'));
                    open.into_iter().for_each(|(_, whole)| whole.push(b'\n'));
                    expected.push((stream, line.as_bytes().to_vec()));
                }
            }
        }
        let seal = log.close(Time::from_millis(9));
        let (text, parts) = read_all(&log, seal.length, step);
        prop_assert_eq!(text, expected.iter().flat_map(|(_, whole)| whole.clone()).collect::<Vec<_>>());
        prop_assert_eq!(parts, expected);
    }
}

fn create(dir: &Path) -> Log {
    Log::create(dir).expect("a log")
}

#[test]
fn a_log_of_many_small_pieces_and_one_long_line_fits_into_chunks() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    for i in 0..40_000 {
        log.append(if i % 2 == 0 { Stream::Out } else { Stream::Err }, Time::from_millis(i), b"x\n");
    }
    log.append(Stream::Out, Time::from_millis(0), &vec![b'y'; 3 * CHUNK_TEXT_MAX]);
    let seal = log.close(Time::from_millis(0));
    let (text, parts) = read_all(&log, seal.length, u64::MAX >> 1);
    assert_eq!((seal.length, seal.lines), (text.len() as u64, 40_001));
    assert_eq!(parts.len(), 40_001);
}
