//! What it costs to hide 100 secrets in 100 MB of ordinary lines, beside what else an agent does with them, in one process
//! and in turn with none; medians of several rounds.
//!
//! `cargo run --release --no-default-features --example mask_throughput`

use std::{
    fmt::Write as _,
    io::Write as _,
    time::{Duration, Instant},
};

use containerops::agent::mask::Masks;
use sha2::{Digest as _, Sha256};

const SIZE: usize = 100_000_000;
/// What an agent reads at once.
const READ: usize = 256 << 10;
const ROUNDS: usize = 9;

/// How long the same lines took.
#[derive(Default)]
struct Took {
    hidden: Duration,
    whole: Duration,
}

fn main() -> std::io::Result<()> {
    let lines = lines();
    let reads = reads(lines.as_bytes());
    let of = |length: fn(usize) -> usize| Masks::new(secrets(length).iter().map(String::as_str));
    let masks = [
        ("none", Masks::default()),
        ("of 32", of(|_| 32)),
        ("of 8 to 64", of(|n| 8 + n * 7 % 57)),
        ("of 4 to 60", of(|n| 4 + n * 7 % 57)),
    ];
    let rounds: Vec<Vec<Took>> = (0..ROUNDS).map(|_| round(&masks, &reads)).collect();
    let mut out = std::io::stdout();
    for (at, (name, _)) in masks.iter().enumerate() {
        let speed = |of: fn(&Took) -> Duration| {
            median(rounds.iter().map(|round| lines.len() as f64 / 1e6 / of(&round[at]).as_secs_f64()))
        };
        let cost = median(rounds.iter().map(|round| {
            let (none, with) = (round[0].whole.as_secs_f64(), round[at].whole.as_secs_f64());
            100.0 * (1.0 - none / with)
        }));
        let (hidden, whole) = (speed(|took| took.hidden), speed(|took| took.whole));
        writeln!(
            out,
            "{name:>12}: {hidden:6.0} MB/s hidden, {whole:4.0} MB/s hidden, hashed and packed: costs {cost:.1} %"
        )?;
    }
    Ok(())
}

/// Each read with all masks, one after the other and another first each time, so that whatever else the machine does
/// slows them all.
fn round(masks: &[(&str, Masks)], reads: &[&[u8]]) -> Vec<Took> {
    let mut took: Vec<Took> = masks.iter().map(|_| Took::default()).collect();
    for (turn, read) in reads.iter().enumerate() {
        for at in (0..masks.len()).map(|at| (at + turn) % masks.len()) {
            let begun = Instant::now();
            std::hint::black_box(masks[at].1.hide(read));
            took[at].hidden += begun.elapsed();
            let begun = Instant::now();
            ship(&masks[at].1, read);
            took[at].whole += begun.elapsed();
        }
    }
    took
}

fn ship(masks: &Masks, read: &[u8]) {
    let hidden = masks.hide(read);
    std::hint::black_box(Sha256::digest(&hidden));
    let _ = std::hint::black_box(zstd::bulk::compress(&hidden, 1));
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Lines as a compiler and its tests write them.
fn lines() -> String {
    let mut text = String::with_capacity(SIZE + 200);
    for n in 0_u64.. {
        let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let _ = writeln!(text, "test shop::basket::tests::case_{n} ... ok ({hash:016x}, {} ms)", hash % 977);
        if text.len() >= SIZE {
            break;
        }
    }
    text
}

/// Whole lines, as many as are read at once.
fn reads(mut lines: &[u8]) -> Vec<&[u8]> {
    let mut reads = Vec::new();
    while !lines.is_empty() {
        let end = READ.min(lines.len());
        let end = memchr::memrchr(b'\n', &lines[..end]).map_or(end, |newline| newline + 1);
        let (read, rest) = lines.split_at(end);
        reads.push(read);
        lines = rest;
    }
    reads
}

/// A hundred of them, of these lengths.
fn secrets(length: impl Fn(usize) -> usize) -> Vec<String> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-";
    let mut chance = 0x2545_f491_4f6c_dd1d_u64;
    let mut letter = || {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        char::from(LETTERS[(chance % LETTERS.len() as u64) as usize])
    };
    (0..100).map(|n| (0..length(n)).map(|_| letter()).collect()).collect()
}
