//! What hooks could not bring lies beside the repository, where the server finds it.

use super::*;

#[tokio::test]
async fn what_hooks_have_left_is_found_where_it_belongs_and_nowhere_else() {
    let scene = Scene::new(NOBODY).await;
    let sha = scene.ada.commit("One");
    scene.push(&["main"]).await;
    let root = scene.data().join("git");
    let other = root.join("demo/deep/other.git");
    init_repository(&other, &settings(&scene.data(), NOBODY)).await.expect("it can be made");
    let [from, to] = [&scene.bare, &other].map(|repository| repository.join("containerops-undelivered"));
    fs::create_dir(&to).expect("ours");
    for file in fs::read_dir(from).expect("ours").flatten() {
        fs::copy(file.path(), to.join(file.file_name())).expect("ours");
        fs::write(to.join("nonsense.json"), "{}").expect("ours");
    }
    let left = scene.forge.recall().expect("it can be asked").left().await;
    let [left] = left.as_slice() else { panic!("{left:?}") };
    assert_eq!((left.repository.as_str(), left.file.starts_with(&scene.bare)), ("demo/app", true));
    assert_eq!(left.delivery, delivery::id(&left.webhook.body), "by the id by which the hook sends it");
    let Ok(Reading::Event(event)) = scene.forge.read(&left.webhook.event, &left.webhook.body) else {
        panic!("{left:?}")
    };
    assert_eq!(event.sha, sha);
}
