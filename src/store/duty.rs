//! Duties: what one of several servers does for all of them, such as the rounds of intake. Whoever takes one has it until
//! it is gone; then another takes it, with a higher number. All that is written on duty is written only if that number
//! still holds, in the same transaction: a server that stood still meanwhile finds that it has lost it, and changes
//! nothing. A server that is alone has all duties.

use super::{Db, On, Result, Store, StoreError, Tx, execute, row};

tokio::task_local! {
    static DUTY: Duty;
}

/// A duty that this process has.
#[derive(Debug, Clone, Copy)]
struct Duty {
    name: &'static str,
    number: i64,
}

impl Store {
    /// Does `work` if this server has the duty of that name, or takes it. `None`: another server has it.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn on_duty<T>(&self, name: &'static str, work: impl Future<Output = T>) -> Result<Option<T>> {
        let Db::Postgres(pools) = &self.db else { return Ok(Some(work.await)) };
        match pools.duty(name).await? {
            Some(number) => Ok(Some(DUTY.scope(Duty { name, number }, work).await)),
            None => Ok(None),
        }
    }
}

impl Store {
    /// Errs unless all servers of a database have this alike; the first one to say it decides.
    ///
    /// # Errors
    /// [`StoreError::Unfit`], if others have another; `how` tells people what to do then.
    pub async fn agree(&self, name: &str, value: &str, how: &str) -> Result<()> {
        if !self.is_shared() {
            return Ok(());
        }
        let mut tx = self.write().await?;
        execute!(
            tx,
            "INSERT INTO agreements (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            name,
            value
        )?;
        let agreed: Option<(String,)> = row!(tx, (String,), "SELECT value FROM agreements WHERE name = $1", name)?;
        tx.commit().await?;
        match agreed {
            Some((agreed,)) if agreed == value => Ok(()),
            Some(_) | None => Err(StoreError::Unfit(format!("its other servers have another {name}: {how}"))),
        }
    }

    /// What the servers of a database have agreed on by this name counts no more; the next one to say it decides.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn disagree(&self, name: &str) -> Result<()> {
        let mut tx = self.write().await?;
        execute!(tx, "DELETE FROM agreements WHERE name = $1", name)?;
        tx.commit().await
    }
}

impl Tx {
    /// Errs if the duty on which this is done has been lost.
    pub(super) async fn still_on_duty(mut self) -> Result<Self> {
        let On::Postgres(on) = &mut self.on else { return Ok(self) };
        let Ok(Duty { name, number }) = DUTY.try_get() else { return Ok(self) };
        let held = sqlx::query("SELECT 1 FROM duties WHERE name = $1 AND holder = $2 AND number = $3");
        let held = held.bind(name).bind(self.me).bind(number).fetch_optional(&mut **on).await?;
        match held {
            Some(_) => Ok(self),
            None => Err(StoreError::Rows { what: "a duty is still had", meant: 1, met: 0 }),
        }
    }
}
