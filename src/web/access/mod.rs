//! Who may see and change what. Every route says what it needs before it is one ([`Routes`]), and its handler gets what
//! it works on from the guard that has checked it ([`guard`]).
//!
//! A forge's own word is what counts: what somebody may do in a repository is asked of it, and remembered for a minute.
//! What somebody may not see looks as if it were not there. While a forge is away, its public repositories can be seen,
//! and nothing of it can be changed.

mod cookie;
mod guard;
mod limit;
mod rate;
mod roles;
mod routes;
mod seat;
mod source;
mod visitor;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    forge::oauth::OAuth,
    model::{ForgeKind, GitReaders, Login},
};

pub(super) use cookie::{SESSION_LIFE, cookie, cookie_value, no_cookie, session_cookie, sign_in_cookie};
pub(super) use guard::{
    Anybody, Approve, Guard, Known, Maintain, OfDelivery, OfJob, OfRepository, OfRun, Refused, RunIt, See, SignedIn,
};
pub(super) use rate::{limited, too_many};
pub use routes::{Need, RouteNeed};
pub(super) use routes::{Operation, Routes};
pub(super) use seat::Seat;
pub use source::Trusted;
pub(super) use source::source;
pub(super) use visitor::{Acting, FACE, Face, Granted, Visitor, Who};

/// Who may do what on this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Whoever reaches it may do everything: for trying out on one's own machine, or behind a proxy that knows people.
    Open,
    /// Everybody may do what their forge lets them.
    Forge,
}

/// How much may come at once, and from whom: of sources out on the internet, and of neighbours, who may speak for many.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Requests a second of one source.
    pub source_rate: u32,
    /// Requests a second of one neighbour; zero: any.
    pub neighbour_rate: u32,
    /// Requests a second of one token; zero: any.
    pub token_rate: u32,
    /// Live streams in all.
    pub watchers: usize,
    /// Live streams of one source.
    pub source_watchers: usize,
    /// Live streams of one neighbour.
    pub neighbour_watchers: usize,
    /// Whose word counts about whom they ask for.
    pub proxies: Trusted,
}

/// How a server is set up for people.
#[derive(Debug)]
pub struct Settings {
    /// Who may do what.
    pub mode: Mode,
    /// Whether only this machine reaches it.
    pub alone: bool,
    /// Who may do everything.
    pub admins: Vec<Login>,
    /// Who may see plain repositories.
    pub git_readers: GitReaders,
    /// Where people sign in.
    pub forges: BTreeMap<ForgeKind, OAuth>,
    /// By what whoever watches the service may have its numbers: the tokens' digests.
    pub metrics_tokens: Vec<String>,
    /// How much may come at once, and from whom.
    pub limits: Bounds,
}

/// The same, with what is remembered for a moment.
#[derive(Debug)]
pub struct Access {
    pub(super) settings: Settings,
    pub(super) rates: rate::Rates,
    pub(super) seats: seat::Seats,
    roles: roles::Roles,
    failures: limit::Limit,
    pub(super) attempts: limit::Limit,
}

impl Access {
    /// By what the service's numbers can be had.
    pub(super) fn metrics_tokens(&self) -> &[String] {
        &self.settings.metrics_tokens
    }

    /// Nothing is remembered yet.
    pub fn new(settings: Settings) -> Arc<Self> {
        let (rates, seats, roles, failures, attempts) = Default::default();
        Arc::new(Self { settings, rates, seats, roles, failures, attempts })
    }
}
