//! Why there is no page. What is ours to mend is logged once, and never shown.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};

use super::{Chrome, Mark, route::NoRoute};
use crate::{
    engine::{
        EngineError, Unkept,
        pause::Unanswered,
        rerun::{Refusal, Unwilling},
        rule::Unruly,
        vetting::Unvetted,
    },
    model::ForgeKind,
    store::StoreError,
    web::{Web, mistake::Mistake},
};

/// Why a request was not answered as it hoped.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No such thing.
    #[error("there is nothing here")]
    Missing,
    /// A job of which there is no attempt.
    #[error("this job has not started")]
    NotStarted,
    /// There is, but not for this method.
    #[error("this cannot be asked in this way")]
    Method,
    /// A number in the query is none.
    #[error("the query is not of the expected form")]
    Query,
    /// What a request asks for is not said as it should be.
    #[error("{0}")]
    Words(String),
    /// The same, and where each mistake is.
    #[error("{}", crate::web::mistake::in_words(.0))]
    Mistakes(Vec<Mistake>),
    /// What is sent is of another kind than what is taken.
    #[error("send JSON, and say so: `Content-Type: application/json`; it was `{0}`")]
    Media(String),
    /// More is sent than is taken.
    #[error("the body is larger than is taken here")]
    TooLarge,
    /// Nobody has said who they are.
    #[error("show a token (`Authorization: Bearer TOKEN`), or sign in: nobody may do this without")]
    NoToken,
    /// A run is not repeated in that way.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// Another site's page made the browser ask.
    #[error("another site asked for this")]
    CrossSite,
    /// Nobody can say just now whether they may.
    #[error("{0} is away, so nobody can say whether you may do this; try again in a moment")]
    Unknown(ForgeKind),
    /// A token that is worth nothing, or no token at all.
    #[error("this token is not known here, or has expired")]
    Token,
    /// Whoever guesses is slowed down.
    #[error("too many tries from your address; wait a minute")]
    TooMany,
    /// Whoever asks too often.
    #[error("too many requests; wait before the next one")]
    Rate,
    /// Nobody has signed in.
    #[error("{0}")]
    SignIn(String),
    /// Somebody else may do it.
    #[error("{0}")]
    Forbidden(String),
    /// It was there, and was removed as its repository's rules say.
    #[error("{0}")]
    Gone(String),
    /// It cannot be done to something that is as it is now.
    #[error("{0}")]
    Conflict(String),
    /// As many ask for this as may at once.
    #[error("others are asking for this just now")]
    Busy,
    /// Ours.
    #[error("something went wrong on our side")]
    Ours(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Marks a response that is still to be made a page.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    status: StatusCode,
    heading: String,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    chrome: Chrome,
    status: u16,
    heading: &'a str,
    advice: &'static str,
}

macro_rules! ours {
    ($($error:ty)*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self { Self::Ours(Box::new(error)) }
        }
    )*};
}
ours! { StoreError EngineError askama::Error }

impl From<Unanswered> for Failure {
    fn from(error: Unanswered) -> Self {
        match error {
            Unanswered::Engine(error) => error.into(),
            Unanswered::TooLong | Unanswered::Which(_) => Self::Words(error.to_string()),
            Unanswered::NotYours { .. } => Self::Forbidden(error.to_string()),
            Unanswered::Nothing | Unanswered::NotThis(_) | Unanswered::Over { .. } => Self::Conflict(error.to_string()),
        }
    }
}

impl From<Unruly> for Failure {
    fn from(error: Unruly) -> Self {
        match error {
            Unruly::Engine(error) => error.into(),
            Unruly::Never => Self::Forbidden(error.to_string()),
        }
    }
}

impl From<Unkept> for Failure {
    fn from(error: Unkept) -> Self {
        match error {
            Unkept::Engine(error) => error.into(),
            Unkept::Vault(error) => Self::Ours(Box::new(error)),
            Unkept::Value(_) | Unkept::Limits(_) => Self::Words(error.to_string()),
            Unkept::Missing(..) => Self::Missing,
        }
    }
}

impl From<Unvetted> for Failure {
    fn from(error: Unvetted) -> Self {
        match error {
            Unvetted::Engine(error) => error.into(),
            Unvetted::TooLong => Self::Words(error.to_string()),
            Unvetted::NotWaiting(..) | Unvetted::Moved { .. } | Unvetted::OtherFlow(_) => {
                Self::Conflict(error.to_string())
            }
        }
    }
}

impl From<Unwilling> for Failure {
    fn from(error: Unwilling) -> Self {
        match error {
            Unwilling::Refused(refusal) => Self::Refused(refusal),
            Unwilling::Engine(error) => error.into(),
        }
    }
}

impl From<Mistake> for Failure {
    fn from(mistake: Mistake) -> Self {
        Self::Mistakes(vec![mistake])
    }
}

impl From<NoRoute> for Failure {
    fn from(_: NoRoute) -> Self {
        Self::Missing
    }
}

impl Failure {
    /// The status for it.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Missing | Self::NotStarted => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Query | Self::Words(_) | Self::Mistakes(_) | Self::SignIn(_) => StatusCode::BAD_REQUEST,
            Self::Media(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unknown(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Token | Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::TooMany | Self::Rate => StatusCode::TOO_MANY_REQUESTS,
            Self::Refused(_) => StatusCode::CONFLICT,
            Self::CrossSite | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Gone(_) => StatusCode::GONE,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Ours(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Writes what is ours to mend into the log.
    pub fn log(&self) {
        if let Self::Ours(error) = self {
            tracing::error!(%error, "a request was not answered");
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.log();
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Problem { status: self.status(), heading: self.to_string() });
        response
    }
}

impl Problem {
    /// The page for it.
    pub(super) fn page(&self, web: &Web) -> Response {
        let advice = match self.status.as_u16() {
            404 => {
                "The address may be mistyped, the run may never have been, or only others may see it. What you may see is on the first page."
            }
            500 => "It is in the server's log. Try again in a moment.",
            410 => {
                "The run's page still says what happened and how it ended. How long logs and artifacts are kept is a setting of this server."
            }
            409 => "Go back to the run: its page shows what can run again now.",
            503 => "Try again in a moment.",
            403 => {
                "Open the page itself and press the button there; signed in as somebody who may, if this server asks for that."
            }
            _ => "Go back to the page and try again from there.",
        };
        let sentence: String = {
            let mut letters = self.heading.chars();
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
        };
        let chrome = Chrome::new(web, sentence.clone(), &Mark::of_answer(self.status));
        let page = ProblemPage { chrome, status: self.status.as_u16(), heading: &sentence, advice };
        (self.status, Html(page.render().unwrap_or_default())).into_response()
    }
}
