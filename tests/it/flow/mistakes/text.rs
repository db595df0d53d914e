//! Files that are no flow at all.

use containerops::flow;
use insta::assert_snapshot;

use super::mistakes;
use crate::flow::{bytes, repository};

#[test]
fn text_that_is_not_yaml() {
    assert_snapshot!(mistakes("syntax"), @r"
error: this is not YAML: illegal placement of ':' indicator
  --> syntax.yml:4:8
  |
4 |     run: cargo test
  |        ^
");
}

#[test]
fn a_file_without_a_value() {
    assert_snapshot!(mistakes("empty"), @r"
error: the file is empty
  --> empty.yml:1:1
  |
1 | # Nothing but a comment.
  | ^
  = hint: the smallest flow has `stages`
");
}

#[test]
fn keys_given_twice() {
    assert_snapshot!(mistakes("duplicate-keys"), @r"
error: `image` is given twice in one map (line 3)
  --> duplicate-keys.yml:4:5
  |
4 |     image: rust:1.95
  |     ^^^^^
  = hint: remove one of them

error: `A` is given twice in one map (line 5)
  --> duplicate-keys.yml:5:26
  |
5 |     environments: {A: 1, A: 2}
  |                          ^
  = hint: remove one of them
");
}

#[test]
fn two_documents() {
    assert_snapshot!(mistakes("two-documents"), @r"
error: a flow file is one document; a second one begins here
  --> two-documents.yml:2:1
  |
2 | ---
  | ^^^
");
}

#[test]
fn tags_that_mean_nothing() {
    assert_snapshot!(mistakes("tag"), @r"
error: the tag `!secret` means nothing here
  --> tag.yml:1:16
  |
1 | image: !secret rust
  |                ^^^^
");
}

#[test]
fn nothing_in_a_file_breaks_out_of_a_report() {
    let diagnostics = flow::read("x.yml", &repository(), &bytes("bad", "hostile-text")).err().unwrap_or_default();
    assert_snapshot!(flow::markdown("a```b\n.yml", &diagnostics), @r#"
**2 errors in the flow file**

```````text
error: `````` is no name: 1 to 63 of letters, digits, `-` and `_`
  --> a```b�.yml:2:11
  |
2 |   - name: "````"
  |           ^^^^^^

error: unknown key ````<img src=x>` in a stage
  --> a```b�.yml:4:5
  |
4 |     "```<img src=x>": �gpj
  |     ^^^^^^^^^^^^^^^^
```````
"#);
}
