//! Looks at a database without changing it, also while a server works with it.

use std::{path::Path, time::Duration};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{MIGRATIONS, Url, postgres};
use crate::model::Finding;

const ABOUT: &str = "database";
/// A server's transactions are short; whoever holds the lock longer is in the way.
const LOCK: Duration = Duration::from_secs(3);
/// A write-ahead log as large as this is not copied back: a reader never ends, or the disk is full.
const WAL_MOST: u64 = 256 << 20;

/// What is to be said of the database at this URL.
pub async fn examine(url: &str) -> Vec<Finding> {
    match Url::of(url) {
        Ok(Url::Sqlite(path) | Url::Scratch(path)) => examine_sqlite(path).await,
        Ok(Url::Postgres(url)) => examine_postgres(url).await,
        Err(_) => {
            let advice = "set CONTAINEROPS_DATABASE_URL to sqlite:PATH or postgres://…";
            vec![Finding::error(ABOUT, "its URL names no database that this version knows", advice)]
        }
    }
}

/// Whether it answers, is one that can be used, and has the schema of this release.
async fn examine_postgres(url: &str) -> Vec<Finding> {
    match postgres::look(url).await {
        Ok(look) => {
            let mut findings = vec![compared(look.schema, &look.name)];
            findings.push(match look.writable {
                true => Finding::ok(ABOUT, "it can be written"),
                false => {
                    let advice = "name the primary, not a standby, and a user who may write";
                    Finding::error(ABOUT, "it can only be read", advice)
                }
            });
            findings
        }
        Err(error) => {
            let advice = "check CONTAINEROPS_DATABASE_URL, whether the server runs, and who may connect from here";
            vec![Finding::error(ABOUT, error.to_string(), advice)]
        }
    }
}

async fn examine_sqlite(path: &Path) -> Vec<Finding> {
    if !path.exists() {
        let message = format!("{} is not there yet", path.display());
        return vec![Finding::warning(ABOUT, message, "the first start of `containerops serve` makes it")];
    }
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(LOCK);
    let mut connection = match options.connect().await {
        Ok(connection) => connection,
        Err(error) => return vec![broken(path, &error)],
    };
    let mut findings = vec![schema(&mut connection, path).await, whole(&mut connection, path).await];
    findings.push(writable(&mut connection, path).await);
    findings.extend(wal(path));
    let _ = connection.close().await;
    findings
}

fn broken(path: &Path, error: &sqlx::Error) -> Finding {
    let advice = "check who may read the file, or restore it from a backup";
    Finding::error(ABOUT, format!("{} cannot be read: {error}", path.display()), advice)
}

async fn schema(connection: &mut SqliteConnection, path: &Path) -> Finding {
    let newest = sqlx::query_as::<_, (i64,)>("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success");
    match newest.fetch_one(connection).await {
        Ok((newest,)) => compared(newest, &path.display().to_string()),
        Err(error) => broken(path, &error),
    }
}

/// A schema's version, beside the newest that we know.
fn compared(newest: i64, name: &str) -> Finding {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    if newest > known {
        let message = format!("its schema is version {newest}, and this release knows {known}");
        Finding::error(ABOUT, message, "start the release that made it, or a newer one")
    } else if newest < known {
        let message = format!("its schema is version {newest} of {known}");
        Finding::warning(ABOUT, message, "the next start of `containerops serve` brings it up to date")
    } else {
        Finding::ok(ABOUT, format!("{name}, schema version {newest}"))
    }
}

async fn whole(connection: &mut SqliteConnection, path: &Path) -> Finding {
    match sqlx::query_as::<_, (String,)>("PRAGMA quick_check(1)").fetch_one(connection).await {
        Ok((answer,)) if answer == "ok" => Finding::ok(ABOUT, "its pages are whole"),
        Ok((answer,)) => {
            let message = format!("it is damaged: {}", answer.chars().take(200).collect::<String>());
            Finding::error(ABOUT, message, "stop the server and restore the last good backup")
        }
        Err(error) => broken(path, &error),
    }
}

async fn writable(connection: &mut SqliteConnection, path: &Path) -> Finding {
    let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await;
    let _ = sqlx::query("ROLLBACK").execute(connection).await;
    match begun {
        Ok(_) => Finding::ok(ABOUT, "it can be written"),
        Err(error) => {
            let message = format!("{} cannot be written: {error}", path.display());
            Finding::error(ABOUT, message, "check who may write it, and whether a backup holds its lock")
        }
    }
}

fn wal(path: &Path) -> Option<Finding> {
    let size = std::fs::metadata(format!("{}-wal", path.display())).ok()?.len();
    (size > WAL_MOST).then(|| {
        let message = format!("its write-ahead log has {} MiB", size >> 20);
        Finding::warning(ABOUT, message, "look for a process that reads it without end, and for a full disk")
    })
}
