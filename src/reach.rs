//! What of the outside may be asked because a flow file names it: public addresses, with TLS, and what the operator has
//! listed besides. Nothing that a file names is to look around in our own network.

use std::{net::SocketAddr, sync::Arc};

use reqwest::{
    ClientBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
};
use url::{Host, Url};

use crate::model::is_public;

/// What is said of an address that only machines inside can reach.
pub const PRIVATE: &str = "it leads to a private address, which the server's administrator has not listed";
const PLAIN: &str = "it is not encrypted, and the server's administrator has not listed it";

/// Why an address that nobody has listed is not asked.
pub fn refusal(url: &Url) -> Option<&'static str> {
    let is_private = match url.host() {
        Some(Host::Ipv4(address)) => !is_public(address.into()),
        Some(Host::Ipv6(address)) => !is_public(address.into()),
        Some(Host::Domain(_)) => false,
        None => true,
    };
    match url.scheme() {
        _ if is_private => Some(PRIVATE),
        "https" => None,
        _ => Some(PLAIN),
    }
}

/// Whether an address begins with one that is listed. A prefix ends where a part of the address does, so that
/// `https://a` is not the beginning of `https://a.evil`.
pub fn is_listed(url: &Url, prefixes: &[String]) -> bool {
    prefixes.iter().any(|prefix| {
        let rest = url.as_str().strip_prefix(prefix.as_str());
        rest.is_some_and(|rest| prefix.ends_with('/') || rest.is_empty() || rest.starts_with(['/', '?']))
    })
}

/// A client that connects to nothing private, whatever a name stands for.
pub fn public_only(builder: ClientBuilder) -> ClientBuilder {
    builder.dns_resolver(Arc::new(PublicOnly))
}

/// The last of an error's causes, which says the most.
pub fn cause(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.last().map_or_else(|| error.to_string(), ToString::to_string)
}

/// Finds addresses by names, and leaves out the private ones: what is connected to is what was looked at.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> = found.into_iter().filter(|address| is_public(address.ip())).collect();
            match public.is_empty() {
                true => Err(PRIVATE.into()),
                false => Ok(Box::new(public.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_listed_is_encrypted_and_public() {
        let asked = |url: &str| refusal(&Url::parse(url).expect(url)).is_none();
        assert!(asked("https://example.org/app.yaml") && asked("https://1.1.1.1/"));
        for url in
            ["http://example.org/", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://0x7f.1/"]
        {
            assert!(!asked(url), "{url}");
        }
        let prefixes = ["https://artifacts.internal".to_owned(), "http://10.0.0.7/manifests/".to_owned()];
        let listed = |url: &str| is_listed(&Url::parse(url).expect(url), &prefixes);
        assert!(listed("https://artifacts.internal/a.yaml") && listed("http://10.0.0.7/manifests/a.yaml"));
        for url in ["https://artifacts.internal.evil/", "https://artifacts.internal:1/", "http://10.0.0.7/else"] {
            assert!(!listed(url), "{url}");
        }
        assert!(!listed("http://10.0.0.7/manifests/../else"), "a URL is read before it is compared");
    }
}
