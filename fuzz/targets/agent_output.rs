//! What jobs write, and agents send.
#![no_main]

use containerops_fuzz::{agent_output, memory};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

fuzz_target!(|bytes: &[u8]| {
    memory::within(|| agent_output::read_output(bytes));
    memory::within(|| agent_output::show(bytes));
    memory::within(|| agent_output::read_chunk(bytes));
});
