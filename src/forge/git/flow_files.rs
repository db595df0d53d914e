//! A commit's flow files, from a bare repository.

use std::path::Path;

use super::{failed, refused};
use crate::{
    forge::{FlowFile, ForgeError, GitCommand},
    model::Sha,
};

/// What a flow file may have; one byte more is read, so that whoever parses it sees that there is more.
const FILE_MOST: usize = 1 << 20;
/// How many flow files a commit may have.
const FILES_MOST: usize = 100;
/// For the list of the files in `.containerops/`.
const LIST_MOST: usize = 1 << 20;

/// `.containerops.yml`, else `.containerops/*.yml` sorted by name.
pub(super) async fn read(directory: &Path, sha: &Sha) -> Result<Vec<FlowFile>, ForgeError> {
    let list = GitCommand::new("ls-tree").git_dir(directory).args(["-z", sha.as_str(), "--"]);
    let list = list.args([".containerops.yml", ".containerops/"]).run(LIST_MOST).await.map_err(failed)?;
    let mut entries: Vec<(&str, &str)> = list.split(|&byte| byte == 0).filter_map(flow_file).collect();
    entries.sort_unstable();
    if entries.iter().any(|(path, _)| *path == ".containerops.yml") {
        entries.retain(|(path, _)| *path == ".containerops.yml");
    }
    if entries.len() > FILES_MOST {
        return Err(refused(format!("`.containerops/` has {} flow files; {FILES_MOST} are allowed", entries.len())));
    }
    let mut files = Vec::new();
    for (path, blob) in entries {
        let content = GitCommand::new("cat-file").git_dir(directory).args(["blob", blob]);
        let content = content.run_cut(FILE_MOST + 1).await.map_err(failed)?;
        files.push(FlowFile { path: path.to_owned(), content });
    }
    Ok(files)
}

/// The path and the blob of `100644 blob <sha>\t<path>`, if it is a file (no link, no directory) of the right name.
fn flow_file(entry: &[u8]) -> Option<(&str, &str)> {
    let (about, path) = std::str::from_utf8(entry).ok()?.split_once('\t')?;
    let blob = about.strip_prefix("100644 blob ").or_else(|| about.strip_prefix("100755 blob "))?;
    path.ends_with(".yml").then_some((path, blob))
}
