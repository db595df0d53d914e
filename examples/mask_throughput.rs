//! What it costs to hide 100 secrets in 100 MB of ordinary lines, beside what else an agent does with them, in one process
//! and in turn with none; of each read the median of several rounds.
//!
//! `cargo run --release --no-default-features --example mask_throughput`

use std::{fmt::Write as _, io::Write as _, time::Instant};

use containerops::agent::mask::Masks;
use sha2::{Digest as _, Sha256};

const SIZE: usize = 100_000_000;
/// What an agent reads at once.
const READ: usize = 256 << 10;
const ROUNDS: usize = 9;

/// How long one read took, in each round.
#[derive(Default, Clone)]
struct Took {
    hidden: Vec<f64>,
    whole: Vec<f64>,
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
    let mut took = vec![vec![Took::default(); reads.len()]; masks.len()];
    (0..ROUNDS).for_each(|_| round(&masks, &reads, &mut took));
    // whatever else the machine does in the midst of a read is no median
    let seconds = |at: usize, of: fn(&Took) -> &[f64]| took[at].iter().map(|took| median(of(took))).sum::<f64>();
    let none = seconds(0, |took| &took.whole);
    for (at, (name, _)) in masks.iter().enumerate() {
        let (hidden, whole) = (seconds(at, |took| &took.hidden), seconds(at, |took| &took.whole));
        let speed = |seconds: f64| lines.len() as f64 / 1e6 / seconds;
        writeln!(
            std::io::stdout(),
            "{name:>12}: {:6.0} MB/s hidden, {:4.0} MB/s hidden, hashed and packed: costs {:.1} %",
            speed(hidden),
            speed(whole),
            100.0 * (1.0 - none / whole)
        )?;
    }
    Ok(())
}

/// Each read with all masks, one after the other and another first each time, so that whatever else the machine does
/// slows them all.
fn round(masks: &[(&str, Masks)], reads: &[&[u8]], took: &mut [Vec<Took>]) {
    for (turn, read) in reads.iter().enumerate() {
        for at in (0..masks.len()).map(|at| (at + turn) % masks.len()) {
            let begun = Instant::now();
            std::hint::black_box(masks[at].1.hide(read));
            took[at][turn].hidden.push(begun.elapsed().as_secs_f64());
            let begun = Instant::now();
            ship(&masks[at].1, read);
            took[at][turn].whole.push(begun.elapsed().as_secs_f64());
        }
    }
}

fn ship(masks: &Masks, read: &[u8]) {
    let hidden = masks.hide(read);
    std::hint::black_box(Sha256::digest(&hidden));
    let _ = std::hint::black_box(zstd::bulk::compress(&hidden, 1));
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
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
