//! Whatever a job writes arrives exactly.

use sha2::{Digest as _, Sha256};

use crate::harness::server::Server;

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[tokio::test]
async fn ten_thousand_fast_lines_arrive_exactly() {
    let Some(server) = Server::start("lines").await else { return };
    let flow = "stages:\n  - {name: many, image: busybox, run: \"seq 1 10000\"}\n";
    let story = server.end(server.push(flow).await).await;
    let expected: String = (1..=10_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(sha256(&server.log(&story, "many/many/many").await), sha256(expected.as_bytes()), "{}", story.told());
}

#[tokio::test]
async fn a_line_of_five_megabytes_arrives_exactly() {
    let Some(server) = Server::start("long").await else { return };
    let flow = "stages:\n  - {name: long, image: busybox, run: \"yes x | tr -d '\\\\n' | head -c 5000000; echo; echo after\"}\n";
    let story = server.end(server.push(flow).await).await;
    let expected = ["x".repeat(5_000_000).as_str(), "\nafter\n"].concat();
    let log = server.log(&story, "long/long/long").await;
    assert_eq!((log.len(), sha256(&log)), (expected.len(), sha256(expected.as_bytes())), "{}", story.told());
    assert_eq!(story.job("long/long/long").log_lines(), 2);
}

#[tokio::test]
async fn bytes_that_are_no_text_arrive_exactly_also_without_a_newline_at_the_end() {
    let Some(server) = Server::start("bytes").await else { return };
    let flow = r#"
stages:
  - name: odd
    image: busybox
    run: |
      printf 'a\377\376\000b\r\033[31mred\n\n'
      printf 'no newline \200'
"#;
    let story = server.end(server.push(flow).await).await;
    let log = server.log(&story, "odd/odd/odd").await;
    assert_eq!(log, b"a\xff\xfe\0b\r\x1b[31mred\n\nno newline \x80", "{}", story.told());
    assert_eq!(story.job("odd/odd/odd").log_lines(), 3);
    let page = format!("{}/git/acme/shop/runs/1/odd/odd/odd/log.txt", server.url());
    let raw = reqwest::get(&page).await.expect("the server answers").error_for_status().expect("there is such a page");
    assert_eq!(raw.bytes().await.expect("a body").as_ref(), log.as_slice());
}
