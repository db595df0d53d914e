//! Real output of tools that think they write to a terminal, recorded with `script`: a log shows it as it stood there
//! at the end.

use std::collections::BTreeMap;

use containerops::web::log::ansi::Renderer;
use insta::assert_snapshot;
use proptest::prelude::*;

/// A log's lines by number, as its page shows them at the end; those that a terminal would not show are left out.
fn shown(log: &[u8]) -> BTreeMap<u64, String> {
    let mut renderer = Renderer::default();
    let mut rows = BTreeMap::new();
    let lines = log.strip_suffix(b"\n").unwrap_or(log).split(|&b| b == b'\n');
    for (number, line) in (1..).zip(lines) {
        let drawn = renderer.draw(number, line);
        for (changed, html) in drawn.changed {
            assert!(rows.insert(changed, html).is_some(), "line {number} changes {changed}, which is not there");
        }
        for erased in drawn.erased {
            assert!(rows.remove(&erased).is_some(), "line {number} erases {erased}, which is not there");
        }
        if !drawn.is_over {
            rows.insert(number, drawn.html);
        }
    }
    rows
}

fn page(log: &[u8]) -> String {
    shown(log).iter().map(|(number, html)| format!("{number:>3} {html}").trim_end().to_owned() + "\n").collect()
}

/// The same without anything but text.
fn text(log: &[u8]) -> String {
    let lines = shown(log).into_values().map(|html| {
        let parts = html.split('<').enumerate();
        let text: String =
            parts.map(|(at, part)| if at == 0 { part } else { part.split_once('>').expect("a tag").1 }).collect();
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
        text.replace("&amp;", "&").trim_end().to_owned() + "\n"
    });
    lines.collect::<String>().trim_end().to_owned()
}

/// A recording, and what another terminal shows at its end.
macro_rules! recorded {
    ($tool:literal) => {
        (
            &include_bytes!(concat!("../../fixtures/terminal/", $tool))[..],
            include_str!(concat!("../../fixtures/terminal/", $tool, ".shown")),
        )
    };
}

#[test]
fn what_tools_write_is_shown_as_it_stood_in_the_terminal_at_the_end() {
    for (tool, (log, other)) in [
        ("pip", recorded!("pip")),
        ("npm", recorded!("npm")),
        ("cargo", recorded!("cargo")),
        ("docker", recorded!("docker")),
        ("wget", recorded!("wget")),
        ("rich", recorded!("rich")),
    ] {
        assert_eq!(text(log), other.trim_end(), "{tool}");
        assert_snapshot!(tool, page(log));
    }
}

#[test]
fn a_cursor_goes_back_over_lines() {
    for (log, wanted) in [
        // one below the other, and each goes on by itself
        (
            &b"a 1%\nb 1%\n\x1b[2A\x1b[2Ka 100%\r\x1b[2B\x1b[1A\x1b[2Kb 100%\r\x1b[1Bdone\n"[..],
            "1 a 100%|2 b 100%|3 done",
        ),
        // all of it again: the lines that come are those that are there
        (b"a 1%\nb 1%\n\x1b[2Aa 99%\nb 99%\nthen\n", "1 a 99%|2 b 99%|3 then"),
        (b"a 1%\nb 1%\n\x1b[2F\x1b[0Jall\nthen\n", "1 all|4 then"),
        // what was erased is gone, and what comes has lines of its own
        (b"one\ntwo\nthree\n\x1b[2A\x1b[Jfour\nfive\n", "1 one|2 four|5 five"),
        // further up than the first line there is none
        (b"one\n\x1b[9Atwo\n", "1 two|2 "),
        (b"one\ntwo\x1b[9Bx\n", "1 one|2 twox"),
        (b"one\ntwo\x1b[A\x1b[3GX\x1b[ETWO\n", "1 onX|2 TWO"),
        // no log loses what a screen would lose
        (b"one\n\x1b[2J\x1b[H\x1b[3Jtwo\n", "1 one|2 two"),
        (b"abcdef\r\x1b[2P\x1b[1X\n", "1  def"),
        (b"\x1b[31mone\ntwo\x1b[A!\x1b[0m\n", "1 <span class=\"f1\">one!</span>|2 <span class=\"f1\">two</span>"),
    ] {
        let rows = shown(log);
        let said: Vec<String> = rows.iter().map(|(number, html)| format!("{number} {html}")).collect();
        assert_eq!(said.join("|"), wanted, "{}", log.escape_ascii());
    }
}

#[test]
fn what_was_written_over_is_there_for_who_comes_for_it() {
    let mut renderer = Renderer::default();
    renderer.draw(1, b"a 1%");
    renderer.draw(2, b"b 1%");
    renderer.draw(3, b"\x1b[2A\x1b[2Ka 50%");
    let drawn = renderer.draw(4, b"\x1b[32mb 50%");
    assert_eq!((drawn.is_over, drawn.html.as_str()), (true, "<span class=\"f2\">b 50%</span>"));
    assert_eq!(drawn.changed, [(2, "<span class=\"f2\">b 50%</span>".to_owned())]);
    renderer.forget();
    assert!(!renderer.draw(9, b"\x1b[5Anew").is_over, "whoever begins here knows nothing of what was before");
}

#[test]
fn no_cursor_reaches_far() {
    let mut renderer = Renderer::default();
    for number in 1..=10_000 {
        renderer.draw(number, b"x");
    }
    let drawn = renderer.draw(10_001, b"\x1b[9999A\x1b[2Ky");
    assert_eq!(drawn.changed.len(), 1);
    assert!(drawn.changed[0].0 > 9_900, "{:?}", drawn.changed);
}

fn output() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        "[a-z<&\"]{0,6}".prop_map(String::into_bytes),
        (0_u16..70, "[A-HJKPXm]").prop_map(|(n, letter)| format!("\x1b[{n}{letter}").into_bytes()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\x1b]8;;https://example.com\x07".to_vec()),
    ];
    proptest::collection::vec(part, 0..80).prop_map(|parts| parts.concat())
}

proptest! {
    /// Whatever a log says, each of its lines is a row or over, what is changed is there, and no tag stays open.
    #[test]
    fn hostile_output_stays_within_its_rows(log in output()) {
        for html in shown(&log).values() {
            prop_assert_eq!(html.matches("<span").count(), html.matches("</span>").count());
            prop_assert_eq!(html.matches("<a ").count(), html.matches("</a>").count());
        }
    }
}
