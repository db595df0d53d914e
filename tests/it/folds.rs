//! What of a log belongs together, and which rows a page has of it.

use containerops::{
    agent::protocol::{Piece, Stream},
    engine::{
        fold::{Folds, Mark, marks},
        log::Frame,
    },
    model::{Fold, Time},
    web::log::outline::{Outline, Shown},
};
use proptest::prelude::*;

/// Each part comes from a stream, a second after the one before.
fn folds(parts: &[(Stream, &str)]) -> Vec<(u64, u64, String, u128)> {
    let mut found = Folds::default();
    let (mut start, mut line) = (0, 0);
    for ((stream, text), second) in parts.iter().zip(0..) {
        let piece = Piece { length: text.len() as u64, time: Time::from_millis(second * 1_000), stream: *stream };
        found.read(&Frame { start, line, text: text.as_bytes().to_vec(), pieces: vec![piece], is_hole: false });
        start += text.len() as u64;
        line += text.matches('\n').count() as u64;
    }
    let view = |fold: Fold| (fold.first, fold.last, fold.title, fold.to.since(fold.from).as_secs().into());
    found.end().into_iter().map(view).collect()
}

fn out(text: &str) -> Vec<(u64, u64, String, u128)> {
    folds(&[(Stream::Out, text)])
}

fn fold(first: u64, last: u64, title: &str) -> (u64, u64, String, u128) {
    (first, last, title.to_owned(), 0)
}

#[test]
fn groups_of_four_services_are_known() {
    for (text, wanted) in [
        ("a\n::group::Build\nb\n::endgroup::\nc\n", vec![fold(2, 4, "Build")]),
        ("\x1b[36m::group::Build\x1b[0m\nb\n::endgroup::\n", vec![fold(1, 3, "Build")]),
        ("##[group]Build\nb\n##[endgroup]\n", vec![fold(1, 3, "Build")]),
        ("::group::\nb\n::endgroup::\n", vec![fold(1, 3, "Group")]),
        ("::group::One\na\n::group::Two\nb\n::endgroup::\n::endgroup::\n", vec![fold(1, 2, "One"), fold(3, 5, "Two")]),
        ("::group::Never ended\na\nb", vec![fold(1, 3, "Never ended")]),
        (
            "section_start:1560896352:prepare[collapsed=true]\r\x1b[0KPrepare it\na\nsection_end:1560896353:prepare\r\x1b[0K\nb\n",
            vec![fold(1, 3, "Prepare it")],
        ),
        (
            "section_start:1:outer\r\x1b[0KOuter\nsection_start:2:inner\r\x1b[0KInner\na\nsection_end:3:outer\r\x1b[0K\n",
            vec![fold(1, 4, "Outer"), fold(2, 4, "Inner")],
        ),
        (
            "travis_fold:start:git\r\x1b[0K$ git clone\na\ntravis_fold:end:git\r\x1b[0Ktravis_fold:start:make\r\x1b[0K$ make\nb\ntravis_fold:end:make\r\x1b[0K\n",
            vec![fold(1, 2, "$ git clone"), fold(3, 5, "$ make")],
        ),
        ("travis_fold:start:x.1\r\x1b[0K\na\ntravis_fold:end:x.1\r\x1b[0K\n", vec![fold(1, 3, "x.1")]),
        ("say ::group::not one\n::endgroup::\n::endgroup::\nsection_start:x:y\ntravis_fold:middle:z\n", vec![]),
        ("::group::one line\n::group::another\n::endgroup::\n", vec![fold(2, 3, "another")]),
    ] {
        assert_eq!(out(text), wanted, "{text:?}");
    }
}

#[test]
fn a_group_lasts_from_its_first_line_to_its_last_and_may_go_over_parts() {
    let parts = [
        (Stream::Out, "a\n::gro"),
        (Stream::Out, "up::Build\nb\n"),
        (Stream::Err, "c\n::endgroup"),
        (Stream::Out, "::\nd\n"),
    ];
    assert_eq!(folds(&parts), [(2, 5, "Build".to_owned(), 2)]);
}

#[test]
fn what_the_agent_says_in_several_lines_belongs_together() {
    let parts = [
        (Stream::Agent, "The source: 3 files\n"),
        (Stream::Agent, "The cache: none\n"),
        (Stream::Out, "a\n"),
        (Stream::Agent, "one line\n"),
    ];
    assert_eq!(folds(&parts), [(1, 2, "The source: 3 files".to_owned(), 1)]);
}

#[test]
fn what_a_mark_says_is_bounded() {
    let long = format!("::group::{}", "x".repeat(10_000));
    assert!(matches!(&marks(long.as_bytes())[..], [Mark::Begin { title, .. }] if title.len() < 250));
    let many = "::group::a\nb\n::endgroup::\n".repeat(2_000);
    assert_eq!(out(&many).len(), 1_000);
    let deep: String = (0..100).map(|n| format!("section_start:{n}:s{n}\r\x1b[0KTitle\n")).collect();
    assert_eq!(out(&deep).len(), 8);
}

fn made(folds: &[(u64, u64)]) -> Vec<Fold> {
    let time = Time::from_millis(0);
    folds
        .iter()
        .map(|(first, last)| Fold { first: *first, last: *last, title: String::new(), from: time, to: time })
        .collect()
}

#[test]
fn what_is_folded_is_one_row() {
    let outline = Outline::new(&made(&[(2, 500), (501, 600), (510, 520)]), &[], 610);
    let (rows, next) = outline.from(1, 5);
    assert_eq!(
        rows,
        [
            Shown::Lines(1..2),
            Shown::Folded(made(&[(2, 500)])[0].clone()),
            Shown::Folded(made(&[(501, 600)])[0].clone()),
            Shown::Lines(601..603)
        ]
    );
    assert_eq!(next, 603);
    assert_eq!(
        (outline.back(603, 5), outline.back(603, 3), outline.back(602, 1), outline.back(2, 9)),
        (1, 501, 601, 1)
    );
}

#[test]
fn whoever_comes_for_a_line_finds_it_unfolded() {
    let outline = Outline::new(&made(&[(2, 500), (10, 20), (30, 400)]), &[35], 610);
    let (rows, _) = outline.from(1, 40);
    assert_eq!(rows, [Shown::Lines(1..10), Shown::Folded(made(&[(10, 20)])[0].clone()), Shown::Lines(21..51)]);
}

proptest! {
    #[test]
    fn pages_that_follow_each_other_show_every_line_once(
        cuts in prop::collection::vec(1u64..60, 0..12),
        lines in 1u64..80,
        open in prop::option::of(1u64..80),
        rows in 1u64..10,
    ) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        cuts.dedup();
        let folds: Vec<_> = cuts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let outline = Outline::new(&made(&folds), open.as_slice(), lines);
        let (mut at, mut seen) = (1, Vec::new());
        while outline.has(at) {
            let (shown, next) = outline.from(at, rows);
            prop_assert!(next > at);
            let row = |part: &Shown| match part { Shown::Lines(lines) => lines.end - lines.start, Shown::Folded(_) => 1 };
            prop_assert!(shown.iter().map(row).sum::<u64>() <= rows);
            // the way back leads to where the page began, or before
            let shown_rows = shown.iter().map(row).sum::<u64>();
            prop_assert_eq!(outline.back(next, shown_rows), at);
            for part in shown {
                match part { Shown::Lines(lines) => seen.extend(lines), Shown::Folded(fold) => seen.extend(fold.first..=fold.last) }
            }
            at = next;
        }
        prop_assert_eq!(&seen, &(1..=lines).collect::<Vec<_>>());
        if let Some(open) = open.filter(|open| *open <= lines) {
            let first = outline.back(open, 3);
            let (shown, _) = outline.from(first, 10);
            prop_assert!(shown.iter().any(|part| matches!(part, Shown::Lines(lines) if lines.contains(&open))));
        }
    }

    #[test]
    fn any_bytes_are_read(text in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
        let cut = cut.min(text.len());
        let mut found = Folds::default();
        for part in [&text[..cut], &text[cut..]] {
            let piece = Piece { length: part.len() as u64, time: Time::from_millis(0), stream: Stream::Out };
            found.read(&Frame { start: 0, line: 0, text: part.to_vec(), pieces: vec![piece], is_hole: false });
        }
        found.end();
    }
}
