//! What the fuzz targets do with an input, and what they share. The tests of the package do the same with every seed.

pub mod agent_output;
pub mod flow_text;
pub mod junit;
pub mod masker;
pub mod memory;
pub mod webhook;
