//! What jobs leave for others and for people: kept by digest, given to whom it is meant for, shown without harm.

use std::time::Duration;

use containerops::agent::{
    bundle::{Bundle, Entry, EntryKind, Part},
    protocol::NewArtifact,
};
use insta::assert_snapshot;
use reqwest::{Method, StatusCode, header};

use crate::harness::{agent::Agent, app::Tester};

const FLOW: &str = "stages:
  - name: build
    image: i:1
    run: make
    artifacts: [{name: bin, paths: [out/**], keep: 2d}]
  - name: use
    image: i:1
    run: ./tool
    artifacts: {from: build, to: got}
";

/// A bundle of one file, as an agent makes it, and its only part.
fn bundle(path: &str, text: &str) -> (NewArtifact, Vec<u8>) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "file", text.as_bytes()).expect("an entry");
    let tar = tar.into_inner().expect("a tar");
    let data = zstd::bulk::compress(&tar, 3).expect("compressed");
    let bundle = Bundle { length: tar.len() as u64, parts: vec![Part::of(&data)] };
    let kind = EntryKind::File { size: text.len() as u64, mode: 0o644, at: 512 };
    (NewArtifact { name: "bin".to_owned(), bundle, entries: vec![Entry { path: path.to_owned(), kind }] }, data)
}

async fn puts(agent: &Agent<'_>, digest: &str, data: &[u8]) -> StatusCode {
    agent.call(Method::PUT, &format!("blobs/{digest}")).body(data.to_vec()).send().await.expect("an answer").status()
}

async fn says(agent: &Agent<'_>, artifact: &NewArtifact) -> StatusCode {
    agent.call(Method::POST, "artifacts").json(artifact).send().await.expect("an answer").status()
}

async fn fetches(agent: &Agent<'_>, digest: &str) -> (StatusCode, Vec<u8>) {
    let answer = agent.call(Method::GET, &format!("blobs/{digest}")).send().await.expect("an answer");
    (answer.status(), answer.bytes().await.expect("bytes").to_vec())
}

async fn page(t: &Tester, path: &str) -> String {
    let answer = t.http.get(format!("{}{path}", t.url())).send().await.expect("an answer");
    answer.text().await.expect("text")
}

const PAGE: &str = "/github/acme/widget/runs/1/build/build/build/artifacts/bin";

#[tokio::test]
async fn an_artifact_goes_from_job_to_job_and_to_people() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    let build = t.claims("build").await;
    let (artifact, data) = bundle("out/<b>&\"tool", "0123456789");
    let digest = artifact.bundle.parts[0].digest.clone();
    assert_eq!(says(&build, &artifact).await, StatusCode::BAD_REQUEST, "its part is not there");
    assert_eq!(puts(&build, &digest, b"something else").await, StatusCode::BAD_REQUEST);
    for _ in 0..2 {
        assert_eq!(puts(&build, &digest, &data).await, StatusCode::NO_CONTENT, "a call may be repeated");
    }
    for _ in 0..2 {
        assert_eq!(says(&build, &artifact).await, StatusCode::NO_CONTENT, "a call may be repeated");
    }
    assert_eq!(fetches(&build, &digest).await.0, StatusCode::NOT_FOUND, "it was not told of it");
    build.exits(0).await;

    let user = t.claims("use").await;
    let told = &user.work.downloads[0];
    assert_eq!((told.to.as_str(), &told.bundle), ("got", &artifact.bundle));
    assert_eq!(fetches(&user, &digest).await, (StatusCode::OK, data));
    user.exits(0).await;

    let list = page(&t, PAGE).await;
    assert!(list.contains("out/&lt;b&gt;") || list.contains("out/&#60;b&#62;"), "{list}");
    assert!(!list.contains("<b>&"), "names are text");
    assert!(page(&t, "/github/acme/widget/runs/1").await.contains(PAGE));
    let file = format!("{}{PAGE}?file=out%2F%3Cb%3E%26%22tool", t.url());
    let answer = t.http.get(&file).header(header::RANGE, "bytes=2-4").send().await.expect("an answer");
    let shown: Vec<String> =
        ["content-disposition", "content-security-policy", "x-content-type-options", "content-range", "content-type"]
            .map(|name| format!("{name}: {}", answer.headers()[name].to_str().expect("text")))
            .into();
    assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(answer.text().await.expect("text"), "234");
    assert_snapshot!(shown.join("\n"), @r#"
    content-disposition: attachment; filename="_b___tool"; filename*=UTF-8''%3Cb%3E%26%22tool
    content-security-policy: default-src 'none'; sandbox
    x-content-type-options: nosniff
    content-range: bytes 2-4/10
    content-type: application/octet-stream
    "#);
    let tar = t.http.get(format!("{}{PAGE}?as=tar", t.url())).send().await.expect("an answer").bytes().await;
    assert_eq!(tar.expect("bytes").len() as u64, artifact.bundle.length);
    t.read_writes();
}

#[tokio::test]
async fn a_job_has_no_part_of_what_is_not_its_own() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    let build = t.claims("build").await;
    let (artifact, data) = bundle("out/tool", "0123456789");
    let digest = artifact.bundle.parts[0].digest.clone();
    puts(&build, &digest, &data).await;
    says(&build, &artifact).await;
    build.exits(0).await;
    t.push("other", "stages: [{name: thief, image: \"i:1\", run: x, artifacts: [{name: bin, paths: [x]}]}]").await;
    let thief = t.claims("thief").await;
    assert_eq!(fetches(&thief, &digest).await.0, StatusCode::NOT_FOUND);
    assert_eq!(says(&thief, &artifact).await, StatusCode::BAD_REQUEST, "to know a digest is no right to it");
    let unasked = NewArtifact { name: "other".to_owned(), ..artifact.clone() };
    puts(&thief, &digest, &data).await;
    assert_eq!(says(&thief, &unasked).await, StatusCode::BAD_REQUEST, "nobody asked for it");
    let mut outside = artifact.clone();
    outside.entries[0].path = "../../etc/passwd".to_owned();
    assert_eq!(says(&thief, &outside).await, StatusCode::BAD_REQUEST);
    outside.entries[0] = Entry { path: "x".to_owned(), kind: EntryKind::File { size: u64::MAX, mode: 0, at: 1 } };
    assert_eq!(says(&thief, &outside).await, StatusCode::BAD_REQUEST);
    t.read_writes();
}

#[tokio::test]
async fn what_was_not_left_or_has_expired_is_said_by_name() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    t.run_the_job("build", 0).await;
    t.leaves("use").await;
    t.settle().await;
    assert_snapshot!(t.checks(&sha).lines().find(|line| line.contains("/use/use")).unwrap_or_default(), @"failure containerops/ci/push/use/use: failure: cannot start: build.build.build left no artifact bin, which it takes; with `optional: true` it would run without");
    t.push("main", FLOW).await;
    let build = t.claims("build").await;
    let (artifact, data) = bundle("out/tool", "0123456789");
    puts(&build, &artifact.bundle.parts[0].digest, &data).await;
    says(&build, &artifact).await;
    build.exits(0).await;
    t.clock.advance(Duration::from_secs(2 * 24 * 3600));
    t.app().engine.tidy().await.expect("it is tidied");
    let list = page(&t, &PAGE.replace("/1/", "/2/")).await;
    assert!(list.contains("has expired"), "{list}");
    t.read_writes();
}

#[tokio::test]
async fn an_artifact_that_cannot_be_kept_is_no_success() {
    let t = Tester::start().await;
    t.set_up("artifact_limit = \"1 MB\"").await;
    let flow = "stages: [{name: test, image: i, run: dd if=/dev/zero of=x bs=1M count=2, artifacts: {paths: x}}]";
    let sha = t.push("main", flow).await;
    let (_, log) = super::caches::agent_runs(&t, "test.test").await;
    assert!(
        log.contains("artifact test could not be kept: it has more than 1000000 bytes, which is the most"),
        "{log}"
    );
    assert_snapshot!(t.check(&sha, "containerops/ci/push/test/test").title, @"failure: not kept: artifact test could not be kept: it has more than 1000000 bytes, which is the most");
}
