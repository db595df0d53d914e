//! The job level: an image and what is started in it.

use crate::model::{JobPath, JobPlan, Program};

use super::{
    Reading, Shape, artifacts, duration, environments,
    fields::Fields,
    findings::quoted,
    inputs, kubectl, links,
    node::{Entry, Text, Value},
    reports, resources, retry,
    scalar::{self, Toggle},
    secrets, service, shell, trigger, when,
};

/// Linux takes no longer argument than 128 KiB, and a script is one.
const MAX_PROGRAM_BYTES: usize = 100_000;
/// As many as a shell's line has ever needed.
const MAX_ARGUMENTS: usize = 1000;
/// An output's key is a column on a page.
const MAX_OUTPUT_CHARS: usize = 128;
/// The longest list in the original's own files has 31.
const MAX_OUTPUTS: usize = 256;
/// Far longer than any registry, repository, tag and digest.
const MAX_IMAGE_BYTES: usize = 512;

/// The job at `path`.
pub(super) fn read(fields: &mut Fields<'_>, path: JobPath, reading: &mut Reading<'_>) -> JobPlan {
    reading.jobs += 1;
    match kind(fields, reading) {
        Kind::Kubectl => return kubectl::read(fields, path, reading),
        Kind::Trigger => return trigger::read(fields, path, reading),
        Kind::Component => {}
    }
    trigger::refuse_in_others(fields, reading);
    let image = image(fields, "a job", reading);
    service::refuse_in_job(fields, reading);
    kubectl::refuse_in_component(fields, reading);
    let program = program(fields, reading);
    let environments = environments::read(fields, reading);
    let resources = resources::read(fields, reading);
    let timeout = duration::timeout(fields, reading);
    let outputs = outputs(fields, reading);
    let allow_failure = scalar::boolean(fields, "allow-failure", Toggle::Off, reading);
    let retry = retry::read(fields, reading);
    let strict = scalar::boolean(fields, "strict", Toggle::Off, reading);
    let shell = shell::read(fields, &program, reading);
    let when = when::read(fields, (&path.stage, Some(&path.action), Some(&path.job)), reading);
    let name = path.job.clone();
    inputs::read(fields, path.clone(), reading);
    secrets::read(fields, &path, reading);
    let artifacts = artifacts::read(fields, &path, reading);
    let reports = reports::read(fields, reading);
    links::read(fields, path, reading);
    JobPlan {
        name,
        image,
        program,
        environments,
        resources,
        timeout,
        outputs,
        subscriptions: Vec::new(),
        inputs: Vec::new(),
        auto_inputs: Vec::new(),
        allow_failure,
        retry,
        strict,
        shell,
        kubectl: None,
        trigger: None,
        when,
        artifacts,
        reports,
        downloads: Vec::new(),
    }
}

/// The image of `what`.
pub(super) fn image(fields: &mut Fields<'_>, what: &str, reading: &mut Reading<'_>) -> String {
    let image = fields.claim_entry("image");
    let endpoint = fields.claim_entry("endpoint");
    if let (Some(_), Some(endpoint)) = (image, endpoint) {
        reading.findings.error(endpoint.key.at, "`image` and `endpoint` are the same thing: give one of them");
    }
    let given = image.or(endpoint).filter(|entry| !entry.value.is_null());
    ignore_kubectl(fields, given, reading);
    match given.and_then(|entry| scalar::text(&entry.value, "an image", reading)) {
        Some(text) => {
            check_image(&text, reading);
            text.text
        }
        None => {
            if given.is_none() {
                reading.findings.error(fields.at(), format!("{what} needs an `image`"));
            }
            String::new()
        }
    }
}

/// What a job is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Component,
    Kubectl,
    Trigger,
}

/// By its `type`; a component with nothing but a manifest is meant as what applies it.
fn kind(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Kind {
    let has = |key| fields.peek(key).is_some_and(|text| !text.is_empty());
    let implied = match has("image") || has("endpoint") {
        true => Kind::Component,
        false if has("kubectl") => Kind::Kubectl,
        false if fields.has("trigger") => Kind::Trigger,
        false => Kind::Component,
    };
    let Some(text) = fields.claim("type").and_then(|node| scalar::text(node, "`type`", reading)) else {
        return implied;
    };
    match text.text.as_str() {
        "component" => implied,
        "" if reading.shape == Shape::Original => implied,
        "kubectl" => Kind::Kubectl,
        "trigger" => Kind::Trigger,
        "service" => {
            let message = "a service runs beside jobs: this action has none";
            reading.findings.error(text.at, message).hint("make it one of the action's `jobs`, or of its `services`");
            implied
        }
        other => {
            let message =
                format!("a job's `type` is component, kubectl, service or trigger; {} is none of them", quoted(other));
            let hint = reading.findings.did_you_mean(other, ["component", "kubectl", "service", "trigger"]);
            reading.findings.error(text.at, message).maybe_hint(hint);
            implied
        }
    }
}

/// Nearly every job of the original's own files has both; its author meant the component.
fn ignore_kubectl(fields: &mut Fields<'_>, image: Option<&Entry>, reading: &mut Reading<'_>) {
    let empty = fields.peek("kubectl").is_none_or(str::is_empty);
    if (image.is_some() || empty)
        && let Some(entry) = fields.claim_entry("kubectl").filter(|_| !empty)
    {
        let message = "a job with an image is a component: its `kubectl` is ignored";
        reading.findings.warning(entry.key.at, message).hint("remove one of both");
    }
}

fn check_image(image: &Text, reading: &mut Reading<'_>) {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    let text = image.text.as_str();
    if text.is_empty() {
        reading.findings.error(image.at, "the image is empty");
        return;
    }
    if text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= MAX_IMAGE_BYTES
        && text.chars().all(is_good)
    {
        return;
    }
    let finding = reading.findings.error(image.at, format!("{} is no image", quoted(text)));
    if text.contains('$') {
        finding.hint("variables of a flow are written @NAME@");
    } else {
        finding.hint("an image is written registry/repository:tag");
    }
}

/// What is started in it.
pub(super) fn program(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Program {
    let run = fields.claim_entry("run");
    let command = fields.claim_entry("command");
    match (run, command) {
        (Some(_), Some(command)) => {
            let message = "`run` and `command` exclude each other";
            reading
                .findings
                .error(command.key.at, message)
                .hint("`run` is a shell's text, `command` a program and its arguments");
            Program::Entrypoint
        }
        (Some(run), None) => script(run, reading),
        (None, Some(command)) => arguments(command, reading),
        (None, None) => Program::Entrypoint,
    }
}

fn script(entry: &Entry, reading: &mut Reading<'_>) -> Program {
    if matches!(entry.value.value, Value::List(_)) {
        let message = "`run` is one text; this is a list";
        reading.findings.error(entry.value.at, message).hint("write `run: |`, and the lines below it");
        return Program::Entrypoint;
    }
    let Some(text) = scalar::text(&entry.value, "`run`", reading) else { return Program::Entrypoint };
    if text.text.trim().is_empty() {
        let message = "`run` is empty";
        reading.findings.error(entry.key.at, message).hint("without `run` the image's own entrypoint is started");
    }
    check_length(text.text.len(), entry, reading);
    Program::Script(text.text)
}

/// A program and its arguments.
pub(super) fn arguments(entry: &Entry, reading: &mut Reading<'_>) -> Program {
    let Value::List(items) = &entry.value.value else {
        let message = format!("`command` is a list of texts; this is {}", entry.value.describe());
        reading.findings.error(entry.value.at, message).hint("write [program, argument, …], or use `run` for a shell");
        return Program::Entrypoint;
    };
    let arguments: Vec<String> =
        items.iter().filter_map(|item| scalar::text(item, "an argument", reading)).map(|text| text.text).collect();
    if arguments.len() > MAX_ARGUMENTS {
        reading.findings.error(entry.key.at, format!("`command` has more than {MAX_ARGUMENTS} arguments"));
    }
    if arguments.first().is_none_or(String::is_empty) {
        reading.findings.error(entry.key.at, "`command` names no program");
    }
    check_length(arguments.iter().map(String::len).sum(), entry, reading);
    Program::Command(arguments)
}

/// A finding if a program's text is too long.
pub(super) fn check_length(length: usize, entry: &Entry, reading: &mut Reading<'_>) {
    if length > MAX_PROGRAM_BYTES {
        let message = format!("`{}` has {length} bytes; {MAX_PROGRAM_BYTES} are the most", entry.key.text);
        reading.findings.error(entry.key.at, message).hint("put the script in a file of the repository");
    }
}

fn outputs(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Vec<String> {
    let Some(node) = fields.claim("outputs") else { return Vec::new() };
    let mut outputs: Vec<String> = Vec::new();
    let texts = scalar::texts(node, "an output", reading);
    if texts.len() > MAX_OUTPUTS {
        reading.findings.error(node.at, format!("more than {MAX_OUTPUTS} outputs"));
    }
    for output in texts.into_iter().take(MAX_OUTPUTS) {
        let text = output.text.trim();
        if text.is_empty() && reading.shape == Shape::Original {
            reading.findings.warning(output.at, "an empty item is not an output").hint("remove this `-`");
            continue;
        }
        let is_good = |c: char| !c.is_control() && !matches!(c, '=' | '[' | ']');
        if text.is_empty() || text.chars().count() > MAX_OUTPUT_CHARS || !text.chars().all(is_good) {
            let message = format!("{} is no output's name", quoted(text));
            reading.findings.error(output.at, message).hint("for example VERSION, printed as `[COUT] VERSION=1.2`");
        } else if outputs.iter().any(|other| other == text) {
            reading.findings.warning(output.at, format!("output {} is named twice", quoted(text)));
        } else {
            outputs.push(text.to_owned());
        }
    }
    outputs
}
