//! The integration tests, one binary: what users see, told with the harness's modelled outside world. A file per story.

mod blob;
mod flow;
mod git;
mod github;
mod harness;
mod kubernetes;
mod mirror;
mod pod;
mod prism;
mod registry;
mod repository;
//! The one integration test binary: a file per user story.

mod agent;
mod cout;
mod process_executor;
