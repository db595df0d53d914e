//! A newer release brings the schema up to date while this one runs. PostgreSQL then refuses a statement that a connection
//! has prepared before, if what it gives has more columns now, and would refuse it there for ever. So from the first such
//! refusal on all connections of this process that are older are let go; what was refused is tried again, as after any
//! trouble with the database.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What PostgreSQL calls such a refusal: "cached plan must not change result type".
const REFUSED: &str = "0A000";

static START: LazyLock<Instant> = LazyLock::new(Instant::now);
/// When one was refused last, in milliseconds since the start; 0: never.
static REFUSED_AT: AtomicU64 = AtomicU64::new(0);

/// Looks at an error of any statement.
pub(in crate::store) fn notice(error: &sqlx::Error) {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    if code.is_some_and(|code| code == REFUSED) {
        REFUSED_AT.store(millis(START.elapsed()).max(1), Ordering::Relaxed);
    }
}

/// Whether a connection of this age may have statements that are refused.
pub(super) fn is_fresh(age: Duration) -> bool {
    match REFUSED_AT.load(Ordering::Relaxed) {
        0 => true,
        at => millis(START.elapsed().saturating_sub(age)) > at,
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
