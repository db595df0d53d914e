//! What accounts have spent of what their forges take, and what forges have asked of them.
//!
//! A call's price is paid before it is made, so a crash cannot spend a budget twice.

use super::{Result, Tx, execute, row};
use crate::model::Time;

/// A budget's longest period.
const HOUR: i64 = 3600;

/// Calls that write, as an account has made them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Spent {
    /// In the last minute.
    pub minute: i64,
    /// In the last hour.
    pub hour: i64,
}

/// What a forge asked of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Patience {
    /// Until when it wants no call.
    pub quiet_until: Time,
    /// How often in a row it has asked.
    pub strikes: i64,
}

impl Tx {
    /// Notes a call that an account is about to make.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn spend(&mut self, account: &str, now: Time) -> Result<()> {
        let second = now.as_millis().div_euclid(1000);
        execute!(self, "DELETE FROM report_calls WHERE account = $1 AND second < $2", account, second - HOUR)?;
        execute!(
            self,
            "INSERT INTO report_calls (account, second, calls) VALUES ($1, $2, 1) \
             ON CONFLICT (account, second) DO UPDATE SET calls = report_calls.calls + 1",
            account,
            second,
        )
        .map(drop)
    }

    /// What an account has spent. Seconds that are only partly in a period count wholly.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn spent(&mut self, account: &str, now: Time) -> Result<Spent> {
        let second = now.as_millis().div_euclid(1000);
        let found = row!(
            self,
            Spent,
            "SELECT CAST(COALESCE(SUM(CASE WHEN second >= $2 THEN calls ELSE 0 END), 0) AS BIGINT) AS minute, \
             CAST(COALESCE(SUM(calls), 0) AS BIGINT) AS hour FROM report_calls WHERE account = $1 AND second >= $3",
            account,
            second - 60,
            second - HOUR,
        )?;
        Ok(found.unwrap_or_default())
    }

    /// What the forge asked of an account, if it ever did since it last took something.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn patience(&mut self, account: &str) -> Result<Option<Patience>> {
        row!(self, Patience, "SELECT quiet_until, strikes FROM report_accounts WHERE account = $1", account)
    }

    /// Remembers what the forge asked of an account.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn set_patience(&mut self, account: &str, patience: Patience) -> Result<()> {
        execute!(
            self,
            "INSERT INTO report_accounts (account, quiet_until, strikes) VALUES ($1, $2, $3) \
             ON CONFLICT (account) DO UPDATE SET quiet_until = excluded.quiet_until, strikes = excluded.strikes",
            account,
            patience.quiet_until,
            patience.strikes,
        )
        .map(drop)
    }

    /// The forge takes things again.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn patience_over(&mut self, account: &str, now: Time) -> Result<()> {
        execute!(self, "DELETE FROM report_accounts WHERE account = $1 AND quiet_until <= $2", account, now).map(drop)
    }
}
