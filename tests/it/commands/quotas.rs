//! `containerops quota`.

use insta::assert_snapshot;

use super::{call, code, err, folder, out};

#[test]
fn quotas_are_set_listed_and_taken_away() {
    let folder = folder(&[]);
    let none = call(&folder, &["quota", "list"]);
    assert!(code(&none) == Some(1) && err(&none).contains("there is no database yet"), "{}", err(&none));
    assert_eq!(code(&call(&folder, &["migrate"])), Some(0));
    let said = |words: &[&str]| {
        let called = call(&folder, &[&["quota"], words].concat());
        format!("{}: {}{}", code(&called).unwrap_or(-1), out(&called), err(&called)).replace("\n\n", "\n")
    };
    let lines = [
        said(&["list"]),
        said(&["set", "--server", "--actions", "50"]),
        said(&["set", "--owner", "github/acme", "--actions", "20", "--cpu", "2.5", "--memory", "32Gi"]),
        said(&["set", "--owner", "acme", "--forge", "github", "--minutes", "10000", "--priority", "20"]),
        said(&["set", "--repo", "gitlab/group/sub/app", "--storage", "1.5Gi"]),
        said(&["set", "--owner", "unknown", "--actions", "1"]),
        said(&["set", "--owner", "github/acme"]),
        said(&["set", "--server", "--cpu", "many"]),
        said(&["set", "--server", "--priority", "0"]),
        said(&["unset", "--owner", "github/acme", "cpu", "memory"]),
        said(&["unset", "--repo", "github/acme/shop"]),
        said(&["unset", "--server"]),
    ];
    assert_snapshot!(lines.concat(), @"");
    let listed = out(&call(&folder, &["quota", "list"]));
    let listed: Vec<&str> =
        listed.lines().filter_map(|line| line.split_once("; set by ")).map(|(line, _)| line).collect();
    assert_snapshot!(listed.join("\n"), @"");
    let json = call(&folder, &["quota", "list", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON and nothing else");
    assert_eq!((&value[0]["name"], &value[0]["actions"]), (&"acme".into(), &20.into()));
}
