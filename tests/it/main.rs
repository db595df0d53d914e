//! The integration tests, one binary: one file per user story or seam.

mod harness;
mod kubernetes;
mod pod;
mod registry;
