//! What pages are made of: paths, ranges, lines and colours of logs.

use containerops::{
    agent::protocol::{Piece, Stream},
    engine::fault::{Fault, fault},
    model::{ForgeKind, JobPath, Time},
    web::{
        log::{
            ansi::Renderer,
            lines::{Collector, LINE_MAX, Line},
            range::{Wanted, parse},
        },
        pages::{JobPlace, NoRoute, Place, Route, RunPlace},
    },
};
use proptest::prelude::*;

fn html(line: &[u8]) -> String {
    Renderer::default().line(line)
}

#[test]
fn colours_become_classes_and_all_else_text() {
    for (line, wanted) in [
        (&b"plain"[..], "plain"),
        (b"a <b> & \"c\" 'd'", "a &lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;"),
        (b"\x1b[31mred\x1b[0m", "<span class=\"f1\">red</span>"),
        (b"\x1b[1;91;44mx\x1b[22;39mx", "<span class=\"f9 b4 sb\">x</span><span class=\"b4\">x</span>"),
        (b"\x1b[38;5;208mx", "<span class=\"f208\">x</span>"),
        (b"\x1b[38;2;255;0;0mx", "<span class=\"f196\">x</span>"),
        (b"\x1b[48:2::0:0:255mx", "<span class=\"b21\">x</span>"),
        (b"\x1b[2;3;4;7;9mx", "<span class=\"sd si su sv ss\">x</span>"),
        (b"10%\r50%\r100%", "100%"),
        (b"12345\rab", "ab345"),
        (b"12345\r\x1b[Kab", "ab"),
        (b"windows\r", "windows"),
        (
            b"see \x1b]8;id=1;https://x.example/?a=1;b&c\x07li\x1b[1mnk\x1b[0m\x1b]8;;\x07 for more",
            "see <a rel=\"nofollow noopener noreferrer\" href=\"https://x.example/?a=1;b&amp;c\">li<span class=\"sb\">nk</span></a> for more",
        ),
        (b"\x1b]8;;HTTP://x\x1b\\link", "<a rel=\"nofollow noopener noreferrer\" href=\"HTTP://x\">link</a>"),
        (b"\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07", "link"),
        (b"\x1b]8;;data:text/html,x\x07link\x1b]8;;\x07", "link"),
        ("\x1b]8;;https://x/\u{202e}\x07link".as_bytes(), "link"),
        (b"\x1b[2J\x1b[Hx\x1b(B", "x"),
        (b"a\x01b", "a<span class=\"hidden\">U+0001</span>b"),
        ("a\u{202e}b".as_bytes(), "a<span class=\"hidden\">U+202E</span>b"),
        (b"\xff\xfe", "\u{fffd}\u{fffd}"),
        (b"\x1b[999999999999m\x1b[38;5mx", "x"),
        (b"\x1b[31", ""),
    ] {
        assert_eq!(html(line), wanted, "{}", line.escape_ascii());
    }
}

#[test]
fn a_style_lives_on_in_the_next_line_but_a_broken_sequence_does_not() {
    let mut renderer = Renderer::default();
    assert_eq!(renderer.line(b"\x1b[32mgreen"), "<span class=\"f2\">green</span>");
    assert_eq!(renderer.line(b"still\x1b]0;never ended"), "<span class=\"f2\">still</span>");
    assert_eq!(renderer.line(b"still"), "<span class=\"f2\">still</span>");
}

/// What a byte string may hold that a terminal would act on.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        any::<Vec<u8>>(),
        "[<>&\"' a-z\r\t]{0,9}".prop_map(String::into_bytes),
        "\x1b\\[[0-9;:]{0,9}[a-zA-Z]".prop_map(String::into_bytes),
        Just(b"\x1b]8;;http://x\x1b\\<script>".to_vec()),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn nothing_of_a_log_is_a_tag(lines in proptest::collection::vec(output(), 1..4)) {
        let mut renderer = Renderer::default();
        for line in lines {
            let html = renderer.line(&line);
            let (spans, links) = (html.matches("<span class=\"").count(), html.matches("<a rel=\"").count());
            prop_assert_eq!((spans, links), (html.matches("</span>").count(), html.matches("</a>").count()));
            let opened = spans + links;
            prop_assert_eq!(opened * 2, html.matches('<').count());
            prop_assert_eq!(opened * 2, html.matches('>').count());
            prop_assert!(!html.contains(['\r', '\n', '\x1b', '\'']));
        }
    }

    #[test]
    fn a_route_is_what_its_text_says(
        forge in prop_oneof![Just(ForgeKind::Github), Just(ForgeKind::Gitlab), Just(ForgeKind::Git)],
        name in "(runs|[a-z0-9]{1,4})(/(runs|statistics|badge[.]svg|[0-9]|[a-zA-Z0-9][a-z._-]{0,4})){0,4}",
        run in any::<u64>(),
        names in proptest::array::uniform3("(runs|[0-9]|.{1,6})"),
        which in 0..9,
    ) {
        let [stage, action, job] = names;
        let path = JobPath { stage, action, job };
        let place = match which {
            0 => Place::Runs,
            1 => Place::Run(run, RunPlace::Page),
            2 => Place::Run(run, RunPlace::Rerun),
            3 => Place::Job(run, path, JobPlace::Page),
            4 => Place::Job(run, path, JobPlace::Raw),
            // a name of one part is a whole one on a plain Git server alone
            5 if forge == ForgeKind::Git || name.contains('/') => Place::Statistics,
            7 if forge == ForgeKind::Git || name.contains('/') => Place::Search,
            6 if forge == ForgeKind::Git || name.contains('/') => Place::Badge,
            _ => Place::Job(run, path, JobPlace::Stream),
        };
        let route = Route { forge, repository: name.parse().expect("a name"), place };
        prop_assert_eq!(route.to_string().parse::<Route>(), Ok(route));
    }

    #[test]
    fn any_path_is_a_route_or_none(path in "(/[a-z%0-9./]{0,6}){0,8}") {
        let read: Result<Route, NoRoute> = path.parse();
        if let Ok(route) = read {
            prop_assert_eq!(route.to_string().parse::<Route>(), Ok(route));
        }
    }

    #[test]
    fn lines_do_not_depend_on_how_they_were_cut(
        text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), any::<u8>()], 0..200),
        cuts in proptest::collection::vec(1_usize..40, 1..20),
    ) {
        let whole = collect(std::iter::once(text.as_slice()));
        let mut rest = text.as_slice();
        let mut parts = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break }
            let (part, after) = rest.split_at((*cut).min(rest.len()));
            parts.push(part);
            rest = after;
        }
        let pieces = collect(parts.into_iter());
        prop_assert_eq!(&whole, &pieces);
        let texts: Vec<&[u8]> = whole.iter().map(|line| line.text.as_slice()).collect();
        let body = text.strip_suffix(b"\n").unwrap_or(&text);
        let wanted: Vec<&[u8]> = if text.is_empty() { Vec::new() } else { body.split(|&b| b == b'\n').collect() };
        prop_assert_eq!(texts, wanted);
    }
}

fn piece(text: &[u8]) -> Piece {
    Piece { length: text.len() as u64, time: Time::from_millis(0), stream: Stream::Out }
}

fn collect<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Vec<Line> {
    let mut collector = Collector::new(1, 0, 1..u64::MAX);
    for part in parts {
        collector.push(part, &[piece(part)]);
    }
    collector.finish()
}

#[test]
fn a_line_of_megabytes_is_cut_and_counted_and_a_progress_bar_is_shown_as_it_ended() {
    let long = collect(std::iter::repeat_n(&[b'x'; 100_000][..], 50));
    assert_eq!((long.len(), long[0].text.len(), long[0].cut), (1, LINE_MAX, 5_000_000 - LINE_MAX as u64));
    let bar: Vec<u8> = (0..=100_000).flat_map(|n| format!("{n} of 100000\r").into_bytes()).collect();
    let bar = collect(bar.chunks(4_096));
    assert_eq!((html(&bar[0].text).as_str(), bar[0].cut), ("100000 of 100000", 0));
}

#[test]
fn only_the_wanted_lines_are_kept_and_reading_can_go_on() {
    let mut collector = Collector::new(1, 0, 2..4);
    let text = b"one\ntwo\nthree\nfour\n";
    collector.push(text, &[piece(text)]);
    assert!(collector.is_done());
    assert_eq!(collector.resume(), 14);
    let lines: Vec<(u64, Vec<u8>)> = collector.finish().into_iter().map(|line| (line.number, line.text)).collect();
    assert_eq!(lines, [(2, b"two".to_vec()), (3, b"three".to_vec())]);
}

#[test]
fn the_line_that_people_look_for() {
    for (line, wanted) in [
        ("error[E0308]: mismatched types", Some(Fault::Certain)),
        ("\x1b[1;31merror\x1b[0m: could not compile", Some(Fault::Certain)),
        ("src/main.c:3:1: error: expected ';'", Some(Fault::Certain)),
        ("thread 'main' panicked at src/main.rs:2:5:", Some(Fault::Certain)),
        ("--- FAIL: TestSum (0.00s)", Some(Fault::Certain)),
        ("npm ERR! code ELIFECYCLE", Some(Fault::Certain)),
        ("sh: 1: cargoo: not found", Some(Fault::Certain)),
        ("it went on in spite of errors", Some(Fault::Mention)),
        ("test result: ok. 5 passed; 0 failed; 0 ignored", None),
        ("test result: FAILED. 5 passed; 10 failed", Some(Fault::Mention)),
        ("   Compiling thiserror v2.0.0", None),
        ("downloading error-chain 0.12", None),
        ("all is well", None),
    ] {
        assert_eq!(fault(line.as_bytes()), wanted, "{line}");
    }
}

#[test]
fn ranges_as_the_rfc_has_them() {
    for (header, wanted) in [
        (None, Wanted::Whole),
        (Some("bytes=0-9"), Wanted::Part(0..10)),
        (Some("bytes=90-"), Wanted::Part(90..100)),
        (Some("bytes=90-1000"), Wanted::Part(90..100)),
        (Some("bytes=-5"), Wanted::Part(95..100)),
        (Some("bytes=-1000"), Wanted::Part(0..100)),
        (Some("bytes=99-99"), Wanted::Part(99..100)),
        (Some("bytes=100-"), Wanted::Nothing),
        (Some("bytes=99999999999999999999999-"), Wanted::Nothing),
        (Some("bytes=-0"), Wanted::Nothing),
        (Some("bytes=9-3"), Wanted::Whole),
        (Some("bytes=0-1,5-6"), Wanted::Whole),
        (Some("lines=0-9"), Wanted::Whole),
        (Some("bytes=a-b"), Wanted::Whole),
    ] {
        assert_eq!(parse(header, 100), wanted, "{header:?}");
    }
    assert_eq!(parse(Some("bytes=0-"), 0), Wanted::Nothing);
}
