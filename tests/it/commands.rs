//! The commands as their users call them: arguments in; an exit code, and text on both streams, out.

mod component;
mod github;
mod hooks;
mod places;
mod quotas;
mod run;
mod secrets;
mod tokens;

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use insta::assert_snapshot;
use tempfile::TempDir;

const GOOD: &str = "timeout: 1h\nstages:\n  - name: test\n    image: busybox:1.37\n    run: echo hello\n";
const BROKEN: &str = "stages:\n  - name: test\n    imge: busybox\n    run: echo hello\n";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    folder
}

/// `containerops` with these words, in a folder, without the settings of whoever runs the tests.
fn containerops(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_containerops"));
    command.args(words).current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CONTAINEROPS_") {
            command.env_remove(name);
        }
    }
    // no repository around the folder, nor anybody's own settings of Git
    command.env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder)).env("GIT_CONFIG_GLOBAL", "/dev/null");
    command
}

fn call(folder: &TempDir, words: &[&str]) -> Output {
    containerops(folder.path(), words).output().expect("containerops starts")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("standard output is UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("standard error is UTF-8")
}

fn git(folder: &Path, words: &[&str]) {
    let done = Command::new("git").args(words).current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").output();
    let done = done.expect("git starts");
    assert!(done.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn lint_takes_the_files_of_the_folder_or_those_that_are_named() {
    let single = folder(&[(".containerops.yml", GOOD), (".containerops/other.yml", BROKEN)]);
    let linted = call(&single, &["lint"]);
    assert_eq!((code(&linted), out(&linted).as_str()), (Some(0), "1 file: 0 errors, 0 warnings\n"));

    let several = folder(&[(".containerops/a.yml", GOOD), (".containerops/b.yml", GOOD), (".containerops/c.txt", "-")]);
    let linted = call(&several, &["lint"]);
    assert_eq!((code(&linted), out(&linted).as_str()), (Some(0), "2 files: 0 errors, 0 warnings\n"));

    let named = call(&single, &["lint", ".containerops.yml", ".containerops/other.yml"]);
    assert_eq!(code(&named), Some(1));
    assert!(out(&named).contains("--> .containerops/other.yml:3:5"), "{}", out(&named));
    assert!(out(&named).ends_with("2 files: 2 errors, 0 warnings\n"), "{}", out(&named));
}

#[test]
fn lint_shows_the_line_and_a_hint_and_no_colours_to_a_program() {
    let folder = folder(&[(".containerops.yml", BROKEN)]);
    let linted =
        containerops(folder.path(), &["lint"]).env("CLICOLOR_FORCE", "1").output().expect("containerops starts");
    assert_eq!(code(&linted), Some(1));
    assert_snapshot!(out(&linted), @r"
    error: a job needs an `image`
      --> .containerops.yml:2:5
      |
    2 |   - name: test
      |     ^^^^

    error: unknown key `imge` in a stage
      --> .containerops.yml:3:5
      |
    3 |     imge: busybox
      |     ^^^^
      = hint: did you mean `image`?

    1 file: 2 errors, 0 warnings
    ");
}

#[test]
fn warnings_alone_are_no_failure() {
    let flow = "timeout: 1h\nimage: busybox:1\nrun: env\nenvironments: {A: 1, CO-DATA: x}\n";
    let folder = folder(&[(".containerops.yml", flow)]);
    let linted = call(&folder, &["lint"]);
    assert_eq!(code(&linted), Some(0));
    assert!(out(&linted).ends_with("1 file: 0 errors, 1 warning\n"), "{}", out(&linted));
}

#[test]
fn bad_habits_are_warned_of_and_fail_only_a_strict_lint() {
    let folder = folder(&[(".containerops.yml", "image: busybox\nrun: env\n")]);
    let linted = call(&folder, &["lint"]);
    assert_eq!(code(&linted), Some(0));
    assert_snapshot!(out(&linted), @r"
warning: this job has no `timeout`, nor has the flow: if it hangs, it does so for as long as the server lets it
  --> .containerops.yml:1:1
  |
1 | image: busybox
  | ^^^^^
  = hint: `timeout: 30m` on the flow's own level holds for all (`# lint: allow no-timeout` keeps this quiet)

warning: image `busybox` has no tag: it is whatever was pushed last
  --> .containerops.yml:1:8
  |
1 | image: busybox
  |        ^^^^^^^
  = hint: name a version, such as `busybox:1.2`, or a digest (`# lint: allow image-tag` keeps this quiet)

1 file: 0 errors, 2 warnings
");
    assert_eq!(code(&call(&folder, &["lint", "--strict"])), Some(1));
    let allowed = call(&folder, &["lint", "--strict", "--allow", "image-tag,no-timeout"]);
    assert_eq!((code(&allowed), out(&allowed).as_str()), (Some(0), "1 file: 0 errors, 0 warnings\n"));
    let unknown = call(&folder, &["lint", "--allow", "tags"]);
    assert_eq!(code(&unknown), Some(2));
    assert!(err(&unknown).contains("one of no-timeout, image-tag, "), "{}", err(&unknown));
    let json: serde_json::Value = serde_json::from_slice(&call(&folder, &["lint", "--json"]).stdout).expect("JSON");
    assert_eq!(json[0]["file"], ".containerops.yml");
    assert_eq!(json[0]["diagnostics"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_schema_is_printed() {
    let printed = call(&folder(&[]), &["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&printed.stdout).expect("JSON and nothing else");
    assert_eq!(schema, containerops::flow::schema());
}

#[test]
fn no_flow_file_and_a_file_that_is_not_there_are_said_in_words() {
    let empty = folder(&[]);
    for command in ["lint", "plan", "run"] {
        let called = call(&empty, &[command]);
        let words = "containerops: there is no .containerops.yml here, and no .containerops/*.yml; name a file\n";
        assert_eq!((code(&called), err(&called).as_str()), (Some(1), words), "{command}");
    }
    for command in ["lint", "plan"] {
        let called = call(&empty, &[command, "missing.yml"]);
        assert_eq!(code(&called), Some(1), "{command}");
        assert!(err(&called).starts_with("containerops: missing.yml cannot be read: "), "{}", err(&called));
    }
    let file = folder(&[(".containerops", "not a folder")]);
    assert!(err(&call(&file, &["lint"])).contains("no .containerops/*.yml"));
}

#[test]
fn plan_is_a_flow_file_again_with_the_digest_that_json_has() {
    let folder = folder(&[(".containerops.yml", GOOD)]);
    let readable = call(&folder, &["plan", "--repository", "acme/shop"]);
    assert_eq!(code(&readable), Some(0), "{}", err(&readable));
    let json = call(&folder, &["plan", "--repository", "acme/shop", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON and nothing else");
    let digest = value["digest"].as_str().expect("a digest");
    assert_eq!(out(&readable).lines().next(), Some(format!("# digest: {digest}").as_str()));
    assert_eq!(value["plan"]["uri"], "acme/shop/ci");

    fs::write(folder.path().join("full.yml"), out(&readable)).expect("a file");
    let again = call(&folder, &["plan", "full.yml", "--json"]);
    assert_eq!(again.stdout, json.stdout, "what `plan` prints means the same");
}

#[test]
fn plan_draws_a_picture_if_asked() {
    let folder = folder(&[(".containerops.yml", GOOD)]);
    let mermaid = call(&folder, &["plan", "--graph"]);
    assert!(out(&mermaid).starts_with("flowchart LR\n"), "{}", out(&mermaid));
    let dot = call(&folder, &["plan", ".containerops.yml", "--graph", "dot"]);
    assert!(out(&dot).starts_with("digraph \"ci\" {\n"), "{}", out(&dot));
    assert_eq!(code(&call(&folder, &["plan", "--graph", "svg"])), Some(2));
}

#[test]
fn plan_says_what_an_event_leaves_out() {
    let on = format!("on: {{pull_request: {{branches: [main]}}, tag: {{names: [\"v*\"]}}}}\n{GOOD}");
    let folder = folder(&[(".containerops.yml", &on)]);
    let left_out = call(&folder, &["plan"]);
    assert_eq!((code(&left_out), out(&left_out).as_str()), (Some(0), "nothing would run: `on` does not name `push`\n"));
    let json = call(&folder, &["plan", "--event", "tag", "--tag", "x1", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(value["left_out"], "`on: tag: names` [v*] does not match `x1`");
    for event in [&["--event", "tag", "--tag", "v1"][..], &["--event", "pull_request"], &["--event", "merge_group"]] {
        let planned = call(&folder, &[&["plan"], event].concat());
        assert!(out(&planned).starts_with("# digest: "), "{event:?}: {}", out(&planned));
    }
    assert_eq!(code(&call(&folder, &["plan", "--event", "tag"])), Some(2), "a tag event needs a tag");
}

#[test]
fn plan_plays_starts_of_every_kind_and_what_they_changed() {
    let on = "on:
  push: {paths: [\"src/**\"]}
  schedule: [{cron: \"30 3 * * 1-5\", timezone: Europe/Berlin, branch: main}]
  manual: {inputs: {level: {default: info, options: [info, debug]}}}
  flow: [acme/shop/build]
";
    let folder = folder(&[(".containerops.yml", &format!("{on}image: busybox:1\nrun: env\n"))]);
    let told = |words: &[&str]| {
        let planned = call(&folder, &[&["plan"], words].concat());
        assert_eq!(code(&planned), Some(0), "{}", err(&planned));
        out(&planned).lines().next().unwrap_or_default().split_inclusive(": ").next().unwrap_or_default().to_owned()
    };
    for runs in [
        &["--event", "schedule"][..],
        &["--event", "schedule", "--cron", "30 3 * * 1-5"],
        &["--event", "manual"],
        &["--event", "manual", "--input", "level=debug"],
        &["--event", "flow"],
        &["--event", "flow", "--after", "acme/shop/build"],
        &["--changed", "docs/a.md", "--changed", "src/a.rs"],
    ] {
        assert_eq!(told(runs), "# digest: ", "{runs:?}");
    }
    for nothing in [
        &["--event", "schedule", "--cron", "1 1 * * *"][..],
        &["--event", "manual", "--input", "level=loud"],
        &["--event", "manual", "--input", "lvl=info"],
        &["--event", "flow", "--after", "acme/shop/other"],
        &["--changed", "docs/a.md"],
    ] {
        assert_eq!(told(nothing), "nothing would run: ", "{nothing:?}");
    }
    let text = out(&call(&folder, &["plan", "--event", "manual", "--input", "level=debug"]));
    assert!(text.contains("level: \"debug\""), "{text}");
}

#[test]
fn plan_of_a_broken_file_or_of_several_files_is_a_failure() {
    let broken = folder(&[(".containerops.yml", BROKEN)]);
    let planned = call(&broken, &["plan", "--json"]);
    assert_eq!((code(&planned), out(&planned).as_str()), (Some(1), ""));
    assert!(err(&planned).contains("unknown key `imge`") && !err(&planned).contains('\u{1b}'), "{}", err(&planned));

    let several = folder(&[(".containerops/a.yml", GOOD), (".containerops/b.yml", GOOD)]);
    let planned = call(&several, &["plan"]);
    let words = "containerops: there are several flows; name one of .containerops/a.yml, .containerops/b.yml\n";
    assert_eq!((code(&planned), err(&planned).as_str()), (Some(1), words));
}

#[test]
fn every_command_shows_examples() {
    let folder = folder(&[]);
    let commands: [&[&str]; 19] = [
        &["quota"],
        &["quota", "list"],
        &["token"],
        &[],
        &["doctor"],
        &["report"],
        &["start"],
        &["serve"],
        &["demo"],
        &["run"],
        &["lint"],
        &["plan"],
        &["schema"],
        &["component"],
        &["component", "run"],
        &["agent"],
        &["git"],
        &["git", "init"],
        &["git", "hook"],
    ];
    for command in commands {
        let help = call(&folder, &[command, &["--help"]].concat());
        assert_eq!(code(&help), Some(0), "{command:?}");
        let text = out(&help);
        let examples = text.split_once("\nExample").map(|(_, examples)| examples.contains("containerops "));
        assert_eq!(examples, Some(true), "{command:?} has no example:\n{text}");
    }
}

#[test]
fn git_init_makes_a_repository_that_git_can_clone() {
    let folder = folder(&[]);
    let bare = folder.path().join("data/git/team/app.git");
    let path = bare.to_string_lossy().into_owned();
    let words = ["git", "init", "--data", "data", &path];
    let made = call(&folder, &words);
    assert_eq!(code(&made), Some(0), "{}", err(&made));
    assert!(out(&made).starts_with("team/app is ready at "), "{}", out(&made));
    assert!(bare.join("hooks/post-receive").is_file());
    git(folder.path(), &["clone", "--quiet", &path, "clone"]);
    assert_eq!(code(&call(&folder, &words)), Some(0), "it may be repeated");

    let outside = call(&folder, &["git", "init", "--data", "data", "elsewhere.git"]);
    assert_eq!(code(&outside), Some(1));
    assert!(err(&outside).contains("is not below the Git root"), "{}", err(&outside));
}
