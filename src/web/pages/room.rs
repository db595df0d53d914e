//! Where all wait who have a log to its end. One task reads what comes, and makes events of it once; each watcher takes
//! those that begin where it is. A room keeps the last few: who is slower reads alone, and comes again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::watch;

use super::{
    rows::{RECENT, Rows},
    search::Asked,
};
use crate::{
    engine::{Engine, log::Frame, whole::Whole},
    model::{JobId, JobState, Time},
    store::{Change, JobRow},
    web::log::{ansi::Renderer, lines::Collector, search::Pattern, window::Window},
};

/// How long a room waits for news before it looks by itself.
const LOOK: Duration = Duration::from_secs(5);
/// So many events are kept for those who are not quite as quick, and so many bytes of them.
const KEPT: usize = 256;
const KEPT_BYTES: usize = 2 << 20;

/// A room speaks no more often: what a job writes fast comes in lots, for each of which every watcher is woken once. A
/// line that comes alone is told at once.
const PAUSE: Duration = Duration::from_millis(100);
/// No lot is larger by more than one part of the log.
const LOT: usize = 256 << 10;

/// How a stream's lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// `{"text": …}`: the log's own text.
    #[default]
    Text,
    /// `{"html": …}`: rows as the page has them.
    Html,
}

/// Those see the same who ask for the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) job: JobId,
    pub(super) form: Form,
    /// Where the raw log is.
    pub(super) raw: String,
    /// What a link to a line begins with.
    pub(super) query: String,
    pub(super) of_day: bool,
    /// What is marked.
    pub(super) looked_for: Asked,
}

/// What comes next of a log.
pub(super) enum News {
    /// This, and then more.
    Step(Bytes),
    /// This, and then no more.
    End(Bytes),
    /// Nothing yet.
    Nothing,
}

/// Reads a log from somewhere to its end, and makes events of it.
pub(super) struct Reader {
    engine: Engine,
    job: JobId,
    form: Form,
    /// The next byte to read, once it has begun: behind where the next event begins if a line is not complete.
    offset: Option<u64>,
    collector: Option<Collector>,
    rows: Rows,
    /// The job, as it was when its log was read last.
    seen: Option<JobRow>,
}

impl Reader {
    pub(super) fn new(engine: &Engine, key: &Key, started: Option<Time>) -> Self {
        let Key { job, form, raw, query, of_day, looked_for } = key.clone();
        // what is no pattern marks nothing, as on the page
        let renderer = Renderer::marking(Pattern::new(&looked_for.text, looked_for.is_regex).ok());
        let rows = Rows { renderer, started, raw, query, of_day, ..Rows::default() };
        Self { engine: engine.clone(), job, form, offset: None, collector: None, rows, seen: None }
    }

    /// What comes after `at`, which is moved behind it. `None`: it cannot be read.
    pub(super) async fn next(&mut self, at: &mut u64) -> Option<News> {
        loop {
            // the job is asked before its log is read: if it is over then, so is what is read
            let job = self.job().await?;
            let over = matches!(job.state.0, JobState::Ended(_));
            self.seen = Some(job);
            let offset = self.offset.unwrap_or(*at);
            match self.engine.frame_at_offset(self.job, offset).await {
                Ok(Some(frame)) => {
                    self.begin(&frame).await;
                    if let Some(event) = self.event(&frame, over, at) {
                        return Some(News::Step(event));
                    }
                }
                Ok(None) if over => return Some(News::End(self.end(at))),
                Ok(None) => return Some(News::Nothing),
                Err(error) => {
                    tracing::error!(%error, job = %self.job, "a log's stream broke off");
                    return None;
                }
            }
        }
    }

    async fn job(&self) -> Option<JobRow> {
        let mut tx = self.engine.store.read().await.ok()?;
        tx.job(self.job).await.ok()?
    }

    /// What comes may change lines that are there: they are drawn before.
    async fn begin(&mut self, frame: &Frame) {
        let (first, is_html) = (frame.line + 1, matches!(self.form, Form::Html));
        if self.collector.is_some() || !is_html || first == 1 {
            return;
        }
        match Window::read(&self.engine, self.job, first.saturating_sub(RECENT as u64).max(1)..first).await {
            Ok(before) => before.lines.into_iter().for_each(|line| drop(self.rows.follow(line))),
            Err(error) => tracing::debug!(%error, job = %self.job, "the lines before a stream cannot be read"),
        }
    }

    fn event(&mut self, frame: &Frame, over: bool, at: &mut u64) -> Option<Bytes> {
        let end = frame.end();
        match self.form {
            Form::Html => {
                let fresh = || Collector::new(frame.line + 1, frame.start, 1..u64::MAX);
                let collector = self.collector.get_or_insert_with(fresh);
                collector.push(&frame.text, &frame.pieces);
                self.offset = Some(end);
                let (resume, lines) = (collector.resume(), collector.take());
                let html: String = lines.into_iter().map(|line| self.rows.follow(line)).collect();
                if html.is_empty() {
                    return None;
                }
                *at = resume;
                Some(event(None, ("html", &html), resume))
            }
            Form::Text => {
                let text = whole_characters(&frame.text, over);
                // the rest of a character may be on its way, in a chunk that has not come
                let text = if text.is_empty() { &frame.text } else { text };
                *at = frame.start + text.len() as u64;
                self.offset = Some(*at);
                Some(event(None, ("text", &String::from_utf8_lossy(text)), *at))
            }
        }
    }

    /// The last line, if it has no newline, and the word that it was the last.
    fn end(&mut self, at: &mut u64) -> Bytes {
        let lines = self.collector.take().map(Collector::finish).unwrap_or_default();
        let html: String = lines.into_iter().map(|line| self.rows.follow(line)).collect();
        *at = self.offset.unwrap_or(*at);
        event(Some("end"), ("html", &html), *at)
    }
}

/// An event as it is sent.
#[derive(Debug)]
pub(super) struct Step {
    from: u64,
    pub(super) to: u64,
    pub(super) bytes: Bytes,
}

/// What a room has to say.
#[derive(Debug, Default)]
struct Tail {
    steps: VecDeque<Arc<Step>>,
    size: usize,
    /// Where the next event begins.
    at: u64,
    /// The last event was the last.
    is_over: bool,
    /// The log cannot be read.
    is_broken: bool,
    /// What is known of the whole log, if no line tells it, and how often that has changed.
    seal: (u64, String),
}

impl Tail {
    /// Whether what comes after `at` is kept, or still to come.
    fn will_say(&self, at: u64) -> bool {
        self.at <= at || self.steps.iter().any(|step| step.from == at)
    }

    fn push(&mut self, bytes: Bytes, to: u64) {
        self.size += bytes.len();
        self.steps.push_back(Arc::new(Step { from: self.at, to, bytes }));
        self.at = to;
        while self.steps.len() > KEPT || (self.size > KEPT_BYTES && self.steps.len() > 1) {
            self.size -= self.steps.pop_front().map_or(0, |step| step.bytes.len());
        }
    }
}

/// All rooms.
#[derive(Debug, Default)]
pub(in crate::web) struct Rooms(Mutex<HashMap<Key, Weak<watch::Sender<Tail>>>>);

/// One who is in a room.
#[derive(Debug)]
pub(super) struct Room {
    /// The room lasts as long as somebody is in it.
    _stays: Arc<watch::Sender<Tail>>,
    tail: watch::Receiver<Tail>,
}

impl Rooms {
    /// The room of a log where what comes after `at` is kept, or still to come.
    pub(super) fn find(&self, key: &Key, at: u64) -> Option<Room> {
        let rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open_at(&rooms, key, at).map(Room::of)
    }

    /// The room of a log, for one who has all of it up to `at`. Whoever comes from a place at which no event begins gets a
    /// new room, and so will those who come after.
    pub(super) fn enter(&self, engine: &Engine, key: &Key, started: Option<Time>, at: u64) -> Room {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stays = open_at(&rooms, key, at).unwrap_or_else(|| {
            rooms.retain(|_, room| room.strong_count() > 0);
            let room = Arc::new(watch::Sender::new(Tail { at, ..Tail::default() }));
            rooms.insert(key.clone(), Arc::downgrade(&room));
            let reader = Reader::new(engine, key, started);
            tokio::spawn(keep(Arc::downgrade(&room), reader, at));
            room
        });
        Room::of(stays)
    }
}

fn open_at(rooms: &HashMap<Key, Weak<watch::Sender<Tail>>>, key: &Key, at: u64) -> Option<Arc<watch::Sender<Tail>>> {
    rooms.get(key).and_then(Weak::upgrade).filter(|room| {
        let tail = room.borrow();
        !tail.is_over && !tail.is_broken && tail.will_say(at)
    })
}

impl Room {
    fn of(stays: Arc<watch::Sender<Tail>>) -> Self {
        Self { tail: stays.subscribe(), _stays: stays }
    }

    /// The event that begins at `at`, and whether it is the last; or words of the whole log that are news. Within it,
    /// `None`: there will be none, because the log cannot be read.
    pub(super) fn said(&mut self, at: u64, seal: &mut u64) -> Option<Option<(Arc<Step>, bool)>> {
        let tail = self.tail.borrow_and_update();
        if let Some(which) = tail.steps.iter().rposition(|step| step.from == at && (step.to > at || tail.is_over)) {
            let is_last = tail.is_over && which + 1 == tail.steps.len();
            return Some(Some((Arc::clone(&tail.steps[which]), is_last)));
        }
        if tail.is_broken {
            return Some(None);
        }
        if tail.seal.0 == *seal || tail.at != at {
            return None;
        }
        *seal = tail.seal.0;
        let bytes = event(Some("seal"), ("seal", &tail.seal.1), at);
        Some(Some((Arc::new(Step { from: at, to: at, bytes }), false)))
    }

    /// Whether what comes after `at` is not kept any more.
    pub(super) fn is_ahead(&self, at: u64) -> bool {
        !self.tail.borrow().will_say(at)
    }

    /// Until there is more to say, or `patience` is over.
    pub(super) async fn wait(&mut self, patience: Duration) {
        // over is as good as heard: the caller looks again either way
        let _ = tokio::time::timeout(patience, self.tail.changed()).await;
    }
}

/// Reads for a room, as long as somebody is in it.
async fn keep(room: Weak<watch::Sender<Tail>>, mut reader: Reader, mut at: u64) {
    // it listens before it looks, so that no change falls between
    let mut listener = reader.engine.store.bell().listen();
    let mut lot = Lot::default();
    loop {
        let news = reader.next(&mut at).await;
        let Some(room) = room.upgrade() else { return };
        if let Some(News::Step(bytes)) = &news {
            lot.push(bytes.clone(), at);
            if lot.size < LOT {
                continue;
            }
        }
        lot.say(&room);
        match news {
            Some(News::Step(_)) => {}
            Some(News::End(bytes)) => {
                room.send_modify(|tail| {
                    tail.push(bytes, at);
                    tail.is_over = true;
                });
                return;
            }
            Some(News::Nothing) => {
                tell(&room, &reader);
                drop(room);
                let job = reader.job;
                listener.wait(LOOK, |change| change == Change::Log(job)).await;
                lot.rest().await;
            }
            None => {
                room.send_modify(|tail| tail.is_broken = true);
                return;
            }
        }
    }
}

/// Events that are said together. Each stays one of its own, so that whoever comes from where it begins can take it.
#[derive(Default)]
struct Lot {
    /// Each with where what comes after it begins.
    events: Vec<(Bytes, u64)>,
    size: usize,
    /// When some were said last.
    said: Option<Instant>,
}

impl Lot {
    fn push(&mut self, event: Bytes, to: u64) {
        self.size += event.len();
        self.events.push((event, to));
    }

    fn say(&mut self, room: &watch::Sender<Tail>) {
        if !self.events.is_empty() {
            room.send_modify(|tail| self.events.drain(..).for_each(|(event, to)| tail.push(event, to)));
            (self.size, self.said) = (0, Some(Instant::now()));
        }
    }

    /// Waits until a room may speak again.
    async fn rest(&self) {
        let left = self.said.map_or(Duration::ZERO, |said| PAUSE.saturating_sub(said.elapsed()));
        tokio::time::sleep(left).await;
    }
}

/// Says what is known of the whole log, if no line tells it and it is news.
fn tell(room: &watch::Sender<Tail>, reader: &Reader) {
    let words = reader.seen.as_ref().map(Whole::of).filter(Whole::is_withheld).map(|whole| whole.to_string());
    room.send_if_modified(|tail| match words {
        Some(words) if words != tail.seal.1 => {
            tail.seal = (tail.seal.0 + 1, words);
            true
        }
        Some(_) | None => false,
    });
}

fn event(name: Option<&str>, (field, content): (&str, &str), offset: u64) -> Bytes {
    let name = name.map_or_else(String::new, |name| format!("event: {name}\n"));
    // JSON has no newline that is not escaped
    format!("id: {offset}\n{name}data: {}\n\n", serde_json::json!({ field: content })).into()
}

/// What no browser hears.
pub(super) fn said() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// The server stops: whoever listens is to come again in a moment, to whichever takes its place.
pub(super) fn again() -> Bytes {
    Bytes::from_static(b"retry: 1000\n\n")
}

/// Without a last character that is not complete yet.
fn whole_characters(text: &[u8], over: bool) -> &[u8] {
    if over {
        return text;
    }
    let tail = text.len().saturating_sub(3);
    let cut = (tail..text.len()).find(|&at| {
        let wanted = match text[at] {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            _ => 1,
        };
        at + wanted > text.len()
    });
    &text[..cut.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_comes_to_the_beginning_of_any_event_of_a_lot_goes_on_from_there() {
        let room = Arc::new(watch::Sender::new(Tail::default()));
        let mut lot = Lot::default();
        for to in [10, 20, 30] {
            lot.push(event(None, ("text", &to.to_string()), to), to);
        }
        lot.say(&room);
        let mut watcher = Room::of(Arc::clone(&room));
        let (mut at, mut heard) = (10, Vec::new());
        while let Some(said) = watcher.said(at, &mut 0) {
            let (step, is_last) = said.expect("it can be read");
            assert!(!is_last, "more may come");
            at = step.to;
            heard.push(at);
        }
        assert_eq!(heard, [20, 30]);
        assert!(!watcher.is_ahead(at) && watcher.is_ahead(15), "no event begins in the middle of one");
    }
}
