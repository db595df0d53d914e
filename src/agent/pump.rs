//! Reads both streams of a job and gives every line to whoever wants it. Lines stay whole: a line is given on when
//! its newline is there, both streams' in the order of arrival.

use std::{io, sync::Arc, time::Duration};

use tokio::{io::AsyncReadExt, net::unix::pipe, sync::oneshot};

use super::{
    cout::{Finder, Unfinished},
    echo::Echo,
    log::Log,
    mask::{LiveMasks, Masks},
    protocol::Stream,
};
use crate::model::Clock;

/// One read takes at most this much, so that a fast stream does not starve the other.
const READ_MAX: usize = 256 << 10;
/// A line without an end is held this long, and then comes in parts: memory is bounded by it.
const LINE_HELD_MAX: usize = 8 << 20;
/// What is held of a line grows by so much at once, and is given back after it.
const GROW_MAX: usize = 1 << 20;
/// How long a stream may stay open after the job's process has ended: someone inherited it and will never close it.
const AFTER_END: Duration = Duration::from_secs(2);

/// Both streams and their reader.
pub(super) struct Pump {
    out: Source,
    err: Source,
    sink: Sink,
}

/// Where lines go.
pub(super) struct Sink {
    pub(super) log: Arc<Log>,
    pub(super) masks: LiveMasks,
    pub(super) finder: Finder,
    pub(super) echo: Echo,
    pub(super) clock: Clock,
}

/// One stream with its unfinished line.
struct Source {
    stream: Stream,
    pipe: pipe::Receiver,
    open: bool,
    held: Vec<u8>,
    unfinished: Unfinished,
}

impl Pump {
    pub(super) fn new(out: pipe::Receiver, err: pipe::Receiver, sink: Sink) -> Self {
        Self { out: Source::new(Stream::Out, out), err: Source::new(Stream::Err, err), sink }
    }

    /// Reads until both streams are closed, or a moment after `ended` says that the process has.
    pub(super) async fn run(mut self, ended: oneshot::Receiver<()>) -> Sink {
        tokio::select! {
            () = self.read_all() => {}
            () = after(ended) => {}
        }
        for source in [&mut self.out, &mut self.err] {
            self.sink.take(source, source.held.len()).await;
            self.sink.finder.end(&mut source.unfinished);
        }
        self.sink
    }

    async fn read_all(&mut self) {
        while self.out.open || self.err.open {
            let source = tokio::select! {
                () = self.out.read(), if self.out.open => &mut self.out,
                () = self.err.read(), if self.err.open => &mut self.err,
            };
            let ready = source.ready(&self.sink.masks.now());
            self.sink.take(source, ready).await;
        }
    }
}

/// If whoever knows is gone, there is no process either.
async fn after(ended: oneshot::Receiver<()>) {
    let _ = ended.await;
    tokio::time::sleep(AFTER_END).await;
}

impl Source {
    fn new(stream: Stream, pipe: pipe::Receiver) -> Self {
        Self { stream, pipe, open: true, held: Vec::new(), unfinished: Unfinished::default() }
    }

    /// Adds to what is held. May be dropped at any time without loss.
    async fn read(&mut self) {
        if self.held.capacity() - self.held.len() < READ_MAX {
            // not twice as much each time: what is held may be large
            self.held.reserve_exact(READ_MAX.max(self.held.len().min(GROW_MAX)));
        }
        let read: io::Result<usize> = self.pipe.read_buf(&mut self.held).await;
        self.open = read.is_ok_and(|count| count > 0);
    }

    /// How much of what is held can be given on.
    fn ready(&self, masks: &Masks) -> usize {
        match memchr::memrchr(b'\n', &self.held) {
            Some(newline) => newline + 1,
            None if self.held.len() > LINE_HELD_MAX => masks.safe(&self.held),
            None => 0,
        }
    }
}

impl Sink {
    async fn take(&mut self, source: &mut Source, count: usize) {
        if count == 0 {
            return;
        }
        let (shown, words) = self.masks.listen(&source.held[..count]);
        let masks = self.masks.now();
        let text = masks.hide(&shown);
        self.log.append(source.stream, self.clock.now(), &text);
        self.finder.read(&mut source.unfinished, &text);
        self.echo.copy(&text).await;
        for words in self.finder.take_dropped().into_iter().chain(words.map(str::to_owned)) {
            self.log.say(self.clock.now(), &masks.hide_str(&words));
        }
        drop(text);
        drop(shown);
        source.held.drain(..count);
        source.held.shrink_to(GROW_MAX);
    }
}
