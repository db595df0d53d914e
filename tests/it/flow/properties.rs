//! Whatever the bytes are: reading ends, without a panic, and every finding points into the file.

use std::time::{Duration, Instant};

use containerops::{
    flow,
    model::{Diagnostic, Program},
};
use proptest::prelude::*;

use super::{all, good, plan, push, repository, told};

fn check(text: &[u8]) -> Result<(), TestCaseError> {
    let diagnostics = match flow::read(".containerops.yml", &repository(), text) {
        Ok(flow) => flow.warnings().to_vec(),
        Err(diagnostics) => {
            prop_assert!(!diagnostics.is_empty());
            diagnostics
        }
    };
    let source = String::from_utf8_lossy(text).into_owned();
    let source = source.strip_prefix('\u{feff}').unwrap_or(&source);
    let lines: Vec<&str> = source.lines().collect();
    for diagnostic in &diagnostics {
        check_place(diagnostic, &lines)?;
    }
    for (_, habit) in flow::habits(text) {
        check_place(&habit, &lines)?;
    }
    flow::markdown("a.yml", &diagnostics);
    Ok(())
}

fn check_place(diagnostic: &Diagnostic, lines: &[&str]) -> Result<(), TestCaseError> {
    let Diagnostic { line, column, length, source, .. } = diagnostic;
    prop_assert!((1..=lines.len().max(1)).contains(line), "{diagnostic:?}");
    let width = lines.get(line - 1).map_or(0, |line| line.chars().count());
    prop_assert!((1..=width + 1).contains(column), "{diagnostic:?}");
    prop_assert!(column + length <= width + 1, "{diagnostic:?}");
    prop_assert_eq!(source.chars().count(), width.min(200));
    Ok(())
}

/// A good file, cut, doubled and sprinkled with what YAML cares about.
pub(super) fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let files: Vec<Vec<u8>> = ["good", "original", "bad"].into_iter().flat_map(all).map(|(_, text)| text).collect();
    let edit = (any::<prop::sample::Index>(), 0_usize..40, "[-:\\[\\]{}&*!|>'\"#@%,?\n\t a-c~\u{0}\u{85}é]{0,6}");
    (prop::sample::select(files), prop::collection::vec(edit, 1..6)).prop_map(|(mut text, edits)| {
        for (place, cut, insert) in edits {
            let from = place.index(text.len() + 1);
            let to = (from + cut).min(text.len());
            text.splice(from..to, insert.into_bytes());
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(text in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&text)?;
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        check(text.as_bytes())?;
    }

    #[test]
    fn any_text_survives_being_written_out(text in "[ -~\n\t\r\u{80}-\u{2ff}\u{2028}\u{feff}😀]{1,60}") {
        prop_assume!(!text.trim().is_empty() && !text.contains('@'));
        let mut wanted = plan(&good("good", "smallest"), push("main"));
        let job = &mut wanted.stages[0].actions[0].jobs[0];
        job.program = Program::Script(text.clone());
        job.environments.insert("TEXT".to_owned(), text.clone());
        wanted.title = text;
        let written = flow::full_form(&wanted);
        let read = flow::read("other.yml", &repository(), written.as_bytes());
        let read = read.map_err(|wrong| TestCaseError::fail(flow::render("other.yml", &wrong)))?;
        prop_assert_eq!(plan(&read, push("main")), wanted);
    }

    #[test]
    fn any_value_of_a_small_language_is_answered_soon(
        value in "[*?\\[\\]{}!,.:/@0-9a-zA-Z+\\- é\\\\]{0,80}",
        place in 0..PLACES.len(),
    ) {
        let quoted = serde_json::to_string(&value).expect("a text");
        let start = Instant::now();
        check(PLACES[place].replace("VALUE", &quoted).as_bytes())?;
        prop_assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }

    #[test]
    fn broken_flows_are_answered(text in mutated()) {
        check(&text)?;
    }
}

/// Where values stand that have a language of their own: patterns, durations, quantities, images, expressions.
const PLACES: [&str; 10] = [
    "on: {push: {branches: [VALUE]}}\nimage: a\n",
    "on: {push: {paths: [VALUE], ignore-paths: [VALUE]}}\nimage: a\n",
    "on: {tag: {names: [VALUE]}}\nimage: a\n",
    "on: {schedule: [{cron: VALUE, timezone: VALUE}]}\nimage: a\n",
    "timeout: VALUE\nimage: a\n",
    "resources: {cpu: VALUE, memory: VALUE, limits: {cpu: VALUE, memory: VALUE}}\nimage: a\n",
    "image: VALUE\n",
    "concurrency: {group: VALUE}\nimage: a\n",
    "when: VALUE\nimage: a\n",
    "stages: [{name: a, image: b, outputs: [VALUE]}, {name: c, image: d, subscriptions: [{VALUE: A}]}]\n",
];

/// The first message about a hostile text, which must come soon.
fn refused(text: &str) -> String {
    let start = Instant::now();
    let first = told(text).into_iter().next().expect("a finding").message;
    // a generous bound for a debug build on a busy machine; what it guards against takes minutes, or all memory
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    first
}

#[test]
fn a_file_over_a_mebibyte_is_refused() {
    let text = "# comment\n".repeat(110_000);
    assert_eq!(refused(&text), "the file has 1100000 bytes; 1048576 (1 MiB) are the most");
}

#[test]
fn alias_bombs_are_refused() {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(",");
        text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert_eq!(refused(&text), "more than 50000 values, aliases unfolded");
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(900_000), vec!["*a"; 1000].join(","));
    assert_eq!(refused(&long), "more than 4 MiB of text, aliases unfolded");
    assert_eq!(refused("a: &a [*a]"), "an alias inside of its own anchor");
}

#[test]
fn depth_is_limited() {
    assert!(refused(&"[".repeat(100_000)).contains("32 levels"), "{}", refused(&"[".repeat(100_000)));
    let blocks: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(refused(&blocks).contains("32 levels"), "{}", refused(&blocks));
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let wrong = flow::read("a.yml", &repository(), b"image: rust\nrun: \xff\n").err().unwrap_or_default();
    assert_eq!((wrong[0].line, wrong[0].column, wrong[0].message.as_str()), (2, 6, "this byte is not UTF-8"));
    let nul = told("image: rust\nrun: \"a\\0b\"\n");
    assert_eq!(nul[0].message, "a NUL byte, which no variable, argument or name can hold");
    assert_eq!((nul[0].line, nul[0].column), (2, 6));
}

#[test]
fn counts_are_limited() {
    let stages: String = (0..300).map(|i| format!("  - {{name: s{i}, image: rust}}\n")).collect();
    assert_eq!(refused(&format!("stages:\n{stages}")), "300 stages; 256 are the most");
    let jobs: String = (0..1001).map(|_| "      - {image: rust}\n".to_owned()).collect();
    assert_eq!(refused(&format!("stages:\n  - name: s\n    jobs:\n{jobs}")), "1001 jobs; 1000 are the most");
    let jobs: String = (0..1000).map(|_| "      - {image: rust}\n".to_owned()).collect();
    let shared = format!("environments: {{A: {}}}\nstages:\n  - name: s\n    jobs:\n{jobs}", "x".repeat(90_000));
    assert_eq!(refused(&shared), "the flow's `environments`, copied into every job, have more than 4 MiB");
    let script = format!("image: rust\nrun: {}\n", "x".repeat(100_001));
    assert_eq!(refused(&script), "`run` has 100001 bytes; 100000 are the most");
}

#[test]
fn variables_do_not_make_a_file_grow_without_end() {
    let text = format!("variables: {{A: {}}}\nimage: \"{}\"\n", "x".repeat(90_000), "@A@".repeat(10_000));
    assert_eq!(refused(&text), "`variables` make this file longer than 4 MiB");
}

#[test]
fn a_thousand_mistakes_are_counted_and_a_hundred_shown() {
    let keys: String = (0..1000).map(|i| format!("zz{i}: 1\n")).collect();
    let told = told(&keys);
    assert_eq!(told.len(), 100);
    assert!(told[99].message.ends_with("(and 901 more findings in this file)"), "{}", told[99].message);
}

#[test]
fn looking_for_near_names_costs_little_however_many_are_wrong() {
    let name = |i: usize| format!("{i:a>38}");
    let variables: String = (0..5000).map(|i| format!("  {}: x\n", name(i))).collect();
    let references: String = (0..5000).map(|i| format!("  V{i}: '@{}b@'\n", name(i))).collect();
    let text = format!("variables:\n{variables}environments:\n{references}image: rust\n");
    assert!(refused(&text).starts_with("no variable is named"));
    let stages: String = (0..60).map(|i| format!("  - {{name: {}, image: rust, needs: []}}\n", name(i))).collect();
    let links: String = (0..250).map(|i| format!("{{'{}b.a.b[C]': V{i}}}, ", name(i))).collect();
    let stages = stages.replace("needs: []", &format!("needs: [], subscriptions: [{links}]"));
    assert!(refused(&format!("stages:\n{stages}")).starts_with("no stage is named"));
}
