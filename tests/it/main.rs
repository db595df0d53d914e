//! The integration tests, one binary: what users see, told with the harness's modelled outside world. A file per story.

mod agent;
mod blob;
mod git;
mod github;
mod harness;
mod mirror;
mod prism;
mod repository;
//! One binary for all integration tests, one file per user story.

mod flow;
//! The integration tests, one binary: one file per user story or seam.

mod harness;
mod kubernetes;
mod pod;
mod registry;
