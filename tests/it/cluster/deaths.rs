//! One real death after another: each has its own name, and whose it is decides whether it is tried again.

mod agents;
mod alone;
mod authors;
mod images;
mod limits;
mod pods;

use std::time::Duration;

use containerops::model::Conclusion;

use crate::harness::{server::Server, story::Story};

/// Less than a test waits.
const SOON: Duration = Duration::from_secs(2);

/// A job that waits for its death in the first attempt, and does well in the second.
const TWICE: &str = r#"
stages:
  - name: work
    image: busybox
    run: |
      echo attempt $CO_ATTEMPT
      if [ $CO_ATTEMPT = 1 ]; then exec sleep 600; fi
"#;

/// The words of an action's only attempt, which was its author's, and final.
async fn final_words(server: &Server, flow: &str) -> String {
    let story = server.end(server.push(flow).await).await;
    let told = story.told();
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Failure), "{told}");
    assert!(story.actions.iter().all(|action| action.attempts.len() == 1), "it is tried again: {told}");
    story.actions[0].row.reason.clone()
}

/// The story of a flow of one job whose three attempts all end by infrastructure, with the last words of it.
async fn given_up(server: &Server, flow: &str) -> (Story, String) {
    let story = server.end(server.push(flow).await).await;
    let told = story.told();
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Error), "{told}");
    assert_eq!(story.actions[0].attempts.len(), 3, "{told}");
    let prefix = "infrastructure: all 3 attempts failed: ";
    let words = story.actions[0].row.reason.strip_prefix(prefix).unwrap_or_else(|| panic!("{told}")).to_owned();
    (story, words)
}

/// Starts a flow such as [`TWICE`], lets its first attempt die by `death`, and returns the name of that death once the
/// second has succeeded.
async fn dies_once(server: &Server, flow: &str, death: impl AsyncFnOnce(&Server)) -> String {
    let run = server.push(flow).await;
    server.until("the job writes", run, |story| story.has_lines("work/work/work", 1)).await;
    death(server).await;
    let story = server.end(run).await;
    let told = story.told();
    let end = told.lines().nth(2).unwrap_or_default().trim().to_owned();
    assert!(told.ends_with("work, attempt 2: success\n"), "{told}");
    server.until_nothing_is_left().await;
    end.strip_prefix("work: infrastructure: ").unwrap_or_else(|| panic!("{told}")).to_owned()
}
