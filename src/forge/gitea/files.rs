//! Flow files through the contents API. In the usual case, one file, it takes one round trip.

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use serde::Deserialize;

use super::call::{Api, Call, away, encoded, refused};
use crate::{
    forge::{FlowFile, ForgeError},
    model::{Repository, Sha},
};

const FILE: &str = ".containerops.yml";
const FOLDER: &str = ".containerops";
/// More flows than anyone keeps; each costs a call.
const MOST_FILES: usize = 32;
/// How many calls run at a time.
const AT_ONCE: usize = 8;
/// What is longer is refused by whoever parses it.
const LONGEST_FILE: usize = 1 << 20;

/// What the contents API says of a path: a folder's entries, or one thing.
#[derive(Deserialize)]
#[serde(untagged)]
enum Contents {
    Folder(Vec<Entry>),
    One(Thing),
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    r#type: String,
}

#[derive(Deserialize)]
struct Thing {
    r#type: String,
    #[serde(default)]
    size: u64,
    encoding: Option<String>,
    content: Option<String>,
}

/// The commit's flow files; see the trait.
pub(super) async fn flow_files(api: &Api, repository: &Repository, sha: &Sha) -> Result<Vec<FlowFile>, ForgeError> {
    let (one, folder) = futures::join!(file(api, repository, sha, FILE), contents(api, repository, sha, FOLDER));
    if let Some(file) = one? {
        return Ok(vec![file]);
    }
    let folder = folder?;
    if folder.is_none() {
        must_be_there(api, repository, sha).await?;
    }
    let Some(Contents::Folder(entries)) = folder else { return Ok(Vec::new()) };
    let paths = flows_of(entries);
    let calls: Vec<_> = paths.iter().map(|path| file(api, repository, sha, path)).collect();
    let found: Vec<Option<FlowFile>> = stream::iter(calls).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// The contents API answers 404 for a commit that is not there, too: that is no commit without flow files.
async fn must_be_there(api: &Api, repository: &Repository, sha: &Sha) -> Result<(), ForgeError> {
    let path = format!("/repos/{}/git/commits/{sha}", repository.name);
    api.send(&Call::get(path)).await?.checked().map(drop).map_err(|error| match error {
        ForgeError::Refused { status: 404, .. } => {
            refused(404, format!("it has no commit {sha} in {}, or does not show it to us", repository.name))
        }
        error @ (ForgeError::Refused { .. } | ForgeError::Away { .. } | ForgeError::Limited { .. }) => error,
    })
}

fn flows_of(entries: Vec<Entry>) -> Vec<String> {
    let is_flow = |entry: &Entry| entry.r#type == "file" && entry.name.ends_with(".yml") && !entry.name.contains('/');
    let mut paths: Vec<String> =
        entries.into_iter().filter(is_flow).map(|entry| format!("{FOLDER}/{}", entry.name)).collect();
    paths.sort();
    paths.truncate(MOST_FILES);
    paths
}

/// One file; `None` if there is none, or something that is no file: a folder, a link to elsewhere, a submodule.
async fn file(api: &Api, repository: &Repository, sha: &Sha, path: &str) -> Result<Option<FlowFile>, ForgeError> {
    match contents(api, repository, sha, path).await? {
        Some(Contents::One(thing)) if thing.r#type == "file" => {
            Ok(Some(FlowFile { path: path.to_owned(), content: thing.bytes(path)? }))
        }
        Some(Contents::One(_) | Contents::Folder(_)) | None => Ok(None),
    }
}

async fn contents(api: &Api, repository: &Repository, sha: &Sha, path: &str) -> Result<Option<Contents>, ForgeError> {
    let call = Call::get(format!("/repos/{}/contents/{}?ref={sha}", repository.name, encoded(path)));
    let answer = api.send(&call).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    answer.json().map(Some)
}

impl Thing {
    fn bytes(&self, path: &str) -> Result<Vec<u8>, ForgeError> {
        let no_base64 = || away(format!("the content of {path} is no base64"));
        match (self.encoding.as_deref(), &self.content) {
            (Some("base64"), Some(content)) => decoded(content).ok_or_else(no_base64),
            // too long to be sent: as long as the trait says, so that whoever parses it refuses it
            _ if self.size > LONGEST_FILE as u64 => Ok(vec![b'\n'; LONGEST_FILE + 1]),
            (encoding, _) => Err(away(format!("the content of {path} is encoded in an unknown way: {encoding:?}"))),
        }
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let mut bytes = STANDARD.decode(digits).ok()?;
    bytes.truncate(LONGEST_FILE + 1);
    Some(bytes)
}
