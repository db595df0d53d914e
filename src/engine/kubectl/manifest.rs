//! Bytes become objects to apply, or words about what is wrong with them. Pure, and made for hostile input.

use std::collections::BTreeMap;

use granit_parser::{ErrorKind, Event, Options, Parser};
use serde::Deserialize as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The most bytes of all files of one job.
pub(super) const BYTES_MAX: usize = 1 << 20;
/// The most objects of one job.
const OBJECTS_MAX: usize = 200;
/// Deeper than any object; a schema in a CustomResourceDefinition may have half of it.
const DEPTH_MAX: usize = 100;
/// A name of Kubernetes has no more.
const NAME_MAX: usize = 253;

/// What only the cluster says in the metadata of an object.
pub(super) const CLUSTERS_OWN: [&str; 6] =
    ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"];

/// One object to apply.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) body: Value,
}

/// A file of a manifest: where it was, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) text: Vec<u8>,
}

/// What names files with their bytes: a manifest with the same digest applies the same objects.
pub(super) fn digest(files: &[File]) -> String {
    let mut sha256 = Sha256::new();
    for file in files {
        sha256.update((file.text.len() as u64).to_be_bytes());
        sha256.update(&file.text);
    }
    hex::encode(sha256.finalize())
}

/// All objects of all files, in order, for a namespace. `@NAME@` in a text is replaced by a variable of that name.
pub(super) fn documents(
    files: &[File],
    namespace: &str,
    variables: &BTreeMap<String, String>,
) -> Result<Vec<Document>, String> {
    let mut documents = Vec::new();
    for file in files {
        let wrong = |message: String| format!("{}: {message}", file.name);
        for value in values(file).map_err(wrong)? {
            read(value, namespace, variables, &mut documents).map_err(wrong)?;
            if documents.len() > OBJECTS_MAX {
                return Err(format!("more than {OBJECTS_MAX} objects"));
            }
        }
    }
    if documents.is_empty() { Err("there is no object in it".to_owned()) } else { Ok(documents) }
}

fn values(file: &File) -> Result<Vec<Value>, String> {
    check_depth(&file.text)?;
    let mut values = Vec::new();
    for document in serde_yaml::Deserializer::from_slice(&file.text) {
        values.push(Value::deserialize(document).map_err(|error| format!("this is no YAML: {error}"))?);
        if values.len() > OBJECTS_MAX {
            return Err(format!("more than {OBJECTS_MAX} documents"));
        }
    }
    Ok(values)
}

/// Refuses what is nested too deeply before it reaches a reader that takes minutes for a megabyte of brackets.
fn check_depth(text: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(text).map_err(|error| format!("this is no UTF-8: {error}"))?;
    let mut options = Options::default();
    options.block_nesting_limit = DEPTH_MAX;
    options.flow_nesting_limit = DEPTH_MAX;
    let mut parser = Parser::new_from_str_with_options(text, options);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((Event::StreamEnd, _)) => break,
            Ok(_) => {}
            Err(error) => {
                let is_deep = matches!(error.kind(), ErrorKind::RecursionLimitExceeded);
                let deep = || format!("it is nested deeper than {DEPTH_MAX} levels");
                return Err(if is_deep { deep() } else { format!("this is no YAML: {}", error.kind()) });
            }
        }
    }
    Ok(())
}

fn read(
    mut value: Value,
    namespace: &str,
    variables: &BTreeMap<String, String>,
    documents: &mut Vec<Document>,
) -> Result<(), String> {
    if value.is_null() {
        // nothing between two `---`
        return Ok(());
    }
    if let Some(items) = items(&mut value) {
        return items.into_iter().try_for_each(|item| read(item, namespace, variables, documents));
    }
    replace(&mut value, variables);
    documents.push(document(value, namespace)?);
    Ok(())
}

/// What a `kind: List` holds.
fn items(value: &mut Value) -> Option<Vec<Value>> {
    let is_list = value.get("kind").and_then(Value::as_str) == Some("List");
    match value.get_mut("items") {
        Some(Value::Array(items)) if is_list => Some(std::mem::take(items)),
        Some(_) | None => None,
    }
}

fn document(mut body: Value, namespace: &str) -> Result<Document, String> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let (Some(api_version), Some(kind)) = (text(&body, "apiVersion"), text(&body, "kind")) else {
        return Err("an object needs `apiVersion` and `kind`".to_owned());
    };
    let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else {
        return Err(format!("a {kind} needs `metadata` with a `name`"));
    };
    let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_');
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_good) {
        return Err(format!("a {kind} needs a `name` in its `metadata`; `generateName` cannot be applied twice"));
    }
    match metadata.get("namespace") {
        None | Some(Value::Null) => {}
        Some(Value::String(own)) if own == namespace => {}
        Some(other) => {
            let other = other.as_str().unwrap_or("another");
            return Err(format!("{kind} {name} is for namespace `{other}`, and the job is for `{namespace}`"));
        }
    }
    metadata.insert("namespace".to_owned(), Value::from(namespace));
    // what only the cluster says of an object: a file that was made with `kubectl get -o yaml` has it
    for key in CLUSTERS_OWN {
        metadata.remove(key);
    }
    body.as_object_mut().map(|object| object.remove("status"));
    Ok(Document { api_version, kind, name, body })
}

/// Puts variables into texts. Unknown names stay as they are: manifests have `@` of their own.
fn replace(value: &mut Value, variables: &BTreeMap<String, String>) {
    match value {
        Value::String(text) if text.contains('@') => *text = replaced(text, variables),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, variables)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, variables)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn replaced(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('@') {
        done.push_str(before);
        match after.split_once('@').and_then(|(name, behind)| Some((variables.get(name)?, behind))) {
            Some((value, behind)) => {
                done.push_str(value);
                rest = behind;
            }
            None => {
                done.push('@');
                rest = after;
            }
        }
    }
    done.push_str(rest);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> Result<Vec<Document>, String> {
        let file = File { name: "app.yaml".to_owned(), text: text.as_bytes().to_vec() };
        let variables = [("TAG", "1.2"), ("A", "@TAG@")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        documents(&[file], "shop", &variables.into())
    }

    #[test]
    fn documents_and_lists_become_objects_of_the_namespace() {
        let text = "---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, \
                    data: {image: 'app:@TAG@', mail: a@b.example, chain: '@A@', none: '@NONE@'}}\n---\n# nothing\n---\n\
                    apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b, namespace: shop, uid: x}\nstatus: {}\n";
        let all = read_all(text).expect("good");
        let names: Vec<_> = all.iter().map(|one| format!("{} {} {}", one.api_version, one.kind, one.name)).collect();
        assert_eq!(names, ["v1 ConfigMap a", "apps/v1 Deployment b"]);
        let data = serde_json::json!({"image": "app:1.2", "mail": "a@b.example", "chain": "@TAG@", "none": "@NONE@"});
        assert_eq!(all[0].body["data"], data);
        assert_eq!(all[1].body["metadata"], serde_json::json!({"name": "b", "namespace": "shop"}));
        assert!(all[1].body.get("status").is_none());
    }

    #[test]
    fn what_is_no_object_is_told_by_its_file() {
        let table = [
            ("", "there is no object in it"),
            ("a: [", "app.yaml: this is no YAML"),
            ("just text", "app.yaml: an object needs `apiVersion` and `kind`"),
            ("{apiVersion: v1, kind: Pod}", "app.yaml: a Pod needs `metadata`"),
            ("{apiVersion: v1, kind: Pod, metadata: {generateName: a-}}", "app.yaml: a Pod needs a `name`"),
            (
                "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: kube-system}}",
                "app.yaml: Pod a is for namespace `kube-system`, and the job is for `shop`",
            ),
            ("{apiVersion: v1, kind: Pod, metadata: {name: ../../nodes/x}}", "app.yaml: a Pod needs a `name`"),
        ];
        for (text, expected) in table {
            let told = read_all(text).expect_err(text);
            assert!(told.starts_with(expected), "{text}: {told}");
        }
        let many = "---\n{apiVersion: v1, kind: Pod, metadata: {name: a}}\n".repeat(201);
        assert!(read_all(&many).expect_err("too many").contains("more than 200"));
        let bomb = format!("a: &a [x]\nb: &b [{}]\nc: [{}]", "*a,".repeat(2000), "*b,".repeat(2000));
        assert!(read_all(&bomb).is_err(), "aliases do not explode");
        let deep = read_all(&format!("a: {}", "[".repeat(1_000_000))).expect_err("it is too deep");
        assert!(deep.starts_with("app.yaml: it is nested deeper than 100 levels"), "{deep}");
    }
}
