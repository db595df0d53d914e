//! `GET …/badge.svg`. It is always a picture, and always the same to whoever may not see the repository as where there is
//! none: pages that show badges show pictures alone, and a badge tells nobody what is there.

use askama::Template as _;
use axum::{
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Failure, Route, query};
use crate::{
    model::{EVENTS, Right},
    store::{BadgeAsked, RepositoryRow},
    web::{
        Web,
        access::Visitor,
        badge::{Badge, Says},
        filter::word,
    },
};

/// What stands on the left where nobody says.
const LABEL: &str = "build";

/// `?branch=main&flow=ci`; `tag` in place of `branch`; `event=schedule`; `label` is the word on the left.
#[derive(Debug, Default, Deserialize)]
struct BadgeQuery {
    branch: Option<String>,
    tag: Option<String>,
    event: Option<String>,
    flow: Option<String>,
    label: Option<String>,
}

pub(super) async fn picture(web: &Web, visitor: &Visitor, route: &Route, request: &Parts) -> Result<Response, Failure> {
    let asked: BadgeQuery = query(&request.uri).unwrap_or_default();
    let says = match visitor.at(web, route, Right::See).await {
        Ok(of) => says(web, &of.repository, &asked).await?,
        Err(Failure::Missing) => Says::Unknown,
        Err(other) => return Err(other),
    };
    // an unknown one says nothing of what was asked but what the asker has said
    let given = [asked.label, asked.flow].into_iter().find_map(|text| text.filter(|text| !text.trim().is_empty()));
    let label = given.unwrap_or_else(|| LABEL.to_owned());
    answer(&Badge::new(&label, says).render()?, request)
}

async fn says(web: &Web, repository: &RepositoryRow, asked: &BadgeQuery) -> Result<Says, Failure> {
    let words = |text: &Option<String>| word(text.clone());
    // what nothing could have has no runs either
    let (Ok(branch), Ok(tag), Ok(kind), Ok(flow)) =
        (words(&asked.branch), words(&asked.tag), words(&asked.event), words(&asked.flow))
    else {
        return Ok(Says::NoRuns);
    };
    if kind.as_ref().is_some_and(|kind| !EVENTS.contains(&kind.as_str())) {
        return Ok(Says::NoRuns);
    }
    let default = || repository.facts.default_branch.clone();
    let branch = if tag.is_some() { None } else { Some(branch.unwrap_or_else(default)) };
    let of = BadgeAsked { repository: repository.id, branch, tag, kind, flow };
    let rows = web.engine.store.read().await?.badge_rows(&of).await?;
    Ok(Says::of(rows.iter().filter_map(|row| row.state.conclusion())))
}

/// Whoever keeps it asks each time whether it is still so, and hears that in a few bytes.
fn answer(svg: &str, request: &Parts) -> Result<Response, Failure> {
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(svg.as_bytes())[..12]));
    let known = request.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_known =
        known.split(',').any(|known| matches!(known.trim(), "*") || known.trim().trim_start_matches("W/") == tag);
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, "image/svg+xml; charset=utf-8")], svg.to_owned()).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_str(&tag).map_err(|_| Failure::Missing)?);
    for (name, value) in [
        (header::CACHE_CONTROL, "no-cache, max-age=0"),
        (header::VARY, "cookie, authorization"),
        // it is made to stand in others' pages
        (header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}
