//! Images that the engine does not have yet. A pull goes on by itself: whoever needs the image asks again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bollard::{auth::DockerCredentials, models::CreateImageInfo, query_parameters as query};
use futures::TryStreamExt as _;
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use super::connection::{Connection, Fault};
use crate::{
    executor::{
        Why,
        answer::{Answer, answer},
        registry::{RegistryKeys, full_name},
    },
    model::Infrastructure,
};

/// A registry that fails is asked again after so long,
const AGAIN: Duration = Duration::from_secs(10);
/// and given up after so long.
const PATIENCE: Duration = Duration::from_secs(300);
/// A pull that says nothing for so long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// Whether an image is there.
#[derive(Debug)]
pub(super) enum Fetched {
    /// It is.
    Here,
    /// It is being fetched: how far that is.
    Soon(String),
    /// It will never be.
    Never(Why),
}

/// Pulls under way, and those that failed.
pub(super) struct Pulls {
    connection: Connection,
    known: Arc<Mutex<HashMap<String, Pull>>>,
}

#[derive(Debug, Clone)]
enum Pull {
    /// With what the engine says of it.
    Going { progress: String },
    /// With what the registry said; `since` is when it was first asked.
    Failed { since: Instant, at: Instant, message: String },
}

impl Pulls {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, known: Arc::default() }
    }

    /// Whether the image is there. If not, a pull begins, unless one goes on; `tell` is called when it ends.
    pub(super) async fn ensure(
        &self,
        image: &str,
        keys: &RegistryKeys,
        tell: impl FnOnce() + Send + 'static,
    ) -> Result<Fetched, Fault> {
        match self.connection.call(async |docker| docker.inspect_image(image).await).await {
            Ok(_) => {
                known(&self.known).remove(image);
                Ok(Fetched::Here)
            }
            Err(Fault::Missing(_)) => Ok(self.fetch(image, credentials(image, keys), tell)),
            Err(Fault::Refused(message) | Fault::Failed(message)) if is_no_name(&message) => {
                Ok(Fetched::Never(Why::ImageInvalid { image: image.to_owned(), message }))
            }
            Err(fault) => Err(fault),
        }
    }

    fn fetch(&self, image: &str, as_whom: Option<DockerCredentials>, tell: impl FnOnce() + Send + 'static) -> Fetched {
        let now = Instant::now();
        let mut pulls = known(&self.known);
        let since = match pulls.get(image).cloned() {
            Some(Pull::Going { progress }) => return Fetched::Soon(format!("pulling image {image}{progress}")),
            Some(Pull::Failed { since, at, message }) => {
                if let Some(why) = never(image, &message, now.duration_since(since)) {
                    pulls.remove(image);
                    return Fetched::Never(why);
                }
                if now.duration_since(at) < AGAIN {
                    return Fetched::Soon(format!("image {image} cannot be pulled: {message}; it is tried again"));
                }
                since
            }
            None => now,
        };
        pulls.insert(image.to_owned(), Pull::Going { progress: String::new() });
        drop(pulls);
        let (connection, known, name) = (self.connection.clone(), Arc::clone(&self.known), image.to_owned());
        tokio::spawn(async move {
            pull(&connection, &known, (&name, as_whom), since).await;
            tell();
        });
        Fetched::Soon(format!("pulling image {image}"))
    }
}

async fn pull(
    connection: &Connection,
    known: &Mutex<HashMap<String, Pull>>,
    (image, as_whom): (&str, Option<DockerCredentials>),
    since: Instant,
) {
    let ended = follow(connection, known, image, as_whom).await;
    let mut pulls = self::known(known);
    match ended {
        Ok(()) => drop(pulls.remove(image)),
        Err(message) => {
            pulls.insert(image.to_owned(), Pull::Failed { since, at: Instant::now(), message });
        }
    }
}

/// By what the registry of an image knows us, if it does.
fn credentials(image: &str, keys: &RegistryKeys) -> Option<DockerCredentials> {
    let key = keys.of(&full_name(image)?)?;
    Some(DockerCredentials {
        username: Some(key.user.clone()),
        password: Some(key.password.expose_secret().to_owned()),
        ..DockerCredentials::default()
    })
}

async fn follow(
    connection: &Connection,
    known: &Mutex<HashMap<String, Pull>>,
    image: &str,
    as_whom: Option<DockerCredentials>,
) -> Result<(), String> {
    let client = connection.client().await.map_err(Fault::message)?;
    let (name, tag) = name_and_tag(image);
    let options = query::CreateImageOptionsBuilder::default().from_image(name).tag(tag).build();
    let mut told = client.create_image(Some(options), None, as_whom);
    let mut layers = HashMap::new();
    loop {
        let next = tokio::time::timeout(SILENCE_MAX, told.try_next()).await;
        let silent = |_| format!("the engine has said nothing for {} s", SILENCE_MAX.as_secs());
        match next.map_err(silent)?.map_err(|error| Fault::from(error).message())? {
            Some(info) => {
                let progress = progress(&mut layers, &info);
                self::known(known).insert(image.to_owned(), Pull::Going { progress });
            }
            None => return Ok(()),
        }
    }
}

/// " (12 of 34 MB)", as far as the engine tells.
fn progress(layers: &mut HashMap<String, (i64, i64)>, info: &CreateImageInfo) -> String {
    if let (Some(layer), Some("Downloading"), Some(detail)) = (&info.id, info.status.as_deref(), &info.progress_detail)
    {
        layers.insert(layer.clone(), (detail.current.unwrap_or(0), detail.total.unwrap_or(0)));
    }
    let (done, all) = layers.values().fold((0, 0), |(done, all), (one, of)| (done + one, all + of));
    if all > 0 { format!(" ({} of {} MB)", done / 1_000_000, all / 1_000_000) } else { String::new() }
}

/// A name without a tag would be all tags of it.
fn name_and_tag(image: &str) -> (&str, &str) {
    if image.contains('@') {
        return (image, "");
    }
    let name_begins = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[name_begins..].rfind(':') {
        Some(colon) => (&image[..name_begins + colon], &image[name_begins + colon + 1..]),
        None => (image, "latest"),
    }
}

fn never(image: &str, message: &str, tried: Duration) -> Option<Why> {
    let (image, message) = (image.to_owned(), message.to_owned());
    match answer(&message) {
        _ if is_no_name(&message) => Some(Why::ImageInvalid { image, message }),
        Answer::NotFound => Some(Why::ImageNotFound { image, message }),
        Answer::Denied => Some(Why::ImageDenied { image, message }),
        Answer::None if tried > PATIENCE => {
            Some(Why::Infrastructure(Infrastructure::ImagePull, format!("{image}: {message}")))
        }
        Answer::None => None,
    }
}

fn is_no_name(message: &str) -> bool {
    message.contains("invalid reference format") || message.contains("must be lowercase")
}

fn known(pulls: &Mutex<HashMap<String, Pull>>) -> MutexGuard<'_, HashMap<String, Pull>> {
    pulls.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::name_and_tag;

    #[test]
    fn a_name_has_one_tag() {
        for (image, name, tag) in [
            ("busybox", "busybox", "latest"),
            ("busybox:1.36", "busybox", "1.36"),
            ("localhost:5000/a/b", "localhost:5000/a/b", "latest"),
            ("localhost:5000/a/b:c", "localhost:5000/a/b", "c"),
            ("a@sha256:00", "a@sha256:00", ""),
        ] {
            assert_eq!(name_and_tag(image), (name, tag));
        }
    }
}
