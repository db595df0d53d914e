//! What is wrong with the names of secrets.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn a_secret_is_named_and_never_written() {
    assert_snapshot!(mistakes("secrets"), @r#"
    error: `${{ secrets.TOKEN }}` is no secret's name
      --> secrets.yml:9:30
      |
    9 |             secrets: {TOKEN: "${{ secrets.TOKEN }}", 9A: ONE, CO_SHA: TWO}
      |                              ^^^^^^^^^^^^^^^^^^^^^^
      = hint: write the name alone, such as `secrets: [DEPLOY_TOKEN]`; its value is set on the server

    error: `9A` is no variable's name
      --> secrets.yml:9:54
      |
    9 |             secrets: {TOKEN: "${{ secrets.TOKEN }}", 9A: ONE, CO_SHA: TWO}
      |                                                      ^^
      = hint: letters, digits and `_`, not beginning with a digit

    error: `CO_SHA` is set by ContainerOps, not by a file
      --> secrets.yml:9:63
      |
    9 |             secrets: {TOKEN: "${{ secrets.TOKEN }}", 9A: ONE, CO_SHA: TWO}
      |                                                               ^^^^^^
      = hint: choose another name; those that begin with `CO_` are taken

    error: `npm-token` is no variable's name
       --> secrets.yml:13:23
       |
    13 |             secrets: [npm-token, "", [A], {B: [C]}, TOKEN=hunter2]
       |                       ^^^^^^^^^
       = hint: name the variable that is to hold it: {npm_token: npm-token}

    error: a secret's name is empty
       --> secrets.yml:13:34
       |
    13 |             secrets: [npm-token, "", [A], {B: [C]}, TOKEN=hunter2]
       |                                  ^^
       = hint: write the name alone, such as `secrets: [DEPLOY_TOKEN]`; its value is set on the server

    error: a secret's name is a text; this is a list
       --> secrets.yml:13:38
       |
    13 |             secrets: [npm-token, "", [A], {B: [C]}, TOKEN=hunter2]
       |                                      ^

    error: a secret's name is a text; this is a list
       --> secrets.yml:13:47
       |
    13 |             secrets: [npm-token, "", [A], {B: [C]}, TOKEN=hunter2]
       |                                               ^

    error: `TOKEN=hunter2` is no secret's name
       --> secrets.yml:13:53
       |
    13 |             secrets: [npm-token, "", [A], {B: [C]}, TOKEN=hunter2]
       |                                                     ^^^^^^^^^^^^^
       = hint: write the name alone, such as `secrets: [DEPLOY_TOKEN]`; its value is set on the server

    warning: `A` gets two secrets; the last one counts
       --> secrets.yml:17:27
       |
    17 |             secrets: [A, {A: B}]
       |                           ^

    error: a job of type kubectl runs no container: `secrets` means nothing to it
       --> secrets.yml:22:13
       |
    22 |             secrets: [KUBECONFIG]
       |             ^^^^^^^
       = hint: remove it, or use a job of its own

    error: `pass-word` is no variable's name
       --> secrets.yml:26:23
       |
    26 |             secrets: [pass-word]
       |                       ^^^^^^^^^
       = hint: name the variable that is to hold it: {pass_word: pass-word}
    "#);
}
