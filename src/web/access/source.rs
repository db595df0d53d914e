//! Where a request comes from. A proxy says whom it asks for, and whose word counts is set: or, if nobody has set it,
//! that of whoever is at an address that is not public.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{extract::ConnectInfo, http::request::Parts};

/// Whose word counts about whom they ask for.
#[derive(Clone)]
pub struct Trusted(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>);

impl Trusted {
    /// That of whoever is at an address that is not public.
    pub fn neighbours() -> Self {
        Self(Arc::new(|address| !crate::model::is_public(address)))
    }

    /// That of these.
    pub fn these(which: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(which))
    }
}

impl fmt::Debug for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trusted")
    }
}

/// Whoever sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) struct Source {
    /// The address that asks.
    pub(in crate::web) client: IpAddr,
    /// The proxy that asks for it.
    pub(in crate::web) through: Option<IpAddr>,
}

impl Source {
    /// Whether it may stand for many: a proxy that says of nobody whom it asks for, or this machine.
    pub(in crate::web) fn is_neighbour(self) -> bool {
        !crate::model::is_public(self.client)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.through {
            Some(proxy) => write!(f, "{} through {proxy}", self.client),
            None => write!(f, "{}", self.client),
        }
    }
}

/// Where a request comes from; `None`: it comes through no connection.
pub(in crate::web) fn source(parts: &Parts, trusted: &Trusted) -> Option<Source> {
    let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    let peer = peer.ip().to_canonical();
    let forwarded = parts.headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    // what stands before the last was written by whoever asked the proxy
    let client = forwarded.and_then(|all| all.rsplit(',').next()).map(str::trim).filter(|_| (trusted.0)(peer));
    Some(match client.and_then(|client| client.parse::<IpAddr>().ok()) {
        Some(client) => Source { client, through: Some(peer) },
        None => Source { client: peer, through: None },
    })
}
