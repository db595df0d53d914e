//! Artifacts: `GET /jobs/{id}/artifacts`, `GET /jobs/{id}/artifacts/{name}`, and with `?file=PATH` or `?as=tar` their bytes.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    asked::{Asked, Count, Cursor, Limit, List, Page, part},
    schema::At,
};
use crate::{
    agent::protocol::Entry,
    model::JobId,
    store::ArtifactRow,
    web::{
        Web,
        access::{OfJob, See},
        artifact::{self, Form, download},
        pages::Failure,
    },
};

/// Which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ArtifactsQuery {
    /// The `next` of an earlier answer: what follows it.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<String>>,
    /// At most as many.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: Limit,
}

/// What of an artifact is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ArtifactQuery {
    /// One file, by its path: its bytes.
    file: Option<String>,
    /// `tar`: all of it.
    #[serde(rename = "as")]
    #[param(inline)]
    form: Option<Form>,
    /// The `next` of an earlier answer: the files that follow it.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,9}$", example = "999")]
    cursor: Option<Cursor<Count>>,
    /// At most as many files.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 1000)]
    limit: Limit<1000>,
}

/// What a job has left.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ArtifactPage)]
pub(super) struct Artifacts {
    artifacts: Vec<Artifact>,
    /// The `cursor` of what follows; `null`: nothing does.
    #[schema(required = true)]
    next: Option<String>,
}

/// Files that a job has left.
#[derive(Debug, Serialize, ToSchema)]
struct Artifact {
    #[schema(example = "coverage")]
    name: String,
    /// Bytes of the tar.
    length: i64,
    /// How many.
    files: i64,
    /// The SHA-256 of the tar.
    digest: String,
    created: At,
    /// Until when it is kept.
    expires: At,
    /// Whether its files are gone.
    expired: bool,
}

/// An artifact, with a page of its files.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ArtifactDetails)]
pub(super) struct WholeArtifact {
    #[serde(flatten)]
    artifact: Artifact,
    /// `null`: they are gone.
    #[schema(required = true)]
    entries: Option<Vec<Entry>>,
    /// The `cursor` of the files that follow; `null`: none do.
    #[schema(required = true)]
    next: Option<String>,
}

impl List for Artifacts {
    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

impl List for WholeArtifact {
    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// What a job has left, by name.
#[utoipa::path(get, path = "/jobs/{id}/artifacts", tag = "jobs", operation_id = "listArtifacts", params(("id" = JobId, Path, description = "The job's id"), ArtifactsQuery), responses((status = 200, description = "A page of artifacts", body = Artifacts)))]
pub(super) async fn list(
    OfJob { job, .. }: OfJob<See>,
    State(web): State<Web>,
    Asked(asked): Asked<ArtifactsQuery>,
) -> Result<Page<Artifacts>, Problem> {
    let mut rows = web.engine.store.read().await?.artifacts(job.id).await?;
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let after = asked.cursor.map(|cursor| cursor.0);
    let (rows, next) = part(rows, after.as_ref(), asked.limit, |row| row.name.clone());
    Ok(Page(Artifacts { artifacts: rows.iter().map(Artifact::of).collect(), next }))
}

/// One artifact: its files, or the bytes of one or of all.
///
/// Bytes come with ranges and a strong `ETag`, and as a file: no browser takes them for a page.
#[utoipa::path(get, path = "/jobs/{id}/artifacts/{name}", tag = "jobs", operation_id = "getArtifact",
    params(("id" = JobId, Path, description = "The job's id"), ("name" = String, Path, description = "The artifact's name", example = "coverage"), ArtifactQuery,
        ("Range" = Option<String>, Header, description = "Of bytes: `bytes=0-99`"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` of what the range continues")),
    responses(
        (status = 200, description = "The artifact; or bytes", content((WholeArtifact = "application/json"), (Vec<u8> = "application/octet-stream"))),
        (status = 206, description = "The bytes that were asked for", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 416, description = "None of those bytes is there"),
    ))]
pub(super) async fn one(
    OfJob { job, .. }: OfJob<See>,
    State(web): State<Web>,
    Path((_, name)): Path<(String, String)>,
    Asked(asked): Asked<ArtifactQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = web.engine.store.read().await?.artifact(job.id, &name).await?.ok_or(Failure::Missing)?;
    let of_page = artifact::Asked { file: asked.file, form: asked.form, attempt: None };
    if let Some(response) = download(&web.engine, &row, &of_page, &headers).await? {
        return Ok(response);
    }
    let all = web.engine.entries_of(&row).await?;
    let (mut entries, mut next) = (None, None);
    if let Some(all) = all {
        let all = (0..).map(Count).zip(all).collect();
        let after = asked.cursor.map(|cursor| cursor.0);
        let (page, more) = part(all, after.as_ref(), asked.limit, |(at, _)| *at);
        (entries, next) = (Some(page.into_iter().map(|(_, entry)| entry).collect()), more);
    }
    Ok(Page(WholeArtifact { artifact: Artifact::of(&row), entries, next }).into_response())
}

impl Artifact {
    fn of(row: &ArtifactRow) -> Self {
        Self {
            name: row.name.clone(),
            length: row.length,
            files: row.files,
            digest: row.digest.clone(),
            created: At(row.created),
            expires: At(row.expires),
            expired: row.bundle_id.is_none(),
        }
    }
}
