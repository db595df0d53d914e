//! Repositories that have had an event.

use super::{Json, Result, Tx, execute, meant, row, rows};
use crate::model::{ForgeKind, Repository, RepositoryId, RepositoryName, RunId, Time, Visibility};

/// A repository that has had an event.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RepositoryRow {
    /// Ours.
    pub id: RepositoryId,
    /// Its forge.
    pub forge: ForgeKind,
    /// Its name there.
    pub name: RepositoryName,
    /// As the forge described it last.
    pub facts: Json<Repository>,
}

/// A repository, and its newest run.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ListedRepository {
    /// The repository.
    #[sqlx(flatten)]
    pub row: RepositoryRow,
    /// Its newest run.
    pub newest: Option<RunId>,
}

impl Tx {
    /// Repositories, those first whose runs are newest; of one forge, and there of one owner or of a group below it.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn repositories(&mut self, of: Option<(ForgeKind, &RepositoryName)>) -> Result<Vec<ListedRepository>> {
        // `/` comes just before `0`
        let mut found = rows!(
            self,
            ListedRepository,
            "SELECT id, forge, name, facts, (SELECT MAX(r.id) FROM runs r WHERE r.repository_id = p.id) AS newest \
             FROM repositories p WHERE $1 IS NULL OR forge = $1 AND name > $2 AND name < $3 ORDER BY forge, name",
            of.map(|(forge, _)| forge),
            of.map(|(_, owner)| format!("{owner}/")),
            of.map(|(_, owner)| format!("{owner}0")),
        )?;
        found.sort_by_key(|listed| std::cmp::Reverse(listed.newest));
        Ok(found)
    }

    /// The repository's row, made or brought up to date.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn repository_seen(&mut self, facts: &Repository, now: Time) -> Result<RepositoryId> {
        let known = self.repository_named(facts.forge, &facts.name).await?;
        let visibility = known.map_or_else(Visibility::default, |row| row.facts.visibility);
        let facts = &Repository { visibility: visibility.after_hearing(facts.visibility), ..facts.clone() };
        execute!(
            self,
            "INSERT INTO repositories (id, forge, name, facts, last_number) VALUES ($1, $2, $3, $4, 0) \
             ON CONFLICT (forge, name) DO UPDATE SET facts = excluded.facts",
            RepositoryId::mint(now),
            facts.forge,
            &facts.name,
            Json(facts),
        )?;
        let found = self.repository_named(facts.forge, &facts.name).await?;
        found.map(|row| row.id).ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// The forge has said who may see a repository.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn repository_is(&mut self, id: RepositoryId, visibility: Visibility) -> Result<()> {
        let row = self.repository(id).await?;
        let facts = Repository { visibility, ..row.facts.0 };
        let met = execute!(self, "UPDATE repositories SET facts = $2 WHERE id = $1", id, Json(&facts))?;
        meant("a repository's visibility", 1, met)
    }

    /// One repository, by name.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn repository_named(&mut self, forge: ForgeKind, name: &RepositoryName) -> Result<Option<RepositoryRow>> {
        row!(self, RepositoryRow, "SELECT * FROM repositories WHERE forge = $1 AND name = $2", forge, name)
    }

    /// The repositories of this name, on whatever forges.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn repositories_named(&mut self, name: &RepositoryName) -> Result<Vec<RepositoryRow>> {
        rows!(self, RepositoryRow, "SELECT * FROM repositories WHERE name = $1 ORDER BY forge", name)
    }

    /// Repositories in the order in which they became known, behind one.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn repositories_after(&mut self, after: Option<RepositoryId>, limit: i64) -> Result<Vec<RepositoryRow>> {
        let after = after.unwrap_or(RepositoryId::from_i64(-1));
        rows!(self, RepositoryRow, "SELECT * FROM repositories WHERE id > $1 ORDER BY id LIMIT $2", after, limit)
    }

    /// The forges on which a repository of this owner is known, or of a group below it.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forges_of_owner(&mut self, owner: &RepositoryName) -> Result<Vec<ForgeKind>> {
        // `/` comes just before `0`
        let found: Vec<(ForgeKind,)> = rows!(
            self,
            (ForgeKind,),
            "SELECT DISTINCT forge FROM repositories WHERE name > $1 AND name < $2 ORDER BY forge",
            format!("{owner}/"),
            format!("{owner}0"),
        )?;
        Ok(found.into_iter().map(|(forge,)| forge).collect())
    }

    /// One repository.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError); also if there is none, for rows never go.
    pub async fn repository(&mut self, id: RepositoryId) -> Result<RepositoryRow> {
        row!(self, RepositoryRow, "SELECT * FROM repositories WHERE id = $1", id)?
            .ok_or_else(|| sqlx::Error::RowNotFound.into())
    }
}
