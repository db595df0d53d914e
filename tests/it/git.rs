//! Plain Git: a push becomes a delivery, and a state becomes a note.

mod changes;
mod init;
mod left;
mod notes;

use std::{
    fs,
    io::Cursor,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use containerops::{
    command::git::{Authority, HookSettings, hook, init as init_repository},
    forge::{
        Forge, ForgeError, Reading, Unreadable,
        git::{Git, delivery, secret},
    },
    model::{Clock, Event, EventKind, Sha, Time},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc};

use crate::harness::repository::{Worktree, git};

/// A Git root, with one repository and someone who pushes to it.
struct Scene {
    directory: TempDir,
    bare: PathBuf,
    ada: Worktree,
    forge: Arc<Git>,
}

impl Scene {
    /// The repository's hook finds ContainerOps at `url`.
    async fn new(url: &str) -> Self {
        // as `main` does first of all
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let directory = TempDir::new().expect("a directory for tests can be made");
        let data = directory.path().join("data");
        let root = data.join("git");
        let ada = Worktree::new(directory.path().join("ada"));
        let made = init_repository(&root.join("demo/app.git"), &settings(&data, url)).await.expect("it can be made");
        ada.git(&["remote", "add", "origin", &made.path.display().to_string()]);
        let forge = Arc::new(Git::new(root, vec![secret(&data).expect("it was made")]));
        Self { directory, bare: made.path, ada, forge }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Pushes by the real git, whose hook writes down what it was given, and then runs the hook on that. Returns
    /// what the pusher sees.
    async fn push(&self, refs: &[&str]) -> String {
        self.ada.git(&[&["push", "--quiet", "--force", "origin"], refs].concat());
        let given = self.bare.join("given");
        let updates = fs::read(&given).expect("the hook was run");
        fs::remove_file(given).expect("ours");
        self.hook(&updates).await
    }

    async fn hook(&self, updates: &[u8]) -> String {
        let mut said = Vec::new();
        hook(&self.bare, Cursor::new(updates), &mut said, &clock()).await.expect("the hook works");
        String::from_utf8(said).expect("it speaks UTF-8")
    }

    fn undelivered(&self) -> usize {
        fs::read_dir(self.bare.join("containerops-undelivered")).map_or(0, Iterator::count)
    }

    fn points_at(&self, url: &str) {
        git(&self.bare, &["config", "containerops.url", url]);
    }
}

fn clock() -> Clock {
    Clock::standing_at(Time::from_millis(1_780_000_000_000))
}

/// Settings of a hook that runs a stand-in for this program: it writes down what git gives it.
fn settings(data: &Path, url: &str) -> HookSettings {
    let program = data.join("it's a program");
    fs::create_dir_all(data).expect("ours");
    fs::write(&program, "#!/bin/sh\n[ \"$*\" = 'git hook' ] && cat > \"$GIT_DIR/given\"\n").expect("ours");
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("ours");
    HookSettings { program, url: url.to_owned(), root: data.join("git"), authority: Authority::OfData(data.to_owned()) }
}

/// Where deliveries arrive.
struct Listener {
    url: String,
    arrived: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
}

impl Listener {
    async fn new(answer: StatusCode) -> Self {
        let (send, arrived) = mpsc::unbounded_channel();
        let take = move |State(send): State<mpsc::UnboundedSender<_>>, headers: HeaderMap, body: Bytes| async move {
            send.send((headers, body)).expect("the test listens");
            answer
        };
        let app = Router::new().route("/hooks/git", post(take)).with_state(send);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, arrived }
    }

    /// What arrived since the last call, as the forge reads it: every delivery must be authentic.
    fn readings(&mut self, forge: &Git) -> Vec<Reading> {
        let arrived = std::iter::from_fn(|| self.arrived.try_recv().ok());
        arrived
            .map(|(headers, body)| {
                let authentic = forge.authenticate(&headers, &body).expect("it is signed");
                assert_eq!(authentic.delivery, delivery::id(&body));
                forge.read(&authentic.event, &body).expect("it is readable")
            })
            .collect()
    }

    fn events(&mut self, forge: &Git) -> Vec<Event> {
        let events = self.readings(forge).into_iter().map(|reading| match reading {
            Reading::Event(event) => event,
            Reading::Nothing(reason) => panic!("nothing: {reason}"),
            Reading::Rerun(_) | Reading::Comment(_) | Reading::Closed(_) | Reading::Audience(_) => panic!("no event"),
        });
        events.collect()
    }
}

#[tokio::test]
async fn what_a_hook_tells_can_be_found_among_the_refs() {
    let mut listener = Listener::new(StatusCode::OK).await;
    let scene = Scene::new(&listener.url).await;
    scene.ada.commit("Begin");
    scene.ada.git(&["tag", "-m", "The first", "v1"]);
    scene.ada.git(&["tag", "tree", "HEAD^{tree}"]);
    scene.push(&["main", "v1", "tree", "main:refs/notes/x"]).await;

    let recall = scene.forge.recall().expect("its refs can be read");
    let bodies: Vec<Bytes> = std::iter::from_fn(|| listener.arrived.try_recv().ok()).map(|(_, body)| body).collect();
    let told: Vec<_> = bodies.iter().filter_map(|body| recall.moved("push", body)).collect();
    let Ok(Reading::Event(first)) = scene.forge.read("push", &bodies[0]) else { panic!("a push") };
    let heads = recall.heads(&first.repository).await.expect("it is there").heads;
    let mut found: Vec<_> = heads.iter().map(|head| (head.name.as_str(), &head.sha)).collect();
    let mut expected: Vec<_> = told.iter().map(|moved| (moved.name.as_str(), &moved.sha)).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "the same heads, and notes are none");

    let zeros: Sha = "0".repeat(40).parse().expect("a sha");
    for (body, moved) in bodies.iter().zip(&told) {
        let head = heads.iter().find(|head| head.name == moved.name).expect("it was listed");
        let made = recall.webhook(&first.repository, head, &zeros).await.expect("it can be made");
        assert_eq!(
            recall.moved(&made.event, &made.body).map(|made| (made.name, made.sha)),
            Some((moved.name.clone(), moved.sha.clone()))
        );
        match (scene.forge.read("push", body), scene.forge.read(&made.event, &made.body)) {
            (Ok(Reading::Event(told)), Ok(Reading::Event(made))) => {
                assert_eq!((&told.kind, &told.sha, &told.title), (&made.kind, &made.sha, &made.title));
                assert_eq!((told.repository, told.base_sha, told.trust), (made.repository, made.base_sha, made.trust));
            }
            (told, made) => assert_eq!(told, made, "neither starts anything"),
        }
    }
}

const NOBODY: &str = "http://127.0.0.1:1";

#[tokio::test]
async fn a_push_arrives_signed_and_complete() {
    let mut listener = Listener::new(StatusCode::ACCEPTED).await;
    let scene = Scene::new(&listener.url).await;
    let first = scene.ada.commit("Begin\n\nWith a body.");
    let said = scene.push(&["main"]).await;
    assert_eq!(said, format!("ContainerOps: taken, {}/git/demo/app\n", listener.url));
    let second = scene.ada.commit("Go on");
    scene.push(&["main"]).await;

    let events = listener.events(&scene.forge);
    let [begin, go_on] = events.as_slice() else { panic!("two pushes, not {events:?}") };
    assert_eq!(begin.kind, EventKind::Push { branch: "main".to_owned() });
    assert_eq!((&begin.sha, &begin.base_sha, begin.title.as_str()), (&first, &None, "Begin"));
    assert_eq!((&go_on.sha, &go_on.base_sha), (&second, &Some(first)));
    assert_eq!(go_on.repository.name.as_str(), "demo/app");
    assert_eq!(go_on.repository.default_branch, "main");
    assert_eq!(Path::new(&go_on.repository.clone_url), scene.bare);
    assert_eq!(scene.undelivered(), 0);
}

#[tokio::test]
async fn each_ref_is_a_delivery_and_those_that_start_nothing_say_why() {
    let mut listener = Listener::new(StatusCode::OK).await;
    let scene = Scene::new(&listener.url).await;
    let sha = scene.ada.commit("Begin");
    scene.ada.git(&["tag", "-m", "The first", "v1"]);
    scene.ada.git(&["branch", "old"]);
    scene.ada.git(&["tag", "tree", "HEAD^{tree}"]);
    scene.push(&["main", "old", "v1", "tree", "main:refs/notes/x"]).await;
    scene.push(&[":old"]).await;

    let (mut events, mut reasons) = (vec![], vec![]);
    for reading in listener.readings(&scene.forge) {
        match reading {
            Reading::Event(event) => events.push((event.name(), event.branch().map(str::to_owned), event.sha)),
            Reading::Nothing(reason) => reasons.push(reason),
            Reading::Rerun(_) | Reading::Comment(_) | Reading::Closed(_) | Reading::Audience(_) => panic!("no event"),
        }
    }
    let branch = |name: &str| Some(name.to_owned());
    assert_eq!(
        events,
        [("push", branch("main"), sha.clone()), ("push", branch("old"), sha.clone()), ("tag", None, sha)],
        "an annotated tag stands for its commit"
    );
    insta::assert_debug_snapshot!(reasons, @r#"
    [
        "`refs/tags/tree` does not name a commit.",
        "`refs/notes/x` is neither a branch nor a tag.",
        "`refs/heads/old` was deleted.",
    ]
    "#);
}

#[tokio::test]
async fn nothing_is_lost_while_nobody_listens() {
    let scene = Scene::new(NOBODY).await;
    let first = scene.ada.commit("One");
    let said = scene.push(&["main"]).await;
    assert!(
        said.starts_with("ContainerOps: not told yet; this is kept, and found once ContainerOps is there: "),
        "{said}"
    );
    assert!(said.contains("/hooks/git does not answer: Connection refused"), "{said}");
    assert_eq!(scene.undelivered(), 1);

    let mut listener = Listener::new(StatusCode::ACCEPTED).await;
    scene.points_at(&listener.url);
    let second = scene.ada.commit("Two");
    scene.push(&["main"]).await;
    let shas: Vec<Sha> = listener.events(&scene.forge).into_iter().map(|event| event.sha).collect();
    assert_eq!(shas, [first, second], "in the order in which they were pushed");
    assert_eq!(scene.undelivered(), 0);
}

#[tokio::test]
async fn a_delivery_that_is_not_known_by_its_secret_is_kept() {
    let mut listener = Listener::new(StatusCode::UNAUTHORIZED).await;
    let scene = Scene::new(&listener.url).await;
    scene.ada.commit("One");
    let said = scene.push(&["main"]).await;
    assert!(said.contains("does not know our secret; run `containerops git init`"), "{said}");
    assert_eq!((scene.undelivered(), listener.readings(&scene.forge).len()), (1, 1), "kept, and asked only once");
}

#[tokio::test]
async fn a_delivery_that_is_refused_does_not_hold_up_others() {
    let listener = Listener::new(StatusCode::BAD_REQUEST).await;
    let scene = Scene::new(&listener.url).await;
    scene.ada.commit("One");
    let said = scene.push(&["main"]).await;
    assert!(said.contains("400 Bad Request; it is not sent again, but kept in"), "{said}");
    let mut listener = Listener::new(StatusCode::ACCEPTED).await;
    scene.points_at(&listener.url);
    let second = scene.ada.commit("Two");
    scene.push(&["main"]).await;
    assert_eq!(listener.events(&scene.forge).into_iter().map(|event| event.sha).collect::<Vec<_>>(), [second]);
}

#[tokio::test]
async fn lines_that_git_never_writes_are_passed_over() {
    let mut listener = Listener::new(StatusCode::ACCEPTED).await;
    let scene = Scene::new(&listener.url).await;
    let sha = scene.ada.commit("Begin");
    scene.push(&["main"]).await;
    listener.events(&scene.forge);
    let zeros = "0".repeat(40);
    let odd_name = [format!("{zeros} {sha} refs/heads/").as_bytes(), b"\xff\n"].concat();
    scene.hook(&[b"\nonly two\nx y z\n", odd_name.as_slice()].concat()).await;
    let kinds: Vec<_> = listener.events(&scene.forge).into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Push { branch: "\u{fffd}".to_owned() }], "a name need not be UTF-8");
}

#[tokio::test]
async fn only_a_signature_by_one_of_the_secrets_is_authentic() {
    let secrets = ["old", "new", ""].map(|secret| secret.into());
    let forge = Git::new("/nowhere".into(), secrets.to_vec());
    let authenticate = |secret: &str, body: &[u8]| {
        let mut headers = HeaderMap::new();
        let signature = delivery::sign(&secret.into(), b"body");
        for (name, value) in [
            (delivery::SIGNATURE_HEADER, signature.as_str()),
            (delivery::DELIVERY_HEADER, "1"),
            (delivery::EVENT_HEADER, "push"),
        ] {
            headers.insert(name, value.parse().expect("a header"));
        }
        forge.authenticate(&headers, body).is_some()
    };
    assert!(authenticate("old", b"body") && authenticate("new", b"body"));
    assert!(!authenticate("other", b"body") && !authenticate("new", b"another body") && !authenticate("", b"body"));
    assert!(forge.authenticate(&HeaderMap::new(), b"body").is_none());
}

#[test]
fn what_is_no_delivery_is_unreadable() {
    let forge = Git::new("/srv/git".into(), vec![]);
    assert!(matches!(forge.read("push", b"{"), Err(Unreadable::NotJson(_))));
    assert!(matches!(forge.read("push", b"{}"), Err(Unreadable::Shape { .. })));
    assert!(matches!(forge.read("dance", b"{}"), Ok(Reading::Nothing(_))));
    let zeros = "0".repeat(40);
    for (repository, directory) in [("../etc", "../etc"), ("demo/app", "../etc"), ("demo/app", "/demo/app")] {
        let body = serde_json::json!({
            "repository": repository, "directory": directory, "default_branch": "main", "ref": "refs/heads/main",
            "before": zeros, "after": zeros, "commit": null, "pusher": "ada", "time": 0
        });
        let read = forge.read("push", body.to_string().as_bytes());
        assert!(matches!(read, Err(Unreadable::Shape { .. })), "{directory}: {read:?}");
    }
}

/// Pushes one commit and returns the scene with the event.
async fn pushed(files: &[(&str, Vec<u8>)]) -> (Scene, Event) {
    let mut listener = Listener::new(StatusCode::ACCEPTED).await;
    let scene = Scene::new(&listener.url).await;
    for (name, content) in files {
        scene.ada.write(name, content);
    }
    scene.ada.commit("Begin");
    scene.push(&["main"]).await;
    let event = listener.events(&scene.forge).remove(0);
    (scene, event)
}

async fn flow_files(files: &[(&str, Vec<u8>)]) -> Vec<(String, usize)> {
    let (scene, event) = pushed(files).await;
    let files = scene.forge.flow_files(&event.repository, &event.sha).await.expect("they can be read");
    files.into_iter().map(|file| (file.path, file.content.len())).collect()
}

#[tokio::test]
async fn flow_files_are_read_from_the_commit() {
    assert_eq!(flow_files(&[("README", b"no flow".to_vec())]).await, []);
    let one = (".containerops.yml", vec![b'#'; 2 << 20]);
    assert_eq!(
        flow_files(&[one, (".containerops/ci.yml", vec![])]).await,
        [(".containerops.yml".to_owned(), (1 << 20) + 1)],
        "the first MiB and a byte more"
    );
    let several = [
        (".containerops/b.yml", b"b".to_vec()),
        (".containerops/a.yml", b"a".to_vec()),
        (".containerops/README.md", vec![]),
        (".containerops/sub/c.yml", vec![]),
    ];
    assert_eq!(
        flow_files(&several).await,
        [(".containerops/a.yml".to_owned(), 1), (".containerops/b.yml".to_owned(), 1)]
    );
}

#[tokio::test]
async fn an_absent_commit_or_repository_is_refused() {
    let (scene, event) = pushed(&[]).await;
    let absent: Sha = "1234567890123456789012345678901234567890".parse().expect("a good name");
    let error = scene.forge.flow_files(&event.repository, &absent).await.expect_err("it is not there");
    assert!(matches!(error, ForgeError::Refused { .. }), "{error}");
    fs::rename(&scene.bare, scene.directory.path().join("elsewhere")).expect("ours");
    let error = scene.forge.source(&event).await.expect_err("it is not there");
    assert!(matches!(error, ForgeError::Refused { .. }), "{error}");
    let place = scene.directory.path().to_str().expect("text");
    assert!(!error.to_string().contains(place), "people read it who need not know: {error}");
    std::os::unix::fs::symlink(scene.directory.path().join("elsewhere"), &scene.bare).expect("ours");
    let error = scene.forge.source(&event).await.expect_err("a link leads out of the root");
    assert!(matches!(error, ForgeError::Refused { .. }), "{error}");
}
