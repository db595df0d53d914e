//! The whole product on a real cluster: a push by the real git, real pods with the real agent, rows, logs and notes.

mod components;
mod deaths;
mod ends;
mod janitor;
mod kubectl;
mod logs;
mod placing;
mod queue;
mod secrecy;
mod services;
mod survival;
mod tenants;
mod timeline;
mod trouble;
