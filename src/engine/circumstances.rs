//! What a forge must be asked for before its event can be planned, and only if a flow file asks for it.

use crate::{
    flow::{self, Circumstances, Flow},
    forge::{FlowFile, Forge, ForgeError},
    model::{ChangedFiles, Event},
};

/// What is known of an event that is planned by these files.
pub(super) async fn circumstances(
    forge: &dyn Forge,
    event: &Event,
    files: &[FlowFile],
) -> Result<Circumstances, ForgeError> {
    let (changes, skip) = futures::try_join!(changes(forge, event, files), skip(forge, event))?;
    Ok(Circumstances { changes, skip })
}

async fn changes(forge: &dyn Forge, event: &Event, files: &[FlowFile]) -> Result<ChangedFiles, ForgeError> {
    let flow = |file: &FlowFile| flow::read(&file.path, &event.repository.name, &file.content).ok();
    let asks = |flow: Flow| flow.asks_for_files(&event.kind);
    if !files.iter().filter_map(flow).any(asks) {
        return Ok(Circumstances::default().changes);
    }
    match forge.changed_files(event).await {
        // its commits may be gone by now; it runs all the same
        Err(error @ ForgeError::Refused { .. }) => Ok(ChangedFiles::unknown(error.to_string())),
        other => other,
    }
}

async fn skip(forge: &dyn Forge, event: &Event) -> Result<Option<String>, ForgeError> {
    if !flow::heeds_message(event) {
        return Ok(None);
    }
    if let Some(message) = &event.message {
        return Ok(flow::skip_of(message));
    }
    match forge.message(&event.repository, &event.sha).await {
        Err(ForgeError::Refused { .. }) => Ok(None),
        other => Ok(other?.and_then(|message| flow::skip_of(&message))),
    }
}
