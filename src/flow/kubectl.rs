//! Jobs of type `kubectl`: manifests that the server applies itself. They run in no container, so most of a job's keys
//! mean nothing to them.

use crate::model::{JobPath, JobPlan, Kubectl, Manifest, Program, Reports, Resources};

use super::{
    Reading, Shape, duration, environments,
    fields::Fields,
    findings::quoted,
    keys, links,
    node::{Entry, Text},
    scalar::{self, Toggle},
    when,
};

/// A job's keys that are of use here, or that the original let stand.
const KEYS: [&str; 13] = [
    "name",
    "type",
    "kubectl",
    "namespace",
    "wait",
    "roll-back",
    "environments",
    "subscriptions",
    "timeout",
    "retry",
    "allow-failure",
    "when",
    "image",
];
/// What only a job of this type has.
const ALONE: [&str; 3] = ["namespace", "wait", "roll-back"];
/// Where the original put what named no namespace.
const DEFAULT: &str = "default";
/// As long as a DNS label.
const MAX_NAMESPACE_BYTES: usize = 63;
/// Longer ones are no path that git or a tar has, and no URL that anybody types.
const MAX_MANIFEST_BYTES: usize = 1024;

/// The job at `path`, which is one of this type.
pub(super) fn read(fields: &mut Fields<'_>, path: JobPath, reading: &mut Reading<'_>) -> JobPlan {
    refuse_others(fields, reading);
    let kubectl = Kubectl {
        manifest: manifest(fields, reading),
        namespace: namespace(fields, reading),
        wait: duration::of(fields, "wait", "`wait`", reading),
        roll_back: scalar::boolean(fields, "roll-back", Toggle::Off, reading),
    };
    let environments = environments::read(fields, reading);
    let timeout = duration::timeout(fields, reading);
    let allow_failure = scalar::boolean(fields, "allow-failure", Toggle::Off, reading);
    let when = when::read(fields, (&path.stage, Some(&path.action), Some(&path.job)), reading);
    let name = path.job.clone();
    links::read(fields, path, reading);
    JobPlan {
        name,
        image: String::new(),
        program: Program::Entrypoint,
        environments,
        resources: Resources::default(),
        timeout,
        outputs: Vec::new(),
        subscriptions: Vec::new(),
        inputs: Vec::new(),
        auto_inputs: Vec::new(),
        allow_failure,
        retry: None,
        strict: false,
        shell: Vec::new(),
        kubectl: Some(kubectl),
        trigger: None,
        when,
        artifacts: Vec::new(),
        reports: Reports::default(),
        downloads: Vec::new(),
    }
}

/// Refuses what means nothing to a job in a container.
pub(super) fn refuse_in_component(fields: &mut Fields<'_>, reading: &mut Reading<'_>) {
    for key in ALONE {
        if let Some(entry) = fields.claim_entry(key).filter(|entry| !entry.value.is_null()) {
            let message = format!("`{key}` is for a job of type kubectl; this one runs a container");
            reading.mistake(entry.key.at, message).hint("remove it");
        }
    }
}

/// A flow's `namespace`, which its kubectl jobs have unless they say otherwise.
pub(super) fn of_flow(fields: &mut Fields<'_>, reading: &mut Reading<'_>) {
    let Some(node) = fields.claim("namespace") else { return };
    let Some(text) = scalar::text(node, "`namespace`", reading).filter(|text| !text.text.is_empty()) else { return };
    check_namespace(&text, reading);
    reading.namespace = Some(text.text);
}

fn refuse_others(fields: &mut Fields<'_>, reading: &mut Reading<'_>) {
    for key in keys::JOB.keys.iter().filter(|key| !KEYS.contains(key)) {
        let Some(entry) = fields.claim_entry(key).filter(|entry| !entry.value.is_null()) else { continue };
        // nearly every job of the original has resources, also one that needs none; its exports have everything
        let is_habit = matches!(*key, "resources" | "outputs" | "endpoint");
        if reading.shape == Shape::Original && is_habit {
            continue;
        }
        let message = format!("a job of type kubectl runs no container: `{key}` means nothing to it");
        reading.mistake(entry.key.at, message).hint("remove it, or use a job of its own");
    }
    if let Some(entry) = fields.claim_entry("image").filter(|entry| !entry.value.is_null()) {
        let message = "a job of type kubectl runs no container: `image` means nothing to it";
        reading.mistake(entry.key.at, message).hint("remove one of both");
    }
}

fn manifest(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Manifest {
    let nothing = Manifest::Path(String::new());
    let Some(Entry { value, .. }) = fields.claim_entry("kubectl").filter(|entry| !entry.value.is_null()) else {
        let message = "a job of type kubectl needs `kubectl`: a path in the repository, or an https URL";
        reading.findings.error(fields.at(), message);
        return nothing;
    };
    let Some(text) = scalar::text(value, "`kubectl`", reading) else { return nothing };
    if text.text.is_empty() || text.text.len() > MAX_MANIFEST_BYTES {
        let message = format!("`kubectl` has 1 to {MAX_MANIFEST_BYTES} bytes");
        reading.findings.error(text.at, message).hint("a path in the repository, or an https URL");
        return nothing;
    }
    if text.text.contains("://") { url(text, reading) } else { path(text, reading) }
}

fn url(text: Text, reading: &mut Reading<'_>) -> Manifest {
    let (scheme, rest) = text.text.split_once("://").unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_odd = host.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\');
    let finding = match scheme {
        _ if host.contains('@') => {
            Some(("a URL in a flow file holds no credentials", "whoever reads the repository would have them"))
        }
        "https" | "http" if is_odd => Some(("this is no URL", "write https://host/path")),
        "https" => None,
        "http" => {
            let message = "this URL is not encrypted: it is read only if the server's administrator has listed it";
            reading.findings.warning(text.at, message).hint("use https");
            None
        }
        _ => Some(("this is no https URL", "write https://host/path, or a path in the repository")),
    };
    if let Some((message, hint)) = finding {
        reading.findings.error(text.at, message).hint(hint);
    }
    Manifest::Url(text.text)
}

fn path(text: Text, reading: &mut Reading<'_>) -> Manifest {
    let parts: Vec<&str> = text.text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let is_bad = |part: &&str| *part == ".." || *part == ".git" || part.contains(char::is_control);
    if text.text.starts_with('/') || parts.is_empty() || parts.iter().any(is_bad) {
        let message = format!("{} is no path in the repository", quoted(&text.text));
        reading.findings.error(text.at, message).hint("write it from the repository's top, without `..`");
    }
    Manifest::Path(parts.join("/"))
}

fn namespace(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> String {
    if let Some(text) = fields.claim("namespace").and_then(|node| scalar::text(node, "`namespace`", reading)) {
        check_namespace(&text, reading);
        return text.text;
    }
    if let Some(namespace) = &reading.namespace {
        return namespace.clone();
    }
    let at = fields.at();
    match reading.shape {
        Shape::Ours => {
            reading.findings.error(at, "a job of type kubectl needs a `namespace`, of its own or the flow's")
        }
        Shape::Original => {
            reading.findings.warning(at, format!("neither job nor flow names a `namespace`: it is `{DEFAULT}`"))
        }
    };
    DEFAULT.to_owned()
}

fn check_namespace(text: &Text, reading: &mut Reading<'_>) {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let name = text.text.as_str();
    if name.len() <= MAX_NAMESPACE_BYTES
        && name.starts_with(is_edge)
        && name.ends_with(is_edge)
        && name.chars().all(|c| is_edge(c) || c == '-')
    {
        return;
    }
    let message = format!("{} is no namespace of a cluster", quoted(name));
    reading.findings.error(text.at, message).hint("1 to 63 lower-case letters, digits and `-`");
}
