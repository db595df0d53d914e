//! A repository's page says what is wrong with its webhook, as far as a forge or what has arrived tells.

use crate::{
    harness::{
        app::{GRACE, INTERVAL, Identity, Tester, WIDGET},
        gitea::GiteaStory,
    },
    stories::SMALL,
};
use containerops::executor::ExecutorKind;

const GITEA: &str = "https://ci.example.com/hooks/gitea";
const GITHUB: &str = "https://ci.example.com/hooks/github";

/// What a repository's page says of its webhook.
async fn said(t: &Tester, forge: &str) -> String {
    let page = t.http.get(format!("{}/{forge}/{WIDGET}", t.url())).send().await.expect("an answer");
    let page = page.text().await.expect("a text");
    let section = page.split_once("aria-label=\"Its webhook\">").map_or("", |(_, rest)| rest);
    section.split("</section>").next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_hook_of_gitea_that_is_missing_disabled_or_failing_is_on_the_page() {
    let t = GiteaStory::start().await;
    t.pushes("main", SMALL).await;
    t.sweep().await;
    let missing = said(&t, "gitea").await;
    assert!(missing.contains("there is no webhook: nothing tells us of its events"), "{missing}");
    assert!(missing.contains("<code>containerops hooks repair gitea/acme/widget</code>"), "{missing}");
    // a page asks no forge
    let calls = t.gitea.calls("/hooks").len();
    said(&t, "gitea").await;
    assert_eq!(t.gitea.calls("/hooks").len(), calls);
    // a hook of the whole organisation brings its events, and does not show
    t.clock.advance(INTERVAL);
    t.pushes("main", &format!("{SMALL}\n")).await;
    t.sweep_after(INTERVAL).await;
    assert_eq!(said(&t, "gitea").await, "");

    t.gitea.has_hook(WIDGET, "https://chat.example.com/hooks/gitea", |hook| hook.active = false);
    t.gitea.has_hook(WIDGET, GITEA, |_| ());
    t.sweep_after(INTERVAL).await;
    assert_eq!(said(&t, "gitea").await, "");
    t.gitea.change_hooks(WIDGET, |hook| (hook.active, hook.branch_filter) = (false, "main".to_owned()));
    t.sweep_after(INTERVAL).await;
    let wrong = said(&t, "gitea").await;
    assert!(wrong.contains("the webhook is switched off") && wrong.contains("only of branches that are"), "{wrong}");
    // it looks good again, and brings nothing
    t.gitea.change_hooks(WIDGET, |hook| (hook.active, hook.branch_filter) = (true, String::new()));
    t.commits("main", &format!("{SMALL}\n\n"));
    t.sweep_after(INTERVAL).await;
    t.sweep_after(GRACE).await;
    t.sweep_after(INTERVAL).await;
    let failing = said(&t, "gitea").await;
    assert!(failing.contains("the last event was not brought by the webhook"), "{failing}");
    t.pushes("main", &format!("{SMALL}\n\n\n")).await;
    t.sweep_after(INTERVAL).await;
    assert_eq!(said(&t, "gitea").await, "");
    // whoever may not see it says nothing of it
    t.gitea.is(|quirks| quirks.admin = false);
    t.sweep_after(INTERVAL).await;
    assert_eq!(said(&t, "gitea").await, "");
    t.read_statuses();
}

#[tokio::test]
async fn a_hook_of_github_that_fails_is_on_the_page() {
    let t = Tester::start_as(Identity::Token, ExecutorKind::Process).await;
    t.push("main", SMALL).await;
    t.github.add_hook(WIDGET, GITHUB);
    t.sweep().await;
    assert_eq!(said(&t, "github").await, "");
    t.github.change_hooks(WIDGET, |hook| (hook.last, hook.content_type) = (Some(502), "form".to_owned()));
    let calls = t.github.calls("/hooks?").len();
    t.sweep_after(INTERVAL).await;
    assert_eq!(t.github.calls("/hooks?").len(), calls + 1, "one that was good costs no call of its own so soon");
    t.sweep_after(7 * INTERVAL).await;
    let failing = said(&t, "github").await;
    assert!(failing.contains("last delivery has failed with 502 (failed to connect to host)"), "{failing}");
    assert!(failing.contains("the webhook sends forms, and not JSON"), "{failing}");
    assert!(failing.contains("containerops hooks repair github/acme/widget"), "{failing}");
    t.github.hide_hooks();
    t.sweep_after(INTERVAL).await;
    t.read_writes();
}
