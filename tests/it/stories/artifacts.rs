//! What jobs leave for others and for people: kept by digest, given to whom it is meant for, shown without harm.

use std::time::Duration;

use containerops::agent::{
    bundle::{Bundle, Entry, EntryKind, Part},
    protocol::NewArtifact,
};
use containerops::model::{FlowChoice, What, Wish};
use futures::StreamExt as _;
use insta::assert_snapshot;
use reqwest::{Method, StatusCode, header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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

/// A connection to the server that breaks in the middle of a part.
async fn puts_a_half(t: &Tester, agent: &Agent<'_>, digest: &str, data: &[u8]) {
    let call = agent.call(Method::PUT, &format!("blobs/{digest}")).build().expect("a call");
    let session = call.headers()["authorization"].to_str().expect("text").to_owned();
    let address = t.url().trim_start_matches("http://").to_owned();
    let mut connection = tokio::net::TcpStream::connect(&address).await.expect("the server listens");
    let head = format!(
        "PUT /agent/v1/blobs/{digest} HTTP/1.1\r\nHost: x\r\nAuthorization: {session}\r\nContent-Length: {}\r\n\r\n",
        data.len()
    );
    connection.write_all(head.as_bytes()).await.expect("it is sent");
    connection.write_all(&data[..data.len() / 2]).await.expect("a half is sent");
    connection.shutdown().await.expect("and no more");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.expect("the server ends it, too");
    assert!(!answer.starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_part_that_was_cut_off_is_none_until_it_comes_whole() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    let build = t.claims("build").await;
    let (artifact, data) = bundle("out/tool", &"0123456789".repeat(1000));
    let digest = artifact.bundle.parts[0].digest.clone();
    for _ in 0..10 {
        puts_a_half(&t, &build, &digest, &data).await;
    }
    assert_eq!(says(&build, &artifact).await, StatusCode::BAD_REQUEST, "a half is no part");
    assert!(page(&t, PAGE).await.contains("404") || !page(&t, PAGE).await.contains("out/tool"));
    assert_eq!(puts(&build, &digest, &data).await, StatusCode::NO_CONTENT);
    assert_eq!(says(&build, &artifact).await, StatusCode::NO_CONTENT);
    build.exits(0).await;
    let user = t.claims("use").await;
    assert_eq!(fetches(&user, &digest).await, (StatusCode::OK, data));
    t.read_writes();
}

/// Between agent and server: each of the first connections breaks after so many bytes in either direction.
async fn a_bad_line(t: &Tester, breaks: usize, after: u64) -> String {
    let server = t.url().trim_start_matches("http://").to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        let mut left = breaks;
        while let Ok((agent, _)) = listener.accept().await {
            let most = if left > 0 { after } else { u64::MAX };
            left = left.saturating_sub(1);
            let server = tokio::net::TcpStream::connect(&server).await.expect("the server listens");
            tokio::spawn(async move {
                let ((from_agent, mut to_agent), (from_server, mut to_server)) =
                    (agent.into_split(), server.into_split());
                let (mut up, mut down) = (from_agent.take(most), from_server.take(most));
                tokio::select! {
                    _ = tokio::io::copy(&mut up, &mut to_server) => {}
                    _ = tokio::io::copy(&mut down, &mut to_agent) => {}
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn artifacts_come_through_a_line_that_breaks_in_the_middle_of_parts() {
    let t = Tester::start().await;
    let flow = "stages:
  - name: build
    image: i:1
    run: head -c 9000000 /dev/urandom > large && sha256sum large > sum
    artifacts: {paths: [large, sum]}
  - {name: use, image: i:1, run: sha256sum -c sum, artifacts: {from: build}}
";
    t.push("main", flow).await;
    for (action, says) in [("build.build", "artifact build: 2 files, 9 MB"), ("use.use", "large: OK")] {
        let url = a_bad_line(&t, 6, 1_500_000).await;
        let (code, log) = super::caches::agent_runs_at(&t, action, 0, &url).await;
        assert!(code == Some(0) && log.contains(says), "{log}");
    }
    t.read_writes();
}

#[tokio::test]
async fn a_job_has_no_more_than_a_few_uploads_at_once() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    let build = t.claims("build").await;
    let (artifact, data) = bundle("out/tool", "0123456789");
    let digest = &artifact.bundle.parts[0].digest;
    // bodies that never end
    let endless = || {
        let body = futures::stream::once(async { Ok::<_, std::io::Error>(vec![0_u8; 10]) });
        let body = reqwest::Body::wrap_stream(body.chain(futures::stream::pending()));
        tokio::spawn(build.call(Method::PUT, &format!("blobs/{digest}")).body(body).send())
    };
    let mut held = vec![endless()];
    let crowded = async {
        while puts(&build, digest, &data).await != StatusCode::TOO_MANY_REQUESTS {
            held.push(endless());
        }
    };
    tokio::time::timeout(Duration::from_secs(30), crowded).await.expect("another one is told to ask again");
    held.iter().for_each(tokio::task::JoinHandle::abort);
    let free = async {
        while puts(&build, digest, &data).await != StatusCode::NO_CONTENT {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), free).await.expect("those that are gone take no room");
    t.read_writes();
}

#[tokio::test]
async fn the_api_lists_artifacts_with_their_digests_and_gives_their_bytes() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    let build = t.claims("build").await;
    let (artifact, data) = bundle("out/tool", "0123456789");
    puts(&build, &artifact.bundle.parts[0].digest, &data).await;
    says(&build, &artifact).await;
    let base = format!("{}/api/v1/jobs/{}/artifacts", t.url(), build.work.job);
    build.exits(0).await;
    let json = async |url: &str| {
        let answer = t.http.get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{url}");
        answer.json::<serde_json::Value>().await.expect("JSON")
    };
    let list = json(&base).await;
    assert_eq!(list["artifacts"][0]["digest"], artifact.bundle.digest());
    assert_eq!((&list["artifacts"][0]["name"], &list["artifacts"][0]["files"]), (&"bin".into(), &1.into()));
    let one = json(&format!("{base}/bin")).await;
    assert_eq!(
        one["entries"],
        serde_json::json!([{"path": "out/tool", "kind": "file", "size": 10, "mode": 420, "at": 512}])
    );
    let file = t.http.get(format!("{base}/bin?file=out%2Ftool")).send().await.expect("an answer");
    assert_eq!(file.text().await.expect("text"), "0123456789");
    let tar = t.http.get(format!("{base}/bin?as=tar")).send().await.expect("an answer").bytes().await.expect("bytes");
    assert_eq!(tar.to_vec(), zstd::decode_all(data.as_slice()).expect("the part"));
    for missing in ["none", "bin?file=none", "bin?file=..%2F..%2Fetc%2Fpasswd"] {
        let answer = t.http.get(format!("{base}/{missing}")).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{missing}");
    }
    t.read_writes();
}

#[tokio::test]
async fn what_a_re_run_does_not_run_again_left_its_artifacts_for_it() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    let build = t.claims("build").await;
    let (artifact, data) = bundle("out/tool", "0123456789");
    let digest = artifact.bundle.parts[0].digest.clone();
    puts(&build, &digest, &data).await;
    says(&build, &artifact).await;
    build.exits(0).await;
    t.run_the_job("use", 1).await;
    let wish = Wish { what: What::Failed, flow: FlowChoice::Same, by: "Ada".to_owned() };
    t.app().engine.rerun(t.newest_run().await.id, &wish).await.expect("it can be run again");
    t.settle().await;
    let user = t.claims("use").await;
    assert_eq!(user.work.downloads[0].bundle, artifact.bundle);
    assert_eq!(fetches(&user, &digest).await, (StatusCode::OK, data));
    user.exits(0).await;
    assert!(page(&t, &PAGE.replace("/1/", "/2/")).await.contains("out/tool"), "they are shown with the new run, too");
    t.read_writes();
}
