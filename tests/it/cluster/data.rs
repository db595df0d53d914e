//! What jobs leave for others, on real pods.

use crate::harness::server::Server;

/// Two pods with an artifact between them, and a cache with a part that is the container's own.
const FLOW: &str = r#"stages:
  - name: build
    image: busybox
    cache: {name: deps, key-files: no-such-file, paths: [~/.deps, kept]}
    run: |
      cat ~/.deps/x kept/x 2>/dev/null || echo nothing
      mkdir -p ~/.deps kept out && echo home > ~/.deps/x && echo work > kept/x
      head -c 9000000 /dev/urandom > out/large && chmod 640 out/large && sha256sum out/large > out/sum
    artifacts: {name: bin, paths: out}
  - name: use
    image: busybox
    run: cd got && sha256sum -c out/sum && stat -c %a out/large
    artifacts: {from: build, to: got}
"#;

#[tokio::test]
async fn artifacts_and_caches_go_from_pod_to_pod() {
    let Some(server) = Server::start("data").await else { return };
    let story = server.end(server.push(FLOW).await).await;
    let used = server.text(&story, "use/use/use").await;
    assert!(used.contains("out/large: OK\n640\n"), "{}{used}", story.told());
    let built = server.text(&story, "build/build/build").await;
    assert!(built.contains("nothing\n") && built.contains("cache deps: missed"), "{built}");
    let again = server.end(server.push(&FLOW.replace("echo nothing", "echo none")).await).await;
    let built = server.text(&again, "build/build/build").await;
    assert!(built.contains("cache deps: hit by its key") && built.contains("home\nwork\n"), "{}{built}", again.told());
}
