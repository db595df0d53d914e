//! `containerops git init`, and the secret that it makes.

use std::{fs, os::unix::fs::PermissionsExt};

use containerops::{
    command::git::{Authority, HookSettings, InitError, init},
    forge::git::{secret, secret_file},
};
use tempfile::TempDir;

use super::{NOBODY, Scene, settings};
use crate::harness::repository::git;

#[tokio::test]
async fn init_may_be_repeated_and_leaves_other_hooks_alone() {
    let scene = Scene::new(NOBODY).await;
    let settings = settings(&scene.data(), "http://elsewhere/");
    let again = init(&scene.bare, &settings).await.expect("it may be repeated");
    assert_eq!(again.name.as_str(), "demo/app");
    assert_eq!(git(&scene.bare, &["config", "containerops.url"]).trim(), "http://elsewhere");
    let script = scene.bare.join("hooks/post-receive");
    let made = fs::read_to_string(&script).expect("it is there");
    let secret = fs::read_to_string(secret_file(&scene.data())).expect("it is there");
    assert!(!made.contains(secret.trim()), "the secret is not in the script");
    fs::write(&script, "#!/bin/sh\nmail everyone\n").expect("ours");
    let error = init(&scene.bare, &settings).await.expect_err("a foreign hook");
    assert!(matches!(error, InitError::ForeignHook(..)), "{error}");
    let both = format!("#!/bin/sh\n# containerops git hook\ntee /tmp/x | {} git hook\n", settings.program.display());
    fs::write(&script, &both).expect("ours");
    init(&scene.bare, &settings).await.expect("it calls us");
    assert_eq!(fs::read_to_string(&script).expect("it is there"), both);
}

#[tokio::test]
async fn init_says_what_is_wrong_with_a_path() {
    let scene = Scene::new(NOBODY).await;
    let settings = settings(&scene.data(), NOBODY);
    let root = scene.data().join("git");
    fs::create_dir_all(root.join("taken/src")).expect("ours");
    let mut said = vec![];
    let bad = ["../../app", "", "demo/app", "taken", "demo/app.git/x", "a b"];
    for path in bad.map(|path| root.join(path)) {
        let error = init(&path, &settings).await.expect_err("a bad path").to_string();
        said.push(error.replace(&scene.directory.path().display().to_string(), "…"));
    }
    insta::assert_debug_snapshot!(said, @r#"
    [
        "…/data/git/../../app is not below the Git root …/data/git; try: containerops git init …/data/git/app",
        "…/data/git/ is not below the Git root …/data/git; try: containerops git init …/data/git/git",
        "…/data/git/demo/app.git is there already and has the same name: use that one, or choose another path",
        "…/data/git/taken is there already and is no bare Git repository: choose another path, or move it away",
        "…/data/git/demo/app.git is a repository, and no other can lie in it: choose another path",
        "the path under the Git root is the repository's name, but `a b` is no repository name: owner/name of letters, digits, `.`, `_` and `-`",
    ]
    "#);
}

#[tokio::test]
async fn a_given_secret_is_kept_where_only_the_owner_reads_it() {
    let scene = Scene::new(NOBODY).await;
    let settings = HookSettings { authority: Authority::Given("new old".into()), ..settings(&scene.data(), NOBODY) };
    let made = init(&scene.data().join("git/alone"), &settings).await.expect("it can be made");
    let file = git(&made.path, &["config", "containerops.secretFile"]);
    let mode = fs::metadata(file.trim()).expect("it is there").permissions().mode();
    assert_eq!((fs::read_to_string(file.trim()).expect("ours").as_str(), mode & 0o777), ("new", 0o600));
}

#[test]
fn processes_that_make_the_secret_at_once_get_the_same() {
    use secrecy::ExposeSecret as _;
    let directory = TempDir::new().expect("a directory for tests can be made");
    let data = directory.path().join("data");
    let makers: Vec<_> =
        vec![data.clone(); 8].into_iter().map(|data| std::thread::spawn(move || secret(&data))).collect();
    let made: Vec<String> = makers
        .into_iter()
        .map(|maker| maker.join().expect("no panic").expect("it can be made").expose_secret().to_owned())
        .collect();
    assert!(made.iter().all(|secret| *secret == made[0] && secret.len() == 64), "{made:?}");
    assert_eq!(fs::metadata(secret_file(&data)).expect("it is there").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&data).expect("ours").count(), 1, "nothing is left over");
}
