//! What an object was before it was applied, so that it can be brought back. Pure.
//!
//! Brought back is what was ours: the fields that our last apply owned, with the values that they had. Applied once
//! more they are the same wish as then, so that a field which only the failed version has goes, and what others own,
//! such as the replicas of an autoscaler, stays theirs. An object that we had never applied is brought back with all
//! that anybody had written into it.

use serde_json::{Map, Value};

use super::manifest::CLUSTERS_OWN;
use crate::executor::kubernetes::deploy::MANAGER;

/// The object's former wish, as it can be applied.
pub(super) fn wish(object: &Value) -> Value {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_ours = |entry: &&Value| text(entry, "manager") == MANAGER && text(entry, "operation") == "Apply";
    let ours: Vec<&Value> = entries.iter().filter(is_ours).collect();
    let chosen = match ours.is_empty() {
        false => ours,
        // a subresource is a status, or an autoscaler's number
        true => entries.iter().filter(|entry| text(entry, "subresource").is_empty()).collect(),
    };
    let mut wish = Value::Object(Map::new());
    for fields in chosen.iter().filter_map(|entry| entry.get("fieldsV1")) {
        merge(&mut wish, picked(object, fields));
    }
    finish(wish, object)
}

fn finish(mut wish: Value, object: &Value) -> Value {
    for key in ["apiVersion", "kind"] {
        wish[key] = object[key].clone();
    }
    wish["metadata"]["name"] = object["metadata"]["name"].clone();
    wish["metadata"]["namespace"] = object["metadata"]["namespace"].clone();
    if let Some(metadata) = wish["metadata"].as_object_mut() {
        CLUSTERS_OWN.iter().for_each(|key| drop(metadata.remove(*key)));
    }
    wish.as_object_mut().map(|wish| wish.remove("status"));
    wish
}

/// The parts of a value that a set of fields names.
fn picked(value: &Value, fields: &Value) -> Value {
    let Some(fields) = fields.as_object().filter(|fields| fields.keys().any(|key| key != ".")) else {
        return value.clone();
    };
    match value {
        Value::Object(_) => {
            let named = fields.iter().filter_map(|(key, below)| {
                let name = key.strip_prefix("f:")?;
                Some((name.to_owned(), picked(value.get(name)?, below)))
            });
            Value::Object(named.collect())
        }
        Value::Array(items) => {
            let kept = items.iter().enumerate().filter_map(|(at, item)| {
                let (key, below) = fields.iter().find(|(key, _)| is_named(item, at, key))?;
                let mut item_kept = picked(item, below);
                keep_keys(&mut item_kept, key);
                Some(item_kept)
            });
            Value::Array(kept.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Whether a key of a set of fields names this item of a list: by its own keys, its value or its place.
fn is_named(item: &Value, at: usize, key: &str) -> bool {
    if let Some(keys) = key.strip_prefix("k:") {
        let keys: Value = serde_json::from_str(keys).unwrap_or_default();
        return keys.as_object().is_some_and(|keys| keys.iter().all(|(name, value)| item.get(name) == Some(value)));
    }
    if let Some(value) = key.strip_prefix("v:") {
        return serde_json::from_str::<Value>(value).is_ok_and(|value| value == *item);
    }
    key.strip_prefix("i:").is_some_and(|place| place == at.to_string())
}

/// An item of a list cannot be applied without the keys that tell it from others.
fn keep_keys(item: &mut Value, key: &str) {
    let keys = key.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Map<String, Value>>(keys).ok());
    if let (Some(keys), Value::Object(fields)) = (keys, item) {
        fields.extend(keys);
    }
}

/// What two sets of fields picked, together. Lists of one object come from one manager, mostly: the longer is kept.
fn merge(into: &mut Value, other: Value) {
    match (into, other) {
        (Value::Object(into), Value::Object(other)) => {
            for (key, value) in other {
                match into.get_mut(&key) {
                    Some(mine) => merge(mine, value),
                    None => drop(into.insert(key, value)),
                }
            }
        }
        (Value::Array(into), Value::Array(other)) if other.len() > into.len() => *into = other,
        (Value::Array(_), Value::Array(_)) => {}
        (into, other) => *into = other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(managed: Value) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "labels": {"a": "1", "b": "2"},
                "managedFields": managed},
            "spec": {"replicas": 7, "paused": false, "template": {"spec": {"containers": [
                {"name": "side", "image": "side:1"}, {"name": "app", "image": "app:1", "tty": false}]}}},
            "status": {"replicas": 7}
        })
    }

    #[test]
    fn what_we_applied_is_what_comes_back() {
        let ours = json!({"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:template": {"f:spec": {"f:containers":
            {"k:{\"name\":\"app\"}": {".": {}, "f:image": {}, "f:name": {}}}}}}});
        let theirs = json!({"f:spec": {"f:replicas": {}}});
        let wish = wish(&deployment(json!([
            {"manager": "containerops", "operation": "Apply", "fieldsV1": ours},
            {"manager": "autoscaler", "operation": "Update", "subresource": "scale", "fieldsV1": theirs},
        ])));
        assert_eq!(
            wish,
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "1"}},
                "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:1"}]}}}
            })
        );
    }

    #[test]
    fn what_others_made_comes_back_whole_but_for_what_the_cluster_says() {
        let all = json!({"f:metadata": {"f:labels": {".": {}, "f:b": {}}}, "f:spec": {"f:paused": {}, "f:template":
            {"f:spec": {"f:containers": {}}}}});
        let wish = wish(&deployment(json!([
            {"manager": "kubectl-create", "operation": "Update", "fieldsV1": all},
            {"manager": "controller", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
        ])));
        assert_eq!(wish["spec"]["paused"], json!(false));
        assert_eq!(wish["spec"]["template"]["spec"]["containers"].as_array().map(Vec::len), Some(2));
        assert!(wish.get("status").is_none() && wish["spec"].get("replicas").is_none());
    }

    #[test]
    fn nonsense_breaks_nothing() {
        for object in [json!({}), json!(null), json!({"metadata": {"managedFields": [{"fieldsV1": "x"}, 3]}})] {
            if object.is_object() {
                assert!(wish(&object).is_object());
            }
        }
    }
}
