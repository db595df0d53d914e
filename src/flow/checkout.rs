//! `checkout` of an action: what is in its workspace at the beginning.

use crate::model::Checkout;

use super::{Reading, fields::Fields, findings::quoted, keys, node::Value};

/// The commit, or `false`: nothing.
pub(super) fn read(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Checkout {
    let Some(node) = fields.claim("checkout") else { return Checkout::Commit };
    match &node.value {
        Value::Scalar(text) if text == "false" => return Checkout::Nothing,
        Value::Scalar(text) if text == "true" => {}
        Value::Scalar(text) => {
            let message = format!("`checkout` is true or false; {} is neither", quoted(text));
            reading.findings.error(node.at, message);
        }
        Value::Null | Value::List(_) | Value::Map(_) => {
            if let Some(fields) = Fields::of(node, &keys::CHECKOUT, reading) {
                fields.close(reading);
            }
        }
    }
    Checkout::Commit
}
