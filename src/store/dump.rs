//! All rows of all tables, as either database has them: for a backup, and for the way from one database to the other.
//!
//! A row is a JSON object by column; bytes are `{"base64": "…"}`. What a column holds is told by the schema, which is the
//! same for both, so an empty column of numbers is put back as one of numbers.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::TryStreamExt as _;
use serde_json::{Map, Value};
use sqlx::Row as _;

use super::{MIGRATIONS, On, Result, Store, StoreError, Tx, known::fetch, rows};

/// Every table, each after those that it names, with what its rows are in order by. A row that names another one of its
/// table was made after it, so in this order it comes after it.
pub const TABLES: &[(&str, &str)] = &[
    ("deliveries", "id"),
    ("repositories", "id"),
    ("runs", "id"),
    ("actions", "id"),
    ("attempts", "id"),
    ("jobs", "id"),
    ("outputs", "job_id, name"),
    ("log_chunks", "job_id, start"),
    ("reports", "id"),
    ("job_events", "job_id, number"),
    ("sweeps", "forge, name"),
    ("heads", "repository_id, name"),
    ("arrivals", "repository_id, name, sha"),
    ("recoveries", "forge, delivery"),
    ("report_calls", "account, second"),
    ("report_accounts", "account"),
    ("silences", "job_id, since"),
    ("unneeded_blobs", "digest"),
    ("starters", "repository_id, branch, path, kind, name"),
    ("put_parts", "job_id, digest"),
    ("bundles", "id"),
    ("bundle_parts", "bundle_id, number"),
    ("grants", "job_id, bundle_id"),
    ("artifacts", "id"),
    ("caches", "id"),
    ("cache_uses", "job_id, name"),
    ("approvals", "run_id, stage"),
    ("podless_jobs", "job_id"),
    ("notices", "run_id, place"),
    ("triggers", "job_id"),
    ("kept_caches", "job_id, name"),
    ("checkouts", "run_id, options"),
    ("replies", "delivery_id"),
    ("hooks", "repository_id"),
    ("secrets", "forge, level, scope, name"),
    ("vettings", "run_id"),
    ("untrusted_policies", "repository_id"),
    ("people", "id"),
    ("sessions", "hash"),
    ("api_tokens", "id"),
    ("audit", "id"),
    ("problems", "job_id"),
    ("tests", "job_id"),
    ("failed_tests", "job_id, number"),
    ("given_secrets", "run_id, version"),
    ("closed_pulls", "repository_id, line"),
    ("log_folds", "job_id"),
    ("job_days", "repository_id, day, flow, branch, job"),
    ("job_failures", "repository_id, sha, flow, job"),
    ("quotas", "level, forge, name"),
    ("uses", "repository_id"),
    ("traces", "run_id"),
];
/// What a database keeps of itself, and of the servers that share it just now.
const OWN: [&str; 5] = ["_sqlx_migrations", "replicas", "duties", "agreements", "pulses"];
/// What is long is not cut off.
const PATIENT: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// BIGINT.
    Number,
    /// TEXT.
    Text,
    /// BYTEA.
    Bytes,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

impl Kind {
    /// By the name of its type in a schema.
    fn of(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        if declared.contains("INT") {
            Self::Number
        } else if declared.contains("BYTEA") || declared.contains("BLOB") {
            Self::Bytes
        } else {
            Self::Text
        }
    }
}

/// A row as it is written down.
pub type Dumped = Map<String, Value>;

/// One row of either database.
macro_rules! dumped {
    ($row:expr, $columns:expr) => {
        $columns.iter().enumerate().map(|(place, TableColumn { name, kind })| {
            let value = match kind {
                Kind::Number => $row.try_get::<Option<i64>, _>(place)?.map(Value::from),
                Kind::Text => $row.try_get::<Option<String>, _>(place)?.map(Value::from),
                Kind::Bytes => $row.try_get::<Option<Vec<u8>>, _>(place)?
                    .map(|bytes| serde_json::json!({"base64": BASE64_STANDARD.encode(bytes)})),
            };
            Ok((name.clone(), value.unwrap_or(Value::Null)))
        }).collect::<Result<Dumped, sqlx::Error>>()
    };
}

/// A query with one value more.
macro_rules! bound {
    ($query:expr, $kind:expr, $value:expr, $wrong:expr) => {
        match ($kind, $value) {
            (Kind::Number, Value::Null) => $query.bind(None::<i64>),
            (Kind::Text, Value::Null) => $query.bind(None::<String>),
            (Kind::Bytes, Value::Null) => $query.bind(None::<Vec<u8>>),
            (Kind::Number, value) => $query.bind(value.as_i64().ok_or_else(|| $wrong)?),
            (Kind::Text, value) => $query.bind(value.as_str().ok_or_else(|| $wrong)?.to_owned()),
            (Kind::Bytes, value) => {
                let text = value.get("base64").and_then(Value::as_str).ok_or_else(|| $wrong)?;
                $query.bind(BASE64_STANDARD.decode(text).map_err(|_| $wrong)?)
            }
        }
    };
}

impl Store {
    /// A consistent view of one moment, for as long as it is held, however many statements look at it.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn read_as_of_now(&self) -> Result<Tx> {
        patient(self.read().await?).await
    }

    /// A transaction that changes much, and takes its time.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn write_at_length(&self) -> Result<Tx> {
        patient(self.write().await?).await
    }

    /// The newest migration that this release knows.
    pub fn schema() -> i64 {
        MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
    }
}

async fn patient(mut tx: Tx) -> Result<Tx> {
    match &mut tx.on {
        // its readers see one moment, and nobody cuts them off
        On::Sqlite(_) => {}
        On::Postgres(on) => {
            sqlx::raw_sql(PATIENT).execute(&mut **on).await?;
        }
    }
    Ok(tx)
}

impl Tx {
    /// The columns of a table, in its own order.
    ///
    /// # Errors
    /// As every statement: [`StoreError`].
    pub async fn columns(&mut self, table: &str) -> Result<Vec<TableColumn>> {
        let found: Vec<(String, String)> = match &self.on {
            On::Sqlite(_) => {
                rows!(self, (String, String), "SELECT name, type FROM pragma_table_info($1) ORDER BY cid", table)?
            }
            On::Postgres(_) => rows!(
                self,
                (String, String),
                "SELECT column_name::text, data_type::text FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position",
                table,
            )?,
        };
        Ok(found.into_iter().map(|(name, declared)| TableColumn { name, kind: Kind::of(&declared) }).collect())
    }

    /// The names of all tables that hold rows of ours.
    ///
    /// # Errors
    /// As every statement: [`StoreError`].
    pub async fn tables(&mut self) -> Result<Vec<String>> {
        let found: Vec<(String,)> = match &self.on {
            On::Sqlite(_) => rows!(
                self,
                (String,),
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
            )?,
            On::Postgres(_) => rows!(
                self,
                (String,),
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename",
            )?,
        };
        Ok(found.into_iter().map(|(name,)| name).filter(|name| !OWN.contains(&name.as_str())).collect())
    }

    /// The tables whose rows a table's rows name.
    ///
    /// # Errors
    /// As every statement: [`StoreError`].
    pub async fn named_by(&mut self, table: &str) -> Result<Vec<String>> {
        let found: Vec<(String,)> = match &self.on {
            On::Sqlite(_) => {
                rows!(self, (String,), "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1)", table)?
            }
            On::Postgres(_) => rows!(
                self,
                (String,),
                "SELECT DISTINCT confrelid::regclass::text FROM pg_constraint \
                 WHERE contype = 'f' AND conrelid = to_regclass($1)",
                table,
            )?,
        };
        Ok(found.into_iter().map(|(name,)| name).collect())
    }

    /// Gives every row of a table of [`TABLES`] to whoever takes them, in order, one after another.
    ///
    /// # Errors
    /// As every statement, or what `take` says: [`StoreError`].
    pub async fn dump<E: From<StoreError>>(
        &mut self,
        (table, order): (&'static str, &'static str),
        columns: &[TableColumn],
        mut take: impl FnMut(Dumped) -> Result<(), E>,
    ) -> Result<(), E> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let sql = sqlx::AssertSqlSafe(format!("SELECT {} FROM {table} ORDER BY {order}", names.join(", ")));
        match &mut self.on {
            On::Sqlite(on) => {
                let mut rows = sqlx::query(sql).fetch(&mut **on);
                while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
                    take(dumped!(row, columns).map_err(StoreError::from)?)?;
                }
            }
            On::Postgres(on) => {
                let mut rows = sqlx::query(sql).fetch(&mut **on);
                while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
                    take(dumped!(row, columns).map_err(StoreError::from)?)?;
                }
            }
        }
        Ok(())
    }

    /// A row as this database takes it: no text of PostgreSQL holds a NUL, and other writers put the same in its place.
    pub fn fitted(&self, row: Dumped) -> Dumped {
        let fit = |value: Value| match (&self.on, value) {
            (On::Postgres(_), Value::String(text)) => Value::String(super::postgres::text(text)),
            (On::Postgres(_) | On::Sqlite(_), value) => value,
        };
        row.into_iter().map(|(name, value)| (name, fit(value))).collect()
    }

    /// Puts rows into a table, as [`Tx::dump`] gave them.
    ///
    /// # Errors
    /// As every statement: [`StoreError`]; also for a row that is not one of the table.
    pub async fn undump(&mut self, table: &'static str, columns: &[TableColumn], row: &Dumped) -> Result<()> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let places: Vec<String> = (1..=names.len()).map(|place| format!("${place}")).collect();
        let sql = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), places.join(", "));
        let wrong = |name: &str| StoreError::Database(sqlx::Error::ColumnNotFound(format!("{table}.{name}")));
        match &mut self.on {
            On::Sqlite(on) => {
                let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
                for TableColumn { name, kind } in columns {
                    let value = row.get(name).ok_or_else(|| wrong(name))?;
                    query = bound!(query, *kind, value, wrong(name));
                }
                query.execute(&mut **on).await?;
            }
            On::Postgres(on) => {
                let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
                for TableColumn { name, kind } in columns {
                    let value = row.get(name).ok_or_else(|| wrong(name))?;
                    query = bound!(query, *kind, value, wrong(name));
                }
                query.execute(&mut **on).await?;
            }
        }
        Ok(())
    }

    /// By which keys secrets are encrypted.
    ///
    /// # Errors
    /// As every statement: [`StoreError`].
    pub async fn sealing_keys(&mut self) -> Result<Vec<String>> {
        let found: Vec<(String,)> = rows!(
            self,
            (String,),
            "SELECT key_id FROM secrets UNION SELECT key_id FROM given_secrets ORDER BY key_id",
        )?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// The first table that holds something; `None`: nothing was ever put into this database.
    ///
    /// # Errors
    /// As every statement: [`StoreError`].
    pub async fn first_filled(&mut self) -> Result<Option<&'static str>> {
        for (table, _) in TABLES {
            let sql = format!("SELECT CAST(1 AS BIGINT) FROM {table} LIMIT $1");
            // only our own words stand in it
            let found: Vec<(i64,)> = fetch(&mut self.on, sqlx::AssertSqlSafe(sql), 1_i64).await?;
            if !found.is_empty() {
                return Ok(Some(table));
            }
        }
        Ok(None)
    }
}
