//! The repository that someone stands in: its flow files and its name.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::model::RepositoryName;

/// One byte more than a flow file may have, so that a longer one is seen to be too long and not read to its end.
const MAX_READ_BYTES: u64 = (1 << 20) + 1;

/// `.containerops.yml`, or all of `.containerops/*.yml` in the order of their names.
pub(super) fn flow_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let single = folder.join(".containerops.yml");
    if single.is_file() {
        return Ok(vec![plain(single)]);
    }
    let several = folder.join(".containerops");
    if !several.is_dir() {
        return Ok(Vec::new());
    }
    let entries = several.read_dir()?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yml") {
            files.push(plain(path));
        }
    }
    files.sort();
    Ok(files)
}

/// A flow file's bytes.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_READ_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What `git remote` calls the repository, so that a plan made here has the digest that the server's has; else the
/// folder's own name.
pub(super) fn repository_name(folder: &Path) -> Option<RepositoryName> {
    let asked = Command::new("git").args(["remote", "get-url", "origin"]).current_dir(folder).output().ok();
    let url = asked.filter(|output| output.status.success()).and_then(|output| String::from_utf8(output.stdout).ok());
    let from_url = url.as_deref().and_then(name_in_url);
    from_url.or_else(|| folder.canonicalize().ok()?.file_name()?.to_str()?.parse().ok())
}

/// `https://host/owner/name.git` and `user@host:owner/name.git`.
fn name_in_url(url: &str) -> Option<RepositoryName> {
    let url = url.trim().trim_end_matches('/');
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => url.split_once(':')?.1,
    };
    path.strip_suffix(".git").unwrap_or(path).parse().ok()
}

/// Without the `./` that nobody typed.
fn plain(path: PathBuf) -> PathBuf {
    path.strip_prefix(".").map(Path::to_path_buf).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::name_in_url;

    #[test]
    fn a_remote_names_the_repository() {
        for url in
            ["https://forge.example/acme/shop.git\n", "git@forge.example:acme/shop.git", "ssh://git@h/acme/shop/"]
        {
            assert_eq!(name_in_url(url).map(String::from).as_deref(), Some("acme/shop"), "{url}");
        }
        assert_eq!(name_in_url("nonsense"), None);
    }
}
