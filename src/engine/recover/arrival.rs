//! The sweep's part in intake: what deliveries tell of heads is written down as they are handled, and what was run
//! already starts nothing.

use std::time::Duration;

use super::{Engine, Result, compare::SLACK};
use crate::{
    forge::Moved,
    model::RepositoryId,
    store::{DeliveryRow, Tx},
};

/// What stands in place of a hook's name in the deliveries that the sweep has made.
pub const SWEEP: &str = "sweep";
/// How far the forge's clock may be before ours.
const CLOCKS: Duration = Duration::from_secs(60);

impl Engine {
    /// Why a delivery that would start runs must not: the head that it tells of has run already, by a delivery of the
    /// sweep's, or by the webhook that the sweep had given up.
    pub(in crate::engine) async fn ran_already(
        &self,
        tx: &mut Tx,
        delivery: &DeliveryRow,
        moved: Option<&Moved>,
    ) -> Result<Option<String>> {
        let Some((repository, moved)) = swept(tx, delivery, moved).await? else { return Ok(None) };
        if delivery.hook == SWEEP {
            let Some(after) = tx.made_of_head(delivery.forge, &delivery.delivery).await? else { return Ok(None) };
            let came = tx.arrival(repository, &moved.name, &moved.sha).await?;
            let came = came.filter(|(at, _)| at.after(SLACK) >= after);
            return Ok(came.map(|(_, by)| format!("its webhook came after all, as delivery {by}")));
        }
        let recovered = tx.head_recovered(repository, &moved.name, &moved.sha).await?;
        // whoever moves the head there once more does so after the sweep has seen it there
        let recovered = recovered.filter(|(_, noticed)| moved.happened.is_none_or(|at| at <= noticed.after(CLOCKS)));
        Ok(recovered.map(|(by, _)| format!("it came late: the sweep has found this head before, as delivery {by}")))
    }

    /// Writes down that a handled delivery told of a head. Repositories that never had a run are not swept.
    pub(in crate::engine) async fn arrived(
        &self,
        tx: &mut Tx,
        delivery: &DeliveryRow,
        moved: Option<&Moved>,
    ) -> Result<()> {
        if let Some((repository, Moved { name, sha, .. })) = swept(tx, delivery, moved).await? {
            tx.head_arrived(repository, (name, sha), delivery.received, delivery.id).await?;
        }
        Ok(())
    }

    /// The head that a delivery tells of. A replay tells of none: it is somebody's wish. Pure.
    pub(in crate::engine) fn moved(&self, delivery: &DeliveryRow) -> Option<Moved> {
        if delivery.replays.is_some() {
            return None;
        }
        self.recall(delivery.forge)?.moved(&delivery.event, &delivery.body)
    }
}

/// The head that a delivery tells of, if its repository is one that is swept.
async fn swept<'m>(
    tx: &mut Tx,
    delivery: &DeliveryRow,
    moved: Option<&'m Moved>,
) -> Result<Option<(RepositoryId, &'m Moved)>> {
    let Some(moved) = moved else { return Ok(None) };
    let repository = tx.repository_named(delivery.forge, &moved.repository).await?;
    Ok(repository.map(|row| (row.id, moved)))
}
