//! The one integration test binary: a file per user story.

mod agent;
mod agent_disk;
mod cout;
mod process_executor;
