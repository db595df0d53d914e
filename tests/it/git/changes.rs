//! What a push to a bare repository changed, and what its head commit says.

use axum::http::StatusCode;
use containerops::{
    forge::Forge as _,
    model::{ChangedFiles, Event},
};

use super::{Listener, Scene};

#[tokio::test]
async fn the_files_of_a_push_and_its_message_are_read_from_the_repository() {
    let mut listener = Listener::new(StatusCode::ACCEPTED).await;
    let scene = Scene::new(&listener.url).await;
    scene.ada.write("src/main.rs", "fn main() {}");
    scene.ada.commit("Begin");
    scene.push(&["main"]).await;
    scene.ada.git(&["mv", "src/main.rs", "src/lib.rs"]);
    scene.ada.write("docs/ä b.md", "words");
    scene.ada.commit("Go on\n\n[skip ci]");
    scene.push(&["main"]).await;
    scene.ada.git(&["checkout", "--quiet", "-b", "idea"]);
    scene.ada.write("idea", "none");
    scene.ada.commit("An idea");
    scene.push(&["idea"]).await;

    let events = listener.events(&scene.forge);
    let [begin, go_on, idea] = events.as_slice() else { panic!("three pushes, not {events:?}") };
    let files = async |event: &Event| scene.forge.changed_files(event).await.expect("it is there");
    assert_eq!(files(begin).await, ChangedFiles::unknown("this push is compared with nothing"));
    let moved = ["docs/ä b.md", "src/lib.rs", "src/main.rs"].map(str::to_owned);
    assert_eq!(files(go_on).await, ChangedFiles::all(moved.to_vec()));
    assert_eq!(files(idea).await, ChangedFiles::all(vec!["idea".to_owned()]), "since it left the default branch");
    let message = scene.forge.message(&go_on.repository, &go_on.sha).await.expect("it is there").expect("git tells");
    assert_eq!(message.trim(), "Go on\n\n[skip ci]");
}

#[tokio::test]
async fn what_cannot_be_compared_is_a_gap_and_no_error() {
    let mut listener = Listener::new(StatusCode::ACCEPTED).await;
    let scene = Scene::new(&listener.url).await;
    scene.ada.commit("Begin");
    scene.push(&["main"]).await;
    let events = listener.events(&scene.forge);
    let gone = Event { base_sha: Some("1".repeat(40).parse().expect("a sha")), ..events[0].clone() };
    let files = scene.forge.changed_files(&gone).await.expect("it is there");
    assert!(files.gap.is_some_and(|gap| gap.contains("git diff")), "a commit that is gone");
}
