//! What is wrong with schedules, inputs and the flows that one follows.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn starts_that_cannot_be() {
    assert_snapshot!(mistakes("starts"));
}
