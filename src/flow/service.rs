//! Services: containers beside an action's jobs. They stand in its `services`, and start before its first job; or among
//! its jobs with `type: service`, and start when those before them have ended.

use std::{collections::HashMap, time::Duration};

use crate::model::{Check, JobPath, JobPlan, Program, Ready, Reports, Service};

use super::{
    Reading, children, duration, environments,
    fields::Fields,
    findings::quoted,
    job, keys,
    names::MAX_LENGTH,
    node::{Entry, Text, Value},
    resources, scalar, secrets, shell,
};

/// More need a cluster of their own.
const MAX_SERVICES: usize = 8;
/// Whoever waits longer than this for one hides a mistake.
const MAX_WITHIN: Duration = Duration::from_secs(3600);
/// Longer than any path of a health check.
const MAX_PATH_BYTES: usize = 1000;
/// What jobs know as something else.
const NO_NAMES: [&str; 1] = ["localhost"];

/// What an action's `services` are.
pub(super) fn read(fields: &mut Fields<'_>, (stage, action): (&str, &str), reading: &mut Reading<'_>) -> Vec<Service> {
    let Some(entry) = fields.claim_entry("services") else { return Vec::new() };
    let mut items = children::each(entry, &keys::SERVICE, reading);
    items.truncate(MAX_SERVICES + 1);
    let read = |mut item: Fields<'_>| {
        let name = name(&mut item, reading);
        let path = JobPath { stage: stage.to_owned(), action: action.to_owned(), job: name };
        let service = one(&mut item, path, 0, reading);
        item.close(reading);
        service
    };
    items.into_iter().map(read).collect()
}

/// Whether one of `jobs` is a service.
pub(super) fn is_one(fields: &Fields<'_>) -> bool {
    fields.peek("type") == Some("service")
}

/// The service among jobs at this path, which is called `name` and comes after so many of them.
pub(super) fn of_job(
    fields: &mut Fields<'_>,
    path: JobPath,
    (name, after): (&Text, usize),
    reading: &mut Reading<'_>,
) -> Service {
    fields.claim_entry("type");
    check_name(name, reading);
    refuse_others(fields, reading);
    one(fields, path, after, reading)
}

/// What holds of all services of an action together, and of its jobs beside them.
pub(super) fn check(
    action: &str,
    fields: &Fields<'_>,
    (services, jobs): (&[Service], &[JobPlan]),
    reading: &mut Reading<'_>,
) {
    if services.len() > MAX_SERVICES {
        let message = format!("action {} has more than {MAX_SERVICES} services", quoted(action));
        reading.findings.error(fields.at(), message);
    }
    if jobs.is_empty() && !services.is_empty() {
        let message = format!("action {} has services, and no job that needs them", quoted(action));
        reading.findings.error(fields.at(), message).hint("a service ends when the last job has");
    }
    let mut seen: HashMap<&str, &str> = jobs.iter().map(|job| (job.name.as_str(), "a job and a service")).collect();
    for Service { job, after, .. } in services {
        if let Some(what) = seen.insert(&job.name, "two services").filter(|_| !job.name.is_empty()) {
            let message = format!("{what} of action {} are called {}", quoted(action), quoted(&job.name));
            reading.findings.error(fields.at(), message).hint("each has a log of its own, and needs a name of its own");
        }
        if *after == jobs.len() && !jobs.is_empty() {
            let message = format!("no job comes after the service {}: it would never start", quoted(&job.name));
            reading.mistake(fields.at(), message).hint("put it before the jobs that need it");
        }
    }
}

/// Refuses what only a service has.
pub(super) fn refuse_in_job(fields: &mut Fields<'_>, reading: &mut Reading<'_>) {
    if let Some(entry) = fields.claim_entry("ready").filter(|entry| !entry.value.is_null()) {
        let message = "`ready` says when a service is; this is a job";
        reading.mistake(entry.key.at, message).hint("give it `type: service`, or remove `ready`");
    }
}

fn one(fields: &mut Fields<'_>, path: JobPath, after: usize, reading: &mut Reading<'_>) -> Service {
    reading.jobs += 1;
    let image = job::image(fields, "a service", reading);
    let program = job::program(fields, reading);
    let environments = environments::read(fields, reading);
    let resources = resources::read(fields, reading);
    let shell = shell::read(fields, &program, reading);
    let ready = ready(fields, reading);
    secrets::read(fields, &path, reading);
    let job = JobPlan {
        name: path.job,
        image,
        program,
        environments,
        resources,
        timeout: None,
        outputs: Vec::new(),
        subscriptions: Vec::new(),
        inputs: Vec::new(),
        auto_inputs: Vec::new(),
        allow_failure: false,
        retry: None,
        strict: false,
        shell,
        kubectl: None,
        trigger: None,
        when: None,
        artifacts: Vec::new(),
        reports: Reports::default(),
        downloads: Vec::new(),
    };
    Service { job, ready, after }
}

fn name(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> String {
    let Some(name) = fields.claim("name").and_then(|node| scalar::text(node, "a name", reading)) else {
        if !fields.has("name") {
            let message = "a service needs a `name`: the host name by which jobs reach it";
            reading.findings.error(fields.at(), message);
        }
        return String::new();
    };
    check_name(&name, reading);
    name.text
}

/// A finding if a name is no host name.
fn check_name(name: &Text, reading: &mut Reading<'_>) {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_host = name.text.starts_with(is_edge)
        && name.text.ends_with(is_edge)
        && name.text.len() <= MAX_LENGTH
        && name.text.chars().all(|c| is_edge(c) || c == '-');
    if is_host && !NO_NAMES.contains(&name.text.as_str()) {
        return;
    }
    let near: String = name.text.to_lowercase().chars().map(|c| if is_edge(c) { c } else { '-' }).collect();
    let near = near.trim_matches('-');
    let message = format!("{} is no host name, by which jobs reach a service", quoted(&name.text));
    let hint = if near.is_empty() || is_host || near.len() > MAX_LENGTH {
        format!("1 to {MAX_LENGTH} of `a` to `z`, digits and `-`, such as `db`")
    } else {
        format!("`{near}` would do")
    };
    reading.findings.error(name.at, message).hint(hint);
}

/// A job's keys that mean nothing to a service.
fn refuse_others(fields: &mut Fields<'_>, reading: &mut Reading<'_>) {
    for key in keys::JOB.keys.iter().filter(|key| **key != "type" && !keys::SERVICE.has(key)) {
        let Some(entry) = fields.claim_entry(key).filter(|entry| !is_nothing(entry)) else { continue };
        let message = format!("`{key}` means nothing to a service");
        reading.mistake(entry.key.at, message).hint("remove it");
    }
}

/// Exports of the original have every key, most of them empty.
fn is_nothing(entry: &Entry) -> bool {
    match &entry.value.value {
        Value::Null => true,
        Value::Scalar(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
    }
}

fn ready(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Ready {
    let Some(node) = fields.claim("ready") else { return Ready::default() };
    let Some(mut fields) = Fields::of(node, &keys::READY, reading) else { return Ready::default() };
    let given: Vec<&Entry> = ["tcp", "http", "command"].iter().filter_map(|key| fields.claim_entry(key)).collect();
    let check = given.first().map_or(Check::Started, |entry| check_of(entry, reading));
    match given.as_slice() {
        [_] => {}
        [] => {
            let message = "`ready` needs `tcp`, `http` or `command`: what is tried until it goes well";
            reading.findings.error(node.at, message).hint("without `ready` a service is ready when it has started");
        }
        [_, others @ ..] => others.iter().for_each(|other| {
            let message = "`tcp`, `http` and `command` exclude each other";
            reading.findings.error(other.key.at, message).hint("let one `command` look for all of it");
        }),
    }
    let within = within(&mut fields, reading);
    fields.close(reading);
    Ready { check, within }
}

fn within(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Duration {
    let text = fields.claim("within").and_then(|node| scalar::text(node, "`within`", reading));
    let Some(span) = text.as_ref().and_then(|text| duration::span(text, "`within`", reading)) else {
        return Ready::WITHIN;
    };
    if let Some(text) = text.filter(|_| span > MAX_WITHIN) {
        let message = format!("a service is waited for an hour at most; {} is longer", quoted(&text.text));
        reading.findings.error(text.at, message);
    }
    span
}

fn check_of(entry: &Entry, reading: &mut Reading<'_>) -> Check {
    match entry.key.text.as_str() {
        "tcp" => Check::Tcp(tcp(entry, reading)),
        "http" => http(entry, reading),
        _ => match &entry.value.value {
            Value::List(_) => match job::arguments(entry, reading) {
                Program::Command(words) => Check::Command(words),
                Program::Script(_) | Program::Entrypoint => Check::Started,
            },
            Value::Null | Value::Scalar(_) | Value::Map(_) => script(entry, reading),
        },
    }
}

fn script(entry: &Entry, reading: &mut Reading<'_>) -> Check {
    let Some(text) = scalar::text(&entry.value, "`command`", reading) else { return Check::Started };
    if text.text.trim().is_empty() {
        let message = "`command` is empty";
        reading.findings.error(entry.key.at, message).hint("for example `command: pg_isready -q`");
    }
    job::check_length(text.text.len(), entry, reading);
    Check::Script(text.text)
}

fn tcp(entry: &Entry, reading: &mut Reading<'_>) -> u16 {
    let text = scalar::text(&entry.value, "`tcp`", reading);
    let port = text.as_ref().and_then(|text| port(&text.text));
    if let (Some(text), None) = (text, port) {
        let message = format!("{} is no port: 1 to 65535", quoted(&text.text));
        reading.findings.error(text.at, message).hint("write `tcp: 5432`");
    }
    port.unwrap_or(1)
}

fn http(entry: &Entry, reading: &mut Reading<'_>) -> Check {
    let Some(text) = scalar::text(&entry.value, "`http`", reading) else { return Check::Started };
    let (number, path) = text.text.split_once('/').unwrap_or((&text.text, ""));
    let is_path = path.len() < MAX_PATH_BYTES && path.chars().all(|c| c.is_ascii_graphic());
    match port(number).filter(|_| is_path) {
        Some(port) => Check::Http { port, path: format!("/{path}") },
        None => {
            let message = format!("{} is no port and path", quoted(&text.text));
            reading.findings.error(text.at, message).hint("write `http: 8080/healthz`");
            Check::Started
        }
    }
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0 && text.bytes().all(|b| b.is_ascii_digit()))
}
