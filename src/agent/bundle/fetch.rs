//! Brings a bundle from the server and unpacks it: some parts on their way, each checked before a byte of it is used.

use std::{
    collections::VecDeque,
    io::{self, Read},
    path::{Path, PathBuf},
};

use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Bundle, PART_SIZE_MAX, Part,
    unpack::{Links, UnpackError, Unpacked, unpack},
};
use crate::agent::client::{Client, Pause};

/// Parts on their way, or waiting to be unpacked.
const IN_FLIGHT: usize = 3;
/// How often a part may come wrongly before we give up. The network may fail for ever.
const WRONG_MAX: u32 = 5;

/// A bundle did not come.
#[derive(Debug, thiserror::Error)]
pub(in crate::agent) enum FetchError {
    #[error("the server does not have it: {0}")]
    Missing(reqwest::Error),
    #[error("it came damaged: {0}")]
    Damaged(io::Error),
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    #[error("the agent failed: {0}")]
    Broken(String),
}

/// Fetches all parts and unpacks them.
pub(in crate::agent) async fn fetch(
    client: &Client,
    bundle: Bundle,
    links: Links,
    root: impl Fn(&Path) -> Option<(PathBuf, usize)> + Send + 'static,
) -> Result<Unpacked, FetchError> {
    let (give, parts) = mpsc::channel(1);
    let unpacking = tokio::task::spawn_blocking(move || unpack(Parts { parts, part: Vec::new(), at: 0 }, links, root));
    let fetched = pass_on(client, bundle.parts, &give).await;
    drop(give);
    let unpacked = unpacking.await.map_err(|error| FetchError::Broken(error.to_string()))?;
    // a part that did not come is why the tar was cut off
    fetched?;
    Ok(unpacked?)
}

async fn pass_on(client: &Client, parts: Vec<Part>, give: &mpsc::Sender<Vec<u8>>) -> Result<(), FetchError> {
    let mut coming = Coming(VecDeque::new());
    let mut parts = parts.into_iter();
    loop {
        while coming.0.len() < IN_FLIGHT
            && let Some(part) = parts.next()
        {
            let client = client.clone();
            coming.0.push_back(tokio::spawn(async move { fetch_part(&client, part).await }));
        }
        let Some(next) = coming.0.front_mut() else { return Ok(()) };
        let part = next.await.map_err(|error| FetchError::Broken(error.to_string()))??;
        coming.0.pop_front();
        if give.send(part).await.is_err() {
            // the unpacking has ended, and says why
            return Ok(());
        }
    }
}

/// Nobody waits for those that are left when it is over.
struct Coming(VecDeque<JoinHandle<Result<Vec<u8>, FetchError>>>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn fetch_part(client: &Client, part: Part) -> Result<Vec<u8>, FetchError> {
    let mut pause = Pause::new();
    let mut wrong = 0;
    loop {
        let error = match fetch_once(client, &part).await {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error,
        };
        match error {
            Once::Again => {}
            Once::Wrong(error) if wrong == WRONG_MAX => return Err(error),
            Once::Wrong(_) => wrong += 1,
        }
        pause.wait().await;
    }
}

enum Once {
    Again,
    Wrong(FetchError),
}

async fn fetch_once(client: &Client, part: &Part) -> Result<Vec<u8>, Once> {
    let mut response = client.get_blob(&part.digest).await.map_err(|error| match error.status() {
        Some(status) if status.is_client_error() => Once::Wrong(FetchError::Missing(error)),
        Some(_) | None => Once::Again,
    })?;
    // of just the right size: what grows leaves holes behind
    let mut data = Vec::with_capacity(part.size.min(PART_SIZE_MAX as u64) as usize);
    while let Some(bytes) = response.chunk().await.map_err(|_| Once::Again)? {
        data.extend_from_slice(&bytes);
        if data.len() as u64 > part.size {
            return Err(Once::Wrong(FetchError::Damaged(io::Error::other("a part is longer than it should be"))));
        }
    }
    let part = part.clone();
    let opened = tokio::task::spawn_blocking(move || part.open(&data)).await;
    opened.map_err(|_| Once::Again)?.map_err(|error| Once::Wrong(FetchError::Damaged(error)))
}

/// The tar, as its parts come.
struct Parts {
    parts: mpsc::Receiver<Vec<u8>>,
    part: Vec<u8>,
    at: usize,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.part.len() {
            let Some(next) = self.parts.blocking_recv() else { return Ok(0) };
            (self.part, self.at) = (next, 0);
        }
        let some = buffer.len().min(self.part.len() - self.at);
        buffer[..some].copy_from_slice(&self.part[self.at..self.at + some]);
        self.at += some;
        Ok(some)
    }
}
