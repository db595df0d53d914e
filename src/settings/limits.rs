//! How much may come at once, and from whom.

use std::{net::IpAddr, time::Duration};

use secrecy::SecretString;

use super::{SettingsError, Values};

/// Connections that there may be, if nobody says otherwise.
const CONNECTIONS: usize = 10_000;
/// Those of one source out on the internet.
const SOURCE_CONNECTIONS: usize = 256;
/// Requests a second of one source out on the internet.
const SOURCE_RATE: u32 = 100;
/// Those of one token.
const TOKEN_RATE: u32 = 100;
/// Live streams that there may be.
const WATCHERS: usize = 5_000;
/// Those of one source out on the internet.
const SOURCE_WATCHERS: usize = 100;
/// Runs of one repository that may wait and run.
const QUEUE_LIMIT: u32 = 1_000;
/// The longest that a server that is to stop may go on.
const LONGEST_DRAIN: u64 = 60;

/// How much may come at once, and from whom. What is limited for each source is not limited for neighbours, unless it
/// was set: behind an address that is not public there may be a proxy that speaks for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitChoice {
    /// Connections in all.
    pub connections: usize,
    /// Connections of one source.
    pub source_connections: usize,
    /// Connections of one neighbour.
    pub neighbour_connections: usize,
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
    /// Runs of one repository that have not ended.
    pub queue: u32,
    /// Whose word counts about whom they ask for: addresses, or networks as `10.0.0.0/8`; none: that of neighbours.
    pub proxies: Vec<Network>,
    /// How long a server that is to stop goes on, though it is not ready any more.
    pub drain: Duration,
}

/// Where traces go.
#[derive(Debug, Clone)]
pub struct TraceChoice {
    /// The collector's address, without `/v1/traces`.
    pub url: String,
    /// What it is shown.
    pub headers: Vec<(String, SecretString)>,
}

/// What log lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For programs: an object a line.
    Json,
    /// For people.
    Text,
}

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether an address is one of them.
    pub fn has(&self, address: IpAddr) -> bool {
        let (own, other, width) = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (u128::from(own.to_bits()), u128::from(other.to_bits()), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        // a shift by the whole width is none that a processor knows
        self.prefix == 0 || (own ^ other).checked_shr(width - u32::from(self.prefix)).unwrap_or(0) == 0
    }
}

impl std::str::FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("an address such as `10.0.0.7` or a network such as `10.0.0.0/8` is expected, and not `{text}`");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), |prefix| prefix.parse().map_err(|_| wrong()))?;
        if prefix > width { Err(wrong()) } else { Ok(Self { address, prefix }) }
    }
}

impl Values {
    pub(super) fn limits(&self) -> Result<LimitChoice, SettingsError> {
        let (source_connections, neighbour_connections) = self.of_source("source_connections", SOURCE_CONNECTIONS)?;
        let (source_watchers, neighbour_watchers) = self.of_source("source_watchers", SOURCE_WATCHERS)?;
        let source_rate = self.parse::<u32>("source_rate")?;
        Ok(LimitChoice {
            connections: self.parse("connections")?.unwrap_or(CONNECTIONS),
            source_connections,
            neighbour_connections,
            source_rate: source_rate.unwrap_or(SOURCE_RATE),
            neighbour_rate: source_rate.unwrap_or(0),
            token_rate: self.parse("token_rate")?.unwrap_or(TOKEN_RATE),
            watchers: self.parse("watchers")?.unwrap_or(WATCHERS),
            source_watchers,
            neighbour_watchers,
            queue: self.parse("queue_limit")?.unwrap_or(QUEUE_LIMIT),
            proxies: self.list("trusted_proxies")?,
            drain: self.drain()?,
        })
    }

    pub(super) fn traces(&self) -> Result<Option<TraceChoice>, SettingsError> {
        let Some(url) = self.url("otlp_url")? else { return Ok(None) };
        let header = |word: String| {
            let (name, value) = word.split_once('=')?;
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            (is_name && !value.is_empty()).then(|| (name.to_owned(), SecretString::from(value.replace("%20", " "))))
        };
        let headers = self.words("otlp_headers").into_iter().map(header).collect::<Option<Vec<_>>>();
        let message = "`name=value` is expected, several between commas; `%20` stands for a blank".to_owned();
        let headers = headers.ok_or(SettingsError::Value { name: "otlp_headers", message })?;
        Ok(Some(TraceChoice { url, headers }))
    }

    pub(super) fn log_format(&self) -> Result<Option<LogFormat>, SettingsError> {
        match self.get("log_format") {
            None => Ok(None),
            Some("json") => Ok(Some(LogFormat::Json)),
            Some("text") => Ok(Some(LogFormat::Text)),
            Some(other) => {
                let message = format!("`json` or `text` is expected, and not `{other}`");
                Err(SettingsError::Value { name: "log_format", message })
            }
        }
    }

    /// For one source, and for a neighbour: any, if nobody has set it.
    fn of_source(&self, name: &'static str, default: usize) -> Result<(usize, usize), SettingsError> {
        let set = self.parse::<usize>(name)?;
        Ok((set.unwrap_or(default), set.unwrap_or(usize::MAX)))
    }

    fn drain(&self) -> Result<Duration, SettingsError> {
        let seconds = self.parse::<u64>("drain")?.unwrap_or(0);
        if seconds > LONGEST_DRAIN {
            let message = format!("seconds up to {LONGEST_DRAIN} are expected, and not `{seconds}`");
            return Err(SettingsError::Value { name: "drain", message });
        }
        Ok(Duration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_what_begins_like_it() {
        for (network, address, has) in [
            ("10.0.0.0/8", "10.9.8.7", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.6", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("::/0", "8.8.8.8", false),
            ("fd00::/8", "fd12::1", true),
            ("::1", "::1", true),
        ] {
            let network: Network = network.parse().expect("good");
            assert_eq!(network.has(address.parse().expect("an address")), has, "{network:?} {address}");
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0", "10.0.0.0/-1", "proxy"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
