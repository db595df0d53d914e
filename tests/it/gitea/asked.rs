//! What we ask of the forge and tell it, whatever release it is and however its administrator has set it up.

use std::time::Duration;

use containerops::{
    forge::{
        Forge as _, ForgeError, HookKeeper as _, Recall as _,
        gitea::{Gitea, GiteaSettings},
    },
    model::{Conclusion, Context, Progress, Report, Role, Visibility},
};

use super::{WIDGET, gitea, pushed, widget};
use crate::harness::gitea::ModelGitea;

const FLOW: &[u8] = b"stages: []";

#[tokio::test]
async fn flow_files_are_the_one_or_those_of_the_folder() {
    let model = ModelGitea::start().await;
    let gitea = gitea(&model);
    let (repository, sha) = widget(&gitea, &model, &[(".containerops.yml", FLOW), (".containerops/a.yml", b"a")]);
    let files = gitea.flow_files(&repository, &sha).await.expect("no trouble");
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), [".containerops.yml"]);
    assert_eq!(files[0].content, FLOW);
    let folder: &[(&str, &[u8])] = &[
        (".containerops/b.yml", b"b"),
        (".containerops/a.yml", b"a"),
        (".containerops/c.txt", b"c"),
        (".containerops/d/e.yml", b"e"),
    ];
    let sha = model.commit(WIDGET, "main", folder);
    let files = gitea.flow_files(&repository, &sha).await.expect("no trouble");
    assert_eq!(
        files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
        [".containerops/a.yml", ".containerops/b.yml"]
    );
    let none = model.commit(WIDGET, "main", &[("README.md", b"-")]);
    assert_eq!(gitea.flow_files(&repository, &none).await.expect("no trouble"), []);
    // no commit is no commit without flow files
    let nowhere = "f".repeat(40).parse().expect("a sha");
    let error = gitea.flow_files(&repository, &nowhere).await.expect_err("there is none");
    assert!(error.to_string().contains("it has no commit ffff"), "{error}");
    for size in [(1 << 20) + 1, 3 << 20] {
        let large = model.commit(WIDGET, "main", &[(".containerops.yml", &vec![b'#'; size])]);
        let files = gitea.flow_files(&repository, &large).await.expect("no trouble");
        assert_eq!(files[0].content.len(), (1 << 20) + 1, "{size}");
    }
}

#[tokio::test]
async fn lists_are_read_to_their_end_however_they_are_cut() {
    let model = ModelGitea::start().await;
    let gitea = gitea(&model);
    let (repository, _) = widget(&gitea, &model, &[("1", b"1")]);
    for n in 0..6 {
        model.commit(WIDGET, &format!("topic/{n}"), &[("1", b"2")]);
        model.open_pull_request(WIDGET, "main", WIDGET, &format!("topic/{n}"));
    }
    for (page, counts, null) in
        [(50, true, true), (2, true, true), (3, false, true), (3, false, false), (7, false, true)]
    {
        model.is(|quirks| (quirks.page, quirks.counts, quirks.null) = (page, counts, null));
        let heads = gitea.heads(&repository).await.expect("no trouble");
        assert_eq!((heads.heads.len(), heads.cut.len()), (13, 0), "{page} {counts} {null}");
        let number = gitea.open_pull_request(&repository, "topic/0").await.expect("no trouble");
        assert!(
            number.is_some() && number == gitea.open_pull_request(&repository, "topic/0").await.expect("no trouble")
        );
        assert_eq!(gitea.open_pull_request(&repository, "main").await.expect("no trouble"), None);
    }
    assert!(gitea.branch_head(&repository, "topic/3").await.expect("no trouble").is_some());
    assert_eq!(gitea.branch_head(&repository, "topic").await.expect("no trouble"), None);
}

#[tokio::test]
async fn what_changed_is_known_of_pushes_and_pull_requests() {
    let model = ModelGitea::start().await;
    let gitea = gitea(&model);
    widget(&gitea, &model, &[("a", b"1"), ("b", b"1")]);
    model.commit(WIDGET, "main", &[("a", b"2"), ("b", b"1"), ("c", b"1")]);
    let files = gitea.changed_files(&pushed(&gitea, &model, "main")).await.expect("no trouble");
    assert_eq!((files.paths, files.gap), (vec!["a".to_owned(), "c".to_owned()], None));
    let mut over = pushed(&gitea, &model, "main");
    over.base_sha = Some("f".repeat(40).parse().expect("a sha"));
    let files = gitea.changed_files(&over).await.expect("a gap, and no trouble");
    assert!(files.gap.is_some_and(|gap| gap.contains("does not compare")));
    let message = gitea.message(&over.repository, &over.sha).await.expect("no trouble");
    assert_eq!(message.as_deref(), Some("Change 1 files\n\nWith a body.\n"));
}

#[tokio::test]
async fn a_renamed_repository_is_told_and_not_looked_at_instead() {
    let model = ModelGitea::start().await;
    let gitea = gitea(&model);
    let (repository, sha) = widget(&gitea, &model, &[("a", b"1")]);
    model.rename(WIDGET, "acme/gadget");
    let report = Report {
        progress: Progress::Done(Conclusion::Success),
        title: "1 action succeeded".to_owned(),
        url: "https://ci.example.com/1".to_owned(),
        summary: String::new(),
        external_id: String::new(),
        buttons: Vec::new(),
        started: None,
        ended: None,
        annotations: Vec::new(),
    };
    let context = Context("containerops/ci/push".to_owned());
    let wanted = containerops::forge::Wanted {
        repository: &repository,
        sha: &sha,
        event: None,
        context: &context,
        report: &report,
    };
    gitea.report(&wanted, None).await.expect("it follows");
    assert_eq!(model.writes().len(), 1);
    let shown = gitea.shown(&repository, &sha, &[]).await.expect("it follows").expect("statuses are shown");
    assert!(shown[0].is(&gitea.expected(&wanted)));
    // but a hook is for what the name names
    let error = gitea.hooks_at(&WIDGET.parse().expect("a name"), "https://ci.example.com/hooks/gitea").await;
    assert!(matches!(error, Err(ForgeError::Refused { status: 301, .. })), "{error:?}");
}

#[tokio::test]
async fn what_goes_wrong_is_said_in_our_words() {
    let model = ModelGitea::start().await;
    let gitea = gitea(&model);
    let (repository, sha) = widget(&gitea, &model, &[("a", b"1")]);
    model.fail_next(1, 502);
    let error = gitea.branch_head(&repository, "main").await.expect_err("it is away");
    assert!(matches!(error, ForgeError::Away { .. }), "{error}");
    model.limit_next(Duration::from_secs(30));
    let error = gitea.branch_head(&repository, "main").await.expect_err("it is busy");
    assert!(matches!(error, ForgeError::Limited { after, .. } if after.as_secs() == 30), "{error}");
    let stranger =
        Gitea::new(GiteaSettings { token: Some("wrong".into()), ..model.settings() }).expect("good settings");
    let error = stranger.branch_head(&repository, "main").await.expect_err("not let in");
    assert_eq!(error.to_string(), "gitea refused (401): invalid username, password or token");
    let nobody = Gitea::new(GiteaSettings { token: None, ..model.settings() }).expect("good settings");
    assert!(
        nobody
            .shown(&repository, &sha, &[])
            .await
            .is_err_and(|error| error.to_string().contains("CONTAINEROPS_GITEA_TOKEN"))
    );
    assert!(nobody.hook_keeper().is_none());
    let far =
        Gitea::new(GiteaSettings { url: "http://127.0.0.1:9".to_owned(), ..model.settings() }).expect("good settings");
    let error = far.branch_head(&repository, "main").await.expect_err("nobody is there");
    assert!(matches!(error, ForgeError::Away { .. }), "{error}");
    for url in ["ftp://gitea.example.com", "gitea.example.com", "https://gitea.example.com?x=y"] {
        assert!(Gitea::new(GiteaSettings { url: url.to_owned(), ..model.settings() }).is_err(), "{url}");
    }
}

#[tokio::test]
async fn a_forge_that_never_answers_or_never_ends_holds_nobody_up() {
    let model = ModelGitea::start().await;
    let (repository, _) = widget(&gitea(&model), &model, &[("a", b"1")]);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let settings = |port: std::net::SocketAddr| GiteaSettings {
        url: format!("http://{port}"),
        time_limit: Duration::from_millis(200),
        ..model.settings()
    };
    let slow = Gitea::new(settings(silent.local_addr().expect("an address"))).expect("good settings");
    let error = slow.branch_head(&repository, "main").await.expect_err("nobody answers");
    assert!(matches!(error, ForgeError::Away { .. }), "{error}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address");
    let endless = axum::Router::new().fallback(async || vec![b' '; 9 << 20]);
    let server = tokio::spawn(async move { axum::serve(listener, endless).await.expect("serves") });
    let settings = GiteaSettings { time_limit: Duration::from_secs(10), ..settings(port) };
    let error = Gitea::new(settings).expect("good settings").branch_head(&repository, "main").await;
    server.abort();
    assert!(error.is_err_and(|error| error.to_string().contains("longer than 8 MiB")));
}

#[tokio::test]
async fn a_repository_is_public_if_a_stranger_sees_it() {
    let model = ModelGitea::start().await;
    let gitea = gitea(&model);
    let (repository, _) = widget(&gitea, &model, &[("a", b"1")]);
    assert_eq!(repository.visibility, Visibility::Public, "the delivery says so");
    assert_eq!(gitea.visibility(&repository).await.expect("no trouble"), Visibility::Public);
    model.is(|quirks| quirks.open = false);
    assert_eq!(gitea.visibility(&repository).await.expect("no trouble"), Visibility::Private, "the forge is closed");
    model.is(|quirks| quirks.open = true);
    model.hide(WIDGET);
    assert_eq!(gitea.visibility(&repository).await.expect("no trouble"), Visibility::Private);
    model.rename(WIDGET, "acme/gadget");
    assert_eq!(gitea.visibility(&repository).await.expect("no trouble"), Visibility::Private);
}

#[tokio::test]
async fn a_role_is_the_forges_own_word() {
    let model = ModelGitea::start().await;
    let gitea = gitea(&model);
    let (repository, _) = widget(&gitea, &model, &[("a", b"1")]);
    for (word, role) in [
        ("owner", Some(Role::Owner)),
        ("admin", Some(Role::Maintainer)),
        ("write", Some(Role::Writer)),
        ("read", Some(Role::Reader)),
        ("none", None),
    ] {
        model.allows("ada", word);
        assert_eq!(gitea.role(&repository, "ada").await.expect("no trouble"), role, "{word}");
    }
    assert_eq!(gitea.role(&repository, "nobody").await.expect("no trouble"), None);
    model.is(|quirks| quirks.admin = false);
    let error = gitea.role(&repository, "ada").await.expect_err("not for us");
    assert!(error.to_string().contains("let our account be one"), "{error}");
}

#[tokio::test]
async fn who_has_contributed_is_whose_pull_request_was_merged() {
    let model = ModelGitea::start().await;
    let gitea = gitea(&model);
    let (repository, _) = widget(&gitea, &model, &[("a", b"1")]);
    model.commit("mallory/widget", "fix", &[("a", b"2")]);
    let number = model.open_pull_request(WIDGET, "main", "mallory/widget", "fix");
    model.commit("eve/widget", "fix", &[("a", b"3")]);
    model.open_pull_request(WIDGET, "main", "eve/widget", "fix");
    let known = async |login: &str| gitea.has_contributed(&repository, login).await.expect("it is there");
    assert!(!known("mallory").await, "it is open");
    model.merge(number);
    assert!(known("mallory").await && known("Mallory").await);
    assert!(!known("eve").await && !known("").await && !known("a&state=open").await);
    model.fail_next(1, 503);
    assert!(gitea.has_contributed(&repository, "mallory").await.is_err(), "who cannot be asked has said nothing");
}
