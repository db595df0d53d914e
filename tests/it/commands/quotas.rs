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
    assert_snapshot!(lines.concat(), @r"
    0: there is no quota: everything starts at once
    0: everything: actions 50
    0: all repositories of acme on github: actions 20, cpu 2500m, memory 32Gi
    0: all repositories of acme on github: actions 20, cpu 2500m, memory 32Gi, minutes 10000, priority 20
    0: group/sub/app on gitlab: storage 1536Mi
    1: containerops: no event of unknown has come yet, so name its forge: --forge github, gitlab, gitea or git
    1: containerops: nothing to set: name a limit, such as --actions 10
    1: containerops: --cpu: `many` is no amount of CPU: `4`, `2.5` or `500m`
    1: containerops: --priority: `0` is no priority: a whole number from 1 to 1000
    0: all repositories of acme on github: actions 20, minutes 10000, priority 20
    1: there is no quota of acme/shop on github
    0: everything: no quota
    ");
    let listed = out(&call(&folder, &["quota", "list"]));
    let listed: Vec<&str> =
        listed.lines().filter_map(|line| line.split_once("; set by ")).map(|(line, _)| line).collect();
    assert_snapshot!(listed.join("\n"), @r"
    all repositories of acme on github: actions 20, minutes 10000, priority 20
    group/sub/app on gitlab: storage 1536Mi
    ");
    let json = call(&folder, &["quota", "list", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON and nothing else");
    assert_eq!((&value[0]["name"], &value[0]["actions"]), (&"acme".into(), &20.into()));
}
