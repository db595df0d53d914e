//! `containerops run`: a whole run on this machine, by its exit code, its lines, and what it leaves behind.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use insta::assert_snapshot;
use tempfile::TempDir;

use super::{BROKEN, call, code, containerops, err, folder, git, out};

/// A repository with these files, none of which is committed.
pub(super) fn repository(files: &[(&str, &str)]) -> TempDir {
    let folder = folder(files);
    git(folder.path(), &["init", "--quiet", "--initial-branch=main"]);
    folder
}

/// A flow whose job says its process id, and then does nothing for longer than any test may take.
const ENDLESS: &str = "stages:\n  - name: wait\n    image: busybox\n    run: |\n      echo $$\n      exec sleep 3600\n";

/// A `containerops run` of [`ENDLESS`], once its job runs.
struct Waiting {
    child: Child,
    lines: BufReader<ChildStdout>,
    job: String,
    /// Where it keeps its files.
    scratch: TempDir,
}

impl Waiting {
    fn start(folder: &TempDir) -> Self {
        let scratch = tempfile::tempdir().expect("a directory");
        let mut command = containerops(folder.path(), &["run"]);
        let mut child =
            command.env("TMPDIR", scratch.path()).stdout(Stdio::piped()).spawn().expect("containerops starts");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        assert_eq!(line, "wait ▶ | started\n");
        line.clear();
        lines.read_line(&mut line).expect("a line");
        let job = line.trim().strip_prefix("wait | ").expect("the job's process id").to_owned();
        Self { child, lines, job, scratch }
    }

    /// All that is printed until it has ended, and its exit code.
    fn end(&mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("its last lines");
        (rest, self.child.wait().expect("an exit code").code())
    }

    fn assert_nothing_is_left(&self) {
        assert!(!is_alive(&self.job), "process {} outlived its run", self.job);
        let left: Vec<_> = fs::read_dir(self.scratch.path()).expect("a directory").flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn is_alive(process: &str) -> bool {
    let about = fs::read_to_string(Path::new("/proc").join(process).join("stat")).unwrap_or_default();
    // a zombie has ended, and waits for the machine's first process to notice
    about.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim_start().starts_with('Z'))
}

pub(super) fn interrupt(process: u32) {
    let done = Command::new("sh").args(["-c", &format!("kill -INT {process}")]).status().expect("a shell");
    assert!(done.success());
}

/// No two runs take the same time.
fn without_times(text: &str) -> String {
    let lines = text.lines().map(|line| match line.rsplit_once(" in ") {
        Some((words, time)) if time.starts_with(|c: char| c.is_ascii_digit()) => format!("{words} in …\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn a_green_run_prints_the_jobs_lines_and_exits_with_0() {
    let flow = "stages:\n  - name: test\n    image: busybox\n    run: cat greeting; printf 'no newline'\n";
    let folder = repository(&[(".containerops.yml", flow), ("greeting", "hello\n"), (".gitignore", "secret\n")]);
    let run = call(&folder, &["run"]);
    assert_eq!(code(&run), Some(0), "{}{}", out(&run), err(&run));
    let text = out(&run);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(&lines[..3], ["test ▶ | started", "test | hello", "test | no newline"]);
    assert!(lines[3].starts_with("test ✔ | success in "), "{text}");
    assert!(lines[4].starts_with("✔ ci: success in "), "{text}");
    assert_eq!(lines.len(), 5, "one action needs no summary: {text}");
    assert!(!text.contains('\u{1b}'), "colours are for terminals: {text:?}");
    assert_eq!(err(&run), "");
}

#[test]
fn a_job_sees_the_files_as_they_lie_there_but_for_the_ignored_ones() {
    let flow = "image: busybox\nrun: ls; git status --short; git log --format=%s\n";
    let folder = repository(&[(".containerops.yml", flow), ("new", ""), ("secret", ""), (".gitignore", "secret\n")]);
    let run = call(&folder, &["run"]);
    assert_eq!(code(&run), Some(0), "{}{}", out(&run), err(&run));
    let lines: Vec<String> =
        out(&run).lines().filter_map(|line| Some(line.strip_prefix("ci | ")?.to_owned())).collect();
    assert_eq!(lines, ["new", "The files as they are"]);
}

#[test]
fn a_red_run_says_why_and_exits_with_1() {
    let flow = "stages:\n  - name: test\n    image: busybox\n    run: exit 3\n  - name: later\n    image: busybox\n    run: echo no\n";
    let folder = repository(&[(".containerops.yml", flow)]);
    let run = call(&folder, &["run"]);
    assert_eq!(code(&run), Some(1));
    let text = without_times(&out(&run));
    assert_snapshot!(text, @r"
    test ▶ | started
    test ✘ | exit code 3 in …
    later – | skipped: stage `test` ended: failure

    ✘ test   failure: exit code 3 in …
    – later  skipped: stage `test` ended: failure
    ✘ ci: failure in …
    ");
}

#[test]
fn a_job_that_is_only_an_image_says_that_images_are_not_used_here() {
    let folder = repository(&[(".containerops.yml", "image: busybox\n")]);
    let run = call(&folder, &["run"]);
    assert_eq!(code(&run), Some(1));
    let words = "the process executor cannot do this: job ci.ci.ci: processes are in no image, so the entrypoint of \
                 busybox cannot be started";
    assert!(out(&run).contains(words), "{}", out(&run));
}

#[test]
fn of_several_flows_each_must_succeed() {
    let red = "image: busybox\nrun: exit 1\n";
    let green = "image: busybox\nrun: echo green\n";
    let tags = "on: tag\nimage: busybox\nrun: echo tag\n";
    let files = [(".containerops/a.yml", green), (".containerops/b.yml", red), (".containerops/c.yml", tags)];
    let folder = repository(&files);
    let run = call(&folder, &["run"]);
    assert_eq!(code(&run), Some(1), "{}", err(&run));
    for line in ["a | green\n", "✔ a: success in ", "✘ b: failure in "] {
        assert!(out(&run).contains(line), "{line} is not in {}", out(&run));
    }
    assert!(!out(&run).contains("tag"), "a push does not start it: {}", out(&run));
    let one = call(&folder, &["run", ".containerops/a.yml"]);
    assert_eq!(code(&one), Some(0), "{}", err(&one));
}

#[test]
fn outside_of_a_repository_it_says_what_to_do() {
    let folder = folder(&[(".containerops.yml", super::GOOD)]);
    let run = call(&folder, &["run"]);
    assert_eq!((code(&run), out(&run).as_str()), (Some(1), ""));
    let words = "containerops: this is no Git repository: go to one, or make one with `git init`: ";
    assert!(err(&run).starts_with(words), "{}", err(&run));
}

#[test]
fn a_broken_flow_starts_nothing_and_shows_its_mistakes() {
    let folder = repository(&[(".containerops.yml", BROKEN)]);
    let run = call(&folder, &["run"]);
    assert_eq!((code(&run), out(&run).as_str()), (Some(1), ""));
    assert!(err(&run).starts_with("containerops: the flow file has mistakes\n"), "{}", err(&run));
    assert!(err(&run).contains("--> .containerops.yml:3:5"), "{}", err(&run));
}

#[test]
fn ctrl_c_cancels_and_leaves_nothing_behind() {
    let folder = repository(&[(".containerops.yml", ENDLESS)]);
    let mut run = Waiting::start(&folder);
    interrupt(run.child.id());
    let (rest, code) = run.end();
    assert_eq!(code, Some(1), "{rest}");
    assert!(rest.contains("cancelled by Ctrl-C"), "{rest}");
    let last = rest.lines().last().unwrap_or_default();
    assert!(last.starts_with("– ci: cancelled: cancelled by Ctrl-C in "), "{rest}");
    run.assert_nothing_is_left();
}

#[test]
fn a_reader_that_goes_away_ends_the_run() {
    let talks = "image: busybox\nrun: |\n  echo $$ > \"$PLACE\"\n  while :; do echo line; done\n";
    let scratch = tempfile::tempdir().expect("a directory");
    let place = scratch.path().join("job");
    let flow = format!("environments: {{PLACE: {}}}\n{talks}", place.display());
    let folder = repository(&[(".containerops.yml", &flow)]);
    let mut command = containerops(folder.path(), &["run"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("containerops starts");
    let mut line = String::new();
    let mut lines = BufReader::new(child.stdout.take().expect("standard output"));
    for expected in ["ci ▶ | started\n", "ci | line\n"] {
        line.clear();
        lines.read_line(&mut line).expect("a line");
        assert_eq!(line, expected);
    }
    drop(lines);
    let ended = child.wait_with_output().expect("an end");
    assert_eq!(code(&ended), Some(1));
    assert!(err(&ended).starts_with("containerops: standard output is closed"), "{}", err(&ended));
    let job = fs::read_to_string(place).expect("the job's process id");
    assert!(!is_alive(job.trim()), "process {job} outlived its run");
}

#[test]
fn ctrl_c_before_the_start_leaves_nothing_behind() {
    // a git that interrupts whoever asks it for something, and is in no hurry to answer
    let git = "#!/bin/sh\ncase \"$*\" in *remote*) exit 1;; esac\nkill -INT $PPID\nexec sleep 30\n";
    let folder = folder(&[(".containerops.yml", super::GOOD), ("bin/git", git)]);
    let program = folder.path().join("bin/git");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an executable");
    let scratch = tempfile::tempdir().expect("a directory");
    let path = std::env::join_paths([folder.path().join("bin"), "/usr/bin".into(), "/bin".into()]).expect("a PATH");
    let mut command = containerops(folder.path(), &["run"]);
    let ended = command.env("PATH", path).env("TMPDIR", scratch.path()).output().expect("containerops starts");
    assert_eq!(code(&ended), Some(1), "{}", err(&ended));
    assert_eq!(err(&ended), "containerops: interrupted before anything was started\n");
    assert_eq!(fs::read_dir(scratch.path()).expect("a directory").count(), 0);
}

#[test]
fn an_artifact_goes_from_action_to_action() {
    let flow = r#"stages:
  - name: build
    image: busybox
    run: |
      mkdir -p out/deep && echo tool > out/deep/tool && chmod 750 out/deep/tool && ln -s deep/tool out/link
      head -c 9000000 /dev/urandom > out/large && sha256sum out/large > out/sum && echo other > other
    artifacts: [{name: bin, paths: [out]}, {name: none, paths: ["*.nothing"]}]
  - name: use
    image: busybox
    run: |
      test ! -e other && test ! -e got/other && cat got/out/link && stat -c %a got/out/deep/tool
      cd got && sha256sum -c out/sum
    artifacts: {from: build, name: bin, to: got}
"#;
    let folder = repository(&[(".containerops.yml", flow)]);
    let run = call(&folder, &["run"]);
    assert_eq!(code(&run), Some(0), "{}{}", out(&run), err(&run));
    let text = out(&run);
    for line in ["use | tool", "use | 750", "use | out/large: OK", "artifact none: no file matches *.nothing"] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(text.contains("artifact bin: 4 files, 9 MB"), "{text}");
}

#[test]
fn a_part_that_takes_an_artifact_runs_with_what_leaves_it() {
    let flow = r"stages:
  - {name: lint, image: busybox, run: exit 1}
  - {name: build, image: busybox, run: echo tool > tool, artifacts: {paths: tool}}
  - {name: use, image: busybox, run: cat tool, artifacts: {from: build}}
";
    let folder = repository(&[(".containerops.yml", flow)]);
    let run = call(&folder, &["run", "--only", "use"]);
    assert_eq!(code(&run), Some(0), "{}{}", out(&run), err(&run));
    assert!(out(&run).contains("use | tool\n") && !out(&run).contains("lint"), "{}", out(&run));
}

#[test]
fn the_services_limits_hold_here_as_well() {
    let over = "it has more than 1000000 bytes, which is the most";
    for (kept, limit, code_expected) in [("artifacts", "ARTIFACT", 1), ("cache", "CACHE", 0)] {
        let flow =
            format!("stages: [{{name: make, image: b, run: head -c 3000000 /dev/urandom > x, {kept}: {{paths: x}}}}]");
        let folder = repository(&[(".containerops.yml", &flow)]);
        let mut command = containerops(folder.path(), &["run"]);
        let run = command.env(format!("CONTAINEROPS_{limit}_LIMIT"), "1 MB").output().expect("containerops starts");
        assert_eq!(code(&run), Some(code_expected), "{kept}: {}", out(&run));
        assert!(out(&run).contains(over), "{kept}: {}", out(&run));
    }
}

const THREE: &str = "\
variables: {WORD: default}
stages:
  - name: make
    sequencing: parallel
    actions:
      - {name: left, image: busybox, run: 'echo \"[COUT] SIDE=left\"', outputs: [SIDE]}
      - {name: right, image: busybox, run: echo right}
  - name: between
    image: busybox
    run: exit 1
  - name: use
    image: busybox
    run: echo \"$SIDE $WORD\"
    environments: {WORD: \"@WORD@\"}
    subscriptions: [{\"make.left.left[SIDE]\": SIDE}]
";

/// The lines that jobs printed, in any order.
fn printed(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().filter(|line| line.contains(" | ") && !line.contains('▶')).collect();
    lines.retain(|line| !line.contains(" ✔ | "));
    lines.sort_unstable();
    lines
}

#[test]
fn only_a_part_runs_with_what_it_takes_outputs_from() {
    let folder = repository(&[(".containerops.yml", THREE)]);
    let run = call(&folder, &["run", "--only", "use"]);
    assert_eq!(code(&run), Some(0), "{}{}", out(&run), err(&run));
    assert_eq!(printed(&out(&run)), ["make.left | [COUT] SIDE=left", "use | left default"]);
    assert!(!out(&run).contains("between"), "what it only needs counts as done: {}", out(&run));

    let one = call(&folder, &["run", "--only", "make/right"]);
    assert_eq!((code(&one), printed(&out(&one))), (Some(0), vec!["make.right | right"]), "{}", err(&one));
    let two = call(&folder, &["run", "--only", "make/right", "--only", "between"]);
    assert_eq!(code(&two), Some(1), "{}", out(&two));

    let wrong = call(&folder, &["run", "--only", "make/middle"]);
    let words =
        "containerops: --only: the flow has no `make/middle`; it has make, make/left, make/right, between, use\n";
    assert_eq!((code(&wrong), err(&wrong).as_str()), (Some(1), words));
    assert_eq!(code(&call(&folder, &["run", "--only", "a/b/c"])), Some(2), "that is no part of anything");
}

#[test]
fn a_variable_of_the_flow_is_another_by_hand() {
    let folder = repository(&[(".containerops.yml", THREE)]);
    let run = call(&folder, &["run", "--only", "use", "--var", "WORD=a=b"]);
    assert!(out(&run).contains("use | left a=b\n"), "{}{}", out(&run), err(&run));
    let wrong = call(&folder, &["run", "--var", "WORT=x"]);
    let words = "containerops: --var: the flow's `variables` have no `WORT`; they have WORD\n";
    assert_eq!((code(&wrong), err(&wrong).as_str()), (Some(1), words));
    assert_eq!(code(&call(&folder, &["run", "--var", "WORD"])), Some(2), "a variable needs a value");
}

#[test]
fn another_event_than_a_push_may_be_played() {
    let flow =
        "on: {tag: {names: [\"v*\"]}, pull_request: {}}\nimage: busybox\nrun: 'echo $CO_EVENT $CO_TAG $CO_BRANCH'\n";
    let folder = repository(&[(".containerops.yml", flow)]);
    let push = call(&folder, &["run"]);
    assert_eq!((code(&push), out(&push).as_str()), (Some(1), ""));
    assert!(err(&push).contains("`on` does not name `push`"), "{}", err(&push));
    let tag = call(&folder, &["run", "--event", "tag", "--tag", "v1"]);
    assert!(out(&tag).contains("ci | tag v1\n"), "{}{}", out(&tag), err(&tag));
    let pull = call(&folder, &["run", "--event", "pull_request", "--branch", "fix"]);
    assert!(out(&pull).contains("ci | pull_request fix\n"), "{}{}", out(&pull), err(&pull));
}

#[test]
fn a_quiet_run_prints_ends_and_the_last_lines_of_what_failed() {
    let flow = "\
stages:
  - {name: good, image: busybox, run: echo much}
  - {name: bad, image: busybox, run: echo why; exit 2}
";
    let folder = repository(&[(".containerops.yml", flow)]);
    let run = call(&folder, &["run", "--quiet"]);
    assert_eq!(code(&run), Some(1));
    assert_snapshot!(without_times(&out(&run)), @r"
    bad | why
    bad ✘ | exit code 2 in …

    ✔ good  success in …
    ✘ bad   failure: exit code 2 in …
    ✘ ci: failure in …
    ");
    assert_eq!(code(&call(&folder, &["run", "--quiet", "--verbose"])), Some(2));
}

#[test]
fn what_tests_came_to_is_printed_at_their_jobs_end() {
    let report = "<testsuite><testcase name='a'/><testcase name='b'><failure message='no'/></testcase></testsuite>";
    let flow = "image: busybox\nrun: cp given.xml report.xml\nreports: {junit: report.xml}\n";
    let folder = repository(&[(".containerops.yml", flow), ("given.xml", report)]);
    let run = call(&folder, &["run"]);
    assert_eq!(code(&run), Some(0), "an exit code decides: {}{}", out(&run), err(&run));
    let text = out(&run);
    assert!(text.contains("ci | reports: 1 file: 2 tests, 1 failed\n"), "{text}");
    let end = text.lines().find(|line| line.starts_with("ci ✔ |")).expect("its end");
    assert!(end.starts_with("ci ✔ | success in ") && end.ends_with(", 2 tests, 1 failed"), "{text}");
    let quiet = call(&folder, &["run", "--quiet"]);
    assert!(out(&quiet).contains(", 2 tests, 1 failed"), "{}", out(&quiet));
}
