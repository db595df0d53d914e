//! The one integration test binary: a file per user story.

mod blob;
mod git;
mod mirror;
mod repository;
//! The integration tests, one binary: what users see, told with the harness's modelled outside world.

mod github;
mod harness;
mod prism;
