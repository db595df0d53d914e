//! What the pods of untrusted code reach of the server. A network can only tell them by a port, so agents need one of
//! their own.

use super::access::mode;
use crate::{executor::UntrustedCode, model::UntrustedPolicy, settings::Settings, web::access::Mode};

/// What the pods of untrusted code reach of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// What answers agents, or nothing: there are none.
    Apart,
    /// What people and forges reach, where everybody may do what their forge lets them.
    Shared,
    /// The same, where whoever reaches it may do everything.
    Open,
}

impl Exposure {
    /// By the settings, on a cluster.
    pub fn of(settings: &Settings) -> Self {
        if settings.agent_listen.is_some() || UntrustedPolicy::is_never_everywhere(&settings.untrusted.rules) {
            return Self::Apart;
        }
        match mode(settings, settings.public_url.as_deref().unwrap_or(&format!("http://{}", settings.listen))) {
            Mode::Forge => Self::Shared,
            Mode::Open => Self::Open,
        }
    }

    /// What is wrong with that, and what to do about it.
    pub const fn words(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Apart => None,
            Self::Shared => Some((
                "pods of untrusted code reach what people and forges do: their network can tell them apart by a port alone",
                "set CONTAINEROPS_AGENT_LISTEN and CONTAINEROPS_AGENT_URL, as deploy/kubernetes does",
            )),
            Self::Open => Some((
                "untrusted code does not run: whoever reaches this server may do everything, and its pods would reach it",
                "set CONTAINEROPS_AGENT_LISTEN and CONTAINEROPS_AGENT_URL, as deploy/kubernetes does, or CONTAINEROPS_ACCESS=forge",
            )),
        }
    }

    /// Code that could approve itself is not run.
    pub const fn untrusted_code(self) -> UntrustedCode {
        match self {
            Self::Apart | Self::Shared => UntrustedCode::Taken,
            Self::Open => UntrustedCode::Refused,
        }
    }
}
