//! A flow file becomes a plan, or its author hears of every mistake in it.

mod concurrency;
mod conditions;
mod digests;
mod habits;
mod inputs;
mod matrix;
mod mistakes;
mod originals;
mod plans;
mod properties;
mod schema;
mod services;

use std::{fs, path::PathBuf};

use containerops::{
    flow::{self, Decision, Flow},
    model::{
        Diagnostic, Event, EventKind, ForgeKind, Plan, PullRequest, Repository, RepositoryName, Sha, Trust, Visibility,
    },
};

fn repository() -> RepositoryName {
    "acme/shop".parse().expect("a repository's name")
}

fn fixtures(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/flows").join(folder)
}

/// All files of a folder: their names without `.yml`, and their bytes.
fn all(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(fixtures(folder))
        .expect("the fixtures")
        .map(|entry| entry.expect("a fixture").path())
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(path).expect("a readable fixture"))
        })
        .collect();
    files.sort();
    files
}

fn bytes(folder: &str, name: &str) -> Vec<u8> {
    fs::read(fixtures(folder).join(format!("{name}.yml"))).expect("a readable fixture")
}

fn good(folder: &str, name: &str) -> Flow {
    let text = bytes(folder, name);
    flow::read(&format!(".containerops/{name}.yml"), &repository(), &text)
        .unwrap_or_else(|wrong| panic!("{name} is good, but:\n{}", flow::render(name, &wrong)))
}

/// What its author is told about a text.
fn told(text: &str) -> Vec<Diagnostic> {
    match flow::read(".containerops.yml", &repository(), text.as_bytes()) {
        Ok(flow) => flow.warnings().to_vec(),
        Err(diagnostics) => diagnostics,
    }
}

fn plan(flow: &Flow, kind: EventKind) -> Plan {
    match flow.plan(&event(kind)) {
        Decision::Run(plan) => plan,
        Decision::Broken(wrong) => panic!("{}", wrong.message),
        Decision::LeftOut { reason } | Decision::Unasked { reason } => panic!("left out: {reason}"),
    }
}

fn push(branch: &str) -> EventKind {
    EventKind::Push { branch: branch.to_owned() }
}

fn tag(tag: &str) -> EventKind {
    EventKind::Tag { tag: tag.to_owned() }
}

fn pull_request(branch: &str, base: &str) -> EventKind {
    EventKind::PullRequest(PullRequest {
        number: 7,
        branch: branch.to_owned(),
        base: base.to_owned(),
        head_repository: Some(repository()),
        author: "ada".to_owned(),
        draft: false,
        before: None,
        labels: Vec::new(),
    })
}

fn merge_group(base: &str) -> EventKind {
    EventKind::MergeGroup { base: base.to_owned(), branch: format!("queue/{base}/7") }
}

fn event(kind: EventKind) -> Event {
    let repository = Repository {
        forge: ForgeKind::Github,
        name: repository(),
        default_branch: "main".to_owned(),
        clone_url: "https://forge.example/acme/shop.git".to_owned(),
        web_url: String::new(),
        installation: None,
        visibility: Visibility::default(),
    };
    let sha: Sha = "0123456789".repeat(4).parse().expect("a sha");
    let (actor, title) = ("ada".to_owned(), "Fix it".to_owned());
    Event { repository, kind, sha, base_sha: None, actor, title, trust: Trust::Trusted, message: None }
}

/// A pull request of such trust.
pub(crate) fn pull_of(trust: Trust) -> Event {
    Event { trust, ..event(pull_request("fix", "main")) }
}
