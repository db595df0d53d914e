//! What people and forges see of us over HTTP.

pub mod assets;
pub mod log;
pub mod pages;
