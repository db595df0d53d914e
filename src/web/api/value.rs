//! Which values of a run went where, and which images it ran.

use serde::Serialize;
use utoipa::ToSchema;

use super::Problem;
use crate::{
    store::{RunRow, Tx},
    web::links::{self, Link, VALUE_READ},
};

/// An image of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Image {
    /// As the flow file names it.
    #[schema(example = "rust:1.95")]
    name: String,
    /// By its digest, as it ran: `name@sha256:…`.
    pinned: String,
}

/// What is known of a run's images.
pub(super) fn images(run: &RunRow) -> Vec<Image> {
    run.pins.iter().map(|(name, pin)| Image { name: name.clone(), pinned: pin.image.clone() }).collect()
}

/// The values that go from job to job.
pub(super) async fn links(tx: &mut Tx, run: &RunRow) -> Result<Vec<Link>, Problem> {
    let Some(plan) = run.plan.as_ref().filter(|plan| links::any(plan)) else { return Ok(Vec::new()) };
    Ok(links::all(plan, &tx.written_of_run(run.id, VALUE_READ).await?))
}
