//! Secrets by `containerops run`, through the real agent: in the job's environment, and in nothing that is printed.

use insta::assert_snapshot;

use super::{code, containerops, err, out, run::repository};

const FLOW: &str = r#"timeout: 1h
stages:
  - name: ship
    image: busybox:1.37
    run: |
      test "$TOKEN" = 'a "secret" value' && echo "it is there"
      echo "plain: $TOKEN"
      printf 'base64: %s\n' "$(printf 'x%s' "$TOKEN" | base64)"
      printf 'cut: a "sec'; printf 'ret" value\n'
      echo "::add-mask::of the job's own"
      echo "added: of the job's own"
      exit 3
    secrets: {TOKEN: DEPLOY_TOKEN}
"#;

#[test]
fn a_secret_reaches_the_job_and_nothing_that_is_printed() {
    let folder = repository(&[(".containerops.yml", FLOW)]);
    let mut command = containerops(folder.path(), &["run", "--secret", "DEPLOY_TOKEN"]);
    let done = command.env("DEPLOY_TOKEN", "a \"secret\" value").output().expect("containerops starts");
    let (out, err) = (out(&done), err(&done));
    assert_eq!(code(&done), Some(1), "{out}{err}");
    let mut lines: Vec<&str> = out.lines().filter(|line| line.starts_with("ship | ")).collect();
    // in an order that no change of the script changes
    lines.sort_unstable();
    lines.dedup();
    assert_snapshot!(lines.join("\n"), @r"
    ship | ::add-mask::***
    ship | added: ***
    ship | base64: e***=
    ship | cut: ***
    ship | it is there
    ship | plain: ***
    ");
    for text in [&out, &err] {
        assert!(!text.contains("secret\" value") && !text.contains("own\n"), "{text}");
    }
}

#[test]
fn a_secret_that_nobody_gives_is_named() {
    let folder = repository(&[(".containerops.yml", FLOW)]);
    let done = containerops(folder.path(), &["run", "--secret", "DEPLOY_TOKEN"]).env_remove("DEPLOY_TOKEN").output();
    let done = done.expect("containerops starts");
    assert_eq!(code(&done), Some(2));
    assert!(err(&done).contains("your environment has no variable DEPLOY_TOKEN"), "{}", err(&done));
}
