//! What may be wrong with those who are told.

use insta::assert_snapshot;

use super::{messages, mistakes};

#[test]
fn whom_nobody_could_tell_is_a_mistake() {
    assert_snapshot!(mistakes("receivers"), @r#"
error: a receiver is a map of keys and values; this is a text
  --> receivers.yml:2:5
  |
2 |   - dev@acme.example
  |     ^^^^^^^^^^^^^^^^

error: a receiver needs an `address`
  --> receivers.yml:3:5
  |
3 |   - {type: mail}
  |     ^^^^

error: a receiver needs a `type`: mail or webhook
  --> receivers.yml:4:5
  |
4 |   - {address: dev@acme.example}
  |     ^^^^^^^

error: a receiver's `type` is mail or webhook; `male` is none of them
  --> receivers.yml:5:12
  |
5 |   - {type: male, address: dev@acme.example}
  |            ^^^^
  = hint: did you mean `mail`?

error: `dev@acme.example, boss@acme.example` is no mail address
  --> receivers.yml:6:27
  |
6 |   - {type: mail, address: "dev@acme.example, boss@acme.example"}
  |                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = hint: one address, such as dev@acme.example

error: `Dev <dev@acme.example>` is no mail address
  --> receivers.yml:7:27
  |
7 |   - {type: mail, address: "Dev <dev@acme.example>", on: failed}
  |                           ^^^^^^^^^^^^^^^^^^^^^^^^
  = hint: one address, such as dev@acme.example

error: `on` is any of failure, fixed, success, always; `failed` is none of them
  --> receivers.yml:7:57
  |
7 |   - {type: mail, address: "Dev <dev@acme.example>", on: failed}
  |                                                         ^^^^^^
  = hint: did you mean `fixed`?

error: `dev@acme.example�Bcc: all@acme.example` is no mail address
  --> receivers.yml:8:27
  |
8 |   - {type: mail, address: "dev@acme.example\nBcc: all@acme.example", on: []}
  |                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = hint: one address, such as dev@acme.example

error: `on` names no end: this receiver would never hear anything
  --> receivers.yml:8:74
  |
8 |   - {type: mail, address: "dev@acme.example\nBcc: all@acme.example", on: []}
  |                                                                          ^
  = hint: name some of failure, fixed, success and always, or leave `on` out

error: `ftp://acme.example/` is no address of a webhook
  --> receivers.yml:9:30
  |
9 |   - {type: webhook, address: ftp://acme.example/, ona: always}
  |                              ^^^^^^^^^^^^^^^^^^^
  = hint: an https URL

error: unknown key `ona` in a receiver
  --> receivers.yml:9:51
  |
9 |   - {type: webhook, address: ftp://acme.example/, ona: always}
  |                                                   ^^^
  = hint: did you mean `on`?

error: a URL in a flow file holds no credentials
   --> receivers.yml:10:30
   |
10 |   - {type: webhook, address: "https://me:secret@acme.example/", on: {failure: true}}
   |                              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = hint: whoever reads the repository would have them

error: an end in `on` is a text; this is a map
   --> receivers.yml:10:69
   |
10 |   - {type: webhook, address: "https://me:secret@acme.example/", on: {failure: true}}
   |                                                                     ^^^^^^^
   = hint: put it in quotes if it is meant to be a text

warning: this URL is not encrypted: it is called only if the server's administrator has listed it
   --> receivers.yml:11:30
   |
11 |   - {type: webhook, address: http://acme.example/hook, on: [failure, fixt]}
   |                              ^^^^^^^^^^^^^^^^^^^^^^^^
   = hint: use https

error: `on` is any of failure, fixed, success, always; `fixt` is none of them
   --> receivers.yml:11:70
   |
11 |   - {type: webhook, address: http://acme.example/hook, on: [failure, fixt]}
   |                                                                      ^^^^
   = hint: did you mean `fixed`?

error: `type` is a text; this is a list
   --> receivers.yml:12:12
   |
12 |   - {type: [mail], address: {to: dev@acme.example}}
   |            ^

error: `address` is a text; this is a map
   --> receivers.yml:12:29
   |
12 |   - {type: [mail], address: {to: dev@acme.example}}
   |                             ^^
   = hint: put it in quotes if it is meant to be a text
"#);
}

#[test]
fn a_flow_tells_only_so_many() {
    let list: String = (0..11).map(|n| format!("  - {{type: mail, address: dev{n}@acme.example}}\n")).collect();
    let said = messages(&format!("receivers:\n{list}image: a\nrun: b\n"));
    assert_snapshot!(said.join("\n"), @"11 receivers; 10 are the most");
}
