//! What it costs to hide 100 secrets in 100 MB of ordinary lines, beside what else an agent does with them, in one process
//! and in turn with none.
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
const ROUNDS: usize = 5;

fn main() -> std::io::Result<()> {
    let lines = lines();
    let reads = reads(lines.as_bytes());
    let none = Masks::default();
    let long = Masks::new(secrets(|_| 32).iter().map(String::as_str));
    let all = Masks::new(secrets(|n| 8 + n * 7 % 57).iter().map(String::as_str));
    let shortest = Masks::new(secrets(|n| 4 + n * 7 % 57).iter().map(String::as_str));
    for _ in 0..ROUNDS {
        for (name, masks) in [("none", &none), ("of 32", &long), ("of 8 to 64", &all), ("of 4 to 60", &shortest)] {
            let (hiding, whole) = (hide(masks, &reads), ship(masks, &reads));
            let speed = |took: Duration| lines.len() as f64 / 1e6 / took.as_secs_f64();
            writeln!(
                std::io::stdout(),
                "{name:>12}: {:6.0} MB/s hidden, {:4.0} MB/s hidden, hashed and packed",
                speed(hiding),
                speed(whole)
            )?;
        }
    }
    Ok(())
}

fn hide(masks: &Masks, reads: &[&[u8]]) -> Duration {
    let begun = Instant::now();
    for read in reads {
        std::hint::black_box(masks.hide(read));
    }
    begun.elapsed()
}

fn ship(masks: &Masks, reads: &[&[u8]]) -> Duration {
    let (begun, mut sha256) = (Instant::now(), Sha256::new());
    for read in reads {
        let hidden = masks.hide(read);
        sha256.update(&hidden);
        let _ = std::hint::black_box(zstd::bulk::compress(&hidden, 1));
    }
    begun.elapsed()
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
