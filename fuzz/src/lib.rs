//! The sources under test, taken in as they are: only what they need is built, in seconds and not in minutes.
#![allow(dead_code, unreachable_pub, unused_imports)]

pub mod agent;
pub mod log;
pub mod memory;

#[path = "../../src/flow/mod.rs"]
pub mod flow;
#[path = "../../src/model/mod.rs"]
pub mod model;
