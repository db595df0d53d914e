//! The one integration test binary: a file per user story.

mod blob;
mod mirror;
mod repository;
