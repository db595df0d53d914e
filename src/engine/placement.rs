//! What an executor is told of an attempt.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Engine, Result,
    drive::plan_of,
    secret::{Asked, is_image},
    settle::places,
};
use crate::{
    executor::{Container, Isolation, Placement, Tenant, registry::RegistryKeys},
    model::{ActionPlan, JobPlan, Resources},
    store::{ActionRow, AttemptRow, JobRow, Pin, RunRow},
};

/// Added to the jobs' own limits: for pulling, scheduling and unpacking.
pub(super) const PLACING: Duration = Duration::from_secs(3600);

impl Engine {
    /// An attempt as the executor needs it.
    pub(super) fn placement(
        &self,
        action: &ActionRow,
        run: &RunRow,
        attempt: &AttemptRow,
        jobs: &[JobRow],
        tenant: Tenant,
        keys: RegistryKeys,
    ) -> Result<Placement> {
        let plan = plan_of(action, run)?;
        let stage = run.plan.0.as_ref().and_then(|plan| plan.stages.get(places(action).0));
        let container = |(place, (job, row)): (usize, (&JobPlan, &JobRow))| Container {
            job: row.id,
            name: match place.checked_sub(plan.jobs.len()) {
                None => format!("job-{place}"),
                Some(service) => format!("service-{service}"),
            },
            service: plan.service(place).map(|service| service.job.name.clone()),
            image: run.pins.get(&job.image).map_or_else(|| job.image.clone(), |pin| pin.image.clone()),
            privileged: self.is_privileged(run, &job.image),
            resources: Resources::clone(&job.resources),
            token: self.key.job_token(row.id),
        };
        Ok(Placement {
            attempt: attempt.id,
            run: run.id,
            tenant,
            flow: run.flow.clone(),
            action: format!("{}.{}", stage.map_or("", |stage| &stage.name), plan.name),
            containers: plan
                .members()
                .zip(jobs)
                .enumerate()
                .filter(|(_, (job, _))| !job.is_podless())
                .map(container)
                .collect(),
            deadline: self.time_for(plan) + PLACING,
            isolation: Isolation::from(&run.event.0),
            runtime: plan.runtime.clone(),
            node: plan.node.clone(),
            keys,
            agent_url: self.settings.agent_url.clone(),
        })
    }

    /// The most time that an action's jobs may take together, with what they may wait for its services.
    pub(super) fn time_for(&self, plan: &ActionPlan) -> Duration {
        let longest = self.settings.job_timeout;
        let jobs: Duration = plan.jobs.iter().map(|job| job.timeout.unwrap_or(longest).min(longest)).sum();
        jobs + plan.services.iter().map(|service| service.ready.within).sum::<Duration>()
    }

    /// A run's repository, with the quotas that bound it if the executor goes by them.
    pub(super) async fn tenant(&self, run: &RunRow) -> Result<Tenant> {
        let of = &run.event.repository;
        let mut tenant = Tenant { forge: of.forge, repository: of.name.clone(), quotas: BTreeMap::new() };
        if self.executor.makes_homes() {
            let around = tenant.around();
            let all = self.store.read().await?.quotas().await?.into_iter();
            let all = all.filter_map(|row| Some((row.scope()?, row.quota())));
            tenant.quotas = all.filter(|(scope, _)| around.contains(scope)).collect();
        }
        Ok(tenant)
    }

    /// Whether the operator lets a run's containers of this image do whatever their machine may.
    pub(super) fn is_privileged(&self, run: &RunRow, image: &str) -> bool {
        let event = &run.event.0;
        let pinned = run.pins.get(image).map(|pin: &Pin| pin.image.as_str());
        let repository = &event.repository;
        let means = |pattern: &str| is_image(pattern, Asked { event, image, pinned });
        let mut rules = self.settings.privileged.iter();
        event.trusted().is_some()
            && rules.any(|rule| rule.is_of(repository.forge, &repository.name) && means(&rule.image))
    }
}
