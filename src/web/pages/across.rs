//! `GET /{forge}/{repository}/search?q=…`: text that is looked for in all logs of a repository.

use askama::Template;
use axum::{http::Uri, response::Response};

use super::{Chrome, Failure, Mark, Place, Route, Took, query, render, search::encode_query};
use crate::{
    model::{Counted, Size, StateFilter},
    web::{
        Web,
        access::Granted,
        across::{Asked, Findings, FoundLine, FoundLog, Next},
        log::{ansi::Renderer, search::Pattern},
    },
};

#[derive(Template)]
#[template(path = "across.html")]
struct AcrossPage {
    chrome: Chrome,
    repository: String,
    repository_url: String,
    here: String,
    asked: Asked,
    states: Vec<(String, bool)>,
    /// What was found, or why nothing was looked for; empty: nobody has asked yet.
    words: String,
    logs: Vec<LogView>,
    next: Option<String>,
}

struct LogView {
    mark: Mark,
    url: String,
    job: String,
    run: String,
    commit: String,
    took: Option<Took>,
    count: String,
    lines: Vec<LineView>,
}

struct LineView {
    url: String,
    number: u64,
    /// Lines as HTML, and which of them has it.
    around: Vec<(u64, String, bool)>,
}

pub(super) async fn page(web: &Web, of: &Granted, route: &Route, uri: &Uri) -> Result<Response, Failure> {
    let asked: Asked = query(uri)?;
    let here = route.to_string();
    let looked = match asked.q.is_empty() {
        true => None,
        false => Some(match asked.quest(of.repository.id) {
            Ok(quest) => {
                let pattern = quest.pattern.clone();
                Ok((quest.look(web).await?, pattern))
            }
            Err(failure) => Err(failure.to_string()),
        }),
    };
    let (words, found, pattern) = match looked {
        None => (String::new(), Findings::default(), None),
        Some(Err(why)) => (format!("Nothing was looked for: {why}."), Findings::default(), None),
        Some(Ok((found, pattern))) => (words(&found), found, Some(pattern)),
    };
    let state = asked.state.clone().unwrap_or_default();
    let next = found.next.map(|next: Next| asked.address(&here, next));
    render(&AcrossPage {
        chrome: Chrome::new(web, format!("Search in logs of {}", route.repository), &Mark::none()),
        repository: route.repository.to_string(),
        repository_url: Route { place: Place::Runs, ..route.clone() }.to_string(),
        here,
        states: StateFilter::ALL.iter().map(|one| (one.to_string(), one.to_string() == state)).collect(),
        words,
        logs: found.logs.iter().map(|log| LogView::new(web, &asked, log, pattern.as_ref())).collect(),
        next,
        asked,
    })
}

fn words(found: &Findings) -> String {
    let (logs, runs, bytes) = found.searched;
    let (all, has) = (Counted(logs, "log"), Counted(found.logs.len() as u64, "log"));
    let partly = match found.partly {
        0 => String::new(),
        some => format!(", {} of them only in part", Counted(some, "log")),
    };
    let of = format!("{all} of {} ({}) looked through{partly}", Counted(runs, "run"), Size(bytes));
    match (found.logs.is_empty(), found.next.is_some()) {
        (true, false) => format!("No log has it. {of}."),
        (true, true) => format!("No log has it so far. {of}; there are older ones."),
        (false, false) => format!("{has} with it. {of}."),
        (false, true) => format!("{has} with it so far. {of}; there are older ones."),
    }
}

impl LogView {
    fn new(web: &Web, asked: &Asked, log: &FoundLog, pattern: Option<&Pattern>) -> Self {
        let url = format!("{}{}", log.url(), encode_query(&asked.q, asked.is_regex()));
        let line = |line: &FoundLine| {
            let row = |(number, text): &(u64, Vec<u8>)| {
                let is_hit = *number == line.number;
                let mut renderer = Renderer::marking(pattern.filter(|_| is_hit).cloned());
                (*number, renderer.line(&text[..text.len().min(1_000)]), is_hit)
            };
            let url = format!("{url}line={0}#L{0}", line.number);
            LineView { url, number: line.number, around: line.around.iter().map(row).collect() }
        };
        let count = Counted(log.count, "line");
        let attempt = if log.job.attempt > 1 { format!(", attempt {}", log.job.attempt) } else { String::new() };
        Self {
            mark: Mark::from(&log.job.state.0),
            job: format!("{}{attempt}", log.path),
            run: format!("{} #{}", log.run.flow, log.run.number),
            commit: log.run.sha.short().to_owned(),
            took: Took::of(log.job.started, log.job.ended, web.engine.clock.now()),
            count: if log.is_whole { count.to_string() } else { format!("{count}, as far as it was searched") },
            lines: log.lines.iter().map(line).collect(),
            url,
        }
    }
}
