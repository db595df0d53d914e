//! Inputs.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn inputs_that_are_none_and_event_conflicts() {
    assert_snapshot!(mistakes("inputs"), @"");
}
