//! The integration tests, one binary: what users see, told with the harness's modelled outside world. A file per story.

mod agent;
mod blob;
mod cout;
mod engine;
mod flow;
mod git;
mod github;
mod harness;
mod kubernetes;
mod layers;
mod mirror;
mod pod;
mod prism;
mod process_executor;
mod registry;
mod repository;
mod restart;
mod store;
mod stories;
