//! How states and times look: a state is a shape and a word, and a colour only on top of them.

use std::time::Duration;

use askama::Template;
use axum::http::StatusCode;

use crate::model::{ActionState, DeliveryState, JobState, RunState, Span, Time};

/// A state for people.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "mark.html")]
pub struct Mark {
    /// Names its style: `success`, `failure`, `running`, …
    pub label: &'static str,
    /// The word for it.
    pub word: String,
}

impl Mark {
    /// The icon's shape, in a box of 16 by 16.
    pub fn shape(&self) -> &'static str {
        shape(self.label)
    }

    /// The colour of a page's icon, which knows no style sheet.
    fn colour(&self) -> &'static str {
        match self.label {
            "success" | "started" => "2f9e52",
            "failure" | "unreadable" => "d13b3b",
            "warning" | "timed_out" | "error" => "c07d00",
            "running" => "3b76d6",
            _ => "808792",
        }
    }

    /// The page's icon as a `data:` URL.
    pub fn favicon(&self) -> String {
        format!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath \
             fill-rule='evenodd' fill='%23{}' d='{}'/%3E%3C/svg%3E",
            self.colour(),
            self.shape()
        )
    }

    /// An answer that is not what was asked for: the icon says whose fault that is.
    pub fn of_answer(status: StatusCode) -> Self {
        let label = if status.is_server_error() { "error" } else { "nothing" };
        Self { label, word: String::new() }
    }

    /// Nothing in particular: for pages that are about no state.
    pub fn none() -> Self {
        Self { label: "none", word: String::new() }
    }
}

/// All states that have a shape of their own; whatever else there is looks like one that waits.
const SHAPES: [&str; 13] = [
    "success",
    "started",
    "failure",
    "unreadable",
    "warning",
    "running",
    "timed_out",
    "cancelled",
    "skipped",
    "nothing",
    "error",
    "waiting",
    "queued",
];

fn shape(label: &str) -> &'static str {
    match label {
        "success" | "started" => "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm3.7 5.2-4.4 4.6-3-2.8 1-1.1 1.9 1.8 3.4-3.6Z",
        "failure" | "unreadable" => {
            "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1ZM6 4.9l2 2 2-2L11.1 6l-2 2 2 2-1.1 1.1-2-2-2 2L4.9 10l2-2-2-2Z"
        }
        "warning" => "M8 1 .6 14.5h14.8ZM7.2 6h1.6v4.4H7.2Zm0 5.4h1.6V13H7.2Z",
        "running" => "M8 1a7 7 0 1 1-7 7h2a5 5 0 1 0 5-5Z",
        "timed_out" => "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1ZM7.2 4h1.6v3.6l2.6 1.7-.8 1.3-3.4-2.2Z",
        "cancelled" => "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1ZM4 7.1h8v1.8H4Z",
        "skipped" | "nothing" => {
            "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.8a5.2 5.2 0 1 1 0 10.4A5.2 5.2 0 0 1 8 2.8ZM5 7.2h6v1.6H5Z"
        }
        "error" => "M5 1h6l4 4v6l-4 4H5l-4-4V5Zm2.2 3v5h1.6V4Zm0 6.4V12h1.6v-1.6Z",
        _ => {
            "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.8a5.2 5.2 0 1 1 0 10.4A5.2 5.2 0 0 1 8 2.8Zm0 3a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4Z"
        }
    }
}

/// The shapes for marks that are drawn by the style sheet: a page of many has no room for each of them.
pub(in crate::web) fn css() -> String {
    let one = |label: &&str| {
        let svg = "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill-rule='evenodd' d='";
        format!(
            ":is(.mk, .lines b).{label}::before {{ mask-image: url(\"data:image/svg+xml,{svg}{}'/%3E%3C/svg%3E\"); }}\n",
            shape(label)
        )
    };
    SHAPES.iter().map(one).collect()
}

impl From<&RunState> for Mark {
    fn from(state: &RunState) -> Self {
        let word = state.conclusion().map_or_else(|| state.phase().to_owned(), |c| c.to_string());
        Self { label: state.label(), word }
    }
}

impl From<&ActionState> for Mark {
    fn from(state: &ActionState) -> Self {
        let word = state.conclusion().map_or_else(|| state.phase().to_owned(), |c| c.to_string());
        Self { label: state.label(), word }
    }
}

impl From<&JobState> for Mark {
    fn from(state: &JobState) -> Self {
        match state {
            JobState::Ended(verdict) => Self { label: state.label(), word: verdict.to_string() },
            JobState::Waiting | JobState::Running => Self { label: state.label(), word: state.phase().to_owned() },
        }
    }
}

impl From<&DeliveryState> for Mark {
    fn from(state: &DeliveryState) -> Self {
        let word = match state {
            DeliveryState::Pending => "waiting".to_owned(),
            DeliveryState::Started { runs: 1 } => "started a run".to_owned(),
            DeliveryState::Started { runs } => format!("started {runs} runs"),
            DeliveryState::Obeyed { .. } => "did as it says".to_owned(),
            DeliveryState::Nothing { .. } => "started nothing".to_owned(),
            DeliveryState::Unreadable { .. } => "unreadable".to_owned(),
        };
        Self { label: state.phase(), word }
    }
}

/// A moment for a page: in UTC, until the script makes it local.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Template)]
#[template(
    source = "<time datetime=\"{{ self.iso() }}\" title=\"{{ self.text() }}\">{{ self.text() }}</time>",
    ext = "html"
)]
pub struct Moment(pub Time);

impl Moment {
    /// For machines: RFC 3339 with milliseconds.
    pub fn iso(&self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S%.3fZ")
    }

    /// For people.
    pub fn text(&self) -> String {
        self.format("%Y-%m-%d %H:%M UTC")
    }

    /// For people who know the day.
    pub fn of_day(&self) -> String {
        self.format("%H:%M:%S")
    }

    fn format(&self, format: &str) -> String {
        // a time out of the calendar's range can only come from a broken clock
        let moment = jiff::Timestamp::from_millisecond(self.0.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        moment.strftime(format).to_string()
    }
}

/// How long something took, or has taken so far.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    source = "<span class=\"took\"{% if let Some(since) = since %} data-since=\"{{ since }}\"{% endif %}>{{ text }}</span>",
    ext = "html"
)]
pub struct Took {
    /// The words.
    pub text: String,
    /// Since when, if it goes on: the script counts from there.
    pub since: Option<String>,
}

impl Took {
    /// `None` if it has not started.
    pub fn of(started: Option<Time>, ended: Option<Time>, now: Time) -> Option<Self> {
        let started = started?;
        let text = Span(ended.unwrap_or(now).since(started)).to_string();
        Some(Self { text, since: ended.is_none().then(|| Moment(started).iso()) })
    }
}

/// Time since a job's start, before each of its lines: `12.3`, `4:05.6`, `1:02:03.4`.
pub fn elapsed(span: Duration) -> String {
    let (s, tenth) = (span.as_secs(), span.subsec_millis() / 100);
    match s {
        0..60 => format!("{s}.{tenth}"),
        60..3600 => format!("{}:{:02}.{tenth}", s / 60, s % 60),
        _ => format!("{}:{:02}:{:02}.{tenth}", s / 3600, s % 3600 / 60, s % 60),
    }
}
