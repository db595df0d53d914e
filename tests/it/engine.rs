//! What the engine decides without doing anything: pure functions, by table and by chance.

mod advance;
mod queue;
mod share;
mod timeline;
mod verdict;
