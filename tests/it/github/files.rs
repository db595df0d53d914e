use containerops::{
    forge::{FlowFile, Forge as _, ForgeError, Reading},
    model::{EventKind, Sha},
};
use secrecy::ExposeSecret;

use super::{WIDGET, app, pushed, widget};
use crate::harness::github::ModelGithub;

fn paths(files: &[FlowFile]) -> Vec<&str> {
    files.iter().map(|file| file.path.as_str()).collect()
}

#[tokio::test]
async fn the_one_file_comes_before_the_folder() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let flow: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let (repository, sha) =
        widget(&github, &model, &[(".containerops.yml", &flow), (".containerops/other.yml", b"on: push")]);
    let files = github.flow_files(&repository, &sha).await.expect("it is there");
    assert_eq!(paths(&files), [".containerops.yml"]);
    assert_eq!(files[0].content, flow);
    assert_eq!(model.calls("contents").len(), 2, "one round trip, no more");
}

#[tokio::test]
async fn the_folders_files_come_sorted_and_alone() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let (repository, sha) = widget(
        &github,
        &model,
        &[
            (".containerops/b #1?.yml", b"b"),
            (".containerops/a.yml", b""),
            (".containerops/README.md", b"no flow"),
            (".containerops/deeper/c.yml", b"too deep"),
        ],
    );
    let files = github.flow_files(&repository, &sha).await.expect("they are there");
    assert_eq!(paths(&files), [".containerops/a.yml", ".containerops/b #1?.yml"]);
    assert_eq!((files[0].content.as_slice(), files[1].content.as_slice()), (&b""[..], &b"b"[..]));
}

#[tokio::test]
async fn no_more_than_32_files_are_read() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let names: Vec<String> = (0..40).map(|n| format!(".containerops/{n:02}.yml")).collect();
    let all: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    let (repository, sha) = widget(&github, &model, &all);
    let files = github.flow_files(&repository, &sha).await.expect("they are there");
    assert_eq!(paths(&files), names[..32]);
}

#[tokio::test]
async fn a_file_over_a_mebibyte_is_long_enough_to_be_refused() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let (repository, sha) = widget(&github, &model, &[(".containerops.yml", &vec![b'#'; (1 << 20) + 5])]);
    let files = github.flow_files(&repository, &sha).await.expect("it is there");
    assert_eq!(files[0].content.len(), (1 << 20) + 1);
}

#[tokio::test]
async fn no_flow_file_is_no_error_but_no_commit_is() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let (repository, sha) = widget(&github, &model, &[("README.md", b"no flows here")]);
    assert_eq!(github.flow_files(&repository, &sha).await.expect("it is no error"), []);
    let unknown: Sha = "1".repeat(40).parse().expect("a sha");
    let error = github.flow_files(&repository, &unknown).await.expect_err("there is no such commit");
    assert!(matches!(error, ForgeError::Refused { status: 404, .. }), "{error}");
}

#[tokio::test]
async fn an_open_pull_request_is_found_by_its_branch() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let (repository, _) = widget(&github, &model, &[("a", b"1")]);
    model.commit(WIDGET, "fix/#1&more", &[("a", b"2")]);
    assert_eq!(github.open_pull_request(&repository, "fix/#1&more").await.expect("an answer"), None);
    let number = model.open_pull_request(WIDGET, "main", WIDGET, "fix/#1&more");
    assert_eq!(github.open_pull_request(&repository, "fix/#1&more").await.expect("an answer"), Some(number));
    assert_eq!(github.open_pull_request(&repository, "main").await.expect("an answer"), None);
}

#[tokio::test]
async fn the_source_is_below_our_github_and_the_token_goes_nowhere_else() {
    let model = ModelGithub::start().await;
    let mut settings = model.settings_with_token();
    settings.url = "https://github.example/".to_owned();
    let github = containerops::forge::github::Github::new(settings).expect("good settings");
    model.commit(WIDGET, "main", &[("a", b"1")]);
    let mut event = pushed(&github, &model, "main");
    event.repository.clone_url = "https://github.example/acme/widget.git".to_owned();

    let source = github.source(&event).await.expect("a source");
    assert_eq!(source.url, event.repository.clone_url);
    assert_eq!(source.refs, ["refs/heads/main"]);
    // base64 of `x-access-token:github_pat_for_tests`
    let header = "Authorization: Basic eC1hY2Nlc3MtdG9rZW46Z2l0aHViX3BhdF9mb3JfdGVzdHM=";
    assert_eq!(source.header.expect("a header").expose_secret(), header);

    for elsewhere in ["https://github.example.evil.com/acme/widget.git", "ext::sh -c id", "/etc"] {
        event.repository.clone_url = elsewhere.to_owned();
        assert!(matches!(github.source(&event).await, Err(ForgeError::Refused { status: 0, .. })), "{elsewhere}");
    }
}

#[tokio::test]
async fn each_kind_of_event_has_its_refs() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    model.commit(WIDGET, "main", &[("a", b"1")]);
    model.commit(WIDGET, "fix", &[("a", b"2")]);
    let number = model.open_pull_request(WIDGET, "main", WIDGET, "fix");
    let delivery = model.pull_request(WIDGET, number, "opened");
    let Ok(Reading::Event(mut event)) = github.read("pull_request", &delivery.body) else { panic!("an event") };
    let source = github.source(&event).await.expect("a source");
    assert_eq!(source.refs, [format!("refs/pull/{number}/head")]);
    assert_eq!(source.merge_ref, Some(format!("refs/pull/{number}/merge")));
    assert!(source.header.is_none(), "a file needs no credentials");

    event.kind = EventKind::Tag { tag: "v1".to_owned() };
    let source = github.source(&event).await.expect("a source");
    assert_eq!((source.refs, source.merge_ref), (vec!["refs/tags/v1".to_owned()], None));
}

#[tokio::test]
async fn git_finds_at_the_source_what_the_event_names() {
    let model = ModelGithub::start().await;
    let github = app(&model);
    let base = model.commit(WIDGET, "main", &[("a", b"1")]);
    model.commit("bob/widget", "fix", &[("a", b"2")]);
    let number = model.open_pull_request(WIDGET, "main", "bob/widget", "fix");
    let delivery = model.pull_request(WIDGET, number, "opened");
    let Ok(Reading::Event(event)) = github.read("pull_request", &delivery.body) else { panic!("an event") };
    assert_eq!(event.base_sha, Some(base));

    let source = github.source(&event).await.expect("a source");
    let merge = source.merge_ref.expect("a pull request has one");
    let there = std::process::Command::new("git").args(["ls-remote", &source.url]).output().expect("git is installed");
    let there = String::from_utf8(there.stdout).expect("ASCII");
    assert!(there.contains(&format!("{}\t{}\n", event.sha, source.refs[0])), "{there}");
    assert!(there.contains(&format!("\t{merge}\n")), "{there}");
}
