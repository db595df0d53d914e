//! Heads that nothing has told of become deliveries of our own.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{
    Engine, SWEEP, Trouble,
    compare::{Compared, GRACE, Known, compare},
};
use crate::{
    forge::{ForgeError, Head, Recall, Webhook},
    model::{DeliveryState, RepositoryName, Time},
    store::{HeadRow, Lost, NewDelivery, NewRecovery, RepositoryRow, SweepRow},
};

/// How many heads of one repository become deliveries in one look: each costs a call.
const HEADS: usize = 20;
/// What was told longer ago is no longer asked for: a head that has not moved for so long was seen where it is.
const TOLD_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Missed heads with what is made of them; `None` if the forge has no such head any more.
type Made = Vec<(HeadRow, Option<Webhook>)>;

impl Engine {
    /// Lists the heads of a repository and makes deliveries of those that were missed. How many, and the place's row
    /// as it is now.
    pub(super) async fn look_at_heads(
        &self,
        recall: &dyn Recall,
        repository: &RepositoryRow,
        sweep: SweepRow,
    ) -> Result<(usize, SweepRow), Trouble> {
        let now = self.now();
        let listed = recall.heads(&repository.facts).await?;
        let mut tx = self.store.read().await?;
        let (seen, told) = (tx.heads(repository.id).await?, tx.arrivals(repository.id).await?);
        drop(tx);
        let mut compared = compare(listed, &Known { seen, told, listed: sweep.swept }, now);
        if compared.copied > 0 {
            let (name, tags) = (&sweep.name, compared.copied);
            tracing::warn!(forge = %sweep.forge, repository = name, tags, "so many new tags at once start nothing");
        }
        let missed = std::mem::take(&mut compared.missed);
        let all = missed.len() <= HEADS && compared.waiting == 0;
        let (made, trouble) = webhooks(recall, repository, missed).await;
        let pause = if all { self.settings.sweep_interval } else { self.settings.sweep_interval.min(GRACE) };
        let sweep = SweepRow { swept: Some(now), due: now.after(pause), trouble: String::new(), ..sweep };
        let count = self.write_heads(repository, &sweep, &compared, made).await?;
        trouble.map_or(Ok((count, sweep)), |error| Err(error.into()))
    }

    async fn write_heads(
        &self,
        repository: &RepositoryRow,
        sweep: &SweepRow,
        compared: &Compared,
        made: Made,
    ) -> Result<usize, Trouble> {
        let now = self.now();
        let mut tx = self.store.write().await?;
        for row in &compared.changed {
            tx.keep_head(repository.id, row).await?;
        }
        for name in &compared.gone {
            tx.forget_head(repository.id, name).await?;
        }
        let mut count = 0;
        for (row, webhook) in made {
            if let Some(webhook) = webhook {
                let delivery = delivery(repository, &row, webhook.event, webhook.body, now);
                let happened = webhook.happened.unwrap_or(row.noticed).clamp(row.after, row.noticed.max(row.after));
                let HeadRow { name, sha, after, noticed, .. } = &row;
                let of = Lost::Head { repository: repository.id, name, sha, after: *after, noticed: *noticed };
                let (forge, delivery_id) = (repository.forge, &delivery.delivery);
                tx.begin_recovery(&NewRecovery { forge, delivery: delivery_id, happened, of, now }).await?;
                tx.insert_delivery(&delivery).await?;
                tracing::info!(repository = %repository.name, head = row.name, sha = %row.sha, "head recovered");
                count += 1;
            }
            tx.keep_head(repository.id, &HeadRow { settled: Some(now), ..row }).await?;
        }
        tx.forget_arrivals(repository.id, now.before(TOLD_KEPT)).await?;
        tx.keep_sweep(sweep).await?;
        tx.ring(crate::store::Change::Delivery);
        tx.commit().await?;
        Ok(count)
    }
}

/// Makes webhooks of missed heads, up to the first that the forge cannot be asked about now.
async fn webhooks(
    recall: &dyn Recall,
    repository: &RepositoryRow,
    missed: Vec<(Head, HeadRow)>,
) -> (Made, Option<ForgeError>) {
    let mut made = Vec::new();
    for (head, row) in missed.into_iter().take(HEADS) {
        match recall.webhook(&repository.facts, &head, &row.before).await {
            Ok(webhook) => made.push((row, Some(webhook))),
            Err(error @ ForgeError::Refused { .. }) => {
                tracing::warn!(repository = %repository.name, head = row.name, %error, "head not recovered");
                made.push((row, None));
            }
            Err(error) => return (made, Some(error)),
        }
    }
    (made, None)
}

fn delivery(repository: &RepositoryRow, head: &HeadRow, event: String, body: Vec<u8>, now: Time) -> NewDelivery {
    NewDelivery {
        forge: repository.forge,
        hook: SWEEP.to_owned(),
        delivery: delivery_id(&repository.name, head),
        event,
        headers: Vec::new(),
        body: body.into(),
        received: now,
        state: DeliveryState::Pending,
    }
}

/// The same for one movement of a head, whenever and however often it is made; another for the next one, even if that
/// leads back.
fn delivery_id(repository: &RepositoryName, head: &HeadRow) -> String {
    let what = format!("{repository}\n{}\n{}\n{}", head.name, head.sha, head.noticed.as_millis());
    hex::encode(&Sha256::digest(what)[..16])
}
