//! What hooks have left where we can read it is taken: a hook that found nobody here tries again with the next push
//! only, and nobody knows when that is.

use super::{Engine, Result};
use crate::{
    forge::Left,
    model::{DeliveryState, ForgeKind},
    store::{Change, NewDelivery, Taken},
};

impl Engine {
    /// Takes all of it, in order. How many deliveries had not come otherwise.
    pub(super) async fn take_what_is_left(&self) -> Result<usize> {
        let mut taken = 0;
        for (kind, forge) in &self.forges {
            let Some(recall) = forge.recall() else { continue };
            for left in recall.left().await {
                taken += usize::from(self.take_left(*kind, left).await?);
            }
        }
        Ok(taken)
    }

    /// True: it is new. It has the id by which the hook sends it, so it is taken once, whoever is faster.
    async fn take_left(&self, forge: ForgeKind, left: Left) -> Result<bool> {
        let Left { repository, delivery, webhook, file } = left;
        let new = NewDelivery {
            forge,
            hook: String::new(),
            delivery,
            event: webhook.event,
            headers: Vec::new(),
            body: webhook.body.into(),
            received: self.now(),
            state: DeliveryState::Pending,
        };
        let mut tx = self.store.write().await?;
        let taken = tx.insert_delivery(&new).await?;
        tx.ring(Change::Delivery);
        tx.commit().await?;
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                // it may be another user's; its hook removes it when it hears that it was taken before
                tracing::debug!(%forge, %repository, %error, "what a hook has left stays");
            }
            _ => {}
        }
        let is_new = matches!(taken, Taken::New(_));
        if is_new {
            tracing::info!(%forge, %repository, delivery = new.delivery, "taken: its hook had found nobody here");
        }
        Ok(is_new)
    }
}
