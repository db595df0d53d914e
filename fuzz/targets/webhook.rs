//! What forges send.
#![no_main]

use containerops_fuzz::{memory, webhook};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

fuzz_target!(|bytes: &[u8]| {
    memory::within(|| webhook::read_github(bytes));
    memory::within(|| webhook::read_git(bytes));
    memory::within(|| webhook::read_gitea(bytes));
    memory::within(|| webhook::read_gitlab(bytes));
});
