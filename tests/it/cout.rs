//! Outputs are found the same way however a stream is cut, and nothing that a job writes can break the search; nor
//! can anything break a log chunk's reader.

use containerops::agent::{
    cout::{Finder, Unfinished},
    mask::Masks,
    protocol::{CHUNK_TEXT_MAX, Chunk, OUTPUT_VALUE_MAX, Piece, Stream},
};
use containerops::model::Time;
use proptest::prelude::*;

fn found(parts: &[&[u8]]) -> (Vec<(String, String)>, Option<String>) {
    let mut finder = Finder::new(["A", "B", "CO_XML_CONTENT"].map(str::to_owned));
    let mut unfinished = Unfinished::default();
    parts.iter().for_each(|part| finder.read(&mut unfinished, part));
    finder.end(&mut unfinished);
    let result = finder.result().map(str::to_owned);
    (finder.into_outputs().into_iter().collect(), result)
}

#[test]
fn lines_that_are_outputs_and_lines_that_are_not() {
    let outputs = |text: &str| {
        let (outputs, result) = found(&[text.as_bytes()]);
        let outputs = outputs.into_iter().map(|(key, value)| format!("{key}={value}"));
        outputs.chain(result.map(|result| format!("-> {result}"))).collect::<Vec<_>>().join("; ")
    };
    let table = [
        ("[COUT] A=1", "A=1"),
        ("[COUT] A = 1=2 \r\n", "A=1=2"),
        ("[COUT]A=1\n[COUT] A=2\n", "A=2"),
        (" \t\x1b[1;32m [COUT] \x1b[0mA=\x1b[31mred\x1b[0m", "A=red"),
        ("[COUT] A=", "A="),
        ("[COUT] A", ""),
        ("[COUT] free text", ""),
        ("x [COUT] A=1", ""),
        ("[COUT] C=1", ""),
        ("[COUT] CO_XML_CONTENT <a b='c'/>", "CO_XML_CONTENT=<a b='c'/>"),
        ("[COUT] CO_XML_CONTENT = <a/>", "CO_XML_CONTENT= <a/>"),
        ("[COUT] CO_RESULT = TRUE", "-> TRUE"),
        ("[COUT] CO_RESULT = no\n[COUT] CO_RESULT = true\n", "-> no"),
        ("[COUT] CO_RESULT = true\n[COUT] CO_RESULT = \n", "-> "),
    ];
    for (text, expected) in table {
        assert_eq!(outputs(text), expected.replace("= <", "=<"), "{text:?}");
    }
}

#[test]
fn a_value_that_is_too_large_is_dropped_and_named() {
    let mut finder = Finder::new(["A".to_owned()]);
    let line = |size: usize| [b"[COUT] A=", &vec![b'x'; size][..], b"\n"].concat();
    let mut unfinished = Unfinished::default();
    finder.read(&mut unfinished, &line(OUTPUT_VALUE_MAX));
    assert!(finder.take_dropped().is_empty());
    for size in [OUTPUT_VALUE_MAX + 1, 3 * OUTPUT_VALUE_MAX] {
        line(size).chunks(1000).for_each(|part| finder.read(&mut unfinished, part));
        assert_eq!(finder.take_dropped(), ["output `A` was dropped: a value has at most 1 MiB"]);
    }
    assert_eq!(finder.into_outputs()["A"].len(), OUTPUT_VALUE_MAX);
}

#[test]
fn the_output_file() {
    let mut finder = Finder::new(["A", "B"].map(str::to_owned));
    finder.read_file(b"A=1<<2\n# comment\nB<<X\none\n\nA=3\nX\nA<<NEVER\nlost\n");
    assert_eq!(finder.take_dropped(), ["output `A`: there is no `NEVER` after it"]);
    let outputs: Vec<_> = finder.into_outputs().into_iter().collect();
    assert_eq!(outputs, [("A".to_owned(), "1<<2".to_owned()), ("B".to_owned(), "one\n\nA=3".to_owned())]);
}

/// Text that is likely to matter.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"[COUT] ".to_vec()),
        Just(b"A=".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\x1b[1m".to_vec()),
        Just(b"CO_RESULT".to_vec()),
        Just(b"CO_XML_CONTENT ".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn cuts_do_not_matter(text in noise(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).chain([0, text.len()]).collect();
        at.sort_unstable();
        let parts: Vec<&[u8]> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(found(&parts), found(&[&text]));
    }

    #[test]
    fn any_file_is_read(text in noise()) {
        Finder::new(["A".to_owned()]).read_file(&text);
    }

    #[test]
    fn a_part_that_is_called_safe_is_masked_as_in_the_whole(text in "[abc]{0,40}", secret in "[abc]{4,8}") {
        let masks = Masks::new([secret.as_str()]);
        let safe = masks.safe(text.as_bytes());
        let parts = [masks.hide(&text.as_bytes()[..safe]), masks.hide(&text.as_bytes()[safe..])].concat();
        prop_assert_eq!(String::from_utf8_lossy(&parts), masks.hide_str(&text));
    }

    #[test]
    fn chunks_come_back(parts in proptest::collection::vec((1_u64..500, any::<i64>(), 0_u8..3), 0..50)) {
        let piece = |&(length, time, code): &(u64, i64, u8)| {
            Piece { length, time: Time::from_millis(time), stream: Stream::from_code(code).expect("a stream") }
        };
        let pieces: Vec<Piece> = parts.iter().map(piece).collect();
        let length = pieces.iter().map(|piece| piece.length as usize).sum();
        let chunk = Chunk { pieces, text: vec![b'x'; length] };
        prop_assert_eq!(Chunk::decode(&chunk.encode().expect("it is one")), Ok(chunk));
    }

    #[test]
    fn no_body_breaks_the_reader(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Chunk::decode(&body);
    }
}

#[test]
fn a_chunk_that_claims_too_much_is_refused() {
    let chunk = |length: u64, text: &[u8]| {
        let mut index = Vec::new();
        let mut rest = length;
        while rest >= 0x80 {
            index.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        index.extend([rest as u8, 0, 0]);
        let text = zstd::bulk::compress(text, 1).expect("zstd");
        [&(index.len() as u32).to_le_bytes()[..], &index, &text].concat()
    };
    assert!(Chunk::decode(&chunk(3, b"abc")).is_ok());
    assert!(Chunk::decode(&chunk(3, b"abcd")).is_err());
    assert!(Chunk::decode(&chunk(4, b"abc")).is_err());
    assert!(Chunk::decode(&chunk(u64::MAX, b"abc")).is_err());
    assert!(Chunk::decode(&chunk(CHUNK_TEXT_MAX as u64 + 1, &vec![0; CHUNK_TEXT_MAX + 1])).is_err());
    assert!(Chunk::decode(&chunk(10, &vec![0; 64 << 20])).is_err());
}
