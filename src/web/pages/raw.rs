//! A log as it is: all of it or the part that `Range` asks for, as a file to keep, or some of its lines to be quoted.

use std::ops::Range;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream::{self, Stream};

use super::{
    Failure, Route,
    job::{Found, JobQuery, find},
    query,
};
use crate::{
    engine::{Engine, EngineError, log::Frame, whole::Whole},
    model::{JobId, JobPath},
    store::JobRow,
    web::{
        Web,
        artifact::disposition,
        log::{
            ansi,
            place::Lines,
            range::{self, Wanted},
            window::Window,
        },
    },
};

/// Says of a raw log what its page says below the last line.
const SEAL: HeaderName = HeaderName::from_static("containerops-log");
/// No more lines are quoted at once.
const LINES_MAX: u64 = 10_000;

/// `GET …/log.txt`. With `?download=1` as a file to keep; with `?line=120-140` these lines alone, as a terminal shows them.
pub(super) async fn page(
    web: &Web,
    route: &Route,
    run: u64,
    path: &JobPath,
    request: &Parts,
) -> Result<Response, Failure> {
    let asked: JobQuery = query(&request.uri)?;
    let found = find(web, route, run, path, asked.attempt).await?;
    let mut response = match asked.line {
        Some(lines) => quoted(&web.engine, &found.job, lines).await?,
        None => log_text(&web.engine, &found.job, &request.headers)?,
    };
    if asked.download.is_some() {
        let name = HeaderValue::from_str(&disposition(&name(route, &found, path))).map_err(|_| Failure::Missing)?;
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// What the file is called: whose log it is, from the repository to the attempt.
fn name(route: &Route, found: &Found, path: &JobPath) -> String {
    let repository = route.repository.as_str().rsplit('/').next().unwrap_or_default();
    let JobPath { stage, action, job } = path;
    format!("{repository}-{}-{stage}-{action}-{job}-{}.log", found.run.number, found.attempt)
}

/// Some lines, without colours and without what was overwritten: for those who quote them.
async fn quoted(engine: &Engine, job: &JobRow, lines: Lines) -> Result<Response, Failure> {
    let end = lines.last.min(lines.first.saturating_add(LINES_MAX - 1)).saturating_add(1);
    let window = Window::read(engine, job.id, lines.first..end).await?;
    let text: String = window.lines.iter().map(|line| format!("{}\n", ansi::plain(&line.text))).collect();
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
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
    let text_of = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if tag.as_deref().is_some_and(|tag| text_of(header::IF_NONE_MATCH).is_some_and(|known| names(known, tag))) {
        return Ok(dressed(StatusCode::NOT_MODIFIED, tag, Body::empty()));
    }
    // a range of something else would be no range of this
    let is_same = text_of(header::IF_RANGE).is_none_or(|wanted| Some(wanted) == tag.as_deref());
    let (status, bytes) = match range::parse(text_of(header::RANGE).filter(|_| is_same), length) {
        Wanted::Whole => (StatusCode::OK, 0..length),
        Wanted::Part(bytes) => (StatusCode::PARTIAL_CONTENT, bytes),
        Wanted::Nothing => {
            let total = format!("bytes */{length}");
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, total)]).into_response());
        }
    };
    let of_notice = |at: u64| usize::try_from(at.saturating_sub(stored)).unwrap_or(usize::MAX).min(notice.len());
    let after = Bytes::copy_from_slice(&notice.as_bytes()[of_notice(bytes.start)..of_notice(bytes.end)]);
    let text = text(engine.clone(), job.id, bytes.start.min(stored)..bytes.end.min(stored));
    let text = futures::StreamExt::chain(text, stream::once(async { Ok(after) }));
    let mut response = dressed(status, tag, Body::from_stream(text));
    let mut set = |name, value: &str| {
        let value = HeaderValue::from_str(value).map_err(|_| Failure::Missing)?;
        response.headers_mut().insert(name, value);
        Ok::<_, Failure>(())
    };
    set(header::CONTENT_LENGTH, &(bytes.end - bytes.start).to_string())?;
    set(SEAL, &whole.to_string())?;
    if status == StatusCode::PARTIAL_CONTENT {
        set(header::CONTENT_RANGE, &format!("bytes {}-{}/{length}", bytes.start, bytes.end.saturating_sub(1)))?;
    }
    Ok(response)
}

/// Whether an `If-None-Match` names it.
fn names(known: &str, tag: &str) -> bool {
    known.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

fn dressed(status: StatusCode, tag: Option<String>, body: Body) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::ACCEPT_RANGES, "bytes")];
    let tag = tag.map(|tag| [(header::ETAG, tag)]);
    match tag {
        Some(tag) => (status, headers, tag, body).into_response(),
        None => (status, headers, body).into_response(),
    }
}

/// Names a log that grows no more, with what we say after it. One that grows has no name yet.
fn tag(job: &JobRow, notice: &str) -> Option<String> {
    let check = job.log_check.as_deref()?;
    Some(format!("\"{}-{}\"", check.sha256, notice.len()))
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
