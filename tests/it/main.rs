//! The one integration test binary: a file per user story.

mod blob;
mod git;
mod mirror;
mod repository;
