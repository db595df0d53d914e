//! The repository one stands in, as a forge: its event is "these files, now", and whoever is told reads it on the
//! terminal anyway.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use async_trait::async_trait;

use super::{check, local};
use crate::{
    forge::{
        Allowance, Authentic, FlowFile, Forge, ForgeError, GitCommand, Reading, Shown, Source, Told, Unreadable, Wanted,
    },
    model::{Event, EventKind, ForgeKind, Repository, RepositoryName, Sha, Trust},
};

/// A commit's and a tree's ids are short; a branch's name has at most a few hundred bytes.
const SHORT: usize = 4096;

/// Here and now.
pub(super) struct Here {
    event: Event,
    files: Vec<FlowFile>,
    /// A bare repository that holds a commit of the files as they lie here.
    bare: PathBuf,
}

impl Here {
    /// Makes a commit of the files below `tree`, in a repository of its own below `data`: what is here is not touched.
    pub(super) async fn of(tree: &Path, files: &[PathBuf], data: &Path) -> Result<Self> {
        let name = local::repository_name(tree).map_or_else(|| "local/repository".parse(), Ok)?;
        let top = git_text(GitCommand::new("rev-parse").arg("--show-toplevel")).await;
        let top = PathBuf::from(top.context("this is no Git repository: go to one, or make one with `git init`")?);
        let objects =
            git_text(GitCommand::new("rev-parse").arg("--path-format=absolute").args(["--git-path", "objects"]));
        let bare = data.join("here.git");
        let (sha, base) = commit(&top, &bare, Path::new(&objects.await?)).await?;
        let branch = git_text(GitCommand::new("branch").arg("--show-current")).await.unwrap_or_default();
        let branch = if branch.is_empty() { "main".to_owned() } else { branch };
        let files = files.iter().map(|path| flow_file(path, &name)).collect::<Result<_>>()?;
        Ok(Self { event: event(name, branch, sha, base, &bare), files, bare })
    }
}

fn flow_file(path: &Path, repository: &RepositoryName) -> Result<FlowFile> {
    let content = local::read(path).with_context(|| format!("reading {}", path.display()))?;
    check(path, repository, &content)?;
    Ok(FlowFile { path: path.to_string_lossy().into_owned(), content })
}

async fn git_text(command: GitCommand) -> Result<String> {
    let printed = command.run(SHORT).await?;
    Ok(String::from_utf8_lossy(&printed).trim().to_owned())
}

/// The files of a tree as a commit, without touching the repository's index, refs or objects: those are borrowed.
async fn commit(top: &Path, bare: &Path, objects: &Path) -> Result<(Sha, Option<Sha>)> {
    git_text(GitCommand::new("init").args(["--quiet", "--bare", "--initial-branch=main"]).arg(bare)).await?;
    let borrowed = format!("{}\n", objects.display());
    std::fs::write(bare.join("objects/info/alternates"), borrowed).context("borrowing objects")?;
    let within = |name: &str| GitCommand::new(name).git_dir(bare).work_tree(top);
    git_text(within("add").args(["--all", "--", "."])).await.context("reading the files")?;
    let tree = git_text(within("write-tree")).await?;
    let head = git_text(GitCommand::new("rev-parse").args(["--verify", "--quiet", "HEAD"])).await.ok();
    let parent = head.as_ref().map(|head| vec!["-p".to_owned(), head.clone()]).unwrap_or_default();
    let words = [vec![tree], parent, vec!["-m".to_owned(), "The files as they are".to_owned()]].concat();
    let sha = git_text(within("commit-tree").args(words)).await?;
    git_text(within("update-ref").args(["refs/heads/main", sha.as_str()])).await?;
    Ok((sha.parse()?, head.and_then(|head| head.parse().ok())))
}

fn event(name: RepositoryName, branch: String, sha: Sha, base_sha: Option<Sha>, bare: &Path) -> Event {
    let repository = Repository {
        forge: ForgeKind::Git,
        name,
        default_branch: "main".to_owned(),
        clone_url: bare.to_string_lossy().into_owned(),
        web_url: String::new(),
        installation: None,
    };
    let actor = std::env::var("USER").unwrap_or_default();
    let title = "The files as they are".to_owned();
    Event {
        repository,
        kind: EventKind::Push { branch },
        sha,
        base_sha,
        actor,
        title,
        trust: Trust::Trusted,
        message: None,
    }
}

#[async_trait]
impl Forge for Here {
    fn kind(&self) -> ForgeKind {
        ForgeKind::Git
    }

    /// Nobody sends anything here: the one delivery is put in by the command itself.
    fn authenticate(&self, _: &http::HeaderMap, _: &[u8]) -> Option<Authentic> {
        None
    }

    fn read(&self, _: &str, _: &[u8]) -> Result<Reading, Unreadable> {
        Ok(Reading::Event(self.event.clone()))
    }

    async fn flow_files(&self, _: &Repository, _: &Sha) -> Result<Vec<FlowFile>, ForgeError> {
        Ok(self.files.clone())
    }

    async fn open_pull_request(&self, _: &Repository, _: &str) -> Result<Option<u64>, ForgeError> {
        Ok(None)
    }

    async fn branch_head(&self, _: &Repository, _: &str) -> Result<Option<Sha>, ForgeError> {
        Ok(None)
    }

    async fn source(&self, _: &Event) -> Result<Source, ForgeError> {
        let url = self.bare.to_string_lossy().into_owned();
        Ok(Source { url, header: None, refs: vec!["refs/heads/main".to_owned()], merge_ref: None })
    }

    fn allowance(&self, _: &Repository) -> Allowance {
        Allowance { account: "here".to_owned(), writes: None, states: None }
    }

    async fn report(&self, _: &Wanted<'_>, _: Option<&str>) -> Result<Told, ForgeError> {
        Ok(Told::Whole { known: None })
    }

    fn expected(&self, wanted: &Wanted<'_>) -> Shown {
        Shown {
            context: wanted.context.clone(),
            known: None,
            state: wanted.report.progress.to_string(),
            title: wanted.report.title.clone(),
            url: String::new(),
            external_id: String::new(),
            summary: String::new(),
            annotations: 0,
        }
    }

    async fn shown(&self, _: &Repository, _: &Sha) -> Result<Option<Vec<Shown>>, ForgeError> {
        Ok(None)
    }
}
