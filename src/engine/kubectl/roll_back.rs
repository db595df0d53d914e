//! The way back: what was new goes, what was there before is applied again, the last object first.

use super::{
    Trouble,
    apply::told,
    progress::{Former, Object, Stage},
    step::{Step, Work},
};
use crate::model::Verdict;

impl Work<'_> {
    /// Brings back one object after another; then the failure is the end.
    pub(super) async fn roll_back(&mut self) -> Result<Step, Trouble> {
        for at in (0..self.progress.objects.len()).rev() {
            let Some(object) = self.progress.objects.get(at).cloned() else { continue };
            if object.stage == Stage::RolledBack {
                continue;
            }
            let line = match self.bring_back(&object).await {
                Ok(what) => format!("rolled back: {} {what}", object.title),
                // the others are brought back all the same
                Err(Trouble::Never(message)) => format!("not rolled back: {message}"),
                Err(other) => return Err(other),
            };
            self.set(at, |object| object.stage = Stage::RolledBack);
            self.is_back().await?;
            self.note(&[line]).await?;
        }
        let failure = self.progress.failure.clone();
        let verdict = match failure {
            Some(Verdict::NotDeployed { message }) => {
                Verdict::NotDeployed { message: format!("{message}; rolled back") }
            }
            Some(other) => other,
            None => Verdict::NotDeployed { message: "rolled back".to_owned() },
        };
        Ok(Step::End(verdict, Vec::new()))
    }

    async fn bring_back(&self, object: &Object) -> Result<&'static str, Trouble> {
        let kind = self.account.kind(&object.api_version, &object.kind).await?;
        let told = |error| told(&object.title, &object.kind, error);
        match &object.former {
            Former::New => {
                self.account.delete(&kind, &object.name).await.map_err(told)?;
                Ok("removed, for it was new")
            }
            Former::Was(wish) => {
                self.account.apply(&kind, &object.name, wish).await.map_err(told)?;
                Ok("as it was before")
            }
            Former::Unkept => Err(Trouble::Never(format!("{}: what a Secret was before is not kept", object.title))),
        }
    }
}
