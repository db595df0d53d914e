//! How often somebody may ask: each source and each token has a measure that fills up again. Each process counts for
//! itself. Webhooks prove by their signatures who they are, come from addresses that many share, and are not asked to
//! come again by every forge: they are not limited here.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Bounds, source::source};
use crate::web::{Web, api::Problem, pages::Failure};

/// So many seconds' worth of requests somebody may make at once.
const BURST: u32 = 10;
/// Agents ask more often than anybody else, each with a token of its own.
pub(super) const AGENT_RATE: u32 = 1_000;
/// So many are remembered; then those go first who may ask at once.
const REMEMBERED: usize = 20_000;

/// Until when each has used up what they may ask.
#[derive(Debug, Default)]
pub(in crate::web) struct Rates(Mutex<HashMap<String, Instant>>);

impl Rates {
    /// Counts a request. `Err`: it is one too many, and this is how long to wait.
    fn count(&self, who: &str, rate: u32, now: Instant) -> Result<(), Duration> {
        if rate == 0 {
            return Ok(());
        }
        let (each, burst) = (Duration::from_secs(1) / rate, Duration::from_secs(u64::from(BURST)));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.retain(|_, until| *until > now);
        }
        if all.len() >= REMEMBERED {
            all.clear();
        }
        let until = all.get(who).copied().unwrap_or(now).max(now) + each;
        let over = until.saturating_duration_since(now).saturating_sub(burst);
        if over > Duration::ZERO {
            return Err(over);
        }
        all.insert(who.to_owned(), until);
        Ok(())
    }
}

/// Lets nobody ask more often than they may.
pub(in crate::web) async fn limited(State(web): State<Web>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with("/hooks/") || path == "/healthz" || path == "/readyz" {
        return next.run(request).await;
    }
    let (is_api, is_agent) = (path.starts_with("/api/"), path.starts_with("/agent/"));
    let (parts, body) = request.into_parts();
    let (access, now) = (&web.access, Instant::now());
    let Bounds { source_rate, neighbour_rate, token_rate, proxies, .. } = &access.settings.limits;
    let of_source = source(&parts, proxies).filter(|_| !is_agent).map(|source| {
        let rate = if source.is_neighbour() { *neighbour_rate } else { *source_rate };
        access.rates.count(&source.client.to_string(), rate, now)
    });
    let token = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token_rate = if is_agent && *token_rate > 0 { AGENT_RATE.max(*token_rate) } else { *token_rate };
    // what is remembered of a token is of no use to whoever reads our memory
    let of_token = token.map(|token| access.rates.count(&crate::engine::hash(token), token_rate, now));
    let over = match (of_source, of_token) {
        (Some(Err(over)), _) => ("requests_of_source", over),
        (_, Some(Err(over))) => ("requests_of_token", over),
        (_, _) => return next.run(Request::from_parts(parts, body)).await,
    };
    too_many(&web, over, is_api)
}

/// Says for how long to wait.
pub(in crate::web) fn too_many(web: &Web, (limit, over): (&'static str, Duration), is_api: bool) -> Response {
    web.engine.store.meters().limited(limit);
    let mut answer = match is_api {
        true => Problem::from(Failure::Rate).into_response(),
        false => (Failure::Rate.status(), format!("{}\n", Failure::Rate)).into_response(),
    };
    let seconds = over.as_secs() + u64::from(over.subsec_nanos() > 0);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_used_up_their_measure_waits_and_nobody_else_does() {
        let (rates, now) = (Rates::default(), Instant::now());
        for _ in 0..BURST * 2 {
            assert_eq!(rates.count("ada", 2, now), Ok(()));
        }
        assert_eq!(rates.count("ada", 2, now), Err(Duration::from_millis(500)));
        assert_eq!(rates.count("bob", 2, now), Ok(()));
        assert_eq!(rates.count("ada", 2, now + Duration::from_millis(500)), Ok(()));
        assert!(rates.count("ada", 2, now + Duration::from_millis(500)).is_err());
        assert_eq!(rates.count("ada", 0, now), Ok(()), "zero: any");
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let (rates, now) = (Rates::default(), Instant::now());
        for who in 0..REMEMBERED * 2 + 1 {
            assert_eq!(rates.count(&who.to_string(), 1, now), Ok(()));
        }
        assert!(rates.0.lock().expect("nobody panics with it").len() <= REMEMBERED);
    }
}
