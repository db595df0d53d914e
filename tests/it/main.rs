//! The integration tests, one binary: what users see, told with the harness's modelled outside world. A file per story.

mod agent;
mod agent_disk;
mod blob;
mod cluster;
mod cout;
mod flow;
mod git;
mod github;
mod harness;
mod kubernetes;
mod mirror;
mod pages;
mod pages_http;
mod pod;
mod prism;
mod process_executor;
mod registry;
mod stories;
