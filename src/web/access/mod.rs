//! Who may see and change what. Every route says what it needs before it is one ([`Routes`]), and its handler gets what
//! it works on from the guard that has checked it ([`guard`]).
//!
//! A forge's own word is what counts: what somebody may do in a repository is asked of it, and remembered for a minute.
//! What somebody may not see looks as if it were not there. While a forge is away, its public repositories can be seen,
//! and nothing of it can be changed.

mod cookie;
mod guard;
mod limit;
mod roles;
mod routes;
mod visitor;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    forge::oauth::OAuth,
    model::{ForgeKind, GitReaders, Login},
};

pub(super) use cookie::{SESSION_LIFE, cookie, cookie_value, no_cookie, session_cookie, sign_in_cookie};
pub(super) use guard::{
    Anybody, Approve, Known, Maintain, OfDelivery, OfJob, OfRepository, OfRun, RunIt, See, SignedIn,
};
pub use routes::{Need, RouteNeed};
pub(super) use routes::{Operation, Routes};
pub(super) use visitor::{Acting, FACE, Face, Granted, Visitor, Who};

/// Who may do what on this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Whoever reaches it may do everything: for trying out on one's own machine, or behind a proxy that knows people.
    Open,
    /// Everybody may do what their forge lets them.
    Forge,
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
}

/// The same, with what is remembered for a moment.
#[derive(Debug)]
pub struct Access {
    pub(super) settings: Settings,
    roles: roles::Roles,
    failures: limit::Limit,
    pub(super) attempts: limit::Limit,
}

impl Access {
    /// Nothing is remembered yet.
    pub fn new(settings: Settings) -> Arc<Self> {
        let (roles, failures, attempts) = Default::default();
        Arc::new(Self { settings, roles, failures, attempts })
    }
}
