//! Manifests behind URLs: with a limit for size and time, and never from an address that only machines inside can
//! reach, unless the administrator has listed it. What a flow file names is not to look around in our network.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use url::{Host, Url};

use super::{
    Trouble,
    manifest::{BYTES_MAX, File},
};
use crate::model::is_public;

/// All of it: names, connections, redirects, bytes.
const LIMIT: Duration = Duration::from_secs(20);
/// More would be a loop.
const REDIRECTS: usize = 5;

/// Reads manifests from addresses.
pub(super) struct Addresses {
    http: reqwest::Client,
    /// For what the administrator has listed.
    listed: reqwest::Client,
    prefixes: Arc<Vec<String>>,
}

impl Addresses {
    pub(super) fn new(prefixes: Vec<String>) -> reqwest::Result<Self> {
        let prefixes = Arc::new(prefixes);
        let agent = concat!("containerops/", env!("CARGO_PKG_VERSION"));
        let builder = || reqwest::Client::builder().user_agent(agent).timeout(LIMIT).no_proxy();
        let public = builder().dns_resolver(Arc::new(PublicOnly)).redirect(Policy::custom(|attempt| {
            if attempt.previous().len() > REDIRECTS {
                return attempt.error("too many redirects");
            }
            match refusal(attempt.url()) {
                Some(why) => attempt.error(why),
                None => attempt.follow(),
            }
        }));
        let known = Arc::clone(&prefixes);
        let listed = builder().redirect(Policy::custom(move |attempt| {
            let is_listed = is_listed(attempt.url(), &known);
            match attempt.previous().len() {
                ..=REDIRECTS if is_listed => attempt.follow(),
                ..=REDIRECTS => attempt.error("it redirects to an address that is not listed"),
                _ => attempt.error("too many redirects"),
            }
        }));
        Ok(Self { http: public.build()?, listed: listed.build()?, prefixes })
    }

    /// The one file at this address.
    pub(super) async fn read(&self, url: &str) -> Result<File, Trouble> {
        let parsed = Url::parse(url).map_err(|error| Trouble::Never(format!("{url}: {error}")))?;
        let client = match is_listed(&parsed, &self.prefixes) {
            true => &self.listed,
            false => match refusal(&parsed) {
                Some(why) => return Err(Trouble::Never(format!("{url}: {why}"))),
                None => &self.http,
            },
        };
        let answer = client.get(parsed).send().await.map_err(|error| unread(url, &error))?;
        let status = answer.status();
        if !status.is_success() {
            let message = format!("{url} answered {status}");
            return Err(if status.is_server_error() { Trouble::Later(message) } else { Trouble::Never(message) });
        }
        Ok(File { name: url.to_owned(), text: body(url, answer).await? })
    }
}

async fn body(url: &str, mut answer: reqwest::Response) -> Result<Vec<u8>, Trouble> {
    let mut text = Vec::new();
    while let Some(bytes) = answer.chunk().await.map_err(|error| unread(url, &error))? {
        text.extend_from_slice(&bytes);
        if text.len() > BYTES_MAX {
            return Err(Trouble::Never(format!("{url} has more than {} MiB", BYTES_MAX >> 20)));
        }
    }
    Ok(text)
}

fn unread(url: &str, error: &reqwest::Error) -> Trouble {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let why = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    let message = format!("{url} cannot be read: {why}");
    // whoever is not to be asked will not be asked later either
    if error.is_redirect() || why == PRIVATE { Trouble::Never(message) } else { Trouble::Later(message) }
}

const PRIVATE: &str = "it leads to a private address, which the server's administrator has not listed";

/// Why an address that nobody has listed is not asked.
fn refusal(url: &Url) -> Option<&'static str> {
    let is_private = match url.host() {
        Some(Host::Ipv4(address)) => !is_public(address.into()),
        Some(Host::Ipv6(address)) => !is_public(address.into()),
        Some(Host::Domain(_)) => false,
        None => true,
    };
    match url.scheme() {
        _ if is_private => Some(PRIVATE),
        "https" => None,
        _ => Some("it is not encrypted, and the server's administrator has not listed it"),
    }
}

/// A prefix ends where a part of the address does, so that `https://a` is not the beginning of `https://a.evil`.
fn is_listed(url: &Url, prefixes: &[String]) -> bool {
    prefixes.iter().any(|prefix| {
        let rest = url.as_str().strip_prefix(prefix.as_str());
        rest.is_some_and(|rest| prefix.ends_with('/') || rest.is_empty() || rest.starts_with(['/', '?']))
    })
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
