//! Quotas are set and taken away, and shown beside what is used; a plan that can never fit is told so when it is made.

use std::collections::BTreeMap;

use super::{
    Engine, Result,
    admit::{month_of, quotas, tenants},
    share::never_fits,
};
use crate::{
    model::{Diagnostic, Event, Month, Need, Plan, Quota, QuotaScope, Severity, Time},
    store::Tx,
};

/// What somebody may use, and does.
#[derive(Debug, Clone)]
pub struct QuotaUse {
    /// Whose.
    pub scope: QuotaScope,
    /// What may be used.
    pub quota: Quota,
    /// When that was set, and by whom; `None`: it is not.
    pub set: Option<(Time, String)>,
    /// What is used at once.
    pub uses: Need,
    /// The minutes of jobs in this month.
    pub minutes: i64,
    /// The bytes that are kept; `None`: nobody's are limited, so they are not counted.
    pub stored: Option<i64>,
    /// The actions that wait for a turn.
    pub waiting: i64,
}

impl Engine {
    /// Sets what a scope may use; written down with who did so. A quota that says nothing is taken away.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn set_quota(&self, scope: &QuotaScope, quota: &Quota, by: &str) -> Result<()> {
        let mut tx = self.store.write().await?;
        if quota.is_empty() {
            tx.remove_quota(scope).await?;
            self.note(&mut tx, "taken away").await?;
        } else {
            tx.put_quota(scope, quota, by, self.now()).await?;
            self.note(&mut tx, &format!("set: {quota}")).await?;
        }
        tx.commit().await?;
        tracing::info!(%scope, %quota, by, "a quota was set");
        Ok(())
    }

    /// What everybody may use, and does: the server first, then owners and repositories by their names. With it the month
    /// that minutes are of.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn quota_uses(&self, tx: &mut Tx) -> Result<(Month, Vec<QuotaUse>)> {
        let now = self.now();
        let month = month_of(now);
        let mut all: BTreeMap<QuotaScope, QuotaUse> = BTreeMap::new();
        of(&mut all, &QuotaScope::Server);
        for row in tx.quotas().await? {
            let Some(scope) = row.scope() else { continue };
            let known = of(&mut all, &scope);
            known.quota = row.quota();
            known.set = Some((row.changed, row.changed_by));
        }
        for tenant in tenants(tx, month, now).await? {
            for scope in QuotaScope::around(tenant.forge, &tenant.name) {
                let known = of(&mut all, &scope);
                known.uses = known.uses.plus(tenant.uses);
                // counted in milliseconds until all is added up
                known.minutes = known.minutes.saturating_add(tenant.millis);
            }
        }
        if all.values().any(|known| known.quota.storage.is_some()) {
            count_stored(tx, &mut all).await?;
        }
        for (forge, name, waiting) in tx.lines().await? {
            QuotaScope::around(forge, &name).iter().for_each(|scope| of(&mut all, scope).waiting += waiting);
        }
        let mut all: Vec<QuotaUse> = all.into_values().collect();
        all.iter_mut().for_each(|known| known.minutes /= 60_000);
        all.sort_by_key(|known| (known.scope.forge(), known.scope.name().cloned(), known.scope.clone()));
        Ok((month, all))
    }

    /// What of a plan no quota will ever have.
    pub(super) async fn unfit(&self, tx: &mut Tx, event: &Event, plan: &Plan) -> Result<Vec<Diagnostic>> {
        let quotas = quotas(tx).await?;
        let scopes = QuotaScope::around(event.repository.forge, &event.repository.name);
        let actions = plan.stages.iter().flat_map(|stage| stage.actions.iter().map(move |action| (stage, action)));
        let unfit = actions.filter_map(|(stage, action)| {
            let lack = never_fits(&quotas, &scopes, Need::of(action))?;
            Some(diagnostic(&format!("{}.{}", stage.name, action.shown()), &lack.never()))
        });
        Ok(unfit.collect())
    }
}

fn of<'a>(all: &'a mut BTreeMap<QuotaScope, QuotaUse>, scope: &QuotaScope) -> &'a mut QuotaUse {
    all.entry(scope.clone()).or_insert_with(|| QuotaUse {
        scope: scope.clone(),
        quota: Quota::default(),
        set: None,
        uses: Need::default(),
        minutes: 0,
        stored: None,
        waiting: 0,
    })
}

async fn count_stored(tx: &mut Tx, all: &mut BTreeMap<QuotaScope, QuotaUse>) -> Result<()> {
    for row in tx.stored().await? {
        for scope in QuotaScope::around(row.forge, &row.name) {
            let known = of(all, &scope);
            known.stored = Some(known.stored.unwrap_or(0).saturating_add(row.kept).saturating_add(row.caches));
        }
    }
    all.values_mut().for_each(|known| known.stored = known.stored.or(Some(0)));
    Ok(())
}

/// What is said of an action for which no quota will do.
pub(super) const NEVER: &str = "can never run here";

fn diagnostic(action: &str, why: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        message: format!("action `{action}` {NEVER}: {why}"),
        line: 1,
        column: 1,
        length: 0,
        source: String::new(),
        hint: Some("ask for less under `resources`, or have the server's administrators raise the quota".to_owned()),
    }
}
