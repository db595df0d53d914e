//! What the language has and does not run yet.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn what_does_not_run_yet_is_refused_by_name() {
    assert_snapshot!(mistakes("not-yet"), @r"
error: `reports` is not supported yet
  --> not-yet.yml:9:5
  |
9 |     reports: {junit: report.xml}
  |     ^^^^^^^
  = hint: remove it
");
}
