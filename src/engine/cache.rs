//! Caches: which one an action finds, and which it may leave.
//!
//! A cache is of one repository, flow and name, and lies in a scope: a branch, a pull request, a tag. A run reads its own
//! scope first, then the branches that its code is to be merged into; it writes its own alone. So a pull request's cache
//! is seen by that pull request only, and what untrusted code has left by untrusted code only.

use super::{
    Engine, EngineError, Result,
    bundle::check_bundle,
    settle::Place,
    turn::{Denied, Turn},
};
use crate::{
    agent::protocol::{CacheAnswer, CacheRequest, CacheWish, Cached, Hit, NO_KEY, NewCache},
    model::{BundleId, Cache, CacheHit, CacheId, Event, EventKind, JobId, JobPlan, Time, Trust},
    store::{CacheRow, CacheUseRow, JobRow, KeptCacheRow, Tx},
};

/// All caches of one repository together may have so many times what one may.
const CACHES_OF_REPOSITORY: u64 = 5;

/// The scopes that an event's runs may read, their own first.
pub fn scopes(event: &Event) -> Vec<String> {
    let branch = |name: &str| format!("branch {name}");
    let default = branch(&event.repository.default_branch);
    let (own, base) = match &event.kind {
        EventKind::Push { branch: name }
        | EventKind::Schedule { branch: name, .. }
        | EventKind::Manual { branch: name, .. }
        | EventKind::Flow { branch: name, .. } => (branch(name), None),
        EventKind::Tag { tag } => (format!("tag {tag}"), None),
        EventKind::PullRequest(pull) => (format!("pull request {}", pull.number), Some(branch(&pull.base))),
        EventKind::MergeGroup { base, .. } => (format!("merge group of {base}"), Some(branch(base))),
    };
    let own = match &event.trust {
        Trust::Trusted => own,
        Trust::Untrusted(_) => format!("untrusted {own}"),
    };
    let mut all = vec![own];
    all.extend(base);
    if !all.contains(&default) {
        all.push(default);
    }
    all
}

/// The caches that a job is to restore and to keep: the first that runs makes their keys, and whoever may be the last
/// keeps them. Whether a job with a condition runs is decided when its turn has come.
pub(super) fn caches(place: &Place, job: &JobRow, turn: Turn) -> Result<Vec<Cached>> {
    let action = place.plan()?;
    if job.is_service() {
        return Ok(Vec::new());
    }
    let after = usize::try_from(job.place).unwrap_or(usize::MAX).saturating_add(1);
    let surely_runs = |later: &JobPlan| later.when.is_none() && !later.is_podless();
    let is_last = !action.jobs.iter().skip(after).any(surely_runs);
    let cached = |cache: &Cache| Cached {
        name: cache.name.clone(),
        key_files: cache.key_files.clone(),
        paths: cache.paths.clone(),
        is_first: turn == Turn::First,
        is_last,
    };
    Ok(action.caches.iter().map(cached).collect())
}

impl Engine {
    /// Looks for a cache: of this key, else the newest of the nearest scope.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn find_cache(&self, session: &str, asked: &CacheRequest) -> Result<CacheAnswer, Denied> {
        let now = self.now();
        let job = self.job_of_session(session).await?;
        let mut tx = self.store.write().await?;
        let place = Place::of(&mut tx, job.attempt_id).await?;
        planned(&place, &asked.name)?;
        let key = match &asked.key {
            Some(key) if key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit()) => Some(key.clone()),
            Some(_) => return Err(Denied::Bundle("a key has 64 hexadecimal digits".to_owned())),
            // a later job has what the first one had: its workspace is no longer that of the commit
            None => tx.cache_use_of_attempt(job.attempt_id, &asked.name).await?.map(|used| used.key),
        };
        let Some(key) = key else { return Ok(CacheAnswer { hit: None }) };
        let (hit, row) = self.look_for(&mut tx, &place, &asked.name, &key).await?;
        let used = CacheUseRow {
            job_id: job.id,
            name: asked.name.clone(),
            key,
            hit: hit.as_str().to_owned(),
            length: row.as_ref().map_or(0, |row| row.length),
            miss_ms: row.as_ref().and_then(|row| row.miss_ms),
        };
        tx.keep_cache_use(&used).await?;
        let answer = match row {
            Some(row) => Some(self.grant_cache(&mut tx, &row, hit, job.id, now).await?),
            None => None,
        };
        tx.commit().await?;
        Ok(CacheAnswer { hit: answer })
    }

    async fn look_for(
        &self,
        tx: &mut Tx,
        place: &Place,
        name: &str,
        key: &str,
    ) -> Result<(CacheHit, Option<CacheRow>)> {
        let (repository, flow) = (place.run.repository_id, &place.flow()?.uri);
        let scopes = scopes(&place.run.event);
        for scope in &scopes {
            if let Some(row) = tx.cache(repository, flow, scope, name, Some(key)).await? {
                return Ok((CacheHit::Exact, Some(row)));
            }
        }
        for (at, scope) in scopes.iter().enumerate() {
            if let Some(row) = tx.cache(repository, flow, scope, name, None).await? {
                return Ok((if at == 0 { CacheHit::Own } else { CacheHit::Base }, Some(row)));
            }
        }
        Ok((CacheHit::Miss, None))
    }

    async fn grant_cache(&self, tx: &mut Tx, row: &CacheRow, hit: CacheHit, job: JobId, now: Time) -> Result<Hit> {
        let broken = || EngineError::Broken(format!("cache {} has no bundle", row.id));
        let bundle = tx.bundle(row.bundle_id).await?.ok_or_else(broken)?;
        tx.grant(job, row.bundle_id).await?;
        tx.cache_used(row.id, now).await?;
        Ok(Hit { words: format!("{} of {}", hit.words(), row.scope), bundle })
    }

    /// Whether a job should keep its cache: not if it has found the one of its key, and a key says what is in it.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn wants_cache(&self, session: &str, name: &str) -> Result<CacheWish, Denied> {
        let job = self.job_of_session(session).await?;
        let mut tx = self.store.read().await?;
        let place = Place::of(&mut tx, job.attempt_id).await?;
        planned(&place, name)?;
        let why = match tx.cache_use_of_attempt(job.attempt_id, name).await? {
            None => "not kept, for nobody has looked for it",
            Some(used) if used.hit == CacheHit::Exact.as_str() && used.key != NO_KEY => {
                "it is the one of this key already"
            }
            Some(_) => "",
        };
        Ok(CacheWish { keep: why.is_empty(), why: why.to_owned() })
    }

    /// Takes a cache, for the run's own scope. It becomes one when its action has ended well.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn keep_cache(&self, session: &str, new: &NewCache) -> Result<(), Denied> {
        let now = self.now();
        let job = self.job_of_session(session).await?;
        check_bundle(&new.bundle, self.settings.cache_limit).map_err(Denied::Bundle)?;
        let mut tx = self.store.write().await?;
        let place = Place::of(&mut tx, job.attempt_id).await?;
        planned(&place, &new.name)?;
        let used = tx.cache_use_of_attempt(job.attempt_id, &new.name).await?;
        let Some(used) = used.filter(|_| job.state.verdict().is_none()) else {
            return Err(Denied::Bundle("nobody has asked for it".to_owned()));
        };
        let digest = new.bundle.digest();
        let there = tx.kept_caches(job.attempt_id).await?;
        if there.iter().any(|there| there.job_id == job.id && there.name == new.name && there.digest == digest) {
            return Ok(());
        }
        let bundle_id = BundleId::mint(now);
        if !tx.insert_bundle(bundle_id, job.id, &new.bundle, new.files).await? {
            return Err(Denied::Bundle("it has parts that this job did not put".to_owned()));
        }
        let took = place.action.started.map(|started| now.since(started).as_millis() as i64);
        let row = KeptCacheRow {
            job_id: job.id,
            name: new.name.clone(),
            key: used.key,
            digest,
            bundle_id,
            length: new.bundle.length.cast_signed(),
            miss_ms: if used.hit == CacheHit::Miss.as_str() { took } else { used.miss_ms },
            created: now,
        };
        tx.take_cache(&row).await?;
        Ok(tx.commit().await?)
    }

    /// Makes caches of what an attempt's jobs have left, now that all of them have ended well: of each name the last one.
    pub(super) async fn settle_caches(&self, tx: &mut Tx, place: &Place, now: Time) -> Result<()> {
        if place.plan()?.caches.is_empty() {
            return Ok(());
        }
        let kept = tx.kept_caches(place.attempt.id).await?;
        if kept.is_empty() {
            return Ok(());
        }
        let (scope, flow) = (scopes(&place.run.event).swap_remove(0), place.flow()?.uri.clone());
        for row in kept {
            let row = CacheRow {
                id: CacheId::mint(now),
                repository_id: place.run.repository_id,
                flow: flow.clone(),
                scope: scope.clone(),
                name: row.name,
                key: row.key,
                digest: row.digest,
                bundle_id: row.bundle_id,
                length: row.length,
                miss_ms: row.miss_ms,
                created: row.created,
                used: now,
            };
            tx.keep_cache(&row).await?;
        }
        let most = self.settings.cache_limit.saturating_mul(CACHES_OF_REPOSITORY);
        tx.forget_caches_over(place.run.repository_id, most.cast_signed()).await?;
        let of = tx.repository(place.run.repository_id).await?;
        Self::limit_caches(tx, &of).await
    }
}

/// The cache of this name, if the action has one.
fn planned<'p>(place: &'p Place, name: &str) -> Result<&'p Cache, Denied> {
    let cache = place.plan()?.caches.iter().find(|cache| cache.name == name);
    cache.ok_or_else(|| Denied::Bundle("the action has no such cache".to_owned()))
}
