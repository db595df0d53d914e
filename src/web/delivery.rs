//! What the pages and the API share of deliveries: which are listed, what is shown of one, and how one is played again.

use std::{collections::BTreeMap, time::Duration};

use axum::http::StatusCode;
use bytes::Bytes;
use futures::stream::{self, Stream};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Web,
    access::{Maintain, OfDelivery, Visitor},
    mistake::Mistake,
    pages::Failure,
};
use crate::{
    engine::dry_run::DryRun,
    model::{DeliveryId, DeliveryPhase, DeliveryState, HIDDEN, Right, Time, is_secret_header},
    store::{DeliveryFilter, DeliveryShown, DeliverySummary, Replay, Store, StoreError},
};

/// Dry runs at once: each asks a forge, and holds a body of up to 26 MiB.
pub(super) const DRY_RUNS: usize = 4;
/// A forge that has not answered everything by then is as good as away: somebody waits for the page.
const DRY_RUN_LIMIT: Duration = Duration::from_secs(20);
/// More of a body is not shown in one piece.
pub(super) const BODY_SHOWN: i64 = 256 << 10;
/// A whole body is read in pieces of this size.
const PIECE: i64 = 1 << 20;
/// The longest name of a wish for a replay.
const WISH: usize = 64;

/// `?state=nothing&forge=github&repository=acme/shop&before=…`; a form sends what is not chosen as empty.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    pub(super) state: String,
    #[serde(default)]
    pub(super) forge: String,
    #[serde(default)]
    pub(super) repository: String,
    pub(super) before: Option<DeliveryId>,
}

impl ListQuery {
    /// The filter for at most `limit` deliveries.
    pub(super) fn filter(&self, limit: i64) -> Result<DeliveryFilter, Failure> {
        let phase = |text: &str| DeliveryPhase::ALL.into_iter().find(|phase| phase.as_str() == text);
        Ok(DeliveryFilter {
            phase: chosen(&self.state).map(|text| phase(text).ok_or(Failure::Query)).transpose()?,
            forge: chosen(&self.forge).map(|text| text.parse().map_err(|_| Failure::Query)).transpose()?,
            repository: chosen(&self.repository).map(|text| text.parse().map_err(|_| Failure::Query)).transpose()?,
            before: self.before,
            limit,
        })
    }

    /// Whether it chooses anything.
    pub(super) fn chooses(&self) -> bool {
        [&self.state, &self.forge, &self.repository].into_iter().any(|text| chosen(text).is_some())
    }
}

fn chosen(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// How many deliveries are looked through for those that somebody may see.
const LOOKED_AT: usize = 2000;
/// How many are read at once.
const STEP: i64 = 200;

/// The deliveries that a visitor may see, newest first: all for administrators, for others those of the repositories that
/// they maintain. Where so many were looked through that it must be enough, the last of those.
pub(super) async fn visible(
    web: &Web,
    visitor: &Visitor,
    filter: DeliveryFilter,
) -> Result<(Vec<DeliverySummary>, Option<DeliveryId>), Failure> {
    if visitor.is_admin(web) {
        visitor.administers(web)?;
        return Ok((web.engine.store.read().await?.deliveries(&filter).await?, None));
    }
    if visitor.login().is_none() {
        return Err(Failure::Missing);
    }
    let (mut seen, mut maintains, mut looked, mut before) = (Vec::new(), BTreeMap::new(), 0, filter.before);
    while seen.len() < usize::try_from(filter.limit).unwrap_or_default() {
        let step = DeliveryFilter { before, limit: STEP, ..filter.clone() };
        let rows = web.engine.store.read().await?.deliveries(&step).await?;
        let end = (rows.len() as i64) < STEP;
        looked += rows.len();
        for row in rows {
            before = Some(row.id);
            let Some(name) = &row.repository else { continue };
            let of = (row.forge, name.to_string());
            let may = match maintains.get(&of) {
                Some(may) => *may,
                None => {
                    let found = web.engine.store.read().await?.repository_named(row.forge, name).await?;
                    let may = match found {
                        Some(found) => visitor.may(web, &found, Right::Maintain).await,
                        None => false,
                    };
                    *maintains.entry(of).or_insert(may)
                }
            };
            if may && seen.len() < usize::try_from(filter.limit).unwrap_or_default() {
                seen.push(row);
            }
        }
        if end {
            return Ok((seen, None));
        }
        if looked >= LOOKED_AT {
            return Ok((seen, before));
        }
    }
    Ok((seen, None))
}

/// What a body is.
pub(super) enum Body {
    /// JSON, and all of it.
    Json(Value),
    /// UTF-8, or the beginning of it.
    Text(String),
    /// Anything else, or the beginning of it.
    Bytes(Vec<u8>),
}

impl Body {
    pub(super) fn of(row: &DeliveryShown) -> Self {
        let cut = is_cut(row);
        match serde_json::from_slice(&row.start) {
            Ok(value) if !cut => return Self::Json(value),
            Ok(_) | Err(_) => {}
        }
        match std::str::from_utf8(&row.start) {
            Ok(text) => Self::Text(text.to_owned()),
            // the cut may go through a character
            Err(error) if cut && error.error_len().is_none() => {
                Self::Text(String::from_utf8_lossy(&row.start[..error.valid_up_to()]).into_owned())
            }
            Err(_) => Self::Bytes(row.start.clone()),
        }
    }
}

/// Whether there is more of a body than is shown.
pub(super) fn is_cut(row: &DeliveryShown) -> bool {
    row.length > BODY_SHOWN
}

/// The headers without what proves something. Secrets are not stored in the first place: this is for what an earlier
/// release, or another way into the database, has left there.
pub(super) fn headers(row: &DeliveryShown) -> Vec<(String, String)> {
    let show = |(name, value): &(String, String)| {
        let value = if is_secret_header(name) { HIDDEN } else { value };
        (name.clone(), value.to_owned())
    };
    row.headers.iter().map(show).collect()
}

/// When intake tries a delivery again, if it has tried in vain.
pub(super) fn next_try(row: &DeliverySummary) -> Option<Time> {
    (row.state.0 == DeliveryState::Pending && row.tries > 0).then_some(row.due)
}

/// A delivery, without more of its body than is shown.
pub(super) async fn find(web: &Web, id: DeliveryId) -> Result<DeliveryShown, Failure> {
    web.engine.store.read().await?.delivery_shown(id, BODY_SHOWN).await?.ok_or(Failure::Missing)
}

/// All of a body, a piece at a time.
pub(super) fn body(store: Store, id: DeliveryId) -> impl Stream<Item = Result<Bytes, StoreError>> {
    stream::try_unfold((store, id, 0), async |(store, id, offset)| {
        let piece = store.read().await?.delivery_body(id, offset, PIECE).await?;
        let next = offset + piece.len() as i64;
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (store, id, next))))
    })
}

/// A name that no other wish for a replay has.
pub(super) fn new_wish(now: Time) -> String {
    DeliveryId::mint(now).to_string()
}

/// A wish's name as its sender gives it, or one that no other wish has.
pub(super) fn wish(name: Option<&str>, now: Time) -> Result<String, Failure> {
    let Some(name) = name else { return Ok(new_wish(now)) };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    let good = (1..=WISH).contains(&name.len()) && name.chars().all(is_name);
    if good { Ok(name.to_owned()) } else { Err(no_name().into()) }
}

/// What a request's name is not.
pub(super) fn no_name() -> Mistake {
    Mistake::of_header("Idempotency-Key", "1 to 64 letters, digits and `-_.:` are expected")
}

/// Replays a delivery. The replay, and whether this request made it (201) or an earlier one of the same wish (200).
pub(super) async fn replay(
    web: &Web,
    of: &OfDelivery<Maintain>,
    wish: &str,
) -> Result<(StatusCode, DeliveryId), Failure> {
    let (id, target) = (of.id, format!("delivery {}", of.id));
    let acting = match &of.granted {
        Some(granted) => granted.does(web, "replay", target),
        None => of.visitor.does(web, "replay", target),
    };
    match acting.engine.replay(id, wish).await? {
        Replay::New(replay) => Ok((StatusCode::CREATED, replay)),
        Replay::Again(replay) => Ok((StatusCode::OK, replay)),
        Replay::Missing => Err(Failure::Missing),
        Replay::NotYet => Err(Failure::Conflict(format!(
            "delivery {id} still waits to be handled, so there is nothing to replay yet; its page says why it waits"
        ))),
    }
}

/// Plans a delivery again. The only request for which a forge is asked while somebody waits: few at once, and not long.
pub(super) async fn dry_run(web: &Web, id: DeliveryId) -> Result<DryRun, Failure> {
    let _permit = web.dry_runs.try_acquire().map_err(|_| Failure::Busy)?;
    let row = web.engine.store.read().await?.delivery(id).await?.ok_or(Failure::Missing)?;
    Ok(web.engine.dry_run(&row, DRY_RUN_LIMIT).await?)
}
