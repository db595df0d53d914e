//! ContainerOps: a CI service for Git forges, on Kubernetes.
//!
//! Someone pushes a commit; the forge sends a webhook; we read `.containerops.yml` at that commit, run its stages as
//! pods of container components, tell the forge what became of it, and show every log as a page.
//!
//! The walk of one push goes through the modules like this: [`web`] takes the delivery and commits it, [`engine`]
//! makes it an event and a run by [`flow`]'s plan, decides what may start and drives it on an [`executor`], whose
//! containers run the [`agent`]; what the [`forge`] should know is a row, and [`report`] sends it until it is
//! acknowledged; [`notify`] tells whoever else a flow names. [`store`] and [`blob`] hold all of that; [`model`] has the nouns.

pub mod agent;
#[cfg(feature = "server")]
pub mod app;
pub mod model;

#[cfg(feature = "server")]
pub mod blob;
#[cfg(feature = "server")]
pub mod client;
#[cfg(feature = "server")]
pub mod command;
#[cfg(feature = "server")]
pub mod engine;
#[cfg(feature = "server")]
pub mod executor;
#[cfg(feature = "server")]
pub mod flow;
#[cfg(feature = "server")]
pub mod forge;
#[cfg(feature = "server")]
pub mod meters;
#[cfg(feature = "server")]
pub mod notify;
#[cfg(feature = "server")]
pub mod reach;
#[cfg(feature = "server")]
pub mod report;
#[cfg(feature = "server")]
pub mod settings;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod web;
