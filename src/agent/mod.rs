//! The program in every pod, and the protocol it speaks with the server.
//!
//! An agent knows a URL and its job's token. It claims its turn, gets everything else in the answer, runs the job, and
//! tells the server what happened until the server has acknowledged it. It must run in an image with nothing in it, so
//! it carries its own certificate roots and resolver and needs no shell, no libc and no file but its own.
//!
//! A line of the job goes this way: [`pump`] reads it, [`mask`] hides secrets in it, [`cout`] looks for outputs in it,
//! [`log`] puts it on the disk, head and tail
//! of it if it is very long, and [`ship`] sends it as a [`chunk`]. From there on it does not matter for how long the
//! server is away: memory stays constant, and nothing is lost.

// standard error may be a file on a full disk, and `eprintln!` panics then
#![deny(clippy::print_stderr)]

use std::io::Write as _;

pub mod command;
pub mod protocol;

pub mod bundle;
pub mod cgroup;
pub mod chunk;
pub mod cout;
pub mod log;
pub mod mask;
pub mod reports;

mod cache;
mod chores;
mod client;
mod echo;
mod job;
mod keep;
mod process;
mod pump;
mod ready;
mod ship;
mod source;
mod spool;
mod system;
mod turn;

pub use command::run;

/// Says something about the agent itself, to whoever reads that. If nobody can, it is left unsaid.
fn complain(words: &str) {
    let _ = std::io::stderr().write_all(format!("containerops-agent: {words}\n").as_bytes());
}
