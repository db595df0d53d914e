//! By what the images of an action are fetched that not everybody may have: a secret of the repository or of its owner
//! that is a Docker configuration. No job is given it: the executor and the registry are, and only for trusted code.

use secrecy::ExposeSecret as _;

use super::{
    Engine, Result,
    secret::{Asked, choose},
};
use crate::{
    executor::{
        ExecutorKind,
        registry::{RegistryKeys, full_name},
    },
    model::{ActionPlan, Event, Verdict},
    store::{Pin, Pins, RunRow, SecretRow},
};

/// The name of that secret: GitLab's users know it.
pub const REGISTRY_SECRET: &str = "DOCKER_AUTH_CONFIG";

/// A repository's keys, and the secret that they are from.
#[derive(Debug, Default)]
pub(super) struct KeyRing {
    keys: RegistryKeys,
    secret: Option<SecretRow>,
}

impl KeyRing {
    /// The keys that an action's images are in need of, and the secret if there are any.
    pub(super) fn of(&self, run: &RunRow, plan: &ActionPlan) -> (RegistryKeys, Option<&SecretRow>) {
        let Some(secret) = &self.secret else { return Default::default() };
        let keys = allowed(&self.keys, secret, &images(plan, &run.pins), &run.event.0);
        let used = (!keys.is_empty()).then_some(secret);
        (keys, used)
    }
}

impl Engine {
    /// The keys that an action may have, or how it ends without them.
    pub(super) async fn key_ring(&self, run: &RunRow, plan: &ActionPlan) -> Result<Result<KeyRing, Verdict>> {
        let event = &run.event.0;
        let Some((first, _)) = images(plan, &run.pins).first().copied() else { return Ok(Ok(KeyRing::default())) };
        if event.trusted().is_none() || self.executor.kind() == ExecutorKind::Process {
            return Ok(Ok(KeyRing::default()));
        }
        let repository = &event.repository;
        let found =
            self.store.read().await?.nearest_secret(repository.forge, &repository.name, REGISTRY_SECRET).await?;
        let Some(row) = found else { return Ok(Ok(KeyRing::default())) };
        let read = self.vault.reveal(&row).map_err(|error| error.to_string());
        let read = read.and_then(|text| RegistryKeys::read(text.expose_secret()).map_err(|error| error.to_string()));
        Ok(match read {
            Ok(keys) => Ok(KeyRing { keys, secret: Some(row) }),
            Err(error) => {
                let message = format!("secret {REGISTRY_SECRET} of {}: {error}", row.scope());
                Err(Verdict::ImageDenied { image: first.to_owned(), message })
            }
        })
    }
}

/// An action's images as the flow names them, and by their digests where those are known.
fn images<'a>(plan: &'a ActionPlan, pins: &'a Pins) -> Vec<(&'a str, Option<&'a str>)> {
    let jobs = plan.members().filter(|job| !job.is_podless());
    jobs.map(|job| (job.image.as_str(), pins.get(&job.image).map(|pin: &Pin| pin.image.as_str()))).collect()
}

/// Those keys that the images are in need of, and that the secret's limits are for: one that would be used for an image
/// that it is not for is used for none.
fn allowed(keys: &RegistryKeys, row: &SecretRow, images: &[(&str, Option<&str>)], event: &Event) -> RegistryKeys {
    let is_for = |(image, pinned): &&(&str, Option<&str>)| {
        choose(std::slice::from_ref(row), &row.name, Asked { event, image, pinned: *pinned }).is_ok()
    };
    let (may, may_not): (Vec<_>, Vec<_>) = images.iter().partition(is_for);
    let names =
        |of: Vec<&(&str, Option<&str>)>| of.iter().filter_map(|(image, _)| full_name(image)).collect::<Vec<_>>();
    keys.only(&names(may), &names(may_not))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{EventKind, ForgeKind, Repository, SecretLevel, SecretLimits, Time, Trust, Visibility},
        store::Json,
    };

    fn row(images: &[&str]) -> SecretRow {
        SecretRow {
            forge: ForgeKind::Github,
            level: SecretLevel::Owner,
            scope: "acme".parse().expect("a name"),
            name: REGISTRY_SECRET.parse().expect("a secret's name"),
            limits: Json(SecretLimits {
                images: images.iter().map(|&image| image.to_owned()).collect(),
                ..SecretLimits::default()
            }),
            key_id: String::new(),
            sealed: Vec::new(),
            created: Time::from_millis(0),
            changed: Time::from_millis(0),
            changed_by: String::new(),
            used: None,
        }
    }

    #[test]
    fn a_key_is_used_for_what_its_secret_is_for_and_for_nothing_beside() {
        let keys = r#"{"auths": {"r.example": {"username": "a", "password": "b"}, "docker.io": {"username": "c", "password": "d"}}}"#;
        let keys = RegistryKeys::read(keys).expect("a configuration");
        let event = Event {
            repository: Repository {
                forge: ForgeKind::Github,
                name: "acme/shop".parse().expect("a name"),
                default_branch: "main".to_owned(),
                clone_url: String::new(),
                web_url: String::new(),
                installation: None,
                visibility: Visibility::default(),
            },
            kind: EventKind::Push { branch: "main".to_owned() },
            sha: "0".repeat(40).parse().expect("a commit"),
            base_sha: None,
            actor: "ada".to_owned(),
            title: String::new(),
            trust: Trust::Trusted,
            message: None,
        };
        let used = |limits: &[&str], images: &[&str]| {
            let images: Vec<_> = images.iter().map(|&image| (image, None)).collect();
            let keys = allowed(&keys, &row(limits), &images, &event);
            ["r.example/x", "docker.io/library/busybox"].map(|image| keys.of(image).is_some())
        };
        assert_eq!(used(&[], &["r.example/tool:1", "busybox"]), [true, true]);
        assert_eq!(used(&[], &["busybox"]), [false, true], "what no image needs is not shown");
        assert_eq!(used(&["r.example/**"], &["r.example/tool:1", "busybox"]), [true, false]);
        assert_eq!(used(&["r.example/tool"], &["r.example/tool:1", "r.example/other"]), [false, false]);
    }
}
