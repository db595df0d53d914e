//! The actions, attempts and jobs that a writer's transaction knows.
//!
//! There is one writer at a time, so a row stays as it was read until that transaction changes it. A row is therefore
//! read once, changed in memory, and written down with all the others of its table by one statement: when another
//! statement is about that table, or at the commit. A lot of a hundred ends costs as many statements as one.
//!
//! Whatever else is asked of these tables goes past this by [`Tx::about`], which stands before every statement.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Debug,
};

use futures::{FutureExt as _, future::BoxFuture};
use serde::Serialize;
use sqlx::{AssertSqlSafe, FromRow, Postgres, Sqlite, postgres::PgRow, sqlite::SqliteRow};

use super::{
    ActionRow, AttemptRow, JobRow, On, Result, RunRow, Tx, meant,
    postgres::{self, Foreseen, clean},
};
use crate::model::{ActionId, AttemptId, JobId, RunId};

/// What somebody will ask for.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// An action, with all around it.
    Action(ActionId),
    /// The job whose token or session has this hash, with all around it.
    JobOf(String),
}

/// What a transaction knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// It reads once what it reads again. One that only reads asks each time: it need not remember.
    pub(super) learns: bool,
    /// Runs as they were read, with their long plans, until one is written.
    pub(super) runs: HashMap<RunId, RunRow>,
    pub(super) actions: Table<ActionRow>,
    pub(super) attempts: Table<AttemptRow>,
    pub(super) jobs: Table<JobRow>,
    /// Jobs that have told nothing by events.
    pub(super) silent: BTreeSet<JobId>,
    /// How many secrets the jobs of runs were given.
    pub(super) given: BTreeMap<RunId, i64>,
}

/// A row that is known while it changes.
pub(super) trait Kept: Clone + Debug + 'static {
    type Id: Copy + Ord + Debug;
    /// What it is one of, in an order.
    type Above: Copy + Ord + Debug;

    const TABLE: &'static str;
    /// The columns of a new row; `id` is the first.
    const COLUMNS: &'static [Column<Self>];

    fn id(&self) -> Self::Id;
    fn above(&self) -> Self::Above;
}

/// A column of numbers or of texts.
pub(super) struct Column<R: 'static> {
    name: &'static str,
    of: Of<R>,
    /// Whether it is written again when its row changes. What others add to, as log's lengths, is not.
    changes: bool,
}

enum Of<R: 'static> {
    Number(fn(&R) -> Option<i64>),
    Text(fn(&R) -> serde_json::Result<Option<String>>),
}

impl<R> Column<R> {
    /// A number that changes.
    pub(super) const fn number(name: &'static str, of: fn(&R) -> Option<i64>) -> Self {
        Self { name, of: Of::Number(of), changes: true }
    }

    /// A text that changes.
    pub(super) const fn text(name: &'static str, of: fn(&R) -> serde_json::Result<Option<String>>) -> Self {
        Self { name, of: Of::Text(of), changes: true }
    }

    /// A number that stays as it was made.
    pub(super) const fn fixed_number(name: &'static str, of: fn(&R) -> Option<i64>) -> Self {
        Self { name, of: Of::Number(of), changes: false }
    }

    /// A text that stays as it was made.
    pub(super) const fn fixed_text(name: &'static str, of: fn(&R) -> serde_json::Result<Option<String>>) -> Self {
        Self { name, of: Of::Text(of), changes: false }
    }

    const fn kind(&self) -> &'static str {
        match self.of {
            Of::Number(_) => "bigint",
            Of::Text(_) => "text",
        }
    }
}

/// A text column's words.
#[expect(clippy::unnecessary_wraps, reason = "as `json` has it")]
pub(super) fn words(text: &str) -> serde_json::Result<Option<String>> {
    Ok(Some(text.to_owned()))
}

/// A text column's JSON.
pub(super) fn json(value: &impl Serialize) -> serde_json::Result<Option<String>> {
    serde_json::to_string(value).map(Some)
}

/// The rows of a table that are known.
#[derive(Debug)]
pub(super) struct Table<R: Kept> {
    rows: BTreeMap<R::Id, R>,
    /// Those of which all are known, in their order.
    whole: BTreeMap<R::Above, Vec<R::Id>>,
    /// Not yet in the database.
    new: BTreeSet<R::Id>,
    /// Other than in the database.
    changed: BTreeSet<R::Id>,
}

impl<R: Kept> Default for Table<R> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), whole: BTreeMap::new(), new: BTreeSet::new(), changed: BTreeSet::new() }
    }
}

impl<R: Kept> Table<R> {
    pub(super) fn get(&self, id: R::Id) -> Option<&R> {
        self.rows.get(&id)
    }

    pub(super) fn find(&self, is_it: impl Fn(&R) -> bool) -> Option<&R> {
        self.rows.values().find(|row| is_it(row))
    }

    /// All of one, if all are known.
    pub(super) fn of(&self, above: R::Above) -> Option<Vec<R>> {
        let ids = self.whole.get(&above)?;
        Some(ids.iter().filter_map(|id| self.rows.get(id)).cloned().collect())
    }

    /// A row as the database has it. What is known already has changed since, or is the same.
    pub(super) fn learn(&mut self, row: R) -> &R {
        self.rows.entry(row.id()).or_insert(row)
    }

    /// All rows of one as the database has them, in their order; those that it has not yet come after them.
    pub(super) fn learn_all(&mut self, above: R::Above, rows: Vec<R>) {
        let added = self.new.iter().filter_map(|id| self.rows.get(id)).filter(|row| row.above() == above);
        let added: Vec<R::Id> = added.map(R::id).collect();
        let all = rows.iter().map(R::id).chain(added).collect();
        self.whole.insert(above, all);
        for row in rows {
            self.learn(row);
        }
    }

    /// The same of several, sorted by what they are of.
    fn learn_each(&mut self, mut rows: Vec<R>) {
        while let Some(above) = rows.last().map(R::above) {
            let of_it = rows.split_off(rows.partition_point(|row| row.above() < above));
            self.learn_all(above, of_it);
        }
    }

    /// A row that the database has not.
    pub(super) fn add(&mut self, row: R) {
        if let Some(whole) = self.whole.get_mut(&row.above()) {
            whole.push(row.id());
        }
        self.new.insert(row.id());
        self.rows.insert(row.id(), row);
    }

    /// A known row that is about to change.
    pub(super) fn change(&mut self, id: R::Id) -> Option<&mut R> {
        let row = self.rows.get_mut(&id)?;
        self.changed.insert(id);
        Some(row)
    }

    fn is_written(&self) -> bool {
        self.new.is_empty() && self.changed.is_empty()
    }

    fn take_new(&mut self) -> Vec<R> {
        let new = std::mem::take(&mut self.new);
        self.changed.retain(|id| !new.contains(id));
        new.iter().filter_map(|id| self.rows.get(id)).cloned().collect()
    }

    fn take_changed(&mut self) -> Vec<R> {
        std::mem::take(&mut self.changed).iter().filter_map(|id| self.rows.get(id)).cloned().collect()
    }

    /// What a statement may have changed is known no more.
    fn forget(&mut self, sql: &str) {
        if sql.contains(R::TABLE) {
            *self = Self::default();
        }
    }
}

impl Known {
    pub(super) fn of_writer() -> Self {
        Self { learns: true, ..Self::default() }
    }

    /// What was asked for, known from now on.
    pub(super) fn one<R: Kept>(&mut self, found: Vec<R>, table: fn(&mut Self) -> &mut Table<R>) -> Option<R> {
        let found = found.into_iter().next()?;
        Some(if self.learns { table(self).learn(found).clone() } else { found })
    }

    /// All that was asked for of one, known from now on.
    pub(super) fn all<R: Kept>(
        &mut self,
        above: R::Above,
        found: Vec<R>,
        table: fn(&mut Self) -> &mut Table<R>,
    ) -> Vec<R> {
        if !self.learns {
            return found;
        }
        let table = table(self);
        table.learn_all(above, found);
        table.of(above).unwrap_or_default()
    }

    /// What the database has of all that will be asked for.
    fn learn(&mut self, found: Foreseen, own: impl Iterator<Item = ActionId>) {
        own.for_each(|id| self.attempts.learn_all(id, Vec::new()));
        let told: BTreeSet<JobId> = found.told.into_iter().collect();
        self.silent.extend(found.jobs.iter().map(|job| job.id).filter(|id| !told.contains(id)));
        self.jobs.learn_each(found.jobs);
        self.attempts.learn_each(found.attempts);
        self.actions.learn_each(found.actions);
        self.runs.extend(found.runs.into_iter().map(|run| (run.id, run)));
    }

    fn is_written(&self) -> bool {
        self.actions.is_written() && self.attempts.is_written() && self.jobs.is_written()
    }

    /// Whether a statement may see, refer to, or take away what is not written down.
    fn is_asked(&self, sql: &str) -> bool {
        let is_in = |table: &str| sql.contains(table);
        let refers = sql.starts_with("INSERT");
        takes_away(sql)
            || (!self.actions.is_written() && is_in(ActionRow::TABLE))
            || (!self.attempts.is_written() && (refers || is_in(AttemptRow::TABLE)))
            || (!self.jobs.is_written() && (refers || is_in(JobRow::TABLE)))
    }

    fn forget(&mut self, sql: &str) {
        if takes_away(sql) {
            *self = Self { learns: self.learns, ..Self::default() };
        }
        if sql.contains("runs") {
            self.runs.clear();
        }
        if sql.contains("job_events") {
            self.silent.clear();
        }
        if sql.contains("given_secrets") {
            self.given.clear();
        }
        self.actions.forget(sql);
        self.attempts.forget(sql);
        self.jobs.forget(sql);
    }
}

/// Whether rows may go, with others that hang on them.
fn takes_away(sql: &str) -> bool {
    sql.starts_with("DELETE")
}

impl Tx {
    /// Reads what will be asked for, at the beginning. Where a statement costs next to nothing it is not read before.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn foresee(&mut self, wanted: &[&Wanted]) -> Result<()> {
        if let (On::Postgres(on), [_, _, ..]) = (&mut self.on, wanted) {
            let found = postgres::foresee(on, wanted).await?;
            let own = wanted.iter().filter_map(|wanted| match wanted {
                Wanted::Action(id) => Some(*id),
                Wanted::JobOf(_) => None,
            });
            self.known.learn(found, own);
        }
        Ok(())
    }

    /// Reads attempts that are about to change, all together. Where a statement costs next to nothing it is not read before.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn know_attempts(&mut self, ids: &[AttemptId]) -> Result<()> {
        if let (On::Postgres(on), [_, _, ..]) = (&mut self.on, ids) {
            for row in postgres::attempts(on, ids).await? {
                self.known.attempts.learn(row);
            }
        }
        Ok(())
    }

    /// Stands before a statement: what that may see is written down, and what it may change is known no more.
    pub(super) async fn about(&mut self, sql: &str) -> Result<()> {
        if !self.known.is_written() && self.known.is_asked(sql) {
            // apart, for this stands in the future of every statement
            Box::pin(self.write_down()).await?;
        }
        if self.known.learns && !sql.starts_with("SELECT") {
            self.known.forget(sql);
        }
        Ok(())
    }

    /// Writes down what is other than in the database.
    pub(super) async fn write_down(&mut self) -> Result<()> {
        let Self { on, known: Known { actions, attempts, jobs, .. }, .. } = self;
        // what others refer to comes first
        update(on, &actions.take_changed()).await?;
        insert(on, &attempts.take_new()).await?;
        insert(on, &jobs.take_new()).await?;
        update(on, &attempts.take_changed()).await?;
        update(on, &jobs.take_changed()).await
    }

    /// An action that is about to change.
    pub(super) async fn change_action(&mut self, id: ActionId) -> Result<&mut ActionRow> {
        self.action(id).await?;
        self.known.actions.change(id).ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// An attempt that is about to change; `None`: there is none.
    pub(super) async fn change_attempt(&mut self, id: AttemptId) -> Result<Option<&mut AttemptRow>> {
        self.attempt(id).await?;
        Ok(self.known.attempts.change(id))
    }

    /// A job that is about to change; `None`: there is none.
    pub(super) async fn change_job(&mut self, id: JobId) -> Result<Option<&mut JobRow>> {
        self.job(id).await?;
        Ok(self.known.jobs.change(id))
    }
}

/// Rows of one of the known tables, without a look at what is not written down: what is known stays as it is.
pub(super) fn fetch<'t, R, B>(
    on: &'t mut On,
    sql: impl sqlx::SqlSafeStr + Send + 't,
    bind: B,
) -> BoxFuture<'t, Result<Vec<R>>>
where
    R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin + 't,
    B: for<'q> sqlx::Encode<'q, Sqlite>
        + sqlx::Type<Sqlite>
        + for<'q> sqlx::Encode<'q, Postgres>
        + sqlx::Type<Postgres>
        + Send
        + 't,
{
    // boxed, for it stands in the futures of all that know rows
    async move {
        Ok(match on {
            On::Sqlite(on) => sqlx::query_as(sql).bind(bind).fetch_all(&mut **on).await?,
            On::Postgres(on) => sqlx::query_as(sql).bind(bind).fetch_all(&mut **on).await?,
        })
    }
    .boxed()
}

async fn insert<R: Kept>(on: &mut On, rows: &[R]) -> Result<()> {
    let columns: Vec<&Column<R>> = R::COLUMNS.iter().collect();
    let names = list(&columns, |_, column| column.name.to_owned());
    let table = R::TABLE;
    let one = format!("INSERT INTO {table} ({names}) VALUES ({})", list(&columns, |n, _| format!("${n}")));
    let all = format!("INSERT INTO {table} ({names}) SELECT {names} FROM {}", new(&columns));
    write("rows are made", on, rows, &columns, &one, &all).await
}

async fn update<R: Kept>(on: &mut On, rows: &[R]) -> Result<()> {
    let columns: Vec<&Column<R>> = R::COLUMNS
        .iter()
        .enumerate()
        .filter(|(at, column)| *at == 0 || column.changes)
        .map(|(_, column)| column)
        .collect();
    let table = R::TABLE;
    let set = |to: fn(usize, &str) -> String| {
        let set = columns
            .iter()
            .enumerate()
            .skip(1)
            .map(|(at, column)| format!("{} = {}", column.name, to(at + 1, column.name)));
        set.collect::<Vec<_>>().join(", ")
    };
    let one = format!("UPDATE {table} SET {} WHERE id = $1", set(|n, _| format!("${n}")));
    let all = format!(
        "UPDATE {table} SET {} FROM {} WHERE {table}.id = new.id",
        set(|_, name| format!("new.{name}")),
        new(&columns)
    );
    write("rows are changed", on, rows, &columns, &one, &all).await
}

/// PostgreSQL's rows of all columns' arrays.
fn new<R>(columns: &[&Column<R>]) -> String {
    let arrays = list(columns, |n, column| format!("${n}::{}[]", column.kind()));
    format!("UNNEST({arrays}) AS new ({})", list(columns, |_, column| column.name.to_owned()))
}

fn list<R>(columns: &[&Column<R>], word: impl Fn(usize, &Column<R>) -> String) -> String {
    let words: Vec<_> = columns.iter().enumerate().map(|(at, column)| word(at + 1, column)).collect();
    words.join(", ")
}

/// Writes rows down: by one statement for all of them, or, where a statement costs next to nothing, by one for each.
async fn write<R: Kept>(
    what: &'static str,
    on: &mut On,
    rows: &[R],
    columns: &[&Column<R>],
    one: &str,
    all: &str,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let unwritable = |error: serde_json::Error| sqlx::Error::Encode(error.into());
    let mut met = 0;
    // only our own words stand in the statements
    match on {
        On::Sqlite(on) => {
            for row in rows {
                let mut query = sqlx::query(AssertSqlSafe(one.to_owned()));
                for column in columns {
                    query = match column.of {
                        Of::Number(of) => query.bind(of(row)),
                        Of::Text(of) => query.bind(of(row).map_err(unwritable)?),
                    };
                }
                met += query.execute(&mut **on).await?.rows_affected();
            }
        }
        On::Postgres(on) => {
            let mut query = sqlx::query(AssertSqlSafe(all.to_owned()));
            for column in columns {
                query = match column.of {
                    Of::Number(of) => query.bind(rows.iter().map(of).collect::<Vec<Option<i64>>>()),
                    Of::Text(of) => {
                        let texts: serde_json::Result<Vec<Option<String>>> = rows.iter().map(of).collect();
                        let texts = texts.map_err(unwritable)?.into_iter().map(|text| text.map(clean::text));
                        query.bind(texts.collect::<Vec<_>>())
                    }
                };
            }
            met = query.execute(&mut **on).await?.rows_affected();
        }
    }
    meant(what, rows.len() as u64, met)
}
