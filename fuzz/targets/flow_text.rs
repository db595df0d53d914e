//! Flow files.
#![no_main]

use containerops_fuzz::{flow_text, memory};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

fuzz_target!(|text: &[u8]| memory::within(|| flow_text::read(text)));
