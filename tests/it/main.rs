//! One binary for all integration tests, one file per user story.

mod flow;
