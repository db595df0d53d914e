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

#[tokio::test]
async fn of_a_log_over_its_limit_head_and_tail_are_exact_and_the_job_hears_nothing_of_it() {
    let Some(mut server) = Server::start("limit").await else { return };
    server.set_up("log_limit = \"2 MB\"").await;
    let flow = "stages:\n  - {name: long, image: busybox, run: \"seq 1 1000000; echo error: too much; exit 3\"}\n";
    let story = server.end(server.push(flow).await).await;
    assert_eq!(story.job("long/long/long").state.0.verdict().map(ToString::to_string).as_deref(), Some("exit code 3"));
    let text = server.text(&story, "long/long/long").await;
    let left_out =
        story.job("long/long/long").record.as_ref().and_then(|record| record.log.left_out).expect("too long");
    let lines: Vec<&str> = text.lines().collect();
    let (head, rest) = lines.split_at(usize::try_from(left_out.line - 1).expect("a place"));
    assert!(rest[0].contains("left out here: the log is over its limit of 2 MB"), "{}", rest[0]);
    let first = head.len() as u64 + left_out.lines + 1;
    assert!(head == numbers(1..=head.len() as u64) && rest[1..rest.len() - 1] == numbers(first..=1_000_000));
    let written = (1..=1_000_000).map(|n: u64| n.to_string().len() as u64 + 1).sum::<u64>() + 16;
    let kept = text.len() as u64 - rest[0].len() as u64 - 1;
    assert_eq!(kept + left_out.bytes, written);
    assert!((1_999_900..=2_000_000).contains(&kept), "{kept} bytes");

    let page = sealed(&server, "long/long/long").await;
    assert!(page.contains("First error: line "), "it opens at the error in the tail");
    assert!(page.contains("complete but for its middle, "), "{page}");
    let around = get(&server, &format!("long/long/long?line={}", left_out.line)).await;
    assert!(around.contains(&format!("<li id=\"L{}\" class=\"agent here\">", left_out.line)));
}

#[tokio::test]
async fn a_page_says_that_a_log_is_complete_and_what_it_hashes_to() {
    let Some(server) = Server::start("complete").await else { return };
    let flow = "stages:\n  - {name: many, image: busybox, run: \"seq 1 48213\"}\n";
    let story = server.end(server.push(flow).await).await;
    let expected: String = (1..=48_213).map(|n| format!("{n}\n")).collect();
    let page = sealed(&server, "many/many/many").await;
    let words = format!("complete, 48,213 lines, sha256 {}", sha256(expected.as_bytes()));
    assert!(page.contains(&words), "{words} is not in\n{page}\n{}", story.told());
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// A job's page once its log is sealed.
async fn sealed(server: &Server, job: &str) -> String {
    let page = server.found(async |_| Some(get(server, job).await).filter(|page| !page.contains("not verified yet")));
    page.await.expect("the log is sealed")
}

async fn get(server: &Server, job: &str) -> String {
    let url = format!("{}/git/acme/shop/runs/1/{job}", server.url());
    let answer = reqwest::get(url).await.expect("the server answers").error_for_status().expect("there is such a page");
    answer.text().await.expect("text")
}
