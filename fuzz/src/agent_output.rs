//! Any bytes are what a job writes, and what a pod sends: outputs are found however they are cut, pages are made of them,
//! and a chunk that was read is a chunk again.

use containerops::{
    agent::{
        chunk::decode_index,
        cout::{Finder, Unfinished},
        mask::Masks,
        protocol::{Chunk, Piece, Stream},
    },
    engine::fault::fault,
    model::Time,
    web::log::{
        ansi::{Renderer, block, plain},
        lines::Collector,
    },
};

fn outputs(parts: [&[u8]; 2]) -> Vec<(String, String)> {
    let mut finder = Finder::of_all();
    let mut unfinished = Unfinished::default();
    parts.iter().for_each(|part| finder.read(&mut unfinished, part));
    finder.end(&mut unfinished);
    finder.into_outputs().into_iter().collect()
}

/// Looks for outputs.
pub fn read_output(bytes: &[u8]) {
    let (cut, text) = bytes.split_first().map_or((0, bytes), |(cut, text)| (usize::from(*cut), text));
    let (begin, end) = text.split_at(cut.min(text.len()));
    assert_eq!(outputs([text, b""]), outputs([begin, end]), "a cut changes what is found");
    let mut finder = Finder::of_all();
    finder.read_file(text);
    finder.take_dropped();
    Masks::new([String::from_utf8_lossy(begin).as_ref()]).hide(end);
}

/// Makes pages.
pub fn show(text: &[u8]) {
    let piece = Piece { length: text.len() as u64, time: Time::from_millis(0), stream: Stream::Out };
    let mut lines = Collector::new(1, 0, 1..1000);
    lines.push(text, &[piece]);
    let mut renderer = Renderer::default();
    for line in lines.finish() {
        let html = renderer.line(&line.text);
        assert!(!html.contains("<script"), "{html}");
        plain(&line.text);
        fault(&line.text);
    }
    block(&String::from_utf8_lossy(text));
}

/// Reads a chunk as an agent sends it.
pub fn read_chunk(body: &[u8]) {
    let _ = decode_index(body);
    if let Ok(chunk) = Chunk::decode(body) {
        let again = chunk.encode().expect("what was read can be written");
        assert_eq!(Chunk::decode(&again).expect("and read"), chunk);
    }
}
