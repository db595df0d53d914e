//! The sources under test, taken in as they are: only what they need is built, in seconds and not in minutes.
#![allow(dead_code, unreachable_pub, unused_imports)]

pub mod memory;

#[path = "../../src/flow/mod.rs"]
pub mod flow;
#[path = "../../src/model/mod.rs"]
pub mod model;

/// What of the agent reads what jobs write, and what the server reads of agents.
pub mod agent {
    #[path = "../../../src/agent/chunk.rs"]
    pub mod chunk;
    #[path = "../../../src/agent/cout.rs"]
    pub mod cout;
    #[path = "../../../src/agent/mask.rs"]
    pub mod mask;
    #[path = "../../../src/agent/protocol.rs"]
    pub mod protocol;
}

/// What makes pages of logs.
pub mod log {
    #[path = "../../../src/web/log/ansi.rs"]
    pub mod ansi;
    #[path = "../../../src/web/log/fault.rs"]
    pub mod fault;
    #[path = "../../../src/web/log/lines.rs"]
    pub mod lines;
    #[path = "../../../src/web/log/palette.rs"]
    pub mod palette;
    #[path = "../../../src/web/log/style.rs"]
    pub mod style;
}
