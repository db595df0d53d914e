//! The same bytes and the same event give the same digest: on any machine, in any process, in any release that does not
//! say otherwise in `fixtures/digests.txt`.

use std::{fmt::Write as _, fs, path::PathBuf, process::Command};

use containerops::{
    flow::{self, Decision},
    forge::{
        Forge as _, Reading,
        github::{Github, GithubSettings},
    },
    model::{Event, Plan, Trust},
};
use proptest::prelude::*;

use super::{all, event, merge_group, properties::mutated, pull_request, push, repository, tag};

/// Set, it makes the test write the file anew instead of comparing.
const ACCEPT: &str = "ACCEPT_DIGESTS";

fn digests_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/digests.txt")
}

/// Every recorded webhook of GitHub that starts something by itself: its name and its event.
fn recorded() -> Vec<(String, Event)> {
    // another test may have been first
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let github = Github::new(GithubSettings::default()).expect("good settings");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/webhooks/github");
    let mut events = Vec::new();
    for entry in fs::read_dir(folder).expect("the fixtures") {
        let path = entry.expect("a fixture").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let body = fs::read(&path).expect("a readable fixture");
        let kinds = [
            "push",
            "pull_request",
            "merge_group",
            "check_run",
            "check_suite",
            "installation",
            "ping",
            "issue_comment",
            "commit_comment",
            "repository",
        ];
        let kind = kinds.into_iter().find(|kind| name.starts_with(kind)).expect("a fixture is named by its event");
        if let Ok(Reading::Event(event)) = github.read(kind, &body)
            && event.trust == Trust::Trusted
        {
            events.push((name, event));
        }
    }
    events.sort_by(|(a, _), (b, _)| a.cmp(b));
    events
}

/// What each recorded event makes of each flow: `event flow digest`, or why there is none.
fn digests() -> String {
    let mut lines = String::new();
    for (name, event) in recorded() {
        for folder in ["good", "original"] {
            for (flow, text) in all(folder) {
                let path = format!(".containerops/{flow}.yml");
                let read = flow::read(&path, &event.repository.name, &text);
                let read = read.unwrap_or_else(|wrong| panic!("{}", flow::render(&path, &wrong)));
                let told = match read.plan(&event) {
                    Decision::Run(plan) => plan.digest().to_string(),
                    Decision::Broken(wrong) => panic!("{}", wrong.message),
                    Decision::LeftOut { reason } | Decision::Unasked { reason } => format!("- {reason}"),
                };
                let _ = writeln!(lines, "{name} {folder}/{flow} {told}");
            }
        }
    }
    lines
}

/// The lines of two texts that are not in the other.
fn changes(before: &str, after: &str) -> String {
    let gone = before.lines().filter(|line| !after.lines().any(|other| other == *line)).map(|line| ('-', line));
    let new = after.lines().filter(|line| !before.lines().any(|other| other == *line)).map(|line| ('+', line));
    gone.chain(new).fold(String::new(), |all, (sign, line)| format!("{all}{sign} {line}\n"))
}

#[tokio::test]
async fn recorded_events_and_flows_have_the_digests_that_are_written_down() {
    let now = digests();
    if std::env::var_os(ACCEPT).is_some() {
        fs::write(digests_file(), &now).expect("the file can be written");
    }
    let before = fs::read_to_string(digests_file()).unwrap_or_default();
    assert!(
        before == now,
        "plans have changed: a delivery that is planned again is no longer what it was. If that is meant, say so in \
         CHANGELOG.md, and accept it with\n    {ACCEPT}=1 cargo test --test it digests\n{}",
        changes(&before, &now)
    );
}

#[tokio::test]
async fn every_kind_of_event_is_written_down() {
    let mut kinds: Vec<&str> = recorded().iter().map(|(_, event)| event.name()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, ["merge_group", "pull_request", "push", "tag"]);
}

#[test]
fn changed_lines_are_told_and_no_others() {
    assert_eq!(changes("a 1\nb 2\nc 3\n", "a 1\nb 4\nc 3\nd 5\n"), "- b 2\n+ b 4\n+ d 5\n");
}

#[test]
fn another_process_has_the_same_digest() {
    for (name, text) in all("good") {
        let read = flow::read(&format!("{name}.yml"), &repository(), &text);
        let (kind, words) = if name == "tags-only" {
            (tag("v1"), vec!["--event", "tag", "--tag", "v1"])
        } else {
            (push("main"), vec!["--event", "push", "--branch", "main"])
        };
        let Ok(Decision::Run(plan)) = read.map(|flow| flow.plan(&event(kind))) else { panic!("{name} runs") };
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(format!("{name}.yml")), &text).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_containerops"));
        command.args(["plan", &format!("{name}.yml"), "--repository", "acme/shop", "--json"]).args(words);
        let done = command.current_dir(folder.path()).output().expect("containerops starts");
        let value: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
        assert_eq!(value["digest"], plan.digest().to_string(), "{name}");
    }
}

/// The plans that a text has for each kind of event, read anew each time.
fn plans(text: &[u8]) -> Vec<Plan> {
    let kinds = [push("main"), tag("v1.0"), pull_request("fix", "main"), merge_group("main")];
    let plan = |kind| {
        let flow = flow::read(".containerops.yml", &repository(), text).ok()?;
        match flow.plan(&event(kind)) {
            Decision::Run(plan) => Some(plan),
            Decision::Broken(_) | Decision::LeftOut { .. } | Decision::Unasked { .. } => None,
        }
    };
    kinds.into_iter().filter_map(plan).collect()
}

fn check(text: &[u8]) -> Result<(), TestCaseError> {
    for (plan, again) in plans(text).iter().zip(plans(text)) {
        let digest = plan.digest();
        prop_assert_eq!(&again.digest(), &digest);
        let json = serde_json::to_string(plan).expect("JSON");
        let read: Plan = serde_json::from_str(&json).expect("our own JSON");
        prop_assert_eq!(&read.digest(), &digest);
        // a value's maps have an order of their own
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let read: Plan = serde_json::from_value(value).expect("our own JSON");
        prop_assert_eq!((&read.digest(), &read), (&digest, plan));
    }
    Ok(())
}

#[test]
fn every_fixtures_plans_keep_their_digests_through_the_database_and_back() {
    for (name, text) in ["good", "original"].into_iter().flat_map(all) {
        assert!(!plans(&text).is_empty(), "{name} runs for some event");
        check(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// A flow of one job with these variables, in this order.
fn flow_with(environments: &[(String, String)]) -> String {
    let quoted = |text: &String| serde_json::to_string(text).expect("JSON");
    let entries: Vec<String> = environments.iter().map(|(name, value)| format!("{name}: {}", quoted(value))).collect();
    format!("image: rust:1\nrun: env\nenvironments: {{{}}}\n", entries.join(", "))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_keeps_its_digest_through_the_database_and_back(text in mutated()) {
        check(&text)?;
    }

    #[test]
    fn the_order_of_a_map_does_not_matter(
        (ordered, shuffled) in prop::collection::btree_map("[A-BD-Z][A-Z_]{0,8}", "[ -?A-~]{0,12}", 0..9)
            .prop_map(|map| map.into_iter().collect::<Vec<_>>())
            .prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle())),
    ) {
        let (one, other) = (plans(flow_with(&ordered).as_bytes()), plans(flow_with(&shuffled).as_bytes()));
        prop_assert!(!one.is_empty());
        let digests = |plans: &[Plan]| plans.iter().map(Plan::digest).collect::<Vec<_>>();
        prop_assert_eq!(digests(&one), digests(&other));
        check(flow_with(&shuffled).as_bytes())?;
    }
}
