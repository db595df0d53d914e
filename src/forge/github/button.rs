//! The buttons at our checks, in GitHub's limits: three at a check, a label of 20 characters, a description of 40, an
//! identifier of 20.

use serde_json::{Value, json};

use crate::model::Button;

/// How GitHub shows a button. The identifier comes back when someone presses it.
pub(super) fn shown(button: &Button) -> Value {
    let (label, description) = match button {
        Button::Failed => ("Re-run failed", "The failed actions, with the same file"),
        Button::Everything => ("Re-run all", "All actions, with the same flow file"),
        Button::Newest => ("Re-run, newest flow", "Failed actions, by the newest flow file"),
        Button::Approve => ("Approve", "I have looked at this commit: run it"),
        Button::Cancel => ("Cancel", "Stops all that runs or waits of it"),
    };
    json!({"label": label, "description": description, "identifier": identifier(*button)})
}

/// The button of this identifier.
pub(super) fn of(identifier: &str) -> Option<Button> {
    [Button::Failed, Button::Everything, Button::Newest, Button::Approve, Button::Cancel]
        .into_iter()
        .find(|button| self::identifier(*button) == identifier)
}

const fn identifier(button: Button) -> &'static str {
    match button {
        Button::Failed => "rerun-failed",
        Button::Everything => "rerun-all",
        Button::Newest => "rerun-newest",
        Button::Approve => "approve",
        Button::Cancel => "cancel",
    }
}
