//! Flow files through the repository API. In the usual case, one file, it takes one round trip.

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{StreamExt, TryStreamExt, stream};
use gitlab::api::{
    common::NameOrId,
    endpoint_prelude::{Cow, Endpoint, Method, Pageable, QueryParams},
    projects::repository::files::File,
};
use serde::Deserialize;

use super::api::{Api, away};
use crate::{
    forge::{FlowFile, ForgeError},
    model::{Repository, Sha},
};

const FILE: &str = ".containerops.yml";
const FOLDER: &str = ".containerops";
/// More flows than anyone keeps; each costs a call.
const MOST_FILES: usize = 32;
/// A folder has no more entries that we look at.
const MOST_ENTRIES: usize = 1000;
/// GitLab limits how many calls come in a minute.
const AT_ONCE: usize = 8;
/// A longer file is refused by whoever parses it.
const LONGEST_FILE: usize = 1 << 20;
/// The mode of a link to elsewhere, which is a file to GitLab.
const LINK: &str = "120000";

#[derive(Deserialize)]
struct Entry {
    name: String,
    r#type: String,
    mode: String,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    content: String,
}

/// A folder's entries. The crate's own sends what it asks for as the body of a `GET`, which not every proxy lets pass.
struct Tree<'a> {
    project: NameOrId<'a>,
    path: &'a str,
    sha: &'a Sha,
}

impl Endpoint for Tree<'_> {
    fn method(&self) -> Method {
        Method::GET
    }

    fn endpoint(&self) -> Cow<'static, str> {
        format!("projects/{}/repository/tree", self.project).into()
    }

    fn parameters(&self) -> QueryParams<'_> {
        let mut parameters = QueryParams::default();
        parameters.push("path", self.path).push("ref", self.sha.as_str());
        parameters
    }
}

impl Pageable for Tree<'_> {}

/// The commit's flow files; see the trait.
pub(super) async fn flow_files(api: &Api, repository: &Repository, sha: &Sha) -> Result<Vec<FlowFile>, ForgeError> {
    let (one, folder) = futures::join!(file(api, repository, sha, FILE), folder(api, repository, sha));
    if let Some(file) = one? {
        return Ok(vec![file]);
    }
    let paths = flows_of(folder?);
    let calls: Vec<_> = paths.iter().map(|path| file(api, repository, sha, path)).collect();
    let found: Vec<Option<FlowFile>> = stream::iter(calls).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

fn flows_of(entries: Vec<Entry>) -> Vec<String> {
    let is_flow = |entry: &Entry| {
        entry.r#type == "blob" && entry.mode != LINK && entry.name.ends_with(".yml") && !entry.name.contains('/')
    };
    let mut paths: Vec<String> =
        entries.into_iter().filter(is_flow).map(|entry| format!("{FOLDER}/{}", entry.name)).collect();
    paths.sort();
    paths.truncate(MOST_FILES);
    paths
}

async fn folder(api: &Api, repository: &Repository, sha: &Sha) -> Result<Vec<Entry>, ForgeError> {
    let tree = Tree { project: repository.name.as_str().into(), path: FOLDER, sha };
    match api.list(Ok::<_, String>(tree), MOST_ENTRIES).await {
        Ok((entries, _)) => Ok(entries),
        // that there is a commit is known by the file that is asked for at the same time
        Err(ForgeError::Refused { status: 404, .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// One file; `None` if there is none.
async fn file(api: &Api, repository: &Repository, sha: &Sha, path: &str) -> Result<Option<FlowFile>, ForgeError> {
    let call = File::builder().project(repository.name.as_str()).file_path(path).ref_(sha.as_str()).build();
    let content = match api.get::<Content, _>(call).await {
        Ok(content) => content.bytes(path)?,
        Err(ForgeError::Refused { status: 404, message, .. }) if message.contains("File") => return Ok(None),
        // our own no: longer than an answer may be, and so than a file may be
        Err(ForgeError::Refused { status: 0, .. }) => vec![b'\n'; LONGEST_FILE + 1],
        Err(error) => return Err(error),
    };
    Ok(Some(FlowFile { path: path.to_owned(), content }))
}

impl Content {
    fn bytes(&self, path: &str) -> Result<Vec<u8>, ForgeError> {
        let mut bytes =
            STANDARD.decode(self.content.trim()).map_err(|_| away(format!("the content of {path} is no base64")))?;
        bytes.truncate(LONGEST_FILE + 1);
        Ok(bytes)
    }
}
