//! Applies what a manifest describes, object by object, and looks until it runs.

use std::collections::{BTreeMap, btree_map::Entry};

use serde_json::Value;

use super::{
    Trouble, former,
    manifest::{self, Document, File},
    progress::{Former, Object, Stage},
    repository,
    rollout::{self, Rollout},
    step::{Step, Work},
};
use crate::{
    executor::kubernetes::deploy::{DeployError, Kind},
    model::{Manifest, Span, Verdict},
};

/// A rollout that goes back and forth for days fills no disk.
const TOLD_MAX: usize = 5000;

impl Work<'_> {
    /// Applies every object that was not yet.
    pub(super) async fn apply(&mut self) -> Result<(), Trouble> {
        let files = self.files().await?;
        let digest = manifest::digest(&files);
        let variables = self.variables().await?;
        let documents = manifest::documents(&files, &self.kubectl.namespace, &variables).map_err(Trouble::Never)?;
        if !self.progress.digest.is_empty() && self.progress.digest != digest {
            return Err(Trouble::Never(format!("{} has changed meanwhile", self.kubectl.manifest)));
        }
        let kinds = self.kinds(&documents).await?;
        (self.progress.digest, self.progress.total) = (digest, documents.len());
        for (at, (document, kind)) in documents.iter().zip(&kinds).enumerate() {
            self.apply_one(at, document, kind).await?;
        }
        Ok(self.is_back().await?)
    }

    async fn files(&self) -> Result<Vec<File>, Trouble> {
        match &self.kubectl.manifest {
            Manifest::Url(url) => Ok(vec![self.engine.deploys.inner.addresses.read(url).await?]),
            Manifest::Path(path) => {
                let source = self.place.run.source.clone();
                let source = source.ok_or_else(|| Trouble::Later("the source is not here yet".to_owned()))?;
                repository::read(self.engine, &source, path).await
            }
        }
    }

    /// What the cluster knows of each object's kind. One that is in no namespace is no job's to change.
    async fn kinds(&self, documents: &[Document]) -> Result<Vec<Kind>, Trouble> {
        let mut known: BTreeMap<(&str, &str), Kind> = BTreeMap::new();
        let mut kinds = Vec::with_capacity(documents.len());
        for Document { api_version, kind, name, .. } in documents {
            let key = (api_version.as_str(), kind.as_str());
            let found = match known.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(self.account.kind(api_version, kind).await?),
            };
            if !found.is_namespaced {
                let message = format!("{kind} {name} is in no namespace: a kubectl job changes one namespace alone");
                return Err(Trouble::Never(message));
            }
            kinds.push(found.clone());
        }
        Ok(kinds)
    }

    async fn apply_one(&mut self, at: usize, document: &Document, kind: &Kind) -> Result<(), Trouble> {
        if self.progress.objects.get(at).is_some_and(|object| object.stage != Stage::Begun) {
            return Ok(());
        }
        let title = format!("{}/{}", kind.noun(), document.name);
        let told = |error: DeployError| told(&title, &document.kind, error);
        if self.progress.objects.len() <= at {
            let before = self.account.get(kind, &document.name).await.map_err(told)?;
            self.progress.objects.push(self.object(document, &title, before));
            self.note(&[]).await?;
        }
        let applied = self.account.apply(kind, &document.name, &document.body).await.map_err(told)?;
        let Some(object) = self.progress.objects.get_mut(at) else { return Ok(()) };
        object.stage = Stage::Applied;
        let done = match &object.former {
            Former::New => "created",
            Former::Was(_) | Former::Unkept if version(&applied) == object.version => "unchanged",
            Former::Was(_) | Former::Unkept => "changed",
        };
        Ok(self.note(&[format!("{title} {done}")]).await?)
    }

    fn object(&self, document: &Document, title: &str, before: Option<Value>) -> Object {
        let version = before.as_ref().map(version).unwrap_or_default();
        let former = match before {
            None => Former::New,
            // what is secret in the cluster is not to lie in our database
            Some(_) if document.kind == "Secret" || !self.kubectl.roll_back => Former::Unkept,
            Some(object) => Former::Was(former::wish(&object)),
        };
        Object {
            api_version: document.api_version.clone(),
            kind: document.kind.clone(),
            name: document.name.clone(),
            title: title.to_owned(),
            former,
            version,
            stage: Stage::Begun,
            said: String::new(),
        }
    }

    /// Looks how far each object is that was applied.
    pub(super) async fn look(&mut self) -> Result<Step, Trouble> {
        let mut waiting = None;
        for at in self.places(Stage::Applied) {
            match self.look_at(at).await? {
                Rollout::Done(_) => {}
                Rollout::Failed(words) => return Err(Trouble::Never(words)),
                Rollout::Waiting(words) => drop(waiting.get_or_insert(words)),
            }
        }
        self.is_back().await?;
        let Some(words) = waiting else {
            let line =
                format!("done: {} of {} objects are as they should be", self.progress.total, self.progress.total);
            return Ok(Step::End(Verdict::success(), vec![line]));
        };
        let patience = self.patience();
        if self.engine.now().since(self.since()) > patience {
            return Err(Trouble::Never(format!("not rolled out within {}: {words}", Span(patience))));
        }
        Ok(Step::Again)
    }

    /// Looks at one of them, and says what is new.
    async fn look_at(&mut self, at: usize) -> Result<Rollout, Trouble> {
        let Some(object) = self.progress.objects.get(at).cloned() else { return Ok(Rollout::Done(String::new())) };
        let title = object.title.clone();
        let kind = self.account.kind(&object.api_version, &object.kind).await?;
        let found = self.account.get(&kind, &object.name).await.map_err(|error| told(&title, &object.kind, error))?;
        let Some(found) = found else { return Err(Trouble::Never(format!("{title} was removed by somebody else"))) };
        let (words, seen) = match rollout::rollout(&found) {
            Rollout::Done(words) => {
                self.set(at, |object| object.stage = Stage::Done);
                (words.clone(), Rollout::Done(words))
            }
            Rollout::Waiting(words) => {
                let words = self.with_trouble(&found, words).await;
                (words.clone(), Rollout::Waiting(format!("{title}: {words}")))
            }
            Rollout::Failed(words) => {
                let words = self.with_trouble(&found, words).await;
                (words.clone(), Rollout::Failed(format!("{title}: {words}")))
            }
        };
        if words != object.said {
            self.set(at, |object| object.said.clone_from(&words));
            self.progress.told += 1;
            let is_news = !words.is_empty() && self.progress.told <= TOLD_MAX;
            let lines = if is_news { vec![format!("{title}: {words}")] } else { Vec::new() };
            self.note(&lines).await?;
        }
        Ok(seen)
    }

    /// Words about a rollout, with what the cluster says of its pods.
    async fn with_trouble(&self, object: &Value, words: String) -> String {
        let Some(labels) = rollout::pods_of(object) else { return words };
        // an account that may not list pods has fewer words, no more
        let pods = self.account.pods(&labels).await.unwrap_or_default();
        match rollout::trouble(&pods) {
            Some(trouble) => format!("{words}; {trouble}"),
            None => words,
        }
    }
}

/// The cluster's words about an object; of a Secret only the reason, for the words may have a part of it.
pub(super) fn told(title: &str, kind: &str, error: DeployError) -> Trouble {
    match error {
        DeployError::Away(_) if kind == "Secret" => Trouble::Later(format!("{title}: the API server is away")),
        DeployError::Away(message) => Trouble::Later(message),
        DeployError::Refused { reason, .. } if kind == "Secret" => Trouble::Never(format!("{title}: {reason}")),
        DeployError::Refused { message, .. } => Trouble::Never(format!("{title}: {message}")),
    }
}

fn version(object: &Value) -> String {
    object.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default().to_owned()
}
