//! The repository one stands in, as a forge: its event is "these files, now", and whoever is told reads it on the
//! terminal anyway.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;

use super::{EventArgs, local};
use crate::command::event::fitting;
use crate::{
    flow::{self, Flow, Given},
    forge::{
        Allowance, AtOnce, Authentic, FlowFile, Forge, ForgeError, GitCommand, Reading, Realm, Shown, Source, Told,
        Unreadable, Wanted,
    },
    model::{Event, EventKind, ForgeKind, Repository, RepositoryName, Severity, Sha, Trust, Visibility},
};

/// A commit's and a tree's ids are short; a branch's name has at most a few hundred bytes.
const SHORT: usize = 4096;

/// Here and now.
pub(in crate::command) struct Here {
    event: Event,
    files: Vec<FlowFile>,
    /// A bare repository that holds a commit of the files as they lie here.
    bare: PathBuf,
    /// The files.
    tree: PathBuf,
}

/// What is asked of it.
pub(super) struct Asked<'a> {
    pub(super) files: &'a [PathBuf],
    pub(super) event: &'a EventArgs,
    pub(super) given: &'a Given,
}

impl Here {
    /// Makes a commit of the files below `tree`, in a repository of its own below `data`: what is here is not touched.
    pub(super) async fn of(tree: &Path, asked: &Asked<'_>, data: &Path) -> Result<Self> {
        let name = local::repository_name(tree).map_or_else(|| "local/repository".parse(), Ok)?;
        let bare = data.join("here.git");
        let places = ["--path-format=absolute", "--show-toplevel", "--git-path", "objects"];
        // at once: starting each of them takes longer than what it does
        let (places, head, branch, made) = tokio::join!(
            git_text(GitCommand::new("rev-parse").args(places)),
            git_text(GitCommand::new("rev-parse").args(["--verify", "--quiet", "HEAD"])),
            git_text(GitCommand::new("branch").arg("--show-current")),
            make(&bare),
        );
        made?;
        let places = places.context("this is no Git repository: go to one, or make one with `git init`")?;
        let (top, objects) = places.split_once('\n').context("git did not say where its objects are")?;
        borrow(&bare, objects)?;
        let (sha, base) = commit(Path::new(top), &bare, head.ok()).await?;
        let branch = branch.ok().filter(|branch| !branch.is_empty()).unwrap_or_else(|| "main".to_owned());
        let (files, flows) = flow_files(asked, &name)?;
        let kind = fitting(asked.event.kind(&name, &branch), &flows);
        let event = Event { base_sha: base, ..event(repository(name, &bare), kind, sha, "The files as they are") };
        Ok(Self { event, files, bare, tree: PathBuf::from(top) })
    }

    /// What it is called.
    pub(super) const fn repository(&self) -> &RepositoryName {
        &self.event.repository.name
    }

    /// A flow's text, and no files at all.
    pub(in crate::command) async fn alone(flow: &str, data: &Path) -> Result<Self> {
        let name: RepositoryName = "local/component".parse()?;
        let (empty, bare) = (data.join("empty"), data.join("here.git"));
        std::fs::create_dir_all(&empty).context("making a directory")?;
        make(&bare).await?;
        let (sha, _) = commit(&empty, &bare, None).await?;
        let files = vec![component(flow, &name)?];
        let kind = EventKind::Push { branch: "main".to_owned() };
        let event = event(repository(name, &bare), kind, sha, "A component alone");
        Ok(Self { event, files, bare, tree: empty })
    }
}

/// The flow of a component that runs alone.
fn component(text: &str, repository: &RepositoryName) -> Result<FlowFile> {
    let path = "component";
    if let Err(found) = flow::read(path, repository, text.as_bytes()) {
        let errors = found.into_iter().filter(|found| found.severity == Severity::Error);
        let messages: Vec<String> = errors.map(|found| found.message).collect();
        bail!("{}", messages.join("; "));
    }
    Ok(FlowFile { path: path.to_owned(), content: text.as_bytes().to_vec() })
}

/// The files, once it is sure that they have no mistakes, and have all that was asked for.
fn flow_files(asked: &Asked<'_>, repository: &RepositoryName) -> Result<(Vec<FlowFile>, Vec<Flow>)> {
    let (mut files, mut flows) = (Vec::new(), Vec::new());
    for path in asked.files {
        let content = local::read(path).with_context(|| format!("reading {}", path.display()))?;
        let path = path.to_string_lossy().into_owned();
        match flow::read_given(&path, repository, &content, asked.given) {
            Ok(flow) => flows.push(flow),
            Err(found) => bail!("the flow file has mistakes\n{}", flow::render(&path, &found)),
        }
        files.push(FlowFile { path, content });
    }
    check(asked.given, &flows)?;
    Ok((files, flows))
}

fn check(given: &Given, flows: &[Flow]) -> Result<()> {
    if let Some(name) = given.variables.keys().find(|name| !flows.iter().any(|flow| flow.variables().contains(*name))) {
        let known: Vec<&str> = flows.iter().flat_map(Flow::variables).map(String::as_str).collect();
        bail!("--var: the flow's `variables` have no `{name}`; they have {}", list(&known));
    }
    if let Some(part) = given.only.iter().find(|part| !flows.iter().any(|flow| flow.has(part))) {
        let known: Vec<String> = flows.iter().flat_map(Flow::parts).map(|part| part.to_string()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        bail!("--only: the flow has no `{part}`; it has {}", list(&known));
    }
    Ok(())
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

async fn git_text(command: GitCommand) -> Result<String> {
    let printed = command.run(SHORT).await?;
    Ok(String::from_utf8_lossy(&printed).trim().to_owned())
}

/// A repository of our own, with no samples of hooks, and nothing that must outlive a crash.
async fn make(bare: &Path) -> Result<()> {
    let init = GitCommand::new("init").args(["--quiet", "--bare", "--template=", "--initial-branch=main"]);
    git_text(init.arg(bare)).await?;
    let config = std::fs::OpenOptions::new().append(true).open(bare.join("config"));
    config.and_then(|mut config| config.write_all(b"[core]\n\tfsync = none\n")).context("setting up a repository")
}

/// Lets it have the objects of another.
fn borrow(bare: &Path, objects: &str) -> Result<()> {
    std::fs::write(bare.join("objects/info/alternates"), format!("{objects}\n")).context("borrowing objects")
}

/// The files of a tree as a commit on top of `head`, without touching the repository that they are of.
async fn commit(top: &Path, bare: &Path, head: Option<String>) -> Result<(Sha, Option<Sha>)> {
    let within = |name: &str| GitCommand::new(name).git_dir(bare).work_tree(top);
    git_text(within("add").args(["--all", "--", "."])).await.context("reading the files")?;
    let tree = git_text(within("write-tree")).await?;
    let parent = head.as_ref().map(|head| vec!["-p".to_owned(), head.clone()]).unwrap_or_default();
    let words = [vec![tree], parent, vec!["-m".to_owned(), "The files as they are".to_owned()]].concat();
    let sha = git_text(within("commit-tree").args(words)).await?;
    git_text(within("update-ref").args(["refs/heads/main", sha.as_str()])).await?;
    Ok((sha.parse()?, head.and_then(|head| head.parse().ok())))
}

fn event(repository: Repository, kind: EventKind, sha: Sha, title: &str) -> Event {
    let actor = std::env::var("USER").unwrap_or_default();
    Event {
        repository,
        kind,
        sha,
        base_sha: None,
        actor,
        title: title.to_owned(),
        trust: Trust::Trusted,
        message: None,
    }
}

fn repository(name: RepositoryName, bare: &Path) -> Repository {
    Repository {
        forge: ForgeKind::Git,
        name,
        default_branch: "main".to_owned(),
        clone_url: bare.to_string_lossy().into_owned(),
        web_url: String::new(),
        installation: None,
        visibility: Visibility::default(),
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
        Ok(Source {
            url,
            header: None,
            refs: vec!["refs/heads/main".to_owned()],
            merge_ref: None,
            realm: Realm::Tree(self.tree.clone()),
        })
    }

    fn allowance(&self, _: &Repository) -> Allowance {
        Allowance { account: "here".to_owned(), writes: None, states: None, at_once: AtOnce::Many }
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

    async fn shown(&self, _: &Repository, _: &Sha, _: &[Event]) -> Result<Option<Vec<Shown>>, ForgeError> {
        Ok(None)
    }
}
