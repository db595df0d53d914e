//! Sends the log to the server, from the offset that it has. The first line goes at once; while a chunk is under way
//! the next ones gather, so that many lines become few calls.

use std::io;

use super::{
    client::{CallError, Client, Pause},
    log::Log,
};

/// Why a log is not with the server.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShipError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the log cannot be read back from the disk: {0}")]
    Disk(#[from] io::Error),
}

/// Returns when the log is closed and the server has all of it.
pub(super) async fn ship(client: &Client, log: &Log) -> Result<(), ShipError> {
    let mut offset = 0;
    let mut pause = Pause::new();
    while log.has(offset).await {
        let chunk = log.chunk(offset)?.encode().map_err(io::Error::other)?;
        let length = client.put_log(offset, chunk).await?.length;
        if length > offset {
            pause = Pause::new();
        } else {
            pause.wait().await;
        }
        offset = length;
    }
    Ok(())
}
