//! Bad habits are told with their place and what to do, unless a comment allows them; what runs stays as it is.

use std::{fs, path::PathBuf};

use containerops::flow::{self, Habit};
use insta::assert_snapshot;

use super::told;

fn habits(text: &str) -> Vec<(&'static str, usize)> {
    flow::habits(text.as_bytes()).into_iter().map(|(habit, told)| (habit.as_str(), told.line)).collect()
}

const BAD: &str = "\
variables: {USED: a, LEFT: b}
stages:
  - name: test
    image: rust
    environments:
      API_TOKEN: hunter22
      WORD: \"@USED@\"
    run: |
      chmod -R 777 target
      cargo test | tee log
      curl -k https://example.org/tool > tool
      echo glpat-aaaaaaaaaaaaaaaaaaaa
";

#[test]
fn every_habit_is_told_at_its_place_with_a_hint() {
    let told: Vec<_> = flow::habits(BAD.as_bytes()).into_iter().map(|(_, diagnostic)| diagnostic).collect();
    assert_snapshot!(flow::render("a.yml", &told), @r###"
warning: nothing uses the variable `LEFT`
  --> a.yml:1:22
  |
1 | variables: {USED: a, LEFT: b}
  |                      ^^^^
  = hint: write `@LEFT@`, or remove it (`# lint: allow unused` keeps this quiet)

warning: this job has no `timeout`, nor has the flow: if it hangs, it does so for as long as the server lets it
  --> a.yml:3:5
  |
3 |   - name: test
  |     ^^^^
  = hint: `timeout: 30m` on the flow's own level holds for all (`# lint: allow no-timeout` keeps this quiet)

warning: image `rust` has no tag: it is whatever was pushed last
  --> a.yml:4:12
  |
4 |     image: rust
  |            ^^^^
  = hint: name a version, such as `rust:1.2`, or a digest (`# lint: allow image-tag` keeps this quiet)

warning: `API_TOKEN` is a credential by its name, for everybody to read who sees this file
  --> a.yml:6:7
  |
6 |       API_TOKEN: hunter22
  |       ^^^^^^^^^
  = hint: take it back where it was issued, and give the new one as one of `secrets` (`# lint: allow secret` keeps this quiet)

warning: everybody may write these files
  --> a.yml:9:7
  |
9 |       chmod -R 777 target
  |       ^^^^^^^^^^^^^^^^^^^
  = hint: `chmod u+w`, `755` or `644`: give them to who writes (`# lint: allow world-writable` keeps this quiet)

warning: a pipe ends as its last command does: what fails before `| tee` fails unseen
   --> a.yml:10:7
   |
10 |       cargo test | tee log
   |       ^^^^^^^^^^^^^^^^^^^^
   = hint: write into a file and `cat` it, or use a shell with `set -o pipefail` (`# lint: allow hidden-failure` keeps this quiet)

warning: anybody between here and the server may change this download
   --> a.yml:11:7
   |
11 |       curl -k https://example.org/tool > tool
   |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = hint: use https, and check the certificate (`# lint: allow insecure` keeps this quiet)

warning: this line has a token in it
   --> a.yml:12:7
   |
12 |       echo glpat-aaaaaaaaaaaaaaaaaaaa
   |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = hint: take it back where it was issued, and give the new one as one of `secrets` (`# lint: allow secret` keeps this quiet)
"###);
    let found: Vec<_> = flow::habits(BAD.as_bytes()).into_iter().map(|(habit, _)| habit).collect();
    let missing: Vec<_> = Habit::ALL.into_iter().filter(|habit| !found.contains(habit)).collect();
    assert!(missing.is_empty(), "each is in this test: {missing:?}");
}

#[test]
fn habits_are_no_warnings_of_a_run() {
    assert_eq!(told(BAD), []);
}

#[test]
fn a_comment_allows_one_habit_on_its_line_or_below() {
    let flow = |on_line: &str, above: &str| {
        format!("timeout: 1h\nstages:\n  - name: a\n    {above}\n    image: busybox {on_line}\n    run: env\n")
    };
    assert_eq!(habits(&flow("", "")), [("image-tag", 5)]);
    assert_eq!(habits(&flow("# lint: allow image-tag", "")), []);
    assert_eq!(habits(&flow("", "# lint: allow image-tag, secret")), []);
    assert_eq!(habits(&flow("# lint: allow secret", "")), [("image-tag", 5)]);
    let script = "timeout: 1h\nimage: a:1\nrun: |\n  # lint: allow world-writable\n  chmod 777 a\n  chmod 777 b\n";
    assert_eq!(habits(script), [("world-writable", 6)]);
}

#[test]
fn a_time_limit_of_the_flow_or_of_each_job_is_enough() {
    let jobs = "stages:\n  - {name: a, image: 'x:1', run: y}\n  - {name: b, image: 'x:1', run: y, timeout: 5m}\n";
    assert_eq!(habits(jobs), [("no-timeout", 2)]);
    assert_eq!(habits(&format!("timeout: 1h\n{jobs}")), []);
    assert_eq!(habits("image: x:1\nrun: y\ntimeout: 5m\n"), []);
    assert_eq!(habits("image: x:1\nrun: y\n"), [("no-timeout", 1)]);
}

#[test]
fn an_image_with_a_version_or_a_digest_is_fine() {
    for (image, fine) in [
        ("rust:1.95", true),
        ("localhost:5000/rust:1", true),
        ("rust@sha256:abc", true),
        ("rust", false),
        ("localhost:5000/rust", false),
        ("rust:latest", false),
    ] {
        let flow = format!("timeout: 1h\nimage: {image}\nrun: y\n");
        assert_eq!(habits(&flow).is_empty(), fine, "{image}");
    }
}

#[test]
fn scripts_that_only_look_bad_are_let_pass() {
    for line in [
        "chmod 755 a",
        "echo 777",
        "# chmod 777 a",
        "set -o pipefail; cargo test | tee log",
        "curl -fsSL https://sh.rustup.rs | sh -s -- -y",
        "curl http://localhost:8080/x | sh",
        "curl http://example.org/data > data",
        "git clone https://$USER:$TOKEN@example.org/x",
    ] {
        let flow = format!("timeout: 1h\nimage: a:1\nrun: |\n  {line}\n");
        assert_eq!(habits(&flow), [], "{line}");
    }
    assert_eq!(habits("timeout: 1h\nimage: a:1\nrun: wget -qO- http://example.org/x | bash\n"), [("insecure", 3)]);
}

#[test]
fn our_own_flows_have_none() {
    for file in [".containerops.yml", "fixtures/demo/.containerops.yml"] {
        let text = fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a flow file");
        let told: Vec<_> = flow::habits(&text).into_iter().map(|(_, diagnostic)| diagnostic).collect();
        assert!(told.is_empty(), "{}", flow::render(file, &told));
    }
}
