//! Snapshots: what pods unpack, without a forge's credentials.

mod options;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use containerops::{
    forge::{
        Realm, Source,
        mirror::{Checkout, Limits, MirrorError, Mirrors, Snapshot},
    },
    model::{CheckoutOptions, ForgeKind, Repository, Sha, Visibility},
};
use tempfile::TempDir;

use crate::harness::{
    github::ModelGithub,
    repository::{Worktree, git},
};

/// A repository on a forge, and the server's mirrors.
struct Scene {
    directory: TempDir,
    origin: Worktree,
    mirrors: Mirrors,
}

const CLONE_URL: &str = "https://forge.example/demo/app.git";

impl Scene {
    fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    fn with_limits(limits: Limits) -> Self {
        let directory = TempDir::new().expect("a directory for tests can be made");
        let origin = Worktree::new(directory.path().join("origin"));
        let mirrors = Mirrors::with_limits(directory.path().join("mirrors"), limits);
        Self { directory, origin, mirrors }
    }

    fn source(&self) -> Source {
        let url = self.origin.path().display().to_string();
        let realm = Realm::Below(self.directory.path().to_owned());
        Source { url, header: None, refs: vec!["refs/heads/main".to_owned()], merge_ref: None, realm }
    }

    fn archive(&self) -> PathBuf {
        self.directory.path().join("snapshot.tar.zst")
    }

    async fn snapshot_from(&self, sha: &Sha, source: &Source) -> Result<Snapshot, MirrorError> {
        self.snapshot_of(sha, source, &CheckoutOptions::default()).await
    }

    async fn snapshot_of(
        &self,
        sha: &Sha,
        source: &Source,
        options: &CheckoutOptions,
    ) -> Result<Snapshot, MirrorError> {
        let repository = Repository {
            forge: ForgeKind::Github,
            name: "demo/app".parse().expect("a good name"),
            default_branch: "main".to_owned(),
            clone_url: CLONE_URL.to_owned(),
            web_url: String::new(),
            installation: None,
            visibility: Visibility::default(),
        };
        self.mirrors.snapshot(&repository, sha, source, options, &self.archive()).await
    }

    async fn snapshot(&self, sha: &Sha) -> Result<Snapshot, MirrorError> {
        self.snapshot_from(sha, &self.source()).await
    }

    fn mirror(&self) -> PathBuf {
        self.directory.path().join("mirrors/github/demo+app.git")
    }

    /// Unpacks the snapshot as a pod does.
    fn unpacked(&self) -> PathBuf {
        let into = self.directory.path().join("pod");
        let file = fs::File::open(self.archive()).expect("it was written");
        let mut tar = tar::Archive::new(zstd::Decoder::new(file).expect("it is zstd"));
        tar.set_preserve_permissions(true);
        tar.unpack(&into).expect("it can be unpacked");
        into
    }
}

#[tokio::test]
async fn a_snapshot_holds_the_commit_and_a_repository_of_its_own() {
    let scene = Scene::new();
    scene.origin.write("old", "history");
    scene.origin.commit("Begin");
    scene.origin.write("bin/run", "#!/bin/sh\n");
    fs::set_permissions(scene.origin.path().join("bin/run"), PermissionsExt::from_mode(0o755)).expect("ours");
    scene.origin.write("größe/日本.txt", "naïve\n");
    scene.origin.write(&format!("{}/deep.txt", "long-directory-name/".repeat(12)), "deep\n");
    let sha = scene.origin.commit("Grow");

    let snapshot = scene.snapshot(&sha).await.expect("it is there");
    assert_eq!(snapshot.checkout, Checkout::Commit(sha.clone()));
    assert_eq!(snapshot.packed, fs::metadata(scene.archive()).expect("it was written").len());

    let pod = scene.unpacked();
    assert_eq!(fs::read_to_string(pod.join("größe/日本.txt")).expect("it is there"), "naïve\n");
    let mode = |name: &str| fs::metadata(pod.join(name)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode("bin/run"), mode("old")), (0o755, 0o644));
    assert_eq!(git(&pod, &["status", "--porcelain"]), "");
    assert_eq!(git(&pod, &["log", "--format=%H %s"]), format!("{sha} Grow\n"), "without history");
    assert_eq!(git(&pod, &["remote", "get-url", "origin"]).trim(), CLONE_URL);
    assert_eq!(git(&pod, &["describe", "--always"]).trim(), &sha.as_str()[..7]);
    git(&pod, &["fsck", "--strict"]);
}

#[tokio::test]
async fn nothing_of_this_machine_is_in_a_snapshot_and_the_same_commit_gives_the_same_bytes() {
    let scene = Scene::new();
    for n in 0..50 {
        scene.origin.write(&format!("src/{n}.txt"), "content\n".repeat(n));
    }
    let sha = scene.origin.commit("Begin");
    let mut bytes = Vec::new();
    for _ in 0..2 {
        scene.snapshot(&sha).await.expect("it is there");
        bytes.push(fs::read(scene.archive()).expect("it was written"));
    }
    assert!(bytes[0] == bytes[1], "the bytes differ");
    let tar = zstd::decode_all(bytes[0].as_slice()).expect("it is zstd");
    let machine = scene.directory.path().display().to_string();
    assert!(!tar.windows(machine.len()).any(|window| window == machine.as_bytes()), "a path of this machine is in it");
}

#[tokio::test]
async fn links_stay_links_and_submodules_stay_empty() {
    let scene = Scene::new();
    symlink("/etc/passwd", scene.origin.path().join("stolen")).expect("ours");
    symlink("..", scene.origin.path().join("up")).expect("ours");
    scene.origin.write("file", "plain");
    scene.origin.write(".gitattributes", "* filter=lfs\n");
    let other = Worktree::new(scene.directory.path().join("other"));
    other.write("secret", "not fetched");
    other.commit("Another repository");
    scene.origin.git(&["submodule", "--quiet", "add", &other.path().display().to_string(), "module"]);
    let sha = scene.origin.commit("Try things");

    scene.snapshot(&sha).await.expect("it is there");
    let pod = scene.unpacked();
    assert_eq!(fs::read_link(pod.join("stolen")).expect("a link"), Path::new("/etc/passwd"));
    assert_eq!(fs::read_link(pod.join("up")).expect("a link"), Path::new(".."));
    assert_eq!(fs::read_dir(pod.join("module")).expect("a directory").count(), 0);
    assert_eq!(fs::read_to_string(pod.join("file")).expect("it is there"), "plain");
}

/// Makes a pull request of one commit on top of `main`, and its merge. Returns both.
fn pull_request(origin: &Worktree) -> (Sha, Sha) {
    origin.write("base", "base");
    origin.commit("Base");
    origin.git(&["switch", "--quiet", "-c", "feature"]);
    origin.write("feature", "new");
    let head = origin.commit("Feature");
    origin.git(&["switch", "--quiet", "main"]);
    origin.write("base", "changed");
    origin.commit("Meanwhile");
    origin.git(&["merge", "--quiet", "--no-ff", "-m", "Merge", "feature"]);
    origin.git(&["update-ref", "refs/pull/1/merge", "HEAD"]);
    let merge = origin.sha("HEAD");
    origin.git(&["reset", "--quiet", "--hard", "HEAD~"]);
    (head, merge)
}

#[tokio::test]
async fn a_pull_request_is_built_as_its_merge() {
    let scene = Scene::new();
    let (head, merge) = pull_request(&scene.origin);
    let source = Source { merge_ref: Some("refs/pull/1/merge".to_owned()), ..scene.source() };
    let snapshot = scene.snapshot_from(&head, &source).await.expect("it is there");
    assert_eq!(snapshot.checkout, Checkout::Merge(merge));
    let pod = scene.unpacked();
    assert_eq!(fs::read_to_string(pod.join("base")).expect("it is there"), "changed");
    assert_eq!(fs::read_to_string(pod.join("feature")).expect("it is there"), "new");
}

#[tokio::test]
async fn a_merge_of_another_commit_is_not_taken() {
    let scene = Scene::new();
    let (_, _) = pull_request(&scene.origin);
    scene.origin.git(&["switch", "--quiet", "feature"]);
    let newer = scene.origin.commit("Pushed since");
    for merge_ref in ["refs/pull/1/merge", "refs/pull/2/merge", "--upload-pack=touch x"] {
        let source = Source { merge_ref: Some(merge_ref.to_owned()), ..scene.source() };
        let snapshot = scene.snapshot_from(&newer, &source).await.expect("it is there");
        assert_eq!(snapshot.checkout, Checkout::Commit(newer.clone()), "{merge_ref}");
    }
}

#[tokio::test]
async fn later_commits_are_fetched_into_the_same_mirror() {
    let scene = Scene::new();
    let first = scene.origin.commit("One");
    scene.snapshot(&first).await.expect("it is there");
    let second = scene.origin.commit("Two");
    scene.snapshot(&second).await.expect("it is there");
    fs::remove_dir_all(scene.origin.path()).expect("ours");
    for sha in [first, second] {
        let snapshot = scene.snapshot(&sha).await.expect("the mirror has it, so the forge may be gone");
        assert_eq!(snapshot.checkout, Checkout::Commit(sha));
    }
}

#[tokio::test]
async fn each_failure_has_its_name() {
    let scene = Scene::new();
    scene.origin.commit("One");
    let absent: Sha = "1234567890123456789012345678901234567890".parse().expect("a good name");
    let mut said = BTreeMap::new();
    for (name, url) in [
        ("absent commit", scene.source().url),
        ("nobody listens", "http://127.0.0.1:1/demo/app.git".to_owned()),
        ("no repository", "/nonexistent/app.git".to_owned()),
        ("a command", "ext::sh -c id".to_owned()),
    ] {
        let header = Some("Authorization: Bearer s3cret".into());
        let error = scene.snapshot_from(&absent, &Source { url, header, ..scene.source() }).await.expect_err(name);
        let said_this = error.to_string();
        assert!(!said_this.contains("s3cret"), "{said_this}");
        let kind = match error {
            MirrorError::Missing { .. } => "missing",
            MirrorError::Away { .. } => "away",
            MirrorError::Refused { .. } => "refused",
            MirrorError::TooLarge { .. } => "too large",
            MirrorError::NoSuchRef { .. } | MirrorError::Submodule { .. } | MirrorError::Lfs { .. } => "the author's",
            MirrorError::Git { .. } | MirrorError::Disk { .. } => "ours",
        };
        said.insert(name, kind);
    }
    insta::assert_debug_snapshot!(said, @r#"
    {
        "a command": "refused",
        "absent commit": "missing",
        "no repository": "refused",
        "nobody listens": "away",
    }
    "#);
}

#[tokio::test]
async fn a_header_goes_to_its_forge_and_nowhere_else() {
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    elsewhere.set_nonblocking(true).expect("it can be asked without waiting");
    let location = format!("http://{}/", elsewhere.local_addr().expect("it is bound"));
    let (send, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let answer = move |headers: axum::http::HeaderMap| async move {
        let value = headers.get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
        send.send(value).expect("the test listens");
        // a forge that sends its visitors elsewhere must not send the header there
        (axum::http::StatusCode::FOUND, [("location", location)])
    };
    let app = axum::Router::new().fallback(answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let url = format!("http://{}/demo/app.git", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, app).await });

    let scene = Scene::new();
    let sha = scene.origin.commit("One");
    let source = Source { url, header: Some("Authorization: Bearer s3cret".into()), ..scene.source() };
    scene.snapshot_from(&sha, &source).await.expect_err("it is no forge");
    assert_eq!(arrived.try_recv().expect("it was asked"), Some("Bearer s3cret".to_owned()));
    assert!(elsewhere.accept().is_err(), "git has followed");
    let kept = grep(scene.directory.path(), b"s3cret");
    assert!(kept.is_empty(), "it is on the disk: {kept:?}");
}

#[tokio::test]
async fn a_source_comes_over_http_as_well() {
    let github = ModelGithub::start_over_http().await;
    let sha = github.commit("demo/app", "main", &[("readme", b"hello")]);
    let scene = Scene::new();
    let source = Source { url: format!("{}/demo/app.git", github.url()), ..scene.source() };
    assert!(source.url.starts_with("http://"), "{}", source.url);
    scene.snapshot_from(&sha, &source).await.expect("a snapshot");
    assert_eq!(fs::read(scene.unpacked().join("readme")).expect("a file"), b"hello");
}

/// The files below a directory that hold some bytes.
fn grep(directory: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("it is there").map(|entry| entry.expect("it is readable").path());
    let holds = |path: &PathBuf| fs::read(path).is_ok_and(|read| read.windows(bytes.len()).any(|w| w == bytes));
    entries.flat_map(|path| if path.is_dir() { grep(&path, bytes) } else { vec![path] }).filter(holds).collect()
}

#[tokio::test]
async fn a_commit_that_is_too_large_is_refused_before_it_is_written() {
    let scene = Scene::with_limits(Limits { bytes: 3 << 20, files: 10, time: Duration::from_secs(60) });
    // it packs to some kilobytes
    scene.origin.write("zeros", vec![0; 4 << 20]);
    let large = scene.origin.commit("A bomb");
    let error = scene.snapshot(&large).await.expect_err("it is too large");
    insta::assert_snapshot!(error, @"the commit's files are more than a snapshot may have: 3 MiB");
    scene.origin.write("zeros", "");
    for n in 0..11 {
        scene.origin.write(&format!("{n}"), "");
    }
    let many = scene.origin.commit("Many");
    let error = scene.snapshot(&many).await.expect_err("it has too many files");
    insta::assert_snapshot!(error, @"the commit's files are more than a snapshot may have: 10 files");
}

#[tokio::test]
async fn callers_at_the_same_time_do_not_disturb_each_other() {
    let scene = Scene::new();
    scene.origin.write("file", "content");
    let sha = scene.origin.commit("One");
    let (first, second) = tokio::join!(scene.snapshot(&sha), scene.snapshot(&sha));
    assert_eq!(first.expect("it is there"), second.expect("it is there"));
}

#[tokio::test]
async fn what_a_crash_has_left_is_mended() {
    let scene = Scene::new();
    let first = scene.origin.commit("One");
    scene.snapshot(&first).await.expect("it is there");
    let second = scene.origin.commit("Two");
    fs::remove_file(scene.mirror().join("config")).expect("ours");
    let forgotten = scene.directory.path().join("mirrors/checkouts/forgotten");
    fs::create_dir(&forgotten).expect("ours");
    let lock = scene.mirror().join(format!("refs/containerops/commits/{second}.lock"));
    for (path, age) in [(&lock, 3 * 3600), (&forgotten, 3 * 3600), (&scene.mirror().join("fresh.lock"), 60)] {
        let file = if path.is_dir() { fs::File::open(path) } else { fs::File::create(path) };
        let then = std::time::SystemTime::now() - Duration::from_secs(age);
        file.and_then(|file| file.set_modified(then)).expect("ours");
    }
    scene.snapshot(&second).await.expect("it is there");
    assert!(!forgotten.exists());
    assert!(scene.mirror().join("fresh.lock").exists(), "someone may hold it still");
}

#[tokio::test]
async fn git_is_ended_when_its_time_is_over() {
    // whoever connects waits in the queue for ever
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let url = format!("http://{}/demo/app.git", silent.local_addr().expect("it is bound"));
    let scene = Scene::with_limits(Limits { time: Duration::from_millis(300), ..Limits::default() });
    let sha = scene.origin.commit("One");
    let error = scene.snapshot_from(&sha, &Source { url, ..scene.source() }).await.expect_err("nobody answers");
    assert!(matches!(error, MirrorError::Away { .. }), "{error}");
    assert!(error.to_string().contains("took longer"), "{error}");
    let (mut asked, _) = silent.accept().expect("git has connected");
    asked.set_read_timeout(Some(Duration::from_secs(10))).expect("a good limit");
    let mut request = String::new();
    std::io::Read::read_to_string(&mut asked, &mut request).expect("git has hung up: no part of it is left");
    assert!(request.starts_with("GET /demo/app.git"), "{request}");
}
