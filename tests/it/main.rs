//! The integration tests, one binary: what users see, told with the harness's modelled outside world.

mod github;
mod harness;
mod prism;
