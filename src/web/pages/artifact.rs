//! What a job has left: the list of an artifact's files, each to be downloaded, and all of them.

use askama::Template;
use axum::{http::request::Parts, response::Response};

use super::{Chrome, Failure, Mark, Moment, Place, Route, job::find, query, render, route::encode};
use crate::{
    agent::protocol::{Entry, EntryKind},
    model::{Counted, JobPath, Size},
    web::{
        Web,
        artifact::{Asked, download},
    },
};

/// A longer list is cut on the page; the tar has all of them.
const FILES_SHOWN: usize = 1000;

#[derive(Template)]
#[template(path = "artifact.html")]
struct ArtifactPage {
    chrome: Chrome,
    repository: String,
    run_url: String,
    run: String,
    job: String,
    name: String,
    files: String,
    length: Size,
    digest: String,
    created: Moment,
    expires: Moment,
    /// `None`: it has expired.
    whole: Option<String>,
    shown: Vec<FileView>,
    more: usize,
}

struct FileView {
    path: String,
    url: Option<String>,
    /// Its size, or what it is.
    words: String,
}

/// `GET …/{job}/artifacts/{name}`, and with `?file=PATH` or `?as=tar` its bytes.
pub(super) async fn page(
    web: &Web,
    route: &Route,
    number: u64,
    path: &JobPath,
    name: &str,
    request: &Parts,
) -> Result<Response, Failure> {
    let asked: Asked = query(&request.uri)?;
    let found = find(web, route, number, path, asked.attempt).await?;
    let artifact = web.engine.store.read().await?.artifact(found.job.id, name).await?.ok_or(Failure::Missing)?;
    if let Some(response) = download(&web.engine, &artifact, &asked, &request.headers).await? {
        return Ok(response);
    }
    let entries = web.engine.entries_of(&artifact).await?;
    let url = format!("{route}?attempt={}", found.attempt);
    let all = entries.as_ref().map_or(0, Vec::len);
    let mark = Mark::from(&found.job.state.0);
    render(&ArtifactPage {
        chrome: Chrome::new(web, format!("{}: artifact {name} of {path}", mark.word), &mark),
        repository: route.repository.to_string(),
        run_url: super::run_url(route, number),
        run: format!("{} #{number}", found.run.flow),
        job: Route { place: Place::Job(number, path.clone(), super::JobPlace::Page), ..route.clone() }.to_string(),
        name: artifact.name.clone(),
        files: Counted(artifact.files.cast_unsigned(), "file").to_string(),
        length: Size(artifact.length.cast_unsigned()),
        digest: artifact.digest.clone(),
        created: Moment(artifact.created),
        expires: Moment(artifact.expires),
        whole: entries.is_some().then(|| format!("{url}&as=tar")),
        shown: entries.iter().flatten().take(FILES_SHOWN).map(|entry| view(entry, &url)).collect(),
        more: all.saturating_sub(FILES_SHOWN),
    })
}

fn view(entry: &Entry, url: &str) -> FileView {
    let (words, is_file) = match &entry.kind {
        EntryKind::File { size, .. } => (Size(*size).to_string(), true),
        EntryKind::Directory => ("directory".to_owned(), false),
        EntryKind::Link { to } => (format!("link to {to}"), false),
    };
    let url = is_file.then(|| format!("{url}&file={}", encode(&entry.path)));
    FileView { path: entry.path.clone(), url, words }
}
