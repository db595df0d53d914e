//! The JSON Schema knows every key that the readers know, takes every good file, and refuses what has a wrong shape.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use containerops::{flow, model::Severity};
use serde_json::{Value, json};

use super::{all, fixtures, repository};
use crate::harness::required;

/// What is wrong with each file, by a validator that is not ours.
fn validated(python: &str, files: &[PathBuf]) -> BTreeMap<String, Vec<String>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/flow/validate.py");
    let asked = json!({"schema": flow::schema(), "files": files});
    let mut child =
        Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
    child.stdin.take().expect("its input").write_all(asked.to_string().as_bytes()).expect("it reads");
    let done = child.wait_with_output().expect("its answer");
    assert!(done.status.success());
    serde_json::from_slice(&done.stdout).expect("JSON")
}

fn files(folder: &str) -> Vec<PathBuf> {
    all(folder).into_iter().map(|(name, _)| fixtures(folder).join(format!("{name}.yml"))).collect()
}

#[test]
fn good_files_fit_and_files_of_a_wrong_shape_do_not() {
    let Some(python) = required("schema", "CONTAINEROPS_TEST_SCHEMA_PYTHON") else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = [root.join(".containerops.yml"), root.join("fixtures/demo/.containerops.yml")];
    let wrong = validated(&python, &[files("good"), ours.to_vec()].concat());
    assert!(wrong.values().all(Vec::is_empty), "{wrong:#?}");
    let shapes = ["unknown-keys", "levels-mixed", "shapes", "timeouts", "resources", "on-list", "every-key"];
    let bad: Vec<PathBuf> = shapes.iter().map(|name| fixtures("bad").join(format!("{name}.yml"))).collect();
    let passed: Vec<_> = validated(&python, &bad).into_iter().filter(|(_, wrong)| wrong.is_empty()).collect();
    assert!(passed.is_empty(), "these fit: {passed:?}");
}

/// Every key that works, by level, as the schema has them.
fn keys() -> Vec<(String, String)> {
    let schema = flow::schema();
    let definitions = schema["definitions"].as_object().expect("definitions");
    let mut keys = Vec::new();
    for (level, definition) in definitions {
        let properties = definition["properties"].as_object().expect("properties");
        // what only the original's engine wrote has no type, and cannot be wrong
        let typed = properties.iter().filter(|(_, value)| !is_ignored(value));
        keys.extend(typed.map(|(key, _)| (level.clone(), key.clone())));
    }
    keys
}

fn is_ignored(value: &Value) -> bool {
    value["description"].as_str().is_some_and(|about| about.starts_with("Ignored"))
}

#[test]
fn every_key_has_a_bad_fixture() {
    let mut told = Vec::new();
    for (name, text) in all("bad") {
        told.extend(flow::read(&format!("{name}.yml"), &repository(), &text).err().unwrap_or_default());
    }
    told.retain(|diagnostic| diagnostic.severity == Severity::Error);
    let is_told = |key: &str| {
        told.iter().any(|diagnostic| {
            let words = |text: &str| text.contains(&format!("`{key}`")) || text.contains(&format!("`{key}:"));
            let marked: String =
                diagnostic.source.chars().skip(diagnostic.column - 1).take(diagnostic.length.max(1)).collect();
            let before: String = diagnostic.source.chars().take(diagnostic.column - 1).collect();
            let tail = before.trim_end().trim_end_matches(['[', '{', '-', '"', '\'']).trim_end();
            words(&diagnostic.message) || marked == key || tail.ends_with(&format!("{key}:"))
        })
    };
    let missing: Vec<String> =
        keys().into_iter().filter(|(_, key)| !is_told(key)).map(|(level, key)| format!("{level}: {key}")).collect();
    assert_eq!(missing, [""; 0], "add a mistake in each of these to fixtures/flows/bad");
}

#[test]
fn the_schema_hoists_keys_as_the_reader_does() {
    let schema = flow::schema();
    let has = |level: &str, key: &str| schema["definitions"][level]["properties"].get(key).is_some();
    assert!(has("flow", "stages") && has("flow", "jobs") && has("flow", "image"));
    assert!(has("job", "image") && !has("job", "jobs") && !has("action", "stages"));
    let beside_stages = &schema["definitions"]["flow"]["dependencies"]["stages"]["propertyNames"]["enum"];
    let names: Vec<&str> = beside_stages.as_array().expect("names").iter().filter_map(Value::as_str).collect();
    assert!(names.contains(&"on") && !names.contains(&"image"), "{names:?}");
}
