//! Brings a bundle to the server while it is being made: a few parts on their way, and no more in memory.

use std::io;

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    Bundle, Entry, Part,
    find::Found,
    pack::{PackError, Packer},
};
use crate::agent::client::{CallError, Client};

/// Parts on their way at once.
const IN_FLIGHT: usize = 2;

/// A bundle is not with the server.
#[derive(Debug, thiserror::Error)]
pub(in crate::agent) enum SendError {
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the agent failed: {0}")]
    Broken(String),
}

/// Hands what is to be packed to this, one by one.
pub(in crate::agent) type Add<'a> = dyn FnMut(Found) -> io::Result<()> + 'a;

/// What was sent.
#[derive(Debug)]
pub(in crate::agent) struct Sent {
    pub(in crate::agent) bundle: Bundle,
    pub(in crate::agent) entries: Vec<Entry>,
}

/// Packs what `list` finds, and sends it.
pub(in crate::agent) async fn send(
    client: &Client,
    limit: u64,
    list: impl FnOnce(&mut Add<'_>) -> io::Result<()> + Send + 'static,
) -> Result<Sent, SendError> {
    let (give, mut parts) = mpsc::channel::<(Part, Vec<u8>)>(1);
    let packing = tokio::task::spawn_blocking(move || pack(limit, &give, list));
    let mut calls = JoinSet::new();
    while let Some((part, data)) = parts.recv().await {
        if calls.len() == IN_FLIGHT {
            next(&mut calls).await?;
        }
        let client = client.clone();
        calls.spawn(async move { client.put_part(&part.digest, data).await });
    }
    // what went wrong with packing ended the parts; it is what there is to say
    let sent = packing.await.map_err(|error| SendError::Broken(error.to_string()))??;
    while !calls.is_empty() {
        next(&mut calls).await?;
    }
    Ok(sent)
}

async fn next(calls: &mut JoinSet<Result<(), CallError>>) -> Result<(), SendError> {
    match calls.join_next().await {
        None => Ok(()),
        Some(Ok(done)) => Ok(done?),
        Some(Err(error)) => Err(SendError::Broken(error.to_string())),
    }
}

fn pack(
    limit: u64,
    give: &mpsc::Sender<(Part, Vec<u8>)>,
    list: impl FnOnce(&mut Add<'_>) -> io::Result<()>,
) -> Result<Sent, SendError> {
    let mut packer = Packer::new(limit, |part, data| give.blocking_send((part, data)).is_ok());
    let (mut entries, mut trouble) = (Vec::new(), None);
    let listed = list(&mut |found| match packer.add(&found) {
        Ok(entry) => {
            entries.extend(entry);
            Ok(())
        }
        Err(error) => {
            trouble = Some(error);
            Err(io::Error::other("stopped"))
        }
    });
    match (trouble, listed) {
        (Some(error), _) => Err(error.into()),
        (None, Err(error)) => Err(PackError::Read(error).into()),
        (None, Ok(())) => Ok(Sent { bundle: packer.finish()?, entries }),
    }
}
