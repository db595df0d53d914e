//! Subscriptions.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn subscriptions_to_what_is_not_there_in_time() {
    assert_snapshot!(mistakes("subscriptions"), @r#"
error: the actions of stage `build` run in parallel
   --> subscriptions.yml:10:25
   |
10 |         subscriptions: {"build.jar.jar[URL]": URL}
   |                         ^^^^^^^^^^^^^^^^^^^^
   = hint: write `sequencing: sequence`, or use two stages

error: stage `build` need not have ended before this one
   --> subscriptions.yml:14:21
   |
14 |     subscriptions: {"build.jar.jar[URL]": URL}
   |                     ^^^^^^^^^^^^^^^^^^^^
   = hint: add it to the `needs` of stage `docs`, below it

error: no stage is named `biuld`
   --> subscriptions.yml:19:10
   |
19 |       - {"biuld.jar.jar[URL]": A}
   |          ^^^^^^^^^^^^^^^^^^^^
   = hint: did you mean `build`?

error: no action is named `jra`
   --> subscriptions.yml:20:10
   |
20 |       - {"build.jra.jar[URL]": B}
   |          ^^^^^^^^^^^^^^^^^^^^
   = hint: did you mean `jar`?

error: no job is named `test`
   --> subscriptions.yml:21:10
   |
21 |       - {"build.jar.test[URL]": C}
   |          ^^^^^^^^^^^^^^^^^^^^^
   = hint: the only job there is `jar`

error: job `jar` has no output `ULR`
   --> subscriptions.yml:22:10
   |
22 |       - {"build.jar.jar[ULR]": D}
   |          ^^^^^^^^^^^^^^^^^^^^
   = hint: did you mean `URL`?

error: `build.jar[URL]` does not name an output
   --> subscriptions.yml:23:10
   |
23 |       - {"build.jar[URL]": E}
   |          ^^^^^^^^^^^^^^^^
   = hint: write "stage.action.job[KEY]"

error: a link points to an earlier job
   --> subscriptions.yml:24:10
   |
24 |       - {"ship.ship.ship[URL]": F}
   |          ^^^^^^^^^^^^^^^^^^^^^

error: `CO_SHA` is set by ContainerOps, not by a file
   --> subscriptions.yml:25:32
   |
25 |       - {"build.jar.jar[URL]": CO_SHA}
   |                                ^^^^^^
   = hint: choose another name; those that begin with `CO_` are taken

error: `optional` is true or false
   --> subscriptions.yml:26:45
   |
26 |       - {"build.jar.jar[URL]": G, optional: perhaps}
   |                                             ^^^^^^^

error: two subscriptions for one variable, `G`
   --> subscriptions.yml:27:32
   |
27 |       - {"build.jar.jar[URL]": G}
   |                                ^

error: a subscription is a map; this is a text
   --> subscriptions.yml:28:9
   |
28 |       - build.jar.jar[URL]
   |         ^^^^^^^^^^^^^^^^^^
   = hint: write "stage.action.job[KEY]": VARIABLE
"#);
}
