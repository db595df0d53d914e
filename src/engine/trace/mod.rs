//! Traces: what a run did and when, for whoever collects such things by OTLP. A run that ends leaves a row, in the
//! transaction of its end; the row goes when the collector has taken the trace, and after ten tries all the same.
//! Everything in a trace is made of rows, and its ids are made of ours: whoever sends it twice sends the same.

mod span;

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{Engine, Result, tell};
use crate::{
    client::LateClient,
    model::{RunId, Time, backoff},
    store::TraceRow,
};

/// How long a collector may take to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Whoever has taken a trace and died is not waited for any longer.
const LEASE: Duration = Duration::from_secs(60);
/// How many traces are sent in one round.
const BATCH: i64 = 16;
/// How many spans are sent in one call.
const SPANS: usize = 500;
/// So often it is tried.
const TRIES: i64 = 10;

/// Where traces go.
#[derive(Clone)]
pub struct Tracer {
    url: String,
    headers: Arc<[(String, SecretString)]>,
    client: Arc<LateClient>,
}

/// Why a trace was not taken.
enum Trouble {
    /// It may be taken later.
    Later(String),
    /// It will not be taken.
    Never(String),
}

impl Tracer {
    /// To the collector at this address, with these headers.
    pub fn new(url: &str, headers: Vec<(String, SecretString)>) -> Self {
        let agent = concat!("containerops/", env!("CARGO_PKG_VERSION"));
        let make = move || reqwest::Client::builder().user_agent(agent).timeout(LIMIT);
        Self { url: format!("{url}/v1/traces"), headers: headers.into(), client: Arc::new(LateClient::new(make)) }
    }

    async fn send(&self, spans: &[Value]) -> Result<(), Trouble> {
        let later = |error: reqwest::Error| Trouble::Later(error.without_url().to_string());
        let mut request = self.client.get().map_err(later)?.post(&self.url).json(&resource(spans));
        for (name, value) in self.headers.iter() {
            request = request.header(name, value.expose_secret());
        }
        let status = request.send().await.map_err(later)?.status();
        let words = format!("the collector answered {status}");
        match status.as_u16() {
            200..300 => Ok(()),
            408 | 429 | 500.. => Err(Trouble::Later(words)),
            _ => Err(Trouble::Never(words)),
        }
    }
}

/// Spans as OTLP's JSON has them.
fn resource(spans: &[Value]) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    json!({"resourceSpans": [{
        "resource": {"attributes": span::attributes(&[
            ("service.name", "containerops".into()), ("service.version", version.into()),
        ])},
        "scopeSpans": [{"scope": {"name": "containerops", "version": version}, "spans": spans}],
    }]})
}

impl Engine {
    /// Sends the traces that are due. How many there were.
    ///
    /// # Errors
    /// If the database is away; a collector's trouble is its own.
    pub async fn send_traces(&self) -> Result<usize> {
        let Some(tracer) = &self.tracer else { return Ok(0) };
        let due = self.store.read().await?.due_traces(self.now(), BATCH).await?;
        let mut sent = 0;
        for row in due {
            let mut tx = self.store.write().await?;
            let is_ours = tx.take_trace(&row, self.now().after(LEASE)).await?;
            tx.commit().await?;
            if is_ours {
                self.send_trace(tracer, &row).await?;
                sent += 1;
            }
        }
        Ok(sent)
    }

    async fn send_trace(&self, tracer: &Tracer, row: &TraceRow) -> Result<()> {
        let spans = self.spans(row.run_id).await?;
        let mut sent = Ok(());
        for some in spans.chunks(SPANS) {
            sent = tracer.send(some).await;
            if sent.is_err() {
                break;
            }
        }
        let now = self.now();
        let mut tx = self.store.write().await?;
        match sent {
            Err(Trouble::Later(error)) if row.tries + 1 < TRIES => {
                tracing::warn!(run.id = %row.run_id, error, "a trace is not taken yet");
                tx.trace_later(row.run_id, now.after(backoff(row.tries))).await?;
            }
            Err(Trouble::Later(error) | Trouble::Never(error)) => {
                tracing::warn!(run.id = %row.run_id, error, "a trace is given up");
                tx.trace_over(row.run_id).await?;
            }
            Ok(()) => tx.trace_over(row.run_id).await?,
        }
        Ok(tx.commit().await?)
    }

    async fn spans(&self, run: RunId) -> Result<Vec<Value>> {
        let mut tx = self.store.read().await?;
        let story = tell::story(&mut tx, run, &self.settings.public_url).await?;
        let came: Option<Time> = match story.run.delivery_id {
            Some(delivery) => tx.delivery(delivery).await?.map(|row| row.received),
            None => None,
        };
        Ok(span::spans(&story, came))
    }
}
