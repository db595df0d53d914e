//! Artifacts as people and programs get them: a list of files, one file, or all as a tar; with ranges. What is in them
//! is a job's, so a browser stores it and never shows it: neither as a page nor as anything else that could run.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    log::range::{self, Wanted},
    pages::Failure,
};
use crate::{
    agent::protocol::{Bundle, Entry, EntryKind},
    engine::Engine,
    store::ArtifactRow,
};

/// Nothing of it runs, whatever it is taken for.
const POLICY: &str = "default-src 'none'; sandbox";

/// What of an artifact is asked for.
#[derive(Debug, Clone, serde::Deserialize)]
pub(super) struct Asked {
    /// One file, by its path.
    pub(super) file: Option<String>,
    /// `tar`: all of it.
    #[serde(rename = "as")]
    pub(super) form: Option<Form>,
    /// Which attempt; the newest without it.
    pub(super) attempt: Option<i64>,
}

/// How an artifact comes as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// All files, with their paths and permissions.
    Tar,
}

/// The file, or the whole; `None` if neither is asked for.
pub(super) async fn download(
    engine: &Engine,
    artifact: &ArtifactRow,
    asked: &Asked,
    headers: &HeaderMap,
) -> Result<Option<Response>, Failure> {
    if asked.file.is_none() && asked.form.is_none() {
        return Ok(None);
    }
    let bundle = engine.bundle_of(artifact).await?.ok_or(Failure::Missing)?;
    let Some(path) = &asked.file else {
        let whole = Piece { name: format!("{}.tar", artifact.name), start: 0, length: bundle.length };
        return Ok(Some(serve(engine, artifact, bundle, whole, headers)?));
    };
    let entries = engine.entries_of(artifact).await?.unwrap_or_default();
    let piece = entries.into_iter().find(|entry| entry.path == *path).and_then(file).ok_or(Failure::Missing)?;
    Ok(Some(serve(engine, artifact, bundle, piece, headers)?))
}

/// Some bytes of a tar, and what to call them.
struct Piece {
    name: String,
    start: u64,
    length: u64,
}

fn file(entry: Entry) -> Option<Piece> {
    match entry.kind {
        EntryKind::File { size, at, .. } => {
            let name = entry.path.rsplit('/').next().unwrap_or_default().to_owned();
            Some(Piece { name, start: at, length: size })
        }
        EntryKind::Directory | EntryKind::Link { .. } => None,
    }
}

fn serve(
    engine: &Engine,
    artifact: &ArtifactRow,
    bundle: Bundle,
    piece: Piece,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let Piece { name, start, length } = piece;
    let tag = format!("\"{}-{start}\"", artifact.digest);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // a range of something else would be no range of this
    let same = text(header::IF_RANGE).is_none_or(|wanted| wanted == tag);
    let (status, bytes) = match range::parse(text(header::RANGE).filter(|_| same), length) {
        Wanted::Whole => (StatusCode::OK, 0..length),
        Wanted::Part(bytes) => (StatusCode::PARTIAL_CONTENT, bytes),
        Wanted::Nothing => {
            let total = format!("bytes */{length}");
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, total)]).into_response());
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, disposition(&name)),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CONTENT_LENGTH, (bytes.end - bytes.start).to_string()),
        (header::ETAG, tag),
    ];
    let part = format!("bytes {}-{}/{length}", bytes.start, bytes.end.saturating_sub(1));
    let body = Body::from_stream(engine.tar_of(bundle, start + bytes.start..start + bytes.end));
    let mut response = (status, headers, body).into_response();
    if status == StatusCode::PARTIAL_CONTENT {
        let part = HeaderValue::from_str(&part).map_err(|_| Failure::Missing)?;
        response.headers_mut().insert(header::CONTENT_RANGE, part);
    }
    Ok(response)
}

/// `attachment`, with the name as RFC 6266 and RFC 8187 have it: whatever it holds, it stays a name.
fn disposition(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' }).collect();
    let exact: String = name
        .bytes()
        .map(|b| match b {
            b'.' | b'_' | b'-' => char::from(b).to_string(),
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}")
}
