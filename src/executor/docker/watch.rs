//! What the engine tells of its containers, for as long as it does.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bollard::query_parameters as query;
use futures::TryStreamExt as _;
use tokio::task::JoinHandle;

use super::connection::{Connection, Fault};
use crate::executor::{News, label};

/// Before a stream that ended is begun again.
const PAUSE: Duration = Duration::from_secs(2);

/// It ends when this is dropped.
pub(super) struct Watch(JoinHandle<()>);

impl Watch {
    /// Passes on which attempts' containers change.
    pub(super) fn begin(connection: Connection, news: Arc<News>) -> Self {
        Self(tokio::spawn(async move {
            loop {
                if let Err(fault) = listen(&connection, &news).await {
                    tracing::debug!(message = fault.message(), "the engine's events have ended");
                }
                tokio::time::sleep(PAUSE).await;
                news.tell_all();
            }
        }))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listen(connection: &Connection, news: &News) -> Result<(), Fault> {
    let ours = label::selector();
    let filters = HashMap::from([("type", vec!["container"]), ("label", vec![ours.as_str()])]);
    let options = query::EventsOptionsBuilder::default().filters(&filters).build();
    let mut events = connection.client().await?.events(Some(options));
    while let Some(event) = events.try_next().await? {
        let labels = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
        if let Some(attempt) = labels.get(label::ATTEMPT).and_then(|id| id.parse().ok()) {
            news.tell(attempt);
        }
    }
    Ok(())
}
