//! Imports point one way: read from the sources themselves.
//!
//! ```text
//! main → command → app → { web, engine, report, notify } → { forge, executor, store, blob, flow, reach, agent } → { model, client }
//! bin/containerops-agent → agent → model
//! ```
//! Siblings do not import each other, but for: the engine uses flow; web uses the engine, because a request that changes
//! a run does so by the engine's own function, in one transaction. Whoever speaks with agents or keeps what they say
//! uses the words of `agent::protocol` and the writing of `agent::chunk`, and nothing else of the agent; but the engine
//! hides once more what agents hide, by the same `agent::mask`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What each part may import besides itself: parts, or modules of a part.
const MAY_IMPORT: [(&str, &[&str]); 19] = [
    ("model", &[]),
    ("meters", &["model"]),
    ("flow", &["model"]),
    ("forge", &["model", "client"]),
    ("client", &[]),
    ("executor", &["model", "client", "agent::protocol", "agent::chunk"]),
    ("store", &["model", "meters", "agent::protocol", "agent::chunk"]),
    ("blob", &["model"]),
    ("agent", &["model"]),
    ("reach", &["model"]),
    (
        "engine",
        &[
            "model",
            "flow",
            "forge",
            "executor",
            "store",
            "blob",
            "client",
            "reach",
            "agent::protocol",
            "agent::chunk",
            "agent::mask",
        ],
    ),
    ("report", &["model", "meters", "forge", "store"]),
    ("notify", &["model", "store", "client", "reach"]),
    (
        "web",
        &["model", "meters", "flow", "forge", "executor", "store", "blob", "engine", "agent::protocol", "agent::chunk"],
    ),
    ("settings", &["model"]),
    (
        "app",
        &[
            "model", "flow", "forge", "executor", "store", "blob", "reach", "agent", "engine", "report", "notify",
            "web", "settings", "meters",
        ],
    ),
    (
        "command",
        &["model", "flow", "forge", "executor", "store", "blob", "agent", "engine", "report", "web", "settings", "app"],
    ),
    ("main", &["agent", "command"]),
    ("bin", &["agent"]),
];

#[test]
fn imports_point_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in files(&src) {
        let name = file.strip_prefix(&src).expect("below src").display().to_string();
        let text = fs::read_to_string(&file).expect("a source file");
        wrong.extend(violations(&name, &text));
    }
    assert!(wrong.is_empty(), "these imports point the wrong way:\n{}", wrong.join("\n"));
}

#[test]
fn an_import_that_points_the_wrong_way_is_found() {
    for (file, text, found) in [
        ("model/event.rs", "use crate::store::Store;", "store::Store"),
        ("store/run.rs", "use crate::{model::Time, engine::{Engine}};", "engine::Engine"),
        ("forge/git.rs", "fn f() -> crate::blob::Blobs { todo!() }", "blob::Blobs"),
        ("engine/turn.rs", "use crate::agent::{protocol::Work, client::Client};", "agent::client::Client"),
        ("web/pages/run.rs", "use crate::{\n    app::App,\n    engine,\n};", "app::App"),
        ("agent/job.rs", "use crate::store::Json;", "store::Json"),
        ("report.rs", "use crate::engine::tell;", "engine::tell"),
        ("bin/containerops-agent.rs", "use containerops::command::serve;", "command::serve"),
        ("newcomer.rs", "use crate::model::Time;", "model::Time"),
    ] {
        assert_eq!(violations(file, text), [format!("{file}: {found}")]);
    }
    let good = "//! [`crate::web`] may be spoken of.\nuse crate::{agent::protocol::Work, model::{Time, Sha as S}};\n";
    assert_eq!(violations("engine/turn.rs", good), [""; 0]);
}

/// The imports of one file that its part may not have.
fn violations(file: &str, text: &str) -> Vec<String> {
    let part = file.split(['/', '.']).next().expect("a name");
    if part == "lib" {
        return Vec::new();
    }
    let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == part).map_or(&[][..], |(_, allowed)| allowed);
    let may = |path: &str| {
        let is = |name: &str| path == name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with("::"));
        is(part) || allowed.iter().any(|name| is(name))
    };
    imports(text).into_iter().filter(|path| !may(path)).map(|path| format!("{file}: {path}")).collect()
}

/// Every path that begins at our crate, in `use` lines and elsewhere, without that beginning.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n").collect();
    let mut found = BTreeSet::new();
    for root in ["crate::", "containerops::"] {
        for (at, _) in code.match_indices(root) {
            tree(&code[at + root.len()..], "", &mut found);
        }
    }
    found
}

/// Reads one tree of a `use`, and returns what follows it.
fn tree<'t>(text: &'t str, before: &str, found: &mut BTreeSet<String>) -> &'t str {
    let text = text.trim_start();
    if let Some(inner) = text.strip_prefix('{') {
        return branches(inner, before, found);
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*').unwrap_or(text.len());
    let path = if before.is_empty() { text[..end].to_owned() } else { format!("{before}::{}", &text[..end]) };
    match text[end..].strip_prefix("::") {
        Some(rest) => tree(rest, &path, found),
        None => {
            found.insert(path);
            &text[end..]
        }
    }
}

fn branches<'t>(mut rest: &'t str, before: &str, found: &mut BTreeSet<String>) -> &'t str {
    loop {
        rest = rest.trim_start();
        match rest.chars().next() {
            None => return rest,
            Some('}') => return &rest[1..],
            Some(',') => rest = &rest[1..],
            // a new name is no path
            Some(_) if rest.starts_with("as ") => rest = rest[3..].trim_start_matches(|c: char| c.is_alphanumeric()),
            Some(_) => rest = tree(rest, before, found),
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let of = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(of).filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}
