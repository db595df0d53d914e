//! Manifests behind URLs: with a limit for size and time, and never from an address that only machines inside can
//! reach, unless the administrator has listed it. What a flow file names is not to look around in our network.

use std::{sync::Arc, time::Duration};

use reqwest::redirect::Policy;
use url::Url;

use super::{
    Trouble,
    manifest::{BYTES_MAX, File},
};
use crate::{
    client::LateClient,
    reach::{self, is_listed, refusal},
};

/// All of it: names, connections, redirects, bytes.
const LIMIT: Duration = Duration::from_secs(20);
/// More would be a loop.
const REDIRECTS: usize = 5;

/// Reads manifests from addresses.
pub(super) struct Addresses {
    http: LateClient,
    /// For what the administrator has listed.
    listed: LateClient,
    prefixes: Arc<Vec<String>>,
}

impl Addresses {
    pub(super) fn new(prefixes: Vec<String>) -> Self {
        let prefixes = Arc::new(prefixes);
        let agent = concat!("containerops/", env!("CARGO_PKG_VERSION"));
        let builder = move || reqwest::Client::builder().user_agent(agent).timeout(LIMIT).no_proxy();
        let known = Arc::clone(&prefixes);
        Self {
            http: LateClient::new(move || reach::public_only(builder()).redirect(public_redirects())),
            listed: LateClient::new(move || builder().redirect(listed_redirects(Arc::clone(&known)))),
            prefixes,
        }
    }

    /// The one file at this address.
    pub(super) async fn read(&self, url: &str) -> Result<File, Trouble> {
        let parsed = Url::parse(url).map_err(|error| Trouble::Never(format!("{url}: {error}")))?;
        let client = match is_listed(&parsed, &self.prefixes) {
            true => self.listed.get(),
            false => match refusal(&parsed) {
                Some(why) => return Err(Trouble::Never(format!("{url}: {why}"))),
                None => self.http.get(),
            },
        };
        let client = client.map_err(|error| unread(url, &error))?;
        let answer = client.get(parsed).send().await.map_err(|error| unread(url, &error))?;
        let status = answer.status();
        if !status.is_success() {
            let message = format!("{url} answered {status}");
            return Err(if status.is_server_error() { Trouble::Later(message) } else { Trouble::Never(message) });
        }
        Ok(File { name: url.to_owned(), text: body(url, answer).await? })
    }
}

fn public_redirects() -> Policy {
    Policy::custom(|attempt| match refusal(attempt.url()) {
        _ if attempt.previous().len() > REDIRECTS => attempt.error("too many redirects"),
        Some(why) => attempt.error(why),
        None => attempt.follow(),
    })
}

fn listed_redirects(prefixes: Arc<Vec<String>>) -> Policy {
    Policy::custom(move |attempt| {
        let is_listed = is_listed(attempt.url(), &prefixes);
        match attempt.previous().len() {
            ..=REDIRECTS if is_listed => attempt.follow(),
            ..=REDIRECTS => attempt.error("it redirects to an address that is not listed"),
            _ => attempt.error("too many redirects"),
        }
    })
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
    let why = reach::cause(error);
    let message = format!("{url} cannot be read: {why}");
    // whoever is not to be asked will not be asked later either
    if error.is_redirect() || why == reach::PRIVATE { Trouble::Never(message) } else { Trouble::Later(message) }
}
