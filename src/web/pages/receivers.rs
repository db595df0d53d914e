//! Who was told how a run ended, besides the forge.

use super::{Failure, Moment};
use crate::{
    model::{RunId, Way},
    store::{NoticeRow, Tx},
};

/// One receiver, and what became of its notice.
pub(super) struct ReceiverView {
    /// How, and where to.
    pub(super) who: String,
    /// How far it is.
    pub(super) words: String,
    /// When it was taken or given up, or is tried next.
    pub(super) at: Moment,
}

/// All that a run's end was news for.
pub(super) async fn receivers(tx: &mut Tx, run: RunId) -> Result<Vec<ReceiverView>, Failure> {
    Ok(tx.notices(run).await?.iter().map(ReceiverView::new).collect())
}

impl ReceiverView {
    fn new(notice: &NoticeRow) -> Self {
        let NoticeRow { news, tries, trouble, .. } = notice;
        let (words, at) = match (notice.phase.as_str(), notice.ended) {
            ("sent", Some(at)) => (format!("told of {news}"), at),
            (_, Some(at)) if *tries > 1 => (format!("not told of {news}, given up after {tries} tries: {trouble}"), at),
            (_, Some(at)) => (format!("not told of {news}: {trouble}"), at),
            (_, None) if trouble.is_empty() => (format!("to be told of {news}"), notice.due),
            (_, None) => (format!("not told of {news} yet ({trouble}), tried again"), notice.due),
        };
        Self { who: who(notice), words, at: Moment(at) }
    }
}

/// A webhook's path may be all that proves who calls it: it stays in the flow file.
fn who(notice: &NoticeRow) -> String {
    match Way::named(&notice.way) {
        Some(Way::Webhook) => {
            let url = url::Url::parse(&notice.address).ok();
            let host = url.as_ref().and_then(url::Url::host_str).unwrap_or_default();
            format!("Webhook at {host}")
        }
        Some(Way::Mail) | None => format!("Mail to {}", notice.address),
    }
}
