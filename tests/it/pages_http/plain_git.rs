//! A plain repository on the server: nobody who only looks is told where it lies.

use std::sync::Arc;

use containerops::{
    executor::ExecutorKind,
    forge::git::{
        Git,
        delivery::{Commit, DELIVERY_HEADER, Delivery, EVENT_HEADER, SIGNATURE_HEADER, id, sign},
    },
    model::Time,
};
use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::{
    app::{Identity, Tester},
    repository::{Worktree, git},
};

const FLOW: &str = "stages: [{name: test, image: \"rust:1\", run: make}]\n";
const RUN: &str = "/git/demo/app/runs/1";

#[tokio::test]
async fn where_a_plain_repository_lies_is_shown_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("secret-place");
    let bare = root.join("demo/app.git");
    let ada = Worktree::new(folder.path().join("ada"));
    ada.write(".containerops.yml", FLOW);
    let sha = ada.commit("Try it");
    std::fs::create_dir_all(&bare).expect("a folder");
    git(&bare, &["init", "--quiet", "--bare", "--initial-branch=main"]);
    ada.git(&["push", "--quiet", bare.to_str().expect("text"), "main"]);

    let at = root.clone();
    let forge =
        Arc::new(move || Arc::new(Git::new(at.clone(), vec!["s3cret".into()])) as Arc<dyn containerops::forge::Forge>);
    let t = Tester::start_among(Identity::App, ExecutorKind::Process, vec![forge]).await;
    let delivery = Delivery {
        repository: "demo/app".parse().expect("a name"),
        directory: "demo/app.git".to_owned(),
        default_branch: "main".to_owned(),
        reference: "refs/heads/main".to_owned(),
        before: "0".repeat(40).parse().expect("zeros"),
        after: sha.clone(),
        commit: Some(Commit { sha, title: "Try it".to_owned(), author: "Ada".to_owned() }),
        pusher: "ada".to_owned(),
        time: Time::from_millis(1),
    };
    let body = serde_json::to_vec(&delivery).expect("JSON");
    let hook = t.http.post(format!("{}/hooks/git", t.url()));
    let hook = hook.header(SIGNATURE_HEADER, sign(&"s3cret".into(), &body)).header(DELIVERY_HEADER, id(&body));
    let answer = hook.header(EVENT_HEADER, "push").body(body).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    t.settle().await;
    let run = t.newest_run().await;
    assert!(run.event.repository.clone_url.contains("secret-place"), "what fetches it knows");

    let run = format!("/api/v1/runs/{}", run.id);
    let value: Value = t.get(&run).await.json().await.expect("JSON");
    assert_eq!(value["event"]["repository"]["clone_url"], "", "{value}");
    let list: Value = t.get("/api/v1/deliveries").await.json().await.expect("JSON");
    let delivery = list["deliveries"][0]["id"].as_str().expect("a delivery").to_owned();
    let dry_run = async || {
        let asked = t.ask(reqwest::Method::POST, &format!("/api/v1/deliveries/{delivery}/dry-run"));
        asked.send().await.expect("an answer").text().await.expect("text")
    };
    let (there, gone) = (dry_run().await, {
        std::fs::rename(&bare, folder.path().join("elsewhere")).expect("ours");
        dry_run().await
    });
    assert!(there.contains("clone_url") && gone.contains("there is no bare repository demo/app"), "{there} {gone}");
    let paths = ["/", "/git/demo/app", RUN, "/api/v1/runs", &run, "/deliveries", "/api/v1/deliveries", "/repositories"];
    let of_delivery = format!("/deliveries/{delivery}");
    let mut shown = vec![("a dry run", there), ("a dry run of what is gone", gone)];
    for path in paths.into_iter().chain([of_delivery.as_str()]) {
        let answer = t.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        shown.push((path, answer.text().await.expect("text")));
    }
    for (path, text) in shown {
        let place = folder.path().to_str().expect("text");
        assert!(!text.contains("secret-place") && !text.contains(place), "{path}: {text}");
    }
    t.read_writes();
}
