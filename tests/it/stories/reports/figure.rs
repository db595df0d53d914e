//! The figure of a matrix of 1,000 jobs on one commit. A test run holds it with fewer cells; all of them it has with
//! `CONTAINEROPS_TEST_CELLS=250 cargo test --test it a_wide_matrix -- --nocapture`.

use std::{fmt::Write as _, time::Duration};

use containerops::{agent::protocol::Cause, model::Progress};

use crate::harness::app::{Tester, WIDGET};

/// Each of so many flows has a matrix.
const FLOWS: usize = 4;
/// Of a flow's matrix, in a usual test run.
const CELLS: usize = 8;
const LIMIT: Duration = Duration::from_secs(60);
/// So long after one job the next one ends.
const EACH: Duration = Duration::from_millis(500);

/// A flow of its own stage, with a matrix of so many cells.
fn flow(number: usize, cells: usize) -> String {
    let mut values = String::new();
    (0..cells).for_each(|n| write!(values, "c{n},").expect("a text takes it"));
    format!(
        "title: m{number}\nstages:\n  - name: s{number}\n    fail-fast: false\n    actions:\n      - name: job\n        matrix: \
         {{N: [{values}]}}\n        image: \"rust:1\"\n        run: echo @N@\n"
    )
}

#[tokio::test]
async fn a_wide_matrix_on_one_commit_is_told_within_a_minute_and_github_refuses_nothing() {
    let cells = std::env::var("CONTAINEROPS_TEST_CELLS").ok().and_then(|text| text.parse().ok()).unwrap_or(CELLS);
    let t = Tester::start().await;
    t.github.takes_writes(&t.clock, 80, 500);
    let flows: Vec<(String, String)> =
        (0..FLOWS).map(|n| (format!(".containerops/m{n}.yml"), flow(n, cells))).collect();
    let files: Vec<(&str, &[u8])> = flows.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
    let sha = t.github.commit(WIDGET, "main", &files);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    for cell in 0..cells {
        for flow in 0..FLOWS {
            // one in ten fails, and each says something of a line
            let agent = t.claims(&format!("s{flow}.job-c{cell}.job")).await;
            let agent = agent.says(&format!("src/a.c:{}:1: warning: of {flow}\n", cell + 1)).await;
            let record = agent.record(Cause::Exit { code: i32::from(cell % 10 == 7) });
            agent.reports(&record).await;
            t.clock.advance(EACH);
        }
        if cell % 5 == 4 {
            t.drain().await;
        }
    }
    let ended = t.clock.now();
    let is_told = async || {
        let rows = t.report_rows(&sha).await;
        assert_eq!(rows.len(), 2 * FLOWS, "a run and a matrix each");
        rows.iter().all(|row| row.is_acknowledged() && matches!(row.wanted.progress, Progress::Done(_)))
    };
    t.drain().await;
    while !is_told().await {
        assert!(t.clock.now().since(ended) <= LIMIT, "not all is final");
        t.later(Duration::from_secs(1)).await;
    }
    let (taken, refused) = t.github.budget();
    assert_eq!(refused, 0, "GitHub never had to refuse");
    let within = t.clock.now().since(ended).as_secs();
    eprintln!("{} jobs: {taken} writes, {refused} refused; final {within} s after the last", FLOWS * cells);
    t.read_writes();
}
