//! The integration tests, one binary: what users see, told with the harness's modelled outside world. A file per story.

mod agent;
mod agent_disk;
mod blob;
mod cluster;
mod commands;
mod cout;
mod deploy;
mod docs;
mod engine;
mod flow;
mod git;
mod github;
mod harness;
mod killed;
mod kubernetes;
mod layers;
mod mirror;
mod pages;
mod pages_http;
mod pod;
mod prism;
mod process_executor;
mod registry;
mod restart;
mod store;
mod stories;
