//! What an agent keeps on the disk and reads from the kernel's files.

use std::{fs, path::Path};

use containerops::{
    agent::{
        cgroup::{Cgroup, Memory},
        log::Log,
        protocol::{CHUNK_TEXT_MAX, LeftOut, LogSeal, Stream},
    },
    model::{Counted, Size, Time},
};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

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

/// What a log without a limit holds of these lines.
fn whole(lines: &[(u8, i64, String)]) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    write(&log, lines);
    let seal = log.close(Time::from_millis(9));
    read_all(&log, seal.length, u64::MAX >> 1).0
}

fn write(log: &Log, lines: &[(u8, i64, String)]) {
    for (stream, time, line) in lines {
        log.append(Stream::from_code(*stream).expect("a stream"), Time::from_millis(*time), line.as_bytes());
    }
}

fn newlines(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// A log of these lines with this limit: its text and what it says of itself.
fn limited(lines: &[(u8, i64, String)], limit: u64, step: u64) -> (Vec<u8>, LogSeal) {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    log.limit(limit);
    write(&log, lines);
    let seal = log.close(Time::from_millis(9));
    let text = read_all(&log, seal.length, step).0;
    assert_eq!(seal.sha256, hex::encode(Sha256::digest(&text)));
    assert_eq!(seal.lines, text.split_inclusive(|&byte| byte == b'\n').count() as u64);
    (text, seal)
}

/// Cuts a limited log into what is before the line about what was left out, and what is after it.
fn around<'a>(text: &'a [u8], left_out: &LeftOut, limit: u64) -> (&'a [u8], &'a [u8]) {
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let (before, rest) = lines.split_at(usize::try_from(left_out.line - 1).expect("a place"));
    let head = before.concat().len();
    let words = format!(
        "… {} ({}) were left out here: the log is over its limit of {} …\n",
        Counted(left_out.lines, "line"),
        Size(left_out.bytes),
        Size(limit)
    );
    assert_eq!(rest[0], words.as_bytes());
    (&text[..head], &text[head + words.len()..])
}

proptest! {
    #[test]
    fn of_a_log_over_its_limit_the_head_and_the_tail_are_exact_and_the_rest_is_counted(
        batches in proptest::collection::vec(
            (0_u8..2, 0_i64..4, proptest::collection::vec("[a-c]{0,9}\n", 1..6)), 0..60),
        limit in 40_u64..400,
        step in 1_u64..50,
    ) {
        let lines: Vec<_> = batches.into_iter().map(|(stream, time, lines)| (stream, time, lines.concat())).collect();
        let whole = whole(&lines);
        let (text, seal) = limited(&lines, limit, step);
        let Some(left_out) = seal.left_out else {
            prop_assert!(whole.len() as u64 <= limit, "nothing is left out without need");
            prop_assert_eq!(text, whole);
            return Ok(());
        };
        prop_assert!(whole.len() as u64 > limit);
        let (head, tail) = around(&text, &left_out, limit);
        let middle = &whole[head.len()..whole.len() - tail.len()];
        prop_assert!(whole.starts_with(head) && whole.ends_with(tail));
        prop_assert_eq!((middle.len() as u64, newlines(middle)), (left_out.bytes, left_out.lines));
        prop_assert!(head.len() as u64 <= limit / 2 && (head.len() + tail.len()) as u64 <= limit);
        // as many whole lines as there is room for
        let next = middle.split_inclusive(|&byte| byte == b'\n').next().map_or(0, <[u8]>::len);
        prop_assert!((head.len() + next) as u64 > limit / 2);
        let before = middle.strip_suffix(b"\n").expect("a line's end").rsplit(|&byte| byte == b'\n').next();
        let before = before.map_or(0, <[u8]>::len) + 1;
        prop_assert!((head.len() + tail.len() + before) as u64 > limit);
    }

    #[test]
    fn however_lines_are_cut_a_limited_log_is_a_part_of_the_whole(
        lines in proptest::collection::vec((0_u8..3, 0_i64..4, "[a-c]{0,90}\n?"), 0..60),
        limit in 1_u64..200,
        step in 1_u64..50,
    ) {
        let whole = whole(&lines);
        let (text, seal) = limited(&lines, limit, step);
        let Some(left_out) = seal.left_out else {
            prop_assert_eq!(text, whole);
            return Ok(());
        };
        let (head, tail) = around(&text, &left_out, limit);
        prop_assert!(whole.ends_with(tail));
        let (cut, middle) = whole[..whole.len() - tail.len()].split_at(
            whole.len() - tail.len() - usize::try_from(left_out.bytes).expect("a size"));
        prop_assert_eq!(newlines(middle), left_out.lines);
        // a line that is cut is ended before the words
        prop_assert!(head == cut || (!cut.ends_with(b"\n") && head == [cut, b"\n"].concat()));
        prop_assert!((cut.len() + tail.len()) as u64 <= limit);
    }
}

#[test]
fn of_a_line_without_an_end_the_beginning_and_the_end_are_kept() {
    let line = |byte: u8| (0, 0, String::from_utf8(vec![byte; 1_000]).expect("text"));
    let parts: Vec<_> = (b'a'..=b'z').map(line).collect();
    let (text, seal) = limited(&parts, 10_000, u64::MAX >> 1);
    let left_out = seal.left_out.expect("it is over the limit");
    let (head, tail) = around(&text, &left_out, 10_000);
    assert_eq!(
        head,
        [vec![b'a'; 1000], vec![b'b'; 1000], vec![b'c'; 1000], vec![b'd'; 1000], vec![b'e'; 1000], vec![b'\n']]
            .concat()
    );
    assert_eq!((tail.len(), tail[0], tail[4_999]), (5_000, b'v', b'z'));
    assert_eq!((left_out.line, left_out.bytes, left_out.lines), (2, 16_000, 0));
}

#[test]
fn an_index_of_many_small_pieces_is_limited_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = create(dir.path());
    log.limit(1_000_000);
    for i in 0..50_000 {
        log.append(
            if i % 2 == 0 { Stream::Out } else { Stream::Err },
            Time::from_millis(i),
            format!("{i:05}\n").as_bytes(),
        );
    }
    let seal = log.close(Time::from_millis(0));
    let (text, _) = read_all(&log, seal.length, u64::MAX >> 1);
    let (head, tail) = around(&text, &seal.left_out.expect("marks are left out"), 1_000_000);
    assert!(head.starts_with(b"00000\n00001\n") && tail.ends_with(b"49998\n49999\n"));
    let size = |name: &str| fs::metadata(dir.path().join(name)).expect("a file").len();
    let disk: u64 = ["log", "log.index", "log.end", "log.end.index"].map(size).iter().sum();
    assert!(disk < 1_400_000, "{disk} bytes");
}

#[test]
fn what_the_disk_does_not_take_is_counted_though_no_line_can_say_so() {
    let dir = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink("/dev/full", dir.path().join("log.end")).expect("a link");
    let log = create(dir.path());
    log.limit(20);
    for line in ["first\n", "second line\nthird\n", "fourth"] {
        log.append(Stream::Out, Time::from_millis(0), line.as_bytes());
    }
    let seal = log.close(Time::from_millis(4));
    assert_eq!(read_all(&log, seal.length, u64::MAX >> 1).0, b"first\n");
    assert_eq!((seal.length, seal.lines, seal.lost, seal.left_out), (6, 1, 24, None));
}
