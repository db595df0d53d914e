//! Runs of code that nobody vouches for, and the rules of repositories for them.

use std::collections::BTreeSet;

use super::{Change, Json, Result, Tx, execute, meant, row, rows};
use crate::model::{DeliveryId, FlowFrom, Granted, RepositoryId, RunId, Sha, Time, UntrustedPolicy, Vouched};

/// How a run of untrusted code stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vetting {
    /// It waits for somebody with write access.
    Waits,
    /// Somebody has approved it.
    Approved,
    /// Somebody has rejected it.
    Rejected,
    /// The repository's rule lets it run.
    Admitted,
}

impl Vetting {
    /// One word, for a column and for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waits => "waits",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Admitted => "admitted",
        }
    }
}

/// A run of untrusted code.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct VettingRow {
    /// Whose.
    pub run_id: RunId,
    standing: String,
    /// The digest of the flow file that it is made of.
    pub flow_digest: String,
    flow_from: String,
    /// The flow file of the base branch, as far as it is shown.
    pub base_text: Option<String>,
    /// That of the pull request.
    pub head_text: Option<String>,
    /// Since when it waits.
    pub asked: Time,
    /// The names of the secrets that were granted.
    pub secrets: Json<BTreeSet<String>>,
    /// Who answered; empty if nobody did.
    pub answered_by: String,
    /// What they said besides.
    pub note: String,
    /// When.
    pub answered: Option<Time>,
}

impl VettingRow {
    /// How it stands. What a newer release has written lets nothing go.
    pub fn standing(&self) -> Vetting {
        let all = [Vetting::Approved, Vetting::Rejected, Vetting::Admitted];
        all.into_iter().find(|one| one.as_str() == self.standing).unwrap_or(Vetting::Waits)
    }

    /// Whether nothing of it may start yet.
    pub fn waits(&self) -> bool {
        matches!(self.standing(), Vetting::Waits | Vetting::Rejected)
    }

    /// Whose flow file it is.
    pub fn flow_from(&self) -> FlowFrom {
        if self.flow_from == "head" { FlowFrom::Head } else { FlowFrom::Base }
    }

    /// What a run of this commit is granted, if it was approved.
    pub fn granted(&self, sha: &Sha) -> Option<Granted> {
        let vouched = Vouched { sha: sha.clone(), flow: self.flow_digest.clone(), secrets: self.secrets.0.clone() };
        (self.standing() == Vetting::Approved).then(|| vouched.for_run(sha, &self.flow_digest)).flatten()
    }
}

/// A vetting that begins.
#[derive(Debug)]
pub struct NewVetting<'a> {
    /// Whose.
    pub run: RunId,
    /// How it stands.
    pub standing: Vetting,
    /// The digest of the flow file.
    pub flow_digest: &'a str,
    /// Whose that is.
    pub flow_from: FlowFrom,
    /// The flow files of both sides.
    pub texts: (Option<&'a str>, Option<&'a str>),
    /// Who has answered before, for the same commit and flow file.
    pub earlier: Option<&'a VettingRow>,
    /// Now.
    pub now: Time,
}

/// Somebody's answer.
#[derive(Debug)]
pub struct Vote<'a> {
    /// [`Vetting::Approved`] or [`Vetting::Rejected`].
    pub standing: Vetting,
    /// The names of the secrets that the run gets.
    pub secrets: &'a BTreeSet<String>,
    /// Who.
    pub by: &'a str,
    /// What they say besides.
    pub note: &'a str,
    /// Now.
    pub now: Time,
}

impl Tx {
    /// A run is of untrusted code.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_vetting(&mut self, new: &NewVetting<'_>) -> Result<()> {
        let (secrets, by, note, answered) = match new.earlier {
            Some(row) => (row.secrets.0.clone(), row.answered_by.as_str(), row.note.as_str(), row.answered),
            None => (BTreeSet::new(), "", "", None),
        };
        let met = execute!(
            self,
            "INSERT INTO vettings (run_id, standing, flow_digest, flow_from, base_text, head_text, asked, secrets, \
             answered_by, note, answered) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            new.run,
            new.standing.as_str(),
            new.flow_digest,
            match new.flow_from {
                FlowFrom::Base => "base",
                FlowFrom::Head => "head",
            },
            new.texts.0,
            new.texts.1,
            new.now,
            Json(secrets),
            by,
            note,
            answered,
        )?;
        meant("a vetting", 1, met)
    }

    /// How a run of untrusted code stands; `None`: its code is trusted.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn vetting(&mut self, run: RunId) -> Result<Option<VettingRow>> {
        row!(self, VettingRow, "SELECT * FROM vettings WHERE run_id = $1", run)
    }

    /// Answers for a run that waits. The first answer counts: false if there was one.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn vote(&mut self, run: RunId, vote: &Vote<'_>) -> Result<bool> {
        let met = execute!(
            self,
            "UPDATE vettings SET standing = $2, secrets = $3, answered_by = $4, note = $5, answered = $6 \
             WHERE run_id = $1 AND standing = 'waits'",
            run,
            vote.standing.as_str(),
            Json(vote.secrets),
            vote.by,
            vote.note,
            vote.now,
        )?;
        self.ring(Change::Run(run));
        Ok(met == 1)
    }

    /// The open runs of untrusted code of one line, the oldest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn open_vettings(&mut self, repository: RepositoryId, line: &str) -> Result<Vec<RunId>> {
        let found: Vec<(RunId,)> = rows!(
            self,
            (RunId,),
            "SELECT r.id FROM runs r JOIN vettings v ON v.run_id = r.id \
             WHERE r.repository_id = $1 AND r.line = $2 AND r.phase <> 'ended' ORDER BY r.id",
            repository,
            line,
        )?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// The runs of a repository that wait for an answer, the oldest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn waiting_vettings(&mut self, repository: RepositoryId) -> Result<Vec<RunId>> {
        let found: Vec<(RunId,)> = rows!(
            self,
            (RunId,),
            "SELECT r.id FROM vettings v JOIN runs r ON r.id = v.run_id \
             WHERE v.standing = 'waits' AND r.repository_id = $1 AND r.phase <> 'ended' ORDER BY r.id",
            repository,
        )?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// The runs that have waited for an answer since before this time, the oldest first.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn expired_vettings(&mut self, since: Time) -> Result<Vec<RunId>> {
        let found: Vec<(RunId,)> = rows!(
            self,
            (RunId,),
            "SELECT r.id FROM vettings v JOIN runs r ON r.id = v.run_id \
             WHERE v.standing = 'waits' AND v.asked <= $1 AND r.phase <> 'ended' AND r.cancelled_by IS NULL \
             ORDER BY r.id LIMIT 100",
            since,
        )?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// A delivery has said that a pull request is open no longer.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn pull_closed(&mut self, repository: RepositoryId, line: &str, by: DeliveryId) -> Result<()> {
        execute!(
            self,
            "INSERT INTO closed_pulls (repository_id, line, delivery_id) VALUES ($1, $2, $3) \
             ON CONFLICT (repository_id, line) DO UPDATE SET delivery_id = excluded.delivery_id \
             WHERE closed_pulls.delivery_id < excluded.delivery_id",
            repository,
            line,
            by,
        )?;
        Ok(())
    }

    /// Whether a delivery that came after this one has said that the pull request is open no longer.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn is_closed_since(&mut self, repository: RepositoryId, line: &str, than: DeliveryId) -> Result<bool> {
        let found: Option<(DeliveryId,)> = row!(
            self,
            (DeliveryId,),
            "SELECT delivery_id FROM closed_pulls WHERE repository_id = $1 AND line = $2",
            repository,
            line,
        )?;
        Ok(found.is_some_and(|(by,)| than < by))
    }

    /// The commits that runs of a line were of, the newest run's first, each as often as there were runs.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn shas_of_line(&mut self, repository: RepositoryId, line: &str) -> Result<Vec<Sha>> {
        let found: Vec<(Sha,)> = rows!(
            self,
            (Sha,),
            "SELECT sha FROM runs WHERE repository_id = $1 AND line = $2 ORDER BY id DESC LIMIT 1000",
            repository,
            line,
        )?;
        Ok(found.into_iter().map(|(sha,)| sha).collect())
    }

    /// The commit of the newest event of a line: what people wanted once more is no news.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn newest_sha_of_line(&mut self, repository: RepositoryId, line: &str) -> Result<Option<Sha>> {
        let found: Option<(Sha,)> = row!(
            self,
            (Sha,),
            "SELECT r.sha FROM runs r LEFT JOIN deliveries d ON d.id = r.delivery_id \
             WHERE r.repository_id = $1 AND r.line = $2 AND r.rerun_of IS NULL AND d.replays IS NULL \
             ORDER BY r.id DESC LIMIT 1",
            repository,
            line,
        )?;
        Ok(found.map(|(sha,)| sha))
    }

    /// The rule of a repository's own, and who has set it.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn untrusted_policy(&mut self, repository: RepositoryId) -> Result<Option<(UntrustedPolicy, String)>> {
        let found: Option<(String, String)> = row!(
            self,
            (String, String),
            "SELECT policy, set_by FROM untrusted_policies WHERE repository_id = $1",
            repository,
        )?;
        // what a newer release has written lets nothing run
        let never = || UntrustedPolicy { run: crate::model::RunUntrusted::Never, ..UntrustedPolicy::default() };
        Ok(found.map(|(policy, by)| (policy.parse().unwrap_or_else(|_| never()), by)))
    }

    /// Gives a repository a rule of its own, or takes it away.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn set_untrusted_policy(
        &mut self,
        repository: RepositoryId,
        policy: Option<UntrustedPolicy>,
        by: &str,
        now: Time,
    ) -> Result<()> {
        let Some(policy) = policy else {
            execute!(self, "DELETE FROM untrusted_policies WHERE repository_id = $1", repository)?;
            return Ok(());
        };
        execute!(
            self,
            "INSERT INTO untrusted_policies (repository_id, policy, set_by, set_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (repository_id) DO UPDATE SET policy = excluded.policy, set_by = excluded.set_by, \
             set_at = excluded.set_at",
            repository,
            policy.to_string(),
            by,
            now,
        )?;
        Ok(())
    }
}
