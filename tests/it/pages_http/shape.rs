//! What all pages have in common: a title and an icon that say how things stand, a next step where there is nothing, a
//! focus that is seen, and nothing that moves for those who do not want it.

use super::{JOB, RUN, SMALL};
use crate::harness::app::Tester;

const CSS: &str = include_str!("../../../static/app.css");
const SCRIPT: &str = include_str!("../../../static/app.js");

/// The rules of a style sheet: what they stand in, their selector, and what they say.
fn rules(css: &str) -> Vec<(String, String, String)> {
    let mut text = String::new();
    for (at, part) in css.split("/*").enumerate() {
        text.push_str(if at == 0 { part } else { part.split_once("*/").expect("an end of a comment").1 });
    }
    let (mut within, mut rules, mut begun) = (Vec::<String>::new(), Vec::new(), String::new());
    for c in text.chars() {
        match c {
            '{' => within.push(std::mem::take(&mut begun).trim().to_owned()),
            '}' => {
                let selector = within.pop().expect("a beginning of a rule");
                rules.push((within.join(" "), selector, std::mem::take(&mut begun).trim().to_owned()));
            }
            c => begun.push(c),
        }
    }
    assert!(within.is_empty(), "{within:?} has no end");
    rules
}

/// A property's name in a declaration.
fn properties(body: &str) -> impl Iterator<Item = (&str, &str)> {
    body.split(';').filter_map(|one| one.split_once(':')).map(|(name, value)| (name.trim(), value.trim()))
}

#[test]
fn nothing_moves_for_those_who_do_not_want_it() {
    let mut moving = 0;
    for (within, selector, body) in rules(CSS) {
        for (name, value) in properties(&body) {
            let moves = name.starts_with("animation") || name.starts_with("transition") || name == "scroll-behavior";
            moving += usize::from(moves);
            let is_asked = within.contains("prefers-reduced-motion: no-preference");
            assert!(!moves || is_asked, "{selector} {{ {name}: {value} }} stands in {within:?}");
        }
    }
    assert!(moving >= 2, "the marks of what runs turn");
    assert!(!SCRIPT.contains("smooth") && !SCRIPT.contains(".animate("), "nor does the script move anything");
}

#[test]
fn whatever_has_the_focus_is_seen() {
    let all = rules(CSS);
    let (_, _, focus) =
        all.iter().find(|(within, selector, _)| within.is_empty() && selector == ":focus-visible").expect("a rule");
    let outline = properties(focus).find(|(name, _)| *name == "outline").expect("an outline").1;
    assert!(outline.starts_with("2px solid"), "{outline}");
    for (_, selector, body) in &all {
        for (name, value) in properties(body) {
            let hides =
                name.starts_with("outline") && ["0", "none", "transparent"].iter().any(|no| value.starts_with(no));
            assert!(!hides, "{selector} {{ {name}: {value} }} hides where somebody is");
            // an outline around what is cut off is not seen
            let is_own = ["a", "button", "input", "select", "summary", "textarea"].iter().any(|tag| selector == tag);
            assert!(!(is_own && name.starts_with("overflow") && value == "hidden"), "{selector}");
        }
    }
}

/// A page's title, and its icon's shape.
fn head(page: &str) -> (String, String) {
    let part =
        |begin: &str, end: &str| page.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).expect("a head").0;
    let icon = part("rel=\"icon\" href=\"", "\"");
    let shape = icon.rsplit_once(" d=").expect("a path").1.chars().take(40).collect();
    (part("<title>", "</title>").to_owned(), shape)
}

#[tokio::test]
async fn titles_and_icons_say_how_things_stand() {
    let t = Tester::start().await;
    t.push("main", &SMALL.replace("}]", ", artifacts: [{name: out, paths: [x]}]}]")).await;
    let timeline = format!("{RUN}/timeline");
    let picture = |page: &str| head(page);
    let of_state = ["/", "/github/acme/widget", RUN, JOB, &timeline];
    let agent = t.claims("test").await.says("hello\n").await;
    let running = picture(&t.page(RUN).await);
    for path in of_state {
        let (title, icon) = head(&t.page(path).await);
        assert!(title.starts_with("running: "), "{path}: {title}");
        assert_eq!(icon, running.1, "{path}");
    }
    agent.exits(3).await;
    let failed = picture(&t.page(RUN).await);
    assert_ne!(failed.1, running.1);
    for path in of_state {
        let (title, icon) = head(&t.page(path).await);
        let word = if path == JOB { "exit code 3: " } else { "failure: " };
        assert!(title.starts_with(word), "{path}: {title}");
        assert_eq!(icon, failed.1, "{path}");
    }
    let list = t.page("/deliveries").await;
    let (_, rest) = list.split_once("href=\"/deliveries/").expect("a link");
    let delivery = format!("/deliveries/{}", rest.split('"').next().expect("an id"));
    for path in ["/deliveries", &delivery] {
        let (title, icon) = head(&t.page(path).await);
        assert!(title.starts_with("started a run: "), "{path}: {title}");
        assert_ne!(icon, failed.1, "{path}");
    }
    let nowhere = t.get("/github/acme/widget/runs/99").await.text().await.expect("text");
    assert_eq!(head(&nowhere).0, "There is nothing here · ContainerOps");
    // what is about no state has a title all the same, and each another one
    let mut titles: Vec<String> = Vec::new();
    for path in ["/repositories", "/github/acme/widget/statistics", "/github/acme/widget/search", "/sign-in", "/audit"]
    {
        let title = head(&t.page(path).await).0;
        assert!(title.ends_with(" · ContainerOps") && !titles.contains(&title), "{path}: {title}");
        titles.push(title);
    }
}

/// Where there is nothing, the page says so, and in words or by a link what to do next.
#[tokio::test]
async fn a_page_without_anything_says_what_to_do_next() {
    let t = Tester::start().await;
    let empty = |page: &str, path: &str| {
        let (_, rest) = page.split_once("class=\"empty\"").unwrap_or_else(|| panic!("{path} is not empty:\n{page}"));
        let section = rest.split("</section>").next().expect("a section").to_owned();
        let words: usize =
            section.split('<').map(|part| part.split('>').nth(1).unwrap_or("").split_whitespace().count()).sum();
        let leads = section.contains("href=") || section.contains("<code>");
        assert!(leads && words > 6, "{path}:\n{section}");
    };
    for path in ["/", "/repositories", "/deliveries", "/audit", "/sign-in"] {
        empty(&t.page(path).await, path);
    }
    t.push("main", "stages: [{name: go, type: pause}]").await;
    for path in [
        "/?state=success",
        "/repositories?q=nothing",
        "/deliveries?state=unreadable",
        "/github/acme/widget?branch=none",
        "/github/acme/widget/search?q=needle",
        "/github/acme/widget/statistics?branch=none",
        "/secrets?forge=github&repository=acme/widget",
        &format!("{RUN}/timeline"),
    ] {
        empty(&t.page(path).await, path);
    }
    t.push("main", SMALL).await;
    t.claims("test").await.exits(0).await;
    let log = t.page("/github/acme/widget/runs/2/test/test/test").await;
    assert!(log.contains("The job wrote nothing. <a href=\"/github/acme/widget/runs/2\">"), "{log}");
    let nowhere = t.get("/nothing/at/all").await.text().await.expect("text");
    empty(&nowhere, "/nothing/at/all");
}
