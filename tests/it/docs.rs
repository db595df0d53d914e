//! The documents say what the program does: their examples are read by it, and none of its words is missing in them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use containerops::{
    flow::{self, Flow},
    model::{Event, EventKind, ForgeKind, Infrastructure, Repository, RepositoryName, Trust, Visibility},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The fenced blocks of a document: the word after the fence, the line of the fence, and the text within.
fn blocks(document: &str) -> Vec<(String, usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = document.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let within: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            blocks.push((info.trim().to_owned(), number + 1, within.join("\n") + "\n"));
        }
    }
    blocks
}

/// What is in double quotes and looks like a key or a setting.
fn words(source: &str) -> Vec<&str> {
    let is_word = |text: &&str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || "-_".contains(c));
    source.split('"').skip(1).step_by(2).filter(is_word).collect()
}

/// The flows of a document, by the word after `yaml`: all its YAML but what is marked as a fragment.
fn flows(path: &str) -> Vec<(String, Flow)> {
    let repository = "acme/shop".parse().expect("a repository's name");
    let read = |(info, line, flow): (String, usize, String)| {
        let kind = info.strip_prefix("yaml").filter(|kind| *kind != " fragment")?.trim().to_owned();
        match flow::read(".containerops.yml", &repository, flow.as_bytes()) {
            Ok(flow) => Some((kind, flow)),
            Err(wrong) => panic!("{path}:{line}:\n{}", flow::render(path, &wrong)),
        }
    };
    blocks(&text(path)).into_iter().filter_map(read).collect()
}

#[test]
fn every_flow_in_the_documents_is_one() {
    for path in ["README.md", "docs/flow.md"] {
        let flows = flows(path);
        assert!(!flows.is_empty(), "{path} has an example");
        for (kind, flow) in flows {
            assert_eq!(flow.warnings().is_empty(), kind != "original", "only the original's are odd: {}", flow.uri());
        }
    }
}

#[test]
fn what_is_said_to_mean_the_same_does() {
    let repository = "acme/shop".parse().expect("a repository's name");
    let event = push_to_main(repository);
    let same: Vec<_> = flows("docs/flow.md").into_iter().filter(|(kind, _)| kind == "same").collect();
    let [(_, hoisted), (_, whole)] = same.as_slice() else { panic!("{} flows mean the same", same.len()) };
    assert_eq!(hoisted.plan(&event), whole.plan(&event));
}

fn push_to_main(name: RepositoryName) -> Event {
    let repository = Repository {
        forge: ForgeKind::Git,
        name,
        default_branch: "main".to_owned(),
        clone_url: String::new(),
        web_url: String::new(),
        installation: None,
        visibility: Visibility::default(),
    };
    let kind = EventKind::Push { branch: "main".to_owned() };
    let sha = "0".repeat(40).parse().expect("a sha");
    let (actor, title) = (String::new(), String::new());
    Event { repository, kind, sha, base_sha: None, actor, title, trust: Trust::Trusted, message: None }
}

#[test]
fn every_key_of_the_language_is_described() {
    let document = text("docs/flow.md");
    let is_described = |key: &&str| document.contains(&format!("`{key}`"));
    let keys = text("src/flow/keys.rs");
    let keys = words(&keys);
    assert!(keys.len() > 40, "keys.rs is read: {keys:?}");
    let missing: Vec<_> = keys.into_iter().filter(|key| !is_described(key)).collect();
    assert_eq!(missing, [""; 0], "docs/flow.md does not describe them");
}

#[test]
fn every_word_of_an_expression_is_described() {
    let source = text("src/flow/condition/words.rs");
    let document = text("docs/flow.md");
    let names: Vec<_> = source.split("name: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(names.len() > 10, "words.rs is read: {names:?}");
    let is_described =
        |name: &&str| document.contains(&format!("`{name}`")) || document.contains(&format!("`branch.{name}("));
    let missing: Vec<_> = names.into_iter().filter(|name| !is_described(name)).collect();
    assert_eq!(missing, [""; 0], "docs/flow.md does not describe them");
}

#[test]
fn every_variable_of_a_job_is_described() {
    let source = text("src/flow/environments.rs");
    let reserved = source.split_once("const RESERVED").and_then(|(_, rest)| rest.split_once("];")).expect("the list").0;
    let document = text("docs/flow.md");
    let names: Vec<_> = reserved.split('"').skip(1).step_by(2).collect();
    assert!(names.len() > 20, "environments.rs is read: {names:?}");
    let missing: Vec<_> = names.into_iter().filter(|name| !document.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, [""; 0], "docs/flow.md does not describe them");
}

#[test]
fn every_end_of_a_job_is_described() {
    let document = text("docs/ends.md");
    let is_described = |name: &str| document.contains(&format!("| `{name}` |"));
    let missing = Infrastructure::ALL.map(Infrastructure::as_str).into_iter().filter(|name| !is_described(name));
    assert_eq!(missing.collect::<Vec<_>>(), [""; 0], "docs/ends.md does not describe them");
    let source = text("src/model/verdict.rs");
    let words = source.split_once("impl fmt::Display for Verdict").and_then(|(_, rest)| rest.split_once("\n}\n"));
    let texts = words.expect("the words").0.split('"').skip(1).step_by(2);
    // the words up to the first thing that is put in
    let names = texts
        .map(|text| text.split(|c: char| "{(=:".contains(c) || c.is_ascii_digit()).next().unwrap_or_default().trim());
    let names: Vec<&str> =
        names.filter(|name| !name.is_empty() && *name != "image" && *name != "infrastructure").collect();
    assert!(names.len() > 10, "verdict.rs is read: {names:?}");
    let missing = names.into_iter().filter(|name| !document.contains(&format!("| `{name}")));
    assert_eq!(missing.collect::<Vec<_>>(), [""; 0], "docs/ends.md does not describe them");
    for image in ["not found", "denied", "invalid"] {
        assert!(
            document.contains(&format!("| `image … {image}` |"))
                && source.contains(&format!("image {{image}} {image}"))
        );
    }
}

#[test]
fn every_setting_is_described() {
    let source = text("src/settings.rs");
    let names = source.split_once("const NAMES").and_then(|(_, rest)| rest.split_once("];")).expect("the list").0;
    let settings: Vec<_> =
        words(names).into_iter().map(|name| format!("CONTAINEROPS_{}", name.to_uppercase())).collect();
    assert!(settings.len() > 20, "settings.rs is read: {settings:?}");
    let readme = text("README.md");
    let missing: Vec<_> = settings.into_iter().filter(|name| !readme.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, [""; 0], "README.md does not describe them");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut dead = Vec::new();
    for path in documents(&root()) {
        let document = fs::read_to_string(&path).expect("a readable document");
        for link in links(&document) {
            let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(file, to)| (file, Some(to)));
            let target = if file.is_empty() { path.clone() } else { path.parent().expect("a folder").join(file) };
            if !target.exists() || anchor.is_some_and(|anchor| !anchors(&target).iter().any(|known| known == anchor)) {
                dead.push(format!("{}: {link}", path.strip_prefix(root()).unwrap_or(&path).display()));
            }
        }
    }
    assert_eq!(dead, [""; 0], "links lead nowhere");
}

/// Every document of the repository: those of others, and what tools make, are not ours to check.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let is_made = matches!(name.as_str(), "target" | "containerops-data" | "node_modules");
        if path.is_dir() && !is_made && (!name.starts_with('.') || name == ".ci") {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The targets of a document's links that stay in the repository.
fn links(document: &str) -> Vec<String> {
    let prose = prose(document);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let stays = |target: &&str| !target.contains("://") && !target.starts_with("mailto:");
    targets.filter(stays).map(str::to_owned).collect()
}

/// A document without its code.
fn prose(document: &str) -> String {
    let mut within = false;
    let mut lines = Vec::new();
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            within = !within;
        } else if !within {
            let parts: Vec<&str> = line.split('`').step_by(2).collect();
            lines.push(parts.concat());
        }
    }
    lines.join("\n")
}

/// The anchors that forges give to a document's headings.
fn anchors(path: &Path) -> Vec<String> {
    let document = fs::read_to_string(path).unwrap_or_default();
    let headings =
        document.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings
        .map(|heading| heading.to_lowercase().chars().filter(is_kept).collect::<String>().replace(' ', "-"))
        .collect()
}

/// The modules of a tree of sources, by their paths as tests are called, with their texts.
pub(crate) fn modules(of: &str) -> Vec<(String, String)> {
    let top = root().join(of);
    let (mut found, mut waiting) = (Vec::new(), vec![top.clone()]);
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&top).expect("below it").with_extension("");
                let name = name.to_string_lossy().trim_end_matches("/mod").replace('/', "::");
                found.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    found
}

/// Whether there are tests of this name: one, or those of a module.
pub(crate) fn is_tested(modules: &[(String, String)], name: &str) -> bool {
    let within = |of: &str, what: &str| modules.iter().any(|(path, text)| path == of && text.contains(what));
    let whole = name.trim_end_matches("::*");
    let is_module = modules.iter().any(|(path, _)| path == whole);
    let Some((of, last)) = whole.rsplit_once("::") else { return is_module };
    is_module || within(of, &format!("fn {last}(")) || within(of, &format!("mod {last} {{"))
}

#[test]
fn every_test_that_is_said_to_hold_something_is_there() {
    let document = text("ARCHITECTURE.md");
    let tables = document.split_once("## Invariants").expect("the section").1;
    let modules: Vec<_> = modules("tests/it").into_iter().chain(modules("src")).collect();
    let is_name = |word: &&str| {
        word.contains("::") && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:*".contains(c))
    };
    let named: Vec<&str> = tables.split('`').skip(1).step_by(2).filter(is_name).collect();
    assert!(named.len() > 150, "{} are named", named.len());
    let missing: Vec<&&str> = named.iter().filter(|name| !is_tested(&modules, name)).collect();
    assert_eq!(missing, Vec::<&&str>::new(), "ARCHITECTURE.md names tests that are not there");
    let attacks = tables.split_once("## The known attacks").expect("the section").1;
    let rows = attacks.lines().filter(|line| line.starts_with("| ")).skip(2);
    let untested: Vec<&str> =
        rows.filter(|row| !row.split('`').skip(1).step_by(2).any(|word| is_name(&word))).collect();
    assert_eq!(untested, [""; 0], "attacks without a test");
}
