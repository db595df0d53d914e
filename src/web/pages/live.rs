//! A log as it is, with ranges, and as it comes, by server-sent events whose id is the offset to go on from.

use std::{convert::Infallible, ops::Range, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, StatusCode, header, request::Parts},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use bytes::Bytes;
use futures::stream::{self, Stream};
use serde::Deserialize;

use super::{
    Failure, JobPlace, Place, Route,
    job::{JobQuery, find},
    query,
    rows::Rows,
};
use crate::{
    engine::{Engine, EngineError, hash, log::Frame, whole::Whole},
    model::{JobId, JobPath, JobState, Right, Time},
    store::{Change, JobRow, Listener},
    web::{
        Web,
        access::Visitor,
        log::{
            ansi::Renderer,
            lines::Collector,
            range::{self, Wanted},
        },
    },
};

/// How long a stream waits for news before it looks by itself.
const LOOK: Duration = Duration::from_secs(5);

/// How long whoever reads a stream may go on before it is asked whether they still may.
const STILL: Duration = Duration::from_secs(30);

/// Says of a raw log what its page says below the last line.
const SEAL: HeaderName = HeaderName::from_static("containerops-log");

/// How a stream's lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    /// `{"text": …}`: the log's own text.
    #[default]
    Text,
    /// `{"html": …}`: rows as the page has them.
    Html,
}

#[derive(Debug, Deserialize)]
struct StreamQuery {
    #[serde(default, rename = "as")]
    form: Form,
    offset: Option<u64>,
}

/// `GET …/log.txt`.
pub(super) async fn raw(
    web: &Web,
    route: &Route,
    run: u64,
    path: &JobPath,
    request: &Parts,
) -> Result<Response, Failure> {
    let asked: JobQuery = query(&request.uri)?;
    let found = find(web, route, run, path, asked.attempt).await?;
    log_text(&web.engine, &found.job, &request.headers)
}

/// A job's log as it is, or the part of it that `Range` asks for. The header `containerops-log` says how complete it is;
/// where its end is missing, a last line of ours does, too.
///
/// # Errors
/// None that a request could cause.
pub fn log_text(engine: &Engine, job: &JobRow, headers: &HeaderMap) -> Result<Response, Failure> {
    let (whole, stored) = (Whole::of(job), job.log_length.cast_unsigned());
    let break_line = if job.log_open > 0 { "\n" } else { "" };
    let notice = whole.notice().map_or_else(String::new, |notice| format!("{break_line}{notice}\n"));
    let length = stored + notice.len() as u64;
    let tag = tag(job, &notice);
    if range::names(header_text(headers, header::IF_NONE_MATCH), &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    // a range of another text would be no range of this
    let same = header_text(headers, header::IF_RANGE).is_none_or(|wanted| wanted.trim() == tag);
    let wanted = header_text(headers, header::RANGE).filter(|_| same);
    let (status, bytes) = match range::parse(wanted, length) {
        Wanted::Whole => (StatusCode::OK, 0..length),
        Wanted::Part(bytes) => (StatusCode::PARTIAL_CONTENT, bytes),
        Wanted::Nothing => {
            let total = format!("bytes */{length}");
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, total)]).into_response());
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CONTENT_LENGTH, (bytes.end - bytes.start).to_string()),
        (SEAL, whole.to_string()),
        (header::ETAG, tag),
    ];
    let part = format!("bytes {}-{}/{length}", bytes.start, bytes.end.saturating_sub(1));
    let of_notice = |at: u64| usize::try_from(at.saturating_sub(stored)).unwrap_or(usize::MAX).min(notice.len());
    let after = Bytes::copy_from_slice(&notice.as_bytes()[of_notice(bytes.start)..of_notice(bytes.end)]);
    let text = text(engine.clone(), job.id, bytes.start.min(stored)..bytes.end.min(stored));
    let text = futures::StreamExt::chain(text, stream::once(async { Ok(after) }));
    let mut response = (status, headers, Body::from_stream(text)).into_response();
    if status == StatusCode::PARTIAL_CONTENT {
        response.headers_mut().insert(header::CONTENT_RANGE, part.parse().map_err(|_| Failure::Missing)?);
    }
    Ok(response)
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Names a log's text: it grows at its end, and stars may come in the place of secrets.
fn tag(job: &JobRow, notice: &str) -> String {
    let (length, hidden, blob) = (job.log_length, job.log_hidden, job.log_blob.as_deref().unwrap_or(""));
    let digest = hash(&format!("{} {length} {hidden} {blob} {notice}", job.id));
    format!("\"{}\"", digest.get(..32).unwrap_or(&digest))
}

/// These bytes of a log, a part at a time.
fn text(engine: Engine, job: JobId, bytes: Range<u64>) -> impl Stream<Item = Result<Bytes, EngineError>> {
    stream::try_unfold((engine, job, bytes), async |(engine, job, bytes)| {
        if bytes.is_empty() {
            return Ok(None);
        }
        let Some(Frame { mut text, .. }) = engine.frame_at_offset(job, bytes.start).await? else { return Ok(None) };
        text.truncate(usize::try_from(bytes.end - bytes.start).unwrap_or(usize::MAX));
        let start = bytes.start + text.len() as u64;
        Ok(Some((Bytes::from(text), (engine, job, start..bytes.end))))
    })
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
    let which: JobQuery = query(&request.uri)?;
    let found = find(web, route, run, path, which.attempt).await?;
    let last = request.headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let raw = Route { place: Place::Job(run, path.clone(), JobPlace::Raw), ..route.clone() };
    let raw = format!("{raw}?attempt={}", found.attempt);
    let follow = Follow {
        // it listens before it looks, so that no change falls between
        listener: web.engine.store.bell().listen(),
        engine: web.engine.clone(),
        web: web.clone(),
        request: request.clone(),
        route: route.clone(),
        checked: web.engine.clock.now(),
        job: found.job.id,
        offset: last.or(asked.offset).unwrap_or(0),
        form: asked.form,
        collector: None,
        rows: Rows { renderer: Renderer::default(), started: found.job.started, raw },
        seal: String::new(),
        ended: false,
    };
    let events = stream::unfold(follow, async |mut follow| follow.next().await.map(|event| (event, follow)));
    Ok(Sse::new(futures::StreamExt::map(events, Ok::<_, Infallible>)).keep_alive(KeepAlive::default()).into_response())
}

/// Follows one log to its end.
struct Follow {
    listener: Listener,
    engine: Engine,
    /// What was shown by whoever looks, and since when nobody has asked whether they still may.
    web: Web,
    request: Parts,
    route: Route,
    checked: Time,
    job: JobId,
    /// The next byte to read.
    offset: u64,
    form: Form,
    collector: Option<Collector>,
    rows: Rows,
    /// What was said of the whole log.
    seal: String,
    ended: bool,
}

impl Follow {
    /// The next event; `None` after `end`. Trouble ends the stream too, without `end`: the browser comes again.
    async fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        loop {
            self.still().await?;
            let job = self.job().await?;
            let over = matches!(job.state.0, JobState::Ended(_));
            match self.engine.frame_at_offset(self.job, self.offset).await {
                Ok(Some(frame)) => {
                    if let Some(event) = self.event(&frame, over) {
                        return Some(event);
                    }
                }
                Ok(None) if over => return Some(self.end()),
                Ok(None) => {
                    if let Some(event) = self.seal(&job) {
                        return Some(event);
                    }
                    let job = self.job;
                    self.listener.wait(LOOK, |change| change == Change::Log(job)).await;
                }
                Err(error) => {
                    tracing::error!(%error, job = %self.job, "a log's stream broke off");
                    return None;
                }
            }
        }
    }

    /// Looks again and again whether whoever reads still may: their session or token may have ended, and what their forge
    /// says is at most a minute old. One who may not comes again, and is told so.
    async fn still(&mut self) -> Option<()> {
        let now = self.engine.clock.now();
        if now.since(self.checked) < STILL {
            return Some(());
        }
        self.checked = now;
        let visitor = Visitor::of(&self.web, &self.request).await.ok()?;
        visitor.at(&self.web, &self.route, Right::See).await.ok().map(drop)
    }

    /// The job, asked before its log is read: if it is over then, so is what is read.
    async fn job(&self) -> Option<JobRow> {
        let mut tx = self.engine.store.read().await.ok()?;
        tx.job(self.job).await.ok()?
    }

    /// What is known of the whole log, if it is news that no line tells.
    fn seal(&mut self, job: &JobRow) -> Option<Event> {
        let whole = Whole::of(job);
        let words = whole.to_string();
        if !whole.is_withheld() || words == self.seal {
            return None;
        }
        self.seal.clone_from(&words);
        Some(event("seal", &words, self.offset).event("seal"))
    }

    fn event(&mut self, frame: &Frame, over: bool) -> Option<Event> {
        let end = frame.end();
        match self.form {
            Form::Html => {
                let fresh = || Collector::new(frame.line + 1, frame.start, 1..u64::MAX);
                let collector = self.collector.get_or_insert_with(fresh);
                collector.push(&frame.text, &frame.pieces);
                self.offset = end;
                let (resume, lines) = (collector.resume(), collector.take());
                let html: String = lines.into_iter().map(|line| self.rows.row(line).to_string()).collect();
                (!html.is_empty()).then(|| event("html", &html, resume))
            }
            Form::Text => {
                let text = whole_characters(&frame.text, over);
                self.offset = frame.start + text.len() as u64;
                if text.is_empty() {
                    // the rest of a character is on its way, in a chunk that has not come
                    self.offset = end;
                    return Some(event("text", &String::from_utf8_lossy(&frame.text), end));
                }
                Some(event("text", &String::from_utf8_lossy(text), self.offset))
            }
        }
    }

    /// The last line, if it has no newline, and the word that it was the last.
    fn end(&mut self) -> Event {
        let lines = self.collector.take().map(Collector::finish).unwrap_or_default();
        let html: String = lines.into_iter().map(|line| self.rows.row(line).to_string()).collect();
        self.ended = true;
        event("html", &html, self.offset).event("end")
    }
}

fn event(name: &str, content: &str, offset: u64) -> Event {
    Event::default().id(offset.to_string()).data(serde_json::json!({ name: content }).to_string())
}

/// Without a last character that is not complete yet.
fn whole_characters(text: &[u8], over: bool) -> &[u8] {
    if over {
        return text;
    }
    let tail = text.len().saturating_sub(3);
    let cut = (tail..text.len()).find(|&at| {
        let wanted = match text[at] {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            _ => 1,
        };
        at + wanted > text.len()
    });
    &text[..cut.unwrap_or(text.len())]
}
