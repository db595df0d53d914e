//! Snapshots of another commit than the event's, with more of its history, and with submodules.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use containerops::{
    forge::{
        Realm, Source,
        mirror::{Checkout, Limits, MirrorError},
    },
    model::{CheckoutOptions, Reference, Sha, Submodules},
};

use sha2::{Digest as _, Sha256};

use super::{Scene, pull_request};
use crate::harness::repository::{Worktree, git};

fn at(name: &str) -> CheckoutOptions {
    let reference = if name == "head" { Reference::Head } else { Reference::Named(name.to_owned()) };
    CheckoutOptions { reference, ..CheckoutOptions::default() }
}

fn with(submodules: Submodules) -> CheckoutOptions {
    CheckoutOptions { submodules, ..CheckoutOptions::default() }
}

#[tokio::test]
async fn a_pull_requests_head_is_taken_instead_of_its_merge() {
    let scene = Scene::new();
    let (head, _) = pull_request(&scene.origin);
    let source = Source { merge_ref: Some("refs/pull/1/merge".to_owned()), ..scene.source() };
    let snapshot = scene.snapshot_of(&head, &source, &at("head")).await.expect("it is there");
    assert_eq!(snapshot.checkout, Checkout::Commit(head));
    assert_eq!(fs::read_to_string(scene.unpacked().join("base")).expect("it is there"), "base");
}

#[tokio::test]
async fn a_branch_a_tag_or_a_commit_is_taken_by_its_name() {
    let scene = Scene::new();
    scene.origin.write("file", "one");
    let one = scene.origin.commit("One");
    scene.origin.git(&["tag", "-a", "v1", "-m", "Release"]);
    scene.origin.git(&["switch", "--quiet", "-c", "feature/x"]);
    scene.origin.write("file", "two");
    let two = scene.origin.commit("Two");
    scene.origin.git(&["switch", "--quiet", "main"]);
    let event = scene.origin.commit("Three");
    for (name, sha) in
        [("v1", &one), ("feature/x", &two), ("refs/heads/feature/x", &two), (one.as_str(), &one), ("main", &event)]
    {
        let snapshot = scene.snapshot_of(&event, &scene.source(), &at(name)).await.expect(name);
        assert_eq!(snapshot.checkout, Checkout::Named(sha.clone()), "{name}");
        assert_eq!(git(&scene.unpacked(), &["rev-parse", "HEAD"]).trim(), sha.as_str());
        fs::remove_dir_all(scene.directory.path().join("pod")).expect("ours");
    }
    let error = scene.snapshot_of(&event, &scene.source(), &at("nowhere")).await.expect_err("there is none");
    insta::assert_snapshot!(error, @"the repository has no branch or tag `nowhere`");
    let absent = at("1234567890123456789012345678901234567890");
    let error = scene.snapshot_of(&event, &scene.source(), &absent).await.expect_err("there is none");
    insta::assert_snapshot!(error, @"commit 1234567890123456789012345678901234567890 is not in the repository (any more)");
}

#[tokio::test]
async fn there_is_as_much_history_as_was_asked_for_and_with_all_of_it_come_the_tags() {
    let scene = Scene::new();
    for n in 1..=5 {
        scene.origin.commit(&format!("Commit {n}"));
    }
    scene.origin.git(&["tag", "-a", "v1", "-m", "Release"]);
    scene.origin.git(&["tag", "gone"]);
    let sha = scene.origin.commit("The last");
    for (depth, commits) in [(1, "1"), (3, "3"), (0, "6"), (0, "6")] {
        let options = CheckoutOptions { depth, ..CheckoutOptions::default() };
        scene.snapshot_of(&sha, &scene.source(), &options).await.expect("it is there");
        let pod = scene.unpacked();
        assert_eq!(git(&pod, &["rev-list", "--count", "HEAD"]).trim(), commits, "depth {depth}");
        assert_eq!(git(&pod, &["status", "--porcelain"]), "");
        let tags = git(&pod, &["tag", "--list"]);
        match (depth, tags.contains("gone")) {
            (0, true) => assert_eq!(git(&pod, &["describe"]).trim(), format!("v1-1-g{}", &sha.as_str()[..7])),
            (0, false) => assert_eq!(tags, "v1\n", "a tag that is deleted is not there any more"),
            _ => assert_eq!(tags, ""),
        }
        if depth == 0 && tags.contains("gone") {
            scene.origin.git(&["tag", "--delete", "gone"]);
        }
        fs::remove_dir_all(pod).expect("ours");
    }
}

/// A bare repository beside the origin, with a file of this content, and a submodule if one is given. Its only commit.
fn library(scene: &Scene, name: &str, module: Option<(&str, &Sha)>) -> Sha {
    let work = Worktree::new(scene.directory.path().join(format!("{name}-work")));
    work.write("file", name);
    if let Some((url, sha)) = module {
        add(&work, "inner", url, sha);
    }
    let sha = commit(&work);
    let bare = scene.directory.path().join(format!("{name}.git"));
    git(work.path(), &["clone", "--quiet", "--bare", ".", &bare.display().to_string()]);
    sha
}

/// What `git submodule add` writes, whether the address is any good or not.
fn add(to: &Worktree, path: &str, url: &str, sha: &Sha) {
    let old = fs::read_to_string(to.path().join(".gitmodules")).unwrap_or_default();
    to.write(".gitmodules", format!("{old}[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n"));
    to.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{sha},{path}")]);
}

/// Commits what the index has, and the files: `git add` would take out a submodule that is not there.
fn commit(work: &Worktree) -> Sha {
    for name in ["file", ".gitmodules"] {
        if work.path().join(name).exists() {
            work.git(&["add", name]);
        }
    }
    work.git(&["commit", "--quiet", "-m", "With submodules"]);
    work.sha("HEAD")
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[tokio::test]
async fn submodules_are_checked_out_with_repositories_of_their_own_and_theirs_if_asked_for() {
    let scene = Scene::new();
    let inner = library(&scene, "inner", None);
    let lib = library(&scene, "lib", Some(("../inner.git", &inner)));
    add(&scene.origin, "libs/lib", "../lib.git", &lib);
    add(&scene.origin, "libs/again", "../lib", &lib);
    let sha = commit(&scene.origin);
    for (wanted, lib_is_there, inner_is_there) in
        [(Submodules::None, false, false), (Submodules::Own, true, false), (Submodules::Recursive, true, true)]
    {
        scene.snapshot_of(&sha, &scene.source(), &with(wanted)).await.expect("it is there");
        let pod = scene.unpacked();
        for place in ["libs/lib", "libs/again"] {
            let lib = pod.join(place);
            assert_eq!(text(&lib.join("file")).as_deref(), lib_is_there.then_some("lib"), "{wanted:?}");
            assert_eq!(text(&lib.join("inner/file")).as_deref(), inner_is_there.then_some("inner"), "{wanted:?}");
        }
        assert_eq!(git(&pod, &["status", "--porcelain"]), "");
        if lib_is_there {
            let status = git(&pod, &["submodule", "status"]);
            assert!(status.lines().all(|line| line.starts_with(&format!(" {lib}"))), "{status}");
            assert_eq!(git(&pod.join("libs/lib"), &["log", "--format=%H"]).trim(), lib.as_str());
        }
        fs::remove_dir_all(pod).expect("ours");
    }
}

#[tokio::test]
async fn a_submodule_that_cannot_be_is_named_with_the_reason() {
    let absent: Sha = "1234567890123456789012345678901234567890".parse().expect("a good name");
    let mut said = Vec::new();
    for url in [
        "../lib.git",
        "../absent.git",
        "ext::sh -c id",
        "--upload-pack=id",
        "/etc",
        "file:///etc",
        "../../../../../../../../etc",
        "https://127.0.0.1/lib.git",
        "https://localhost:8443/lib.git",
        "http://10.0.0.1/lib.git",
        "ssh://-oProxyCommand=id/lib",
        "git@169.254.169.254:latest/meta-data",
    ] {
        let scene = Scene::new();
        library(&scene, "lib", None);
        add(&scene.origin, "lib", url, &absent);
        let sha = commit(&scene.origin);
        let error = scene.snapshot_of(&sha, &scene.source(), &with(Submodules::Own)).await.expect_err(url);
        assert!(matches!(error, MirrorError::Submodule { .. }), "{url}: {error:?}");
        let place = scene.directory.path().canonicalize().expect("it is there").display().to_string();
        let error = error.to_string().replace(&place, "…").replace(&scene.directory.path().display().to_string(), "…");
        said.push(format!("{url}: {}", error.trim_start_matches("submodule `lib` cannot be checked out: ")));
    }
    insta::assert_snapshot!(said.join("\n"), @"
    ../lib.git: …/lib.git does not have its commit 1234567890123456789012345678901234567890
    ../absent.git: …/absent.git is none of this server's repositories
    ext::sh -c id: `ext::sh -c id` is no address that is fetched: https is
    --upload-pack=id: `--upload-pack=id` is no address that is fetched: https is
    /etc: /etc is none of this server's repositories
    file:///etc: /etc is none of this server's repositories
    ../../../../../../../../etc: `../../../../../../../../etc` leads out of …/origin
    https://127.0.0.1/lib.git: https://127.0.0.1/lib.git leads to a private address
    https://localhost:8443/lib.git: https://localhost:8443/lib.git leads to a private address
    http://10.0.0.1/lib.git: http://10.0.0.1/lib.git is not encrypted
    ssh://-oProxyCommand=id/lib: `ssh://-oProxyCommand=id/lib` is no address that is fetched: https is
    git@169.254.169.254:latest/meta-data: https://169.254.169.254/latest/meta-data leads to a private address
    ");
}

#[tokio::test]
async fn a_submodule_that_gitmodules_does_not_know_is_named() {
    let scene = Scene::new();
    let lib = library(&scene, "lib", None);
    add(&scene.origin, "lib", "../lib.git", &lib);
    scene.origin.write(".gitmodules", "");
    let sha = commit(&scene.origin);
    let error = scene.snapshot_of(&sha, &scene.source(), &with(Submodules::Own)).await.expect_err("there is no url");
    insta::assert_snapshot!(error, @"submodule `lib` cannot be checked out: `.gitmodules` has no `path` and `url` for it");
}

#[tokio::test]
async fn submodules_have_limits_of_number_and_size() {
    let scene = Scene::new();
    let lib = library(&scene, "lib", None);
    for n in 0..101 {
        add(&scene.origin, &format!("libs/{n}"), "../lib.git", &lib);
    }
    let sha = commit(&scene.origin);
    let error = scene.snapshot_of(&sha, &scene.source(), &with(Submodules::Own)).await.expect_err("too many");
    insta::assert_snapshot!(error, @"the commit's files are more than a snapshot may have: 100 submodules, 8 deep");

    let scene = Scene::with_limits(Limits { files: 3, ..Limits::default() });
    let lib = library(&scene, "lib", None);
    add(&scene.origin, "one", "../lib.git", &lib);
    add(&scene.origin, "two", "../lib.git", &lib);
    let sha = commit(&scene.origin);
    let error = scene.snapshot_of(&sha, &scene.source(), &with(Submodules::Own)).await.expect_err("too large");
    assert!(matches!(error, MirrorError::TooLarge { .. }), "{error}");
}

/// A host that says who asks for what with which header, and has nothing.
async fn listening() -> (String, tokio::sync::mpsc::UnboundedReceiver<(String, Option<String>)>) {
    let (send, arrived) = tokio::sync::mpsc::unbounded_channel();
    let answer = move |uri: axum::http::Uri, headers: axum::http::HeaderMap| async move {
        let value = headers.get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let _ = send.send((uri.path().to_owned(), value));
        axum::http::StatusCode::NOT_FOUND
    };
    let app = axum::Router::new().fallback(answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, arrived)
}

#[tokio::test]
async fn our_header_goes_with_a_submodule_only_where_somebody_has_allowed_it() {
    let (forge, mut arrived) = listening().await;
    let (elsewhere, mut strangers) = listening().await;
    for (url, shared, header) in [
        ("../lib.git".to_owned(), "", None),
        ("../lib.git".to_owned(), "demo/*", Some("Bearer s3cret")),
        ("../../other/lib.git".to_owned(), "demo/*", None),
        (format!("{forge}/demo/lib"), "demo/lib", Some("Bearer s3cret")),
        (format!("{elsewhere}/demo/lib"), "demo/lib", None),
    ] {
        let scene = Scene::new();
        let lib = library(&scene, "lib", None);
        add(&scene.origin, "lib", &url, &lib);
        let sha = commit(&scene.origin);
        scene.snapshot(&sha).await.expect("the mirror has it from now on");
        let source = Source {
            url: format!("{forge}/demo/app.git"),
            header: Some("Authorization: Bearer s3cret".into()),
            realm: Realm::Host { shared: vec![shared.to_owned()] },
            ..scene.source()
        };
        let error = scene.snapshot_of(&sha, &source, &with(Submodules::Own)).await.expect_err("nobody has it");
        assert!(matches!(error, MirrorError::Submodule { .. }), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
        let asked = arrived.try_recv().ok();
        assert_eq!(asked.as_ref().and_then(|(_, header)| header.as_deref()), header, "{url}: {error}");
        assert_eq!(asked.is_some(), !url.starts_with(&elsewhere), "{url}: {error}");
        while arrived.try_recv().is_ok() {}
    }
    assert!(strangers.try_recv().is_err(), "a private address was asked");
}

#[tokio::test]
async fn the_submodules_of_a_folder_are_taken_from_it() {
    let scene = Scene::new();
    let lib = library(&scene, "lib", None);
    add(&scene.origin, "lib", "git@nowhere.invalid:acme/lib.git", &lib);
    let sha = commit(&scene.origin);
    let bare = scene.directory.path().join("lib.git").display().to_string();
    git(scene.origin.path(), &["clone", "--quiet", &bare, "lib"]);
    let source = Source { realm: Realm::Tree(scene.origin.path().to_owned()), ..scene.source() };
    scene.snapshot_of(&sha, &source, &with(Submodules::Own)).await.expect("it is there");
    assert_eq!(text(&scene.unpacked().join("lib/file")).as_deref(), Some("lib"));
}

/// A commit with a file that LFS keeps, at two paths, and one that only looks like a pointer.
fn with_large_files(scene: &Scene, content: &[u8]) -> (Sha, String) {
    let oid = hex::encode(Sha256::digest(content));
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {}\n", content.len());
    scene.origin.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    scene.origin.write("large.bin", &pointer);
    scene.origin.write("deep/söme file.bin", &pointer);
    fs::set_permissions(scene.origin.path().join("large.bin"), PermissionsExt::from_mode(0o755)).expect("ours");
    scene.origin.write("pointer.txt", &pointer);
    (scene.origin.commit("Large files"), oid)
}

fn large() -> CheckoutOptions {
    CheckoutOptions { lfs: true, ..CheckoutOptions::default() }
}

#[tokio::test]
async fn files_that_lfs_keeps_are_there_and_git_sees_no_change() {
    let scene = Scene::new();
    let content = b"large\0".repeat(100_000);
    let (sha, oid) = with_large_files(&scene, &content);
    let error = scene.snapshot_of(&sha, &scene.source(), &large()).await.expect_err("nobody has put it");
    assert!(matches!(error, MirrorError::Lfs { .. }), "{error}");
    let objects = scene.origin.path().join(".git/lfs/objects").join(&oid[..2]).join(&oid[2..4]);
    fs::create_dir_all(&objects).expect("ours");
    fs::write(objects.join(&oid), b"other").expect("ours");
    let error = scene.snapshot_of(&sha, &scene.source(), &large()).await.expect_err("it is another");
    assert!(error.to_string().ends_with("it does not have the length that its pointer says"), "{error}");
    fs::write(objects.join(&oid), &content).expect("ours");
    scene.snapshot_of(&sha, &scene.source(), &large()).await.expect("it is there");
    let pod = scene.unpacked();
    for name in ["large.bin", "deep/söme file.bin"] {
        assert!(fs::read(pod.join(name)).expect("a file") == content, "{name}");
    }
    assert_eq!(fs::metadata(pod.join("large.bin")).expect("a file").permissions().mode() & 0o777, 0o755);
    assert!(text(&pod.join("pointer.txt")).expect("a file").starts_with("version"), "no attribute says that it is one");
    assert_eq!(git(&pod, &["status", "--porcelain"]), "");
    let left: Vec<_> = fs::read_dir(pod.join(".git")).expect("it is there").flatten().map(|e| e.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".tmp")), "{left:?}");
}

#[tokio::test]
async fn files_that_lfs_keeps_are_no_way_around_the_limits() {
    let scene = Scene::with_limits(Limits { bytes: 1 << 20, ..Limits::default() });
    let (sha, _) = with_large_files(&scene, &vec![0; 600_000]);
    let error = scene.snapshot_of(&sha, &scene.source(), &large()).await.expect_err("twice that is too much");
    assert!(matches!(error, MirrorError::TooLarge { .. }), "{error}");
}

/// A forge that has LFS: it tells of one object as it is told to, and gives its bytes to whoever has the right header.
async fn lfs_forge(
    oid: &str,
    content: &[u8],
    answer: impl Fn(&str) -> serde_json::Value + Clone + Send + Sync + 'static,
) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (oid, content, own) = (oid.to_owned(), content.to_vec(), url.clone());
    let batch = move |headers: axum::http::HeaderMap, axum::Json(asked): axum::Json<serde_json::Value>| async move {
        assert_eq!(headers["authorization"], "Bearer s3cret");
        assert_eq!((&asked["operation"], &asked["objects"][0]["oid"]), (&"download".into(), &oid.as_str().into()));
        let mut object = answer(&own);
        object["oid"] = oid.as_str().into();
        axum::Json(serde_json::json!({"objects": [object]}))
    };
    let give = move |headers: axum::http::HeaderMap| async move {
        let is_right =
            headers.get("x-storage").is_some_and(|value| value == "token") && !headers.contains_key("authorization");
        if is_right { Ok(content) } else { Err(axum::http::StatusCode::FORBIDDEN) }
    };
    let app = axum::Router::new()
        .route("/demo/app.git/info/lfs/objects/batch", axum::routing::post(batch))
        .route("/storage", axum::routing::get(give));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

#[tokio::test]
async fn files_that_lfs_keeps_come_from_the_forge_and_only_the_forge_sees_our_header() {
    let content = b"large".repeat(1000);
    let download =
        |href: String| serde_json::json!({"actions": {"download": {"href": href, "header": {"x-storage": "token"}}}});
    let mut said = Vec::new();
    for (name, given) in [
        ("good", content.clone()),
        ("other bytes", b"great".repeat(1000)),
        ("more bytes", b"large".repeat(1001)),
        ("missing", content.clone()),
        ("elsewhere", content.clone()),
        ("a file", content.clone()),
    ] {
        let scene = Scene::new();
        let (sha, oid) = with_large_files(&scene, &content);
        scene.snapshot(&sha).await.expect("the mirror has it from now on");
        let answer = move |own: &str| match name {
            "missing" => serde_json::json!({"error": {"code": 404, "message": "Object does not exist"}}),
            "elsewhere" => download("http://192.0.2.1/storage".to_owned()),
            "a file" => download("file:///etc/passwd".to_owned()),
            _ => download(format!("{own}/storage")),
        };
        let forge = lfs_forge(&oid, &given, answer).await;
        let source = Source {
            url: format!("{forge}/demo/app.git"),
            header: Some("Authorization: Bearer s3cret".into()),
            realm: Realm::Host { shared: Vec::new() },
            ..scene.source()
        };
        let outcome = match scene.snapshot_of(&sha, &source, &large()).await {
            Ok(_) => {
                assert!(fs::read(scene.unpacked().join("large.bin")).expect("a file") == content);
                "it is there".to_owned()
            }
            Err(error) => error.to_string().replace(&oid, "…"),
        };
        said.push(format!("{name}: {outcome}"));
    }
    insta::assert_snapshot!(said.join("\n"), @"
    good: it is there
    other bytes: a file kept by LFS is not there: object … of 5000 bytes: its bytes are others
    more bytes: a file kept by LFS is not there: object … of 5000 bytes: it is longer than its pointer says
    missing: a file kept by LFS is not there: object … of 5000 bytes: the forge says 404 Object does not exist
    elsewhere: a file kept by LFS is not there: object … of 5000 bytes: its address is not encrypted
    a file: a file kept by LFS is not there: object … of 5000 bytes: its address is not encrypted
    ");
}

#[tokio::test]
async fn where_lfs_keeps_files_is_the_forges_to_say_and_not_the_authors() {
    let content = b"large".repeat(1000);
    let scene = Scene::new();
    let (stranger, mut strangers) = listening().await;
    scene.origin.write(".lfsconfig", format!("[lfs]\n\turl = {stranger}/private\n\tfetchexclude =\n"));
    let (sha, oid) = with_large_files(&scene, &content);
    scene.snapshot(&sha).await.expect("the mirror has it from now on");
    let answer = |own: &str| serde_json::json!({"actions": {"download": {"href": format!("{own}/storage")}}});
    let forge = lfs_forge(&oid, &content, answer).await;
    let source = Source {
        url: format!("{forge}/demo/app.git"),
        header: Some("Authorization: Bearer s3cret".into()),
        realm: Realm::Host { shared: Vec::new() },
        ..scene.source()
    };
    let _ = scene.snapshot_of(&sha, &source, &large()).await;
    assert!(strangers.try_recv().is_err(), "an address of the author's was asked");
}
