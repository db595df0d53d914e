//! Who may see and change what, by the settings.

use secrecy::ExposeSecret as _;

use super::is_here_alone;
use crate::{
    forge::oauth::OAuth,
    settings::{LimitChoice, ModeChoice, OauthChoice, Settings},
    web::access::{self, Bounds, Mode, Trusted},
};

/// What the settings say. A server that only this machine reaches, where nobody can sign in, asks nobody.
pub(super) fn access(settings: &Settings, public_url: &str) -> access::Settings {
    let choice = &settings.access;
    let mode = mode(settings, public_url);
    tracing::info!(?mode, forges = choice.forges.len(), admins = choice.admins.len(), "who may do what");
    access::Settings {
        mode,
        alone: is_here_alone(public_url),
        admins: choice.admins.clone(),
        git_readers: choice.git_readers,
        forges: choice.forges.iter().map(|forge| (forge.forge, oauth(forge))).collect(),
        metrics_tokens: settings
            .metrics_tokens
            .iter()
            .map(|token| crate::engine::hash(token.expose_secret()))
            .collect(),
        limits: bounds(&settings.limits),
    }
}

fn bounds(limits: &LimitChoice) -> Bounds {
    let proxies = limits.proxies.clone();
    let trusted = move |address| proxies.iter().any(|network| network.has(address));
    Bounds {
        source_rate: limits.source_rate,
        neighbour_rate: limits.neighbour_rate,
        token_rate: limits.token_rate,
        watchers: limits.watchers,
        source_watchers: limits.source_watchers,
        neighbour_watchers: limits.neighbour_watchers,
        proxies: if limits.proxies.is_empty() { Trusted::neighbours() } else { Trusted::these(trusted) },
    }
}

/// Who may do what, as somebody has set it or as it fits the address.
pub(super) fn mode(settings: &Settings, public_url: &str) -> Mode {
    match settings.access.mode {
        Some(ModeChoice::Open) => Mode::Open,
        Some(ModeChoice::Forge) => Mode::Forge,
        None => found(settings, public_url),
    }
}

fn found(settings: &Settings, public_url: &str) -> Mode {
    let alone = settings.listen.ip().is_loopback() && is_here_alone(public_url);
    if alone && settings.access.forges.is_empty() { Mode::Open } else { Mode::Forge }
}

fn oauth(choice: &OauthChoice) -> OAuth {
    let OauthChoice { forge, id, secret, url, api_url } = choice;
    OAuth::new(*forge, id.clone(), secret.clone(), url.clone(), api_url.clone())
}
