//! What tests write.
#![no_main]

use containerops_fuzz::{junit, memory};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

fuzz_target!(|bytes: &[u8]| memory::within(|| junit::read(bytes)));
