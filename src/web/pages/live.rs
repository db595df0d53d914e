//! A log as it comes, by server-sent events whose id is the offset to go on from.
//!
//! Whoever is behind reads the log alone. Whoever has come to its end is in a [room](super::room) with all others who are
//! there: what comes is read, rendered and written down once for all of them.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderName, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;
use serde::Deserialize;

use super::{
    Failure, JobPlace, Place, Route,
    job::{JobQuery, find, parameters},
    query,
    room::{Form, Key, News, Reader, Room, again, said},
};
use crate::{
    meters::Watching,
    model::{JobPath, Right, Time},
    web::{
        Web,
        access::{Seat, Visitor, source, too_many},
    },
};

/// How long a stream waits for news before it looks by itself.
const LOOK: Duration = Duration::from_secs(5);
/// After so many looks without any it says something that no browser hears, so that nobody between thinks it dead.
const QUIET: u32 = 3;
/// How long whoever reads a stream may go on before it is asked whether they still may.
const STILL: Duration = Duration::from_secs(30);
/// Whoever finds no seat may try again after so long.
const COME_AGAIN: Duration = Duration::from_secs(10);
/// A proxy passes on what comes as it comes.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

#[derive(Debug, Deserialize)]
struct StreamQuery {
    #[serde(default, rename = "as")]
    form: Form,
    offset: Option<u64>,
}

/// `GET …/log/stream`. Goes on from `Last-Event-ID` or `?offset=`; its last event is `end`.
pub(super) async fn stream(
    web: &Web,
    route: &Route,
    run: u64,
    path: &JobPath,
    request: &Parts,
) -> Result<Response, Failure> {
    let asked: StreamQuery = query(&request.uri)?;
    let limits = &web.access.settings.limits;
    let seat = match web.access.seats.take(source(request, &limits.proxies), limits) {
        Ok(seat) => seat,
        Err(limit) => return Ok(too_many(web, (limit, COME_AGAIN), false)),
    };
    let which: JobQuery = query(&request.uri)?;
    let found = find(web, route, run, path, which.attempt).await?;
    let last = request.headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let raw = Route { place: Place::Job(run, path.clone(), JobPlace::Raw), ..route.clone() };
    let (view, looked_for) = (which.view(), which.looked_for());
    let (raw, of_day) = (format!("{raw}?attempt={}", found.attempt), view.of_day);
    let query = parameters(found.attempt, &looked_for, view);
    let key = Key { job: found.job.id, form: asked.form, raw, query, of_day, looked_for };
    let watcher = Watcher {
        // of what comes after the end, the beginning is the end
        at: last.or(asked.offset).unwrap_or(0).min(found.job.log_length.cast_unsigned()),
        place: At::Behind(Box::new(Reader::new(&web.engine, &key, found.job.started))),
        key,
        started: found.job.started,
        web: web.clone(),
        request: request.clone(),
        route: route.clone(),
        checked: web.engine.clock.now(),
        seal: 0,
        quiet: 0,
        _counted: web.engine.store.meters().watching("log"),
        _seat: seat,
    };
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache"), (UNBUFFERED, "no")];
    let events = stream::unfold(Some(watcher), async |watcher| watcher?.next().await);
    Ok((headers, Body::from_stream(futures::StreamExt::map(events, Ok::<_, std::convert::Infallible>))).into_response())
}

/// One who follows a log to its end.
struct Watcher {
    key: Key,
    started: Option<Time>,
    /// Where what they have not seen begins.
    at: u64,
    place: At,
    /// What was shown by whoever looks, and since when nobody has asked whether they still may.
    web: Web,
    request: Parts,
    route: Route,
    checked: Time,
    /// Which words of the whole log they have heard.
    seal: u64,
    /// How often they looked and there was nothing.
    quiet: u32,
    _counted: Watching,
    _seat: Seat,
}

enum At {
    /// They read by themselves.
    Behind(Box<Reader>),
    /// They have all that there is, and wait for more with the others.
    Room(Room),
}

impl Watcher {
    /// The next event and who waits for more; `None` after `end`. Trouble ends the stream too, without `end`: the browser
    /// comes again.
    async fn next(mut self) -> Option<(Bytes, Option<Self>)> {
        let pulse = self.web.engine.store.meters().pulse().clone();
        loop {
            if pulse.is_closing() {
                return Some((again(), None));
            }
            self.still().await?;
            self.catch_up();
            match &mut self.place {
                At::Behind(reader) => match reader.next(&mut self.at).await? {
                    News::End(event) => return Some((event, None)),
                    News::Step(event) => return Some((event, Some(self))),
                    News::Nothing => {
                        let web = &self.web;
                        self.seal = 0;
                        self.place = At::Room(web.rooms.enter(&web.engine, &self.key, self.started, self.at));
                    }
                },
                At::Room(room) => {
                    if let Some(heard) = room.said(self.at, &mut self.seal) {
                        let (event, is_last) = heard?;
                        self.at = event.to;
                        self.quiet = 0;
                        return Some((event.bytes.clone(), (!is_last).then_some(self)));
                    }
                    if room.is_ahead(self.at) {
                        self.place = At::Behind(Box::new(Reader::new(&self.web.engine, &self.key, self.started)));
                        continue;
                    }
                    tokio::select! {
                        () = room.wait(LOOK) => self.quiet += 1,
                        () = pulse.closing() => continue,
                    }
                    if self.quiet.is_multiple_of(QUIET) {
                        return Some((said(), Some(self)));
                    }
                }
            }
        }
    }

    /// Whoever is behind, and where the others' events still begin, takes them from there.
    fn catch_up(&mut self) {
        if let At::Behind(_) = &self.place
            && let Some(room) = self.web.rooms.find(&self.key, self.at)
        {
            (self.seal, self.place) = (0, At::Room(room));
        }
    }

    /// Looks again and again whether whoever reads still may: their session or token may have ended, and what their forge
    /// says is at most a minute old. One who may not comes again, and is told so.
    async fn still(&mut self) -> Option<()> {
        let now = self.web.engine.clock.now();
        if now.since(self.checked) < STILL {
            return Some(());
        }
        self.checked = now;
        let visitor = Visitor::of(&self.web, &self.request).await.ok()?;
        visitor.at(&self.web, &self.route, Right::See).await.ok().map(drop)
    }
}
