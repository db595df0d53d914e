//! What organisations and repositories may keep: caches that were found least lately give way, and an artifact that does
//! not fit beside what is left is not kept.

use super::{Engine, Result, admit::quotas};
use crate::{
    model::{QuotaScope, RepositoryId, Size, memory_text},
    store::{RepositoryRow, StoredRow, Tx},
};

/// What may be kept in a scope, and is.
struct Shelf {
    scope: QuotaScope,
    limit: i64,
    rows: Vec<StoredRow>,
}

impl Engine {
    /// Makes room for so many bytes that a repository is to keep. Why there is none, in words.
    pub(super) async fn make_room(tx: &mut Tx, of: &RepositoryRow, bytes: i64) -> Result<Result<(), String>> {
        let shelves = shelves(tx, of).await?;
        for shelf in &shelves {
            let kept: i64 = shelf.rows.iter().map(|row| row.kept).sum();
            if kept.saturating_add(bytes) > shelf.limit {
                let size = |bytes: i64| Size(bytes.unsigned_abs());
                return Ok(Err(format!(
                    "{} keeps {} of the {} that it may, and this has {}: remove some, or ask for a higher quota",
                    shelf.scope.short(),
                    size(kept),
                    limit_text(shelf.limit),
                    size(bytes),
                )));
            }
        }
        let_caches_go(tx, &shelves, bytes).await.map(Ok)
    }

    /// Lets go of caches that there is no room for any more.
    pub(super) async fn limit_caches(tx: &mut Tx, of: &RepositoryRow) -> Result<()> {
        let shelves = shelves(tx, of).await?;
        let_caches_go(tx, &shelves, 0).await
    }

    /// Counts logs anew, where it matters how many there are.
    pub(super) async fn count_logs(&self) -> Result<()> {
        let mut tx = self.store.read().await?;
        if quotas(&mut tx).await?.values().all(|quota| quota.storage.is_none()) {
            return Ok(());
        }
        let logged = tx.logged().await?;
        drop(tx);
        let mut tx = self.store.write().await?;
        tx.set_logged(&logged, self.now()).await?;
        Ok(tx.commit().await?)
    }
}

impl Shelf {
    fn has(&self, repository: RepositoryId) -> bool {
        self.rows.iter().any(|row| row.repository_id == repository)
    }
}

async fn let_caches_go(tx: &mut Tx, shelves: &[Shelf], bytes: i64) -> Result<()> {
    let all = |shelf: &Shelf| shelf.rows.iter().map(|row| row.kept.saturating_add(row.caches)).sum::<i64>();
    let of = |shelf| (shelf, all(shelf).saturating_add(bytes).saturating_sub(shelf.limit));
    let mut over: Vec<(&Shelf, i64)> = shelves.iter().map(of).filter(|(_, over)| *over > 0).collect();
    if over.is_empty() {
        return Ok(());
    }
    for cache in tx.cache_sizes().await? {
        if over.iter().any(|(shelf, _)| shelf.has(cache.repository_id)) {
            tx.forget_cache(cache.id).await?;
            for (shelf, over) in &mut over {
                *over -= if shelf.has(cache.repository_id) { cache.size } else { 0 };
            }
            over.retain(|(_, over)| *over > 0);
        }
    }
    Ok(())
}

/// A limit as somebody has set it, or where that is a long number as people read it.
fn limit_text(bytes: i64) -> String {
    let text = memory_text(bytes);
    if text.ends_with(|c: char| c.is_ascii_digit()) { Size(bytes.unsigned_abs()).to_string() } else { text }
}

/// The scopes around a repository that may keep only so much.
async fn shelves(tx: &mut Tx, of: &RepositoryRow) -> Result<Vec<Shelf>> {
    let quotas = quotas(tx).await?;
    let around = QuotaScope::around(of.forge, &of.name).into_iter().rev();
    let limited: Vec<(QuotaScope, i64)> =
        around.filter_map(|scope| Some((scope.clone(), quotas.get(&scope)?.storage?))).collect();
    if limited.is_empty() {
        return Ok(Vec::new());
    }
    let stored = tx.stored().await?;
    let within = |scope: &QuotaScope| {
        let is_within = |row: &&StoredRow| QuotaScope::around(row.forge, &row.name).contains(scope);
        stored.iter().filter(is_within).cloned().collect()
    };
    Ok(limited.into_iter().map(|(scope, limit)| Shelf { rows: within(&scope), scope, limit }).collect())
}
