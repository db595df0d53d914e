//! What reports in JUnit's XML say: real ones of real tools, and whatever a hostile job may write.

use std::{fmt::Write as _, path::Path, sync::Arc};

use containerops::{
    agent::mask::Masks,
    engine::{
        junit::{Found, KEPT, Reader},
        problem::Place,
    },
    model::{Outcome, Tests},
};
use insta::assert_snapshot;
use proptest::prelude::*;

fn read_hiding(files: &[(&str, &[u8])], secrets: &[&str]) -> Found {
    let masks = Arc::new(Masks::new(secrets.iter().copied()));
    let mut reader = Reader::new(Place::new("01kattempt", "widget"), masks);
    files.iter().for_each(|(path, bytes)| reader.read(path, bytes));
    reader.end()
}

fn read(text: &str) -> Found {
    read_hiding(&[("report.xml", text.as_bytes())], &[])
}

/// What is in a recorded report: its counts, and each failed test with its place and the first of its words.
fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/junit").join(format!("{name}.xml"));
    told(&read_hiding(&[(name, &std::fs::read(path).expect("a fixture"))], &[]))
}

fn told(found: &Found) -> String {
    let mut out = format!("{} in {} ms\n", found.tests, found.tests.millis);
    for test in &found.failed {
        let place = if test.file.is_empty() { String::new() } else { format!(" {}:{}", test.file, test.line) };
        let _ = writeln!(out, "{}{place} [{}] {}", test.outcome.as_str(), test.title(), test.first_line());
    }
    found.notes.iter().for_each(|note| out += &format!("note: {note}\n"));
    out
}

#[test]
fn python_is_understood() {
    assert_snapshot!(fixture("pytest"), @r#"
    9 tests, 5 failed, 2 skipped in 1 ms
    error test_broken.py:1 [test_broken] collection failure
    failure test_area.py:7 [test_area.TestArea › test_square] assert 4 == 5
    failure test_area.py:15 [test_area › test_param[3]] assert 9 == 3
    failure lib.py:2 [test_area › test_raises] TypeError: can't multiply sequence by non-int of type 'str'
    error test_area.py:22 [test_area › test_setup] failed on setup with "RuntimeError: no database"
    "#);
    assert_snapshot!(fixture("pytest-xunit1"), @r#"
    9 tests, 5 failed, 2 skipped in 5 ms
    error test_broken.py:1 [test_broken] collection failure
    failure test_area.py:7 [test_area.TestArea › test_square] assert 4 == 5
    failure test_area.py:15 [test_area › test_param[3]] assert 9 == 3
    failure test_area.py:18 [test_area › test_raises] TypeError: can't multiply sequence by non-int of type 'str'
    error test_area.py:22 [test_area › test_setup] failed on setup with "RuntimeError: no database"
    "#);
}

#[test]
fn javascript_is_understood() {
    assert_snapshot!(fixture("jest"), @"
    4 tests, 1 failed, 1 skipped in 6 ms
    failure src/sum.test.js:3 [sum adds <two> & more] Error: expect(received).toBe(expected) // Object.is equality
    ");
    assert_snapshot!(fixture("vitest"), @"
    2 tests, 1 failed in 5 ms
    failure vt/a.spec.ts:2 [vt/a.spec.ts › vite] expected { a: 1 } to deeply equal { a: 2 }
    ");
    assert_snapshot!(fixture("node"), @"
    3 tests, 1 failed, 1 skipped in 1 ms
    failure n/a.test.mjs:2 [test › fails] Expected values to be strictly equal:1 !== 2
    ");
}

#[test]
fn compiled_languages_are_understood() {
    assert_snapshot!(fixture("nextest"), @"
    4 tests, 1 failed, 1 flaky in 1241 ms
    failure src/area.rs:12 [widget › area::tests::square] thread 'area::tests::square' panicked at src/area.rs:12:9
    ");
    assert_snapshot!(fixture("gotestsum"), @"
    6 tests, 4 failed, 1 skipped in 0 ms
    failure store/store_test.go:7 [example.com/acme/widget/store › TestAdd] store_test.go:7: got 3, want 4
    failure store/store_test.go:13 [example.com/acme/widget/store › TestSub/with_<a>_b] store_test.go:13: no
    failure [example.com/acme/widget/store › TestSub] Failed
    failure store/store_test.go:15 [example.com/acme/widget/store › TestPanic] panic: assignment to entry in nil map [recovered]
    ");
    assert_snapshot!(fixture("gtest"), @"
    4 tests, 1 failed, 2 skipped in 0 ms
    failure g.cc:2 [Sum › Adds] Expected equality of these values:
    ");
}

#[test]
fn java_and_php_are_understood() {
    assert_snapshot!(fixture("surefire"), @"
    6 tests, 3 failed, 1 skipped, 1 flaky in 1203514 ms
    failure [com.acme.shop.CartTest › total] expected: <3> but was: <4>
    failure [com.acme.shop.CartTest › [2] 1, null] java.lang.AssertionError
    error [com.acme.shop.CartTest › connects] Connection refused
    ");
    assert_snapshot!(fixture("gradle"), @"
    3 tests, 1 failed, 1 skipped in 40 ms
    failure [com.acme.shop.PriceTest › taxes(int)[1]] org.opentest4j.AssertionFailedError: expected: <119> but was: <120>
    ");
    assert_snapshot!(fixture("phpunit"), @"
    4 tests, 2 failed, 1 skipped in 14 ms
    failure tests/SumTest.php:12 [App.Tests.SumTest › testAdds] Failed asserting that 3 matches expected 4.
    error tests/SumTest.php:17 [App.Tests.SumTest › testDivides] DivisionByZeroError: Division by zero
    ");
}

#[test]
fn what_is_no_report_is_a_note_and_what_stands_before_it_counts() {
    let begun = "<testsuite name='s'><testcase name='one'/><testcase name='two'><failure message='no'/></testcase>";
    let deep = format!("{begun}{}", "<testsuite>".repeat(100));
    let bomb = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'><!ENTITY c SYSTEM 'file:///etc/passwd'>]>\
        <testsuite><testcase name='&b;'><failure message='&c;'>&b;&#65;&c;</failure></testcase></testsuite>";
    let mut out = String::new();
    for text in [
        "",
        " \n",
        "no tests ran",
        "<html><body>502 Bad Gateway</body></html>",
        "<?xml version='1.0'?>",
        "<testsuites/>",
        begun,
        &format!("{begun}<testcase name='three'><failure message='half"),
        &format!("{begun}\n\n</wrong></testsuite>"),
        &deep,
        bomb,
        "<testsuite name='s'><error message='it does not start'/></testsuite>",
        "<testsuite><testcase name='a' line='-1' file='../../etc/passwd'><failure/><error/></testcase></testsuite>",
        "<j:testsuite xmlns:j='u'><j:testcase name='n'><j:failure>x & y</j:failure></j:testcase></j:testsuite>",
    ] {
        out += &told(&read(text));
        out += "--\n";
    }
    assert_snapshot!(out, @"
    0 tests in 0 ms
    note: report.xml: it is empty
    --
    0 tests in 0 ms
    note: report.xml: it is empty
    --
    0 tests in 0 ms
    note: report.xml: it is no report in JUnit's XML: it has no element
    --
    0 tests in 0 ms
    note: report.xml: it is no report in JUnit's XML: it begins with <html>
    --
    0 tests in 0 ms
    note: report.xml: it is no report in JUnit's XML: it has no element
    --
    0 tests in 0 ms
    --
    2 tests, 1 failed in 0 ms
    failure [two] no
    note: report.xml: it ends within <testsuite>; what stands before it counts
    --
    2 tests, 1 failed in 0 ms
    failure [two] no
    note: report.xml: line 1: syntax error: attribute value not closed: `'` not found before end of input; what stands before it counts
    --
    2 tests, 1 failed in 0 ms
    failure [two] no
    note: report.xml: line 3: ill-formed document: expected `</testsuite>`, but `</wrong>` was found; what stands before it counts
    --
    2 tests, 1 failed in 0 ms
    failure [two] no
    note: report.xml: line 1: elements are nested deeper than 64; what stands before it counts
    --
    1 test, 1 failed in 0 ms
    failure [&b;] &c;
    --
    1 test, 1 failed in 0 ms
    error [s] it does not start
    --
    1 test, 1 failed in 0 ms
    failure [a] 
    --
    1 test, 1 failed in 0 ms
    failure [n] x & y
    --
    ");
}

#[test]
fn what_is_kept_is_bounded_and_all_is_counted() {
    let case =
        |n: usize| format!("<testcase name='{n}'><failure message='{0}'>{0}</failure></testcase>", "x".repeat(20_000));
    let many: String = (0..300).map(case).collect();
    let short = "<testcase><failure message='m'>d</failure></testcase>".repeat(KEPT - 200);
    let found = read(&format!("<testsuite name='{}'>{many}{short}</testsuite>", "s".repeat(10_000)));
    assert_eq!((found.tests.failures, found.failed.len()), (KEPT as u64 + 100, KEPT));
    let kept: usize = found.failed.iter().map(|test| test.message.len() + test.details.len() + test.suite.len()).sum();
    assert!(kept < 6 << 20, "{kept}");
    let first = &found.failed[0];
    assert!(
        first.message.ends_with("… (16000 more characters)") && first.details.ends_with("… (4000 more characters)")
    );
    assert_eq!(first.suite.chars().count(), 501);

    let passed = "<testcase/>".repeat(50_000);
    let found = read(&format!("<testsuite name='{}'>{passed}</testsuite>", "s".repeat(1_000_000)));
    assert_eq!(found.tests, Tests { tests: 50_000, ..Tests::default() });
    let attributes: String = (0..50_000).map(|n| format!(" a{n}='b'")).collect();
    assert_eq!(read(&format!("<testsuite><testcase{attributes}/></testsuite>")).tests.tests, 1);
    let broken: Vec<(&str, &[u8])> = vec![("x.xml", b"<html/>"); 50];
    let notes = read_hiding(&broken, &[]).notes;
    assert_eq!((notes.len(), notes[20].as_str()), (21, "and 30 more notes"));
}

#[test]
fn secrets_are_hidden_in_all_that_is_kept_also_where_it_is_cut() {
    let secret = "hunter2&<secret>";
    let escaped = "hunter2&amp;&lt;secret&gt;";
    let text = format!(
        "<testsuite name='{escaped}'><testcase name='{0}{escaped}' classname='{escaped}' file='{escaped}.py' line='1'>\
         <failure message='{1}{escaped}' type='{escaped}'>{2}{escaped}</failure></testcase></testsuite><{escaped}",
        "n".repeat(490),
        "m".repeat(3990),
        "d".repeat(15_990),
    );
    let found = read_hiding(&[(&format!("{secret}.xml"), text.as_bytes())], &[secret]);
    let all = format!("{found:?}");
    assert!(!all.contains("hunter2") && !all.contains("secret"), "{all}");
    assert_eq!(found.tests.failures, 1);
}

#[test]
fn a_failure_says_more_than_an_error_and_both_more_than_a_skip() {
    let outcome = |parts: &str| {
        let found = read(&format!("<testsuite><testcase name='t'>{parts}</testcase></testsuite>"));
        (found.failed.first().map(|test| test.outcome), found.tests.skipped, found.tests.flaky)
    };
    assert_eq!(outcome("<skipped/><error/>"), (Some(Outcome::Error), 0, 0));
    assert_eq!(outcome("<error/><failure/>"), (Some(Outcome::Failure), 0, 0));
    assert_eq!(outcome("<flakyFailure/><flakyError/>"), (None, 0, 1));
    assert_eq!(outcome("<rerunFailure/><failure/>"), (Some(Outcome::Failure), 0, 0));
    assert_eq!(outcome("<system-out><failure/></system-out>"), (None, 0, 0));
}

proptest! {
    #[test]
    fn whatever_bytes_there_are_they_are_answered(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        parts in proptest::collection::vec(part(), 0..40),
    ) {
        read_hiding(&[("a.xml", &bytes)], &["hunter2"]);
        let text = parts.concat();
        let found = read_hiding(&[("a.xml", text.as_bytes()), ("b.xml", &bytes)], &["hunter2"]);
        let Tests { tests, skipped, flaky, .. } = found.tests;
        prop_assert!(found.tests.failed() + skipped + flaky <= tests);
        prop_assert_eq!(found.failed.len() as u64, found.tests.failed().min(KEPT as u64));
        let kept = format!("{found:?}");
        prop_assert!(!kept.contains("hunter2"), "{}", kept);
    }
}

/// What reports are made of, in any order.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("<testsuite name='s' file='a.py'>".to_owned()),
        Just("</testsuite>".to_owned()),
        Just("<testcase name='hunter2' time='1,5' line='7' file='b/c.go'>".to_owned()),
        Just("<testcase/>".to_owned()),
        Just("</testcase>".to_owned()),
        Just("<failure message='a.go:1: hunter2'>".to_owned()),
        Just("</failure>".to_owned()),
        Just("<error type='x'/>".to_owned()),
        Just("<skipped/>".to_owned()),
        Just("<![CDATA[src/a.py:3: AssertionError]]>".to_owned()),
        Just("&#x1b;[31m&lol;&amp".to_owned()),
        "[ -~é\u{0}]{0,12}",
    ]
}
