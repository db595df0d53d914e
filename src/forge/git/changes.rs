//! What a push changed, and what its head commit says, from a bare repository.

use std::path::Path;

use super::failed;
use crate::{
    forge::{ForgeError, GitCommand, GitCommandError},
    model::{ChangedFiles, Event, EventKind, Sha},
};

/// What is said further on in a message is not looked at.
const MESSAGE_MOST: usize = 64 << 10;
/// For the list of changed files.
const LIST_MOST: usize = 1 << 20;
/// Every condition of a flow may look at each of them.
const FILES_MOST: usize = 10_000;

/// A commit's message.
pub(super) async fn message(directory: &Path, sha: &Sha) -> Result<String, ForgeError> {
    let commit = format!("{sha}^{{commit}}");
    let command = GitCommand::new("log").git_dir(directory).args(["-1", "--no-show-signature", "--format=%B"]);
    let message = command.args([commit.as_str(), "--"]).run_cut(MESSAGE_MOST).await.map_err(failed)?;
    Ok(String::from_utf8_lossy(&message).into_owned())
}

/// What an event changed.
pub(super) async fn files(directory: &Path, event: &Event) -> Result<ChangedFiles, ForgeError> {
    let base = match (&event.kind, &event.base_sha) {
        (EventKind::Push { .. } | EventKind::MergeGroup { .. } | EventKind::PullRequest(_), Some(base)) => {
            base.to_string()
        }
        (EventKind::Push { branch }, None) if *branch != event.repository.default_branch => {
            format!("refs/heads/{}", event.repository.default_branch)
        }
        _ => return Ok(ChangedFiles::unknown(format!("this {} is compared with nothing", event.name()))),
    };
    let command = GitCommand::new("diff").git_dir(directory).args(["--name-only", "-z", "--no-renames"]);
    let range = format!("{base}...{}", event.sha);
    let list = command.args(["--no-ext-diff", range.as_str(), "--"]).run(LIST_MOST).await;
    match list {
        Ok(list) => Ok(cut(&list)),
        Err(error @ (GitCommandError::TooMuch { .. } | GitCommandError::Failed { .. })) => {
            Ok(ChangedFiles::unknown(error.to_string()))
        }
        Err(error) => Err(failed(error)),
    }
}

fn cut(list: &[u8]) -> ChangedFiles {
    let paths = list.split(|&byte| byte == 0).filter(|path| !path.is_empty());
    let mut paths: Vec<String> =
        paths.take(FILES_MOST + 1).map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    let gap = (paths.len() > FILES_MOST).then(|| format!("only the first {FILES_MOST} are looked at"));
    paths.truncate(FILES_MOST);
    ChangedFiles { paths, gap }
}
