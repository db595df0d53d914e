//! What logs say of lines of files: real output of real tools, and whatever a hostile job may write.

use std::path::Path;

use containerops::{
    engine::problem::{Finder, MOST, Place},
    model::Problem,
};
use insta::assert_snapshot;
use proptest::prelude::*;

fn place() -> Place {
    Place::new("01kattempt", "widget")
}

fn find(log: &[u8]) -> Vec<Problem> {
    let mut finder = Finder::new(place());
    finder.read(log);
    finder.end()
}

/// What is found in a recorded log: `line of the log: level place [title] message`.
fn found(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/problems").join(format!("{name}.log"));
    let log = std::fs::read(path).expect("a fixture");
    let whole = find(&log);
    // however it is cut, it is the same
    let mut finder = Finder::new(place());
    log.chunks(7).for_each(|part| finder.read(part));
    assert_eq!(finder.end(), whole, "{name}");
    whole.iter().map(line).collect()
}

fn line(problem: &Problem) -> String {
    let Problem { remark, at } = problem;
    let end = if remark.end_line > 0 { format!(" to {}", remark.end_line) } else { String::new() };
    let title = if remark.title.is_empty() { String::new() } else { format!(" [{}]", remark.title) };
    format!("{at}: {} {}{end}{title} {:?}\n", remark.severity.as_str(), remark.place(), remark.message)
}

#[test]
fn compilers_are_understood() {
    assert_snapshot!(found("cargo-build"), @r#"
    2: error src/lib.rs:3:13 [E0425] "cannot find value `hight` in this scope"
    8: error src/lib.rs:7:5 [E0308] "mismatched types"
    "#);
    assert_snapshot!(found("cargo-clippy"), @r#"2: warning src/lib.rs:2:5 "unneeded `return` statement""#);
    assert_snapshot!(found("gcc"), @r#"
    3: error add.h:1:44 "‘c’ undeclared (first use in this function)"
    8: error main.c:5:27 "‘two’ undeclared (first use in this function)"
    11: error main.c:6:13 "expected ‘;’ before ‘}’ token"
    17: warning main.c:4:9 "unused variable ‘unused’ [-Wunused-variable]"
    21: warning add.h:1:47 "control reaches end of non-void function [-Wreturn-type]"
    "#);
    assert_snapshot!(found("clang"), @r#"
    2: error add.h:1:44 "use of undeclared identifier 'c'"
    5: error main.c:6:13 "expected ';' after return statement"
    10: warning main.c:4:9 "unused variable 'unused' [-Wunused-variable]"
    "#);
    assert_snapshot!(found("go-build"), @r#"
    2: error store/store.go:4:2 "unused declared but not used"
    4: error main.go:7:2 "hight declared but not used"
    5: error main.go:8:19 "undefined: hights"
    "#);
    assert_snapshot!(found("tsc"), @r#"
    1: error src/a.ts:1:7 [TS2322] "Type 'string' is not assignable to type 'number'."
    2: error src/a.ts:3:18 [TS2304] "Cannot find name 'hight'."
    "#);
    assert_snapshot!(found("tsc-pretty"), @r#"
    1: error src/a.ts:1:7 [TS2322] "Type 'string' is not assignable to type 'number'."
    6: error src/a.ts:3:18 [TS2304] "Cannot find name 'hight'."
    "#);
    assert_snapshot!(found("javac"), @r#"
    13: error src/main/java/acme/Main.java:6 "cannot find symbol"
    18: error src/main/java/acme/Main.java:7 "incompatible types: String cannot be converted to int"
    1: warning src/main/java/acme/Main.java:4 "[rawtypes] found raw type: List"
    7: warning src/main/java/acme/Main.java:4 "[rawtypes] found raw type: ArrayList"
    "#);
    assert_snapshot!(found("maven"), @r#"
    26: error src/main/java/acme/Main.java:6:18 "cannot find symbol"
    29: error src/main/java/acme/Main.java:7:17 "incompatible types: java.lang.String cannot be converted to int"
    17: warning src/main/java/acme/Main.java:4:5 "found raw type: java.util.List"
    19: warning src/main/java/acme/Main.java:4:21 "found raw type: java.util.ArrayList"
    "#);
}

#[test]
fn tests_are_understood() {
    assert_snapshot!(found("cargo-test"), @r#"12: error src/lib.rs:7:5 [two_is_four panicked] "assertion `left == right` failed: of a square\n  left: 4\n right: 5""#);
    assert_snapshot!(found("go-test"), @r#"
    3: error area/area_test.go:9 [TestArea failed] "area(2) = 4, want 5"
    5: error area/area_test.go:14 [TestArea/odd failed] "odd"
    12: error store/store_test.go:21 [TestLost failed] "Error Trace:\t/workspace/store/store_test.go:21\nError:      \tNot equal:\nexpected: 1\nactual  : 2\nTest:       \tTestLost"
    "#);
    assert_snapshot!(found("go-panic"), @r#"
    2: error main.go:8:2 "fmt.Printf format %d has arg \"x\" of wrong type string"
    5: error store/store_test.go:6 [TestLost/odd failed] "odd"
    7: error store/store_test.go:7 [TestLost failed] "lost"
    9: error store/store_test.go:9 [panic] "runtime error: invalid memory address or nil pointer dereference"
    "#);
    assert_snapshot!(found("pytest"), @r#"
    18: error test_broken.py:1 [ERROR collecting test_broken.py] "ModuleNotFoundError: No module named 'nope'"
    27: error test_area.py:7 [TestArea.test_square failed] "assert 4 == 5\n +  where 4 = area(2)"
    46: error area.py:3 [test_unknown failed] "ValueError: no number: x"
    "#);
    assert_snapshot!(found("pytest-short"), @r#"
    18: error test_broken.py:1 [ERROR collecting test_broken.py] "ModuleNotFoundError: No module named 'nope'"
    23: error test_area.py:7 [TestArea.test_square failed] "assert 4 == 5\n +  where 4 = area(2)"
    32: error area.py:3 [test_unknown failed] "ValueError: no number: x"
    "#);
    assert_snapshot!(found("python"), @r#"1: error t.py:3 [json.decoder.JSONDecodeError] "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)""#);
}

#[test]
fn linters_are_understood() {
    assert_snapshot!(found("eslint"), @r#"
    4: error src/b.js:2:1 [no-var] "Unexpected var, use let or const instead"
    6: error src/b.js:3:1 [no-undef] "'console' is not defined"
    7: error src/b.js:3:13 [no-undef] "'z' is not defined"
    3: warning src/b.js:1:8 [no-unused-vars] "'x' is defined but never used"
    5: warning src/b.js:2:5 [no-unused-vars] "'y' is assigned a value but never used"
    "#);
    assert_snapshot!(found("eslint-unix"), @r#"
    2: error src/b.js:2:1 [no-var] "Unexpected var, use let or const instead."
    4: error src/b.js:3:1 [no-undef] "'console' is not defined."
    5: error src/b.js:3:13 [no-undef] "'z' is not defined."
    1: warning src/b.js:1:8 [no-unused-vars] "'x' is defined but never used."
    3: warning src/b.js:2:5 [no-unused-vars] "'y' is assigned a value but never used."
    "#);
    assert_snapshot!(found("eslint-compact"), @r#"
    2: error src/b.js:2:1 [no-var] "Unexpected var, use let or const instead."
    4: error src/b.js:3:1 [no-undef] "'console' is not defined."
    5: error src/b.js:3:13 [no-undef] "'z' is not defined."
    1: warning src/b.js:1:8 [no-unused-vars] "'x' is defined but never used."
    3: warning src/b.js:2:5 [no-unused-vars] "'y' is assigned a value but never used."
    "#);
    assert_snapshot!(found("go-vet"), @r#"
    2: error main.go:8:19 "undeclared name: hights"
    4: error store/store.go:4:2 "unused declared but not used"
    6: error main.go:8:2 "fmt.Printf format %d has arg \"x\" of wrong type string"
    "#);
    assert_snapshot!(found("linters"), @r#"
    2: error app.py:3:5 "Incompatible return value type (got \"str\", expected \"int\")  [return-value]"
    5: error conf.yml:4:1 "trailing spaces (trailing-spaces)"
    6: error src/lib.rs:3:13 [E0425] "cannot find value `hight` in this scope"
    7: error Program.cs:3:5 [CS1002] "; expected [/workspace/App.csproj]"
    1: warning app.py:1:1 [F401] "'os' imported but unused"
    3: warning app.py:9 [C0116] "Missing function or method docstring (missing-function-docstring)"
    4: warning run.sh:2:6 "foo is unused. [SC2034]"
    "#);
}

#[test]
fn what_is_said_in_so_many_words_is_told_and_what_only_looks_like_it_is_not() {
    assert_snapshot!(found("commands"), @r#"
    2: error src/lib.rs:3 to 5 [Too wide] "50% too wide\nmake it smaller"
    5: error :1 "/etc/passwd:2: not in the repository"
    9: error :1 "without a place"
    3: warning a.js:1:5 "Missing semicolon"
    4: notice :1 "Deployed to staging"
    "#);
    assert_eq!(found("nothing"), "");
}

#[test]
fn of_a_flood_the_worst_is_kept_and_no_more_than_people_read() {
    let warnings: String = (1..=10_000).map(|n| format!("a.c:{n}:1: warning: w\n")).collect();
    let errors: String = (1..=7).map(|n| format!("::error file=b.c,line={n}::{}\n", "x".repeat(100_000))).collect();
    let found = find((warnings + &errors).as_bytes());
    assert_eq!(found.len(), MOST);
    assert!(found[..7].iter().all(|problem| problem.remark.path == "b.c" && problem.remark.message.len() < 5000));
    assert_eq!((found[7].remark.line, found[7].at), (1, 1));
}

#[test]
fn a_large_log_costs_little() {
    let line = "12:30:01 INFO std::sync::Arc: request 17 took 20 ms; no error (code 0): all is well\n";
    let log = line.repeat(200_000);
    let begun = std::time::Instant::now();
    assert!(find(log.as_bytes()).is_empty());
    // a debug build takes about a second; what is not linear takes minutes
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "error",
        "warning",
        ": ",
        ":",
        "::",
        "\n",
        "a.c",
        "a.go",
        ".py",
        ":3:5",
        "(3,5)",
        " --> ",
        "error[E1]: x",
        "\u{1b}[31m",
        "___ t ___",
        "=== FAILURES ===",
        "E   x",
        "Traceback (most recent call last):",
        "  File \"a\", line 3",
        "    ",
        "\t",
        "--- FAIL: T",
        "FAIL\tp",
        "::error file=",
        ",line=",
        "%0A",
        "99999999999999999999",
        "../",
        "/workspace/",
        "\r",
        "ä",
        "thread 'x' panicked at a.rs:1:1:",
        "panic: x",
        "\t/workspace/a.go:3 +0x1",
        "::stop-commands::x",
        "::x::",
        "  1:2  error  x  y",
    ];
    let word = prop_oneof![
        9 => proptest::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(word, 0..200).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn whatever_a_log_is_it_is_read_within_bounds_and_however_it_is_cut(log in pieces(), step in 1_usize..50) {
        let whole = find(&log);
        let mut finder = Finder::new(place());
        log.chunks(step).for_each(|part| finder.read(part));
        prop_assert_eq!(&finder.end(), &whole);
        prop_assert!(whole.len() <= MOST);
        let lines = log.split(|&byte| byte == b'\n').count() as u64;
        for Problem { remark, at } in &whole {
            prop_assert!((1..=lines).contains(at));
            prop_assert!(remark.line >= 1 && (remark.end_line == 0 || remark.end_line > remark.line));
            prop_assert!(remark.path.len() <= 1000 && !remark.path.starts_with('/') && !remark.path.split('/').any(|part| part == ".."));
            prop_assert!(!remark.message.is_empty() && remark.message.len() < 5000 && remark.title.len() < 300);
        }
    }
}
