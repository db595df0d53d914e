//! What of the agent reads what jobs write, and what the server reads of agents.

#[path = "../../src/agent/chunk.rs"]
pub mod chunk;
#[path = "../../src/agent/cout.rs"]
pub mod cout;
#[path = "../../src/agent/mask.rs"]
pub mod mask;
#[path = "../../src/agent/protocol.rs"]
pub mod protocol;
