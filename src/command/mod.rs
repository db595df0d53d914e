//! What people call from a shell, one file per command.

pub mod git;
