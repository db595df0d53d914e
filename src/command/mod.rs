//! What `containerops` does when it is called: one file per command, each with its arguments and a `run`.
//!
//! A command parses nothing and decides nothing that a module below could: it reads files, calls, and prints.

pub mod backup;
pub mod component;
pub mod demo;
pub mod doctor;
pub mod gc;
pub mod git;
pub mod github;
pub mod hooks;
pub mod lint;
pub mod migrate;
pub mod plan;
pub mod quota;
pub mod report;
pub mod restore;
pub mod run;
pub mod schema;
pub mod secret;
pub mod serve;
pub mod start;
pub mod token;
pub mod trust;

mod archive;
mod event;
mod local;
