//! A clock that is set back. Rows say when they are due; were the clock an hour ahead when they were written, or is it set
//! back by an hour, then all of them would be due an hour late. So the latest time that was ever seen is kept, and what
//! was to come when the clock was set back is brought forward by as much.

use std::time::Duration;

use super::{Result, Tx, execute, row};
use crate::model::Time;

/// Less than this is waited out.
const NOTEWORTHY: Duration = Duration::from_secs(5);
/// The time is kept so often: by so much at the most what is due comes late.
const KEPT_EVERY: Duration = Duration::from_secs(30);
/// Everything that waits for its time, and what is over when its time has come. Schedules are not among it: theirs is the
/// time of day, whatever was thought of it before.
const WAITING: [&str; 14] = [
    "UPDATE actions SET due = due - $2 WHERE due > $1",
    "UPDATE actions SET lease_until = lease_until - $2 WHERE lease_until > $1",
    "UPDATE checkouts SET due = due - $2 WHERE due > $1",
    "UPDATE deliveries SET due = due - $2 WHERE due > $1",
    "UPDATE notices SET due = due - $2 WHERE due > $1",
    "UPDATE recoveries SET due = due - $2 WHERE due > $1",
    "UPDATE replies SET due = due - $2 WHERE due > $1",
    "UPDATE reports SET due = due - $2 WHERE due > $1",
    "UPDATE reports SET called_at = called_at - $2 WHERE called_at > $1",
    "UPDATE reports SET look_at = look_at - $2 WHERE look_at > $1",
    "UPDATE reports SET late_until = late_until - $2 WHERE late_until > $1",
    "UPDATE runs SET source_due = source_due - $2 WHERE source_due > $1",
    "UPDATE sweeps SET due = due - $2 WHERE due > $1",
    "UPDATE traces SET due = due - $2 WHERE due > $1",
];

impl Tx {
    /// Notes the time. By how much the clock was set back since it was noted last; `None`: it was not, or hardly.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn note_time(&mut self, now: Time) -> Result<Option<Duration>> {
        let noted: Option<(String,)> = row!(self, (String,), "SELECT value FROM agreements WHERE name = 'time'")?;
        let noted = noted.and_then(|(noted,)| noted.parse().ok()).map(Time::from_millis);
        let set_back = noted.map(|noted| noted.since(now)).filter(|by| *by > NOTEWORTHY);
        if set_back.is_some() || noted.is_none_or(|noted| now.since(noted) >= KEPT_EVERY) {
            execute!(
                self,
                "INSERT INTO agreements (name, value) VALUES ('time', $1) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                now.as_millis().to_string(),
            )?;
        }
        Ok(set_back)
    }

    /// What is to come is to come earlier by so much: the clock was set back.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn bring_forward(&mut self, now: Time, by: Duration) -> Result<()> {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        for statement in WAITING {
            execute!(self, statement, now, by)?;
        }
        Ok(())
    }
}
