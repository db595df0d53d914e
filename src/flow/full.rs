//! A plan written out as a flow file again: nothing hoisted, no default left to find.

use std::time::Duration;

use super::{concurrency, condition};
use crate::model::{
    ActionPlan, Approval, Artifact, Cache, Cell, Check, Checkout, CheckoutOptions, Concurrency, Download, Input,
    JobPath, JobPlan, Kubectl, Plan, Program, Ready, Receiver, Reference, Sequencing, Service, StageKind, StagePlan,
    Trigger, Wait, Wants, When,
};

/// The plan as a flow file that means the same.
pub fn full_form(plan: &Plan) -> String {
    full_form_with(plan, &Wants::default())
}

/// The same, with the secrets that its jobs want.
pub fn full_form_with(plan: &Plan, wants: &Wants) -> String {
    let mut page = Page { text: String::new(), wants };
    page.line(0, &format!("uri: {}", scalar(&plan.uri)));
    page.text(0, "title", &plan.title);
    page.manual_inputs(plan);
    page.concurrency(plan.concurrency.as_ref());
    page.timeout(0, plan.timeout);
    page.receivers(&plan.receivers);
    page.line(0, "stages:");
    for stage in &plan.stages {
        page.stage(stage, plan);
    }
    page.text
}

/// What is written so far.
#[derive(Debug)]
struct Page<'w> {
    text: String,
    wants: &'w Wants,
}

impl Page<'_> {
    fn stage(&mut self, stage: &StagePlan, plan: &Plan) {
        self.line(1, &format!("- name: {}", scalar(&stage.name)));
        self.text(2, "title", &stage.title);
        let needs: Vec<String> =
            stage.needs.iter().filter_map(|&place| plan.stages.get(place)).map(|need| scalar(&need.name)).collect();
        let kind = match stage.kind {
            StageKind::Start => "start",
            StageKind::Normal => "normal",
            StageKind::Pause => "pause",
            StageKind::End => "end",
        };
        self.line(2, &format!("type: {kind}"));
        self.line(2, &format!("needs: [{}]", needs.join(", ")));
        self.when(2, stage.when.as_ref());
        self.approval(stage.approval.as_ref());
        if stage.kind != StageKind::Normal {
            return;
        }
        let sequencing = match stage.sequencing {
            Sequencing::Sequence => "sequence",
            Sequencing::Parallel => "parallel",
        };
        self.line(2, &format!("sequencing: {sequencing}"));
        self.line(2, &format!("fail-fast: {}", stage.fail_fast));
        self.line(2, "actions:");
        stage.actions.iter().for_each(|action| self.action(&stage.name, action));
    }

    fn approval(&mut self, approval: Option<&Approval>) {
        let Some(Approval { by, expires, note }) = approval else { return };
        let by: Vec<String> = by.iter().map(|name| scalar(name)).collect();
        let note = if note.is_empty() { String::new() } else { format!(", note: {}", quote(note)) };
        self.line(2, &format!("approval: {{by: [{}], expires: {}{note}}}", by.join(", "), duration(*expires)));
    }

    /// As they were given, they are what they are by default.
    fn manual_inputs(&mut self, plan: &Plan) {
        if plan.inputs.is_empty() {
            return;
        }
        let pairs: Vec<String> =
            plan.inputs.iter().map(|(name, value)| format!("{}: {}", scalar(name), quote(value))).collect();
        let inputs = pairs.join(", ");
        self.line(0, &format!("on: {{push: , pull_request: , manual: {{inputs: {{{inputs}}}}}}}"));
    }

    fn concurrency(&mut self, concurrency: Option<&Concurrency>) {
        let Some(Concurrency { group, policy, limit }) = concurrency else { return };
        let limit = limit.map_or_else(String::new, |limit| format!(", limit: {limit}"));
        let group = if concurrency::is_name(group) { scalar(group) } else { quote(&condition::literal(group)) };
        self.line(0, &format!("concurrency: {{group: {group}, policy: {}{limit}}}", policy.as_str()));
    }

    fn receivers(&mut self, receivers: &[Receiver]) {
        if !receivers.is_empty() {
            self.line(0, "receivers:");
        }
        for Receiver { way, address, on } in receivers {
            let on: Vec<&str> = on.iter().map(|news| news.as_str()).collect();
            let (way, on) = (way.as_str(), on.join(", "));
            self.line(1, &format!("- {{type: {way}, address: {}, on: [{on}]}}", quote(address)));
        }
    }

    fn action(&mut self, stage: &str, action: &ActionPlan) {
        self.line(3, &format!("- name: {}", scalar(&action.name)));
        self.text(4, "title", &action.title);
        self.when(4, action.when.as_ref());
        self.line(4, &format!("allow-failure: {}", action.allow_failure));
        self.cell(action);
        if !action.caches.is_empty() {
            self.line(4, "cache:");
        }
        for Cache { name, key_files, paths } in &action.caches {
            let list = |texts: &[String]| texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", ");
            let keys = if key_files.is_empty() { String::new() } else { format!(", key-files: [{}]", list(key_files)) };
            self.line(5, &format!("- {{name: {}{keys}, paths: [{}]}}", scalar(name), list(paths)));
        }
        match &action.checkout {
            Checkout::Commit => {}
            Checkout::Nothing => self.line(4, "checkout: false"),
            Checkout::Of(options) => self.checkout(options),
        }
        self.placing(action);
        self.services(action, stage);
        self.line(4, "jobs:");
        for (place, job) in action.jobs.iter().enumerate() {
            self.services_among(action, stage, place);
            self.job(job, action);
            self.secrets(JobPath { stage: stage.to_owned(), action: action.name.clone(), job: job.name.clone() });
        }
        self.services_among(action, stage, action.jobs.len());
    }

    fn placing(&mut self, action: &ActionPlan) {
        if let Some(runtime) = &action.runtime {
            self.line(4, &format!("runtime: {}", scalar(runtime)));
        }
        let labels: Vec<String> =
            action.node.iter().map(|(name, value)| format!("{}: {}", scalar(name), quote(value))).collect();
        if !labels.is_empty() {
            self.line(4, &format!("node: {{{}}}", labels.join(", ")));
        }
    }

    /// Those that start before the first job.
    fn services(&mut self, action: &ActionPlan, stage: &str) {
        let mut first = action.services.iter().filter(|service| service.after == 0).peekable();
        if first.peek().is_some() {
            self.line(4, "services:");
        }
        for service in first {
            self.line(5, &format!("- name: {}", scalar(&service.job.name)));
            self.service(service, action, stage);
        }
    }

    /// Those that start just before the job at this place, unless it is the first.
    fn services_among(&mut self, action: &ActionPlan, stage: &str, place: usize) {
        for service in action.services.iter().filter(|service| service.after == place && place > 0) {
            self.line(5, &format!("- name: {}", scalar(&service.job.name)));
            self.line(6, "type: service");
            self.service(service, action, stage);
        }
    }

    fn service(&mut self, service: &Service, action: &ActionPlan, stage: &str) {
        let Service { job, ready: Ready { check, within }, .. } = service;
        self.line(6, &format!("image: {}", scalar(&job.image)));
        self.program(&job.program);
        self.shell(job);
        self.environments(job);
        self.resources(job);
        self.secrets(JobPath { stage: stage.to_owned(), action: action.name.clone(), job: job.name.clone() });
        let check = match check {
            Check::Started => return,
            Check::Tcp(port) => format!("tcp: {port}"),
            Check::Http { port, path } => format!("http: {}", quote(&format!("{port}{path}"))),
            Check::Script(text) => format!("command: {}", quote(text)),
            Check::Command(words) => {
                let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
                format!("command: [{}]", words.join(", "))
            }
        };
        self.line(6, &format!("ready: {{{check}, within: {}}}", duration(*within)));
    }

    fn checkout(&mut self, options: &CheckoutOptions) {
        let CheckoutOptions { reference, depth, submodules, lfs } = options;
        let reference = match reference {
            Reference::Event => String::new(),
            Reference::Head => "ref: head, ".to_owned(),
            Reference::Named(name) => format!("ref: {}, ", quote(name)),
        };
        let submodules = submodules.as_str();
        self.line(4, &format!("checkout: {{{reference}depth: {depth}, submodules: {submodules}, lfs: {lfs}}}"));
    }

    fn cell(&mut self, action: &ActionPlan) {
        let Some(Cell { of, label }) = &action.cell else { return };
        let values: Vec<String> =
            action.matrix.iter().map(|(name, value)| format!("{}: {}", scalar(name), scalar(value))).collect();
        let values = values.join(", ");
        self.line(4, &format!("cell: {{of: {}, label: {}, values: {{{values}}}}}", scalar(of), scalar(label)));
    }

    fn job(&mut self, job: &JobPlan, action: &ActionPlan) {
        self.line(5, &format!("- name: {}", scalar(&job.name)));
        let beside = || action.services.iter().any(|service| is_of_the_original(&service.job));
        if !job.is_podless() && (is_of_the_original(job) || beside()) {
            self.line(6, "type: component");
        }
        match (&job.kubectl, &job.trigger) {
            (Some(kubectl), _) => self.kubectl(kubectl),
            (None, Some(trigger)) => self.trigger(trigger),
            (None, None) => self.line(6, &format!("image: {}", scalar(&job.image))),
        }
        self.program(&job.program);
        self.shell(job);
        self.environments(job);
        self.resources(job);
        self.timeout(6, job.timeout);
        if !job.outputs.is_empty() {
            let outputs: Vec<String> = job.outputs.iter().map(|output| scalar(output)).collect();
            self.line(6, &format!("outputs: [{}]", outputs.join(", ")));
        }
        if !job.subscriptions.is_empty() {
            self.line(6, "subscriptions:");
        }
        for link in &job.subscriptions {
            let optional = if link.optional { ", optional: true" } else { "" };
            let source = quote(&link.from.to_string());
            self.line(7, &format!("- {{{source}: {}{optional}}}", scalar(&link.variable)));
        }
        self.inputs(job);
        self.artifacts(job);
        self.reports(job);
        self.line(6, &format!("allow-failure: {}", job.allow_failure));
        self.when(6, job.when.as_ref());
        self.retry(job);
        if job.strict {
            self.line(6, "strict: true");
        }
    }

    fn secrets(&mut self, job: JobPath) {
        let wanted: Vec<String> = self
            .wants
            .of(&job)
            .map(|(variable, name)| format!("{}: {}", scalar(variable), quote(name.as_str())))
            .collect();
        if !wanted.is_empty() {
            self.line(6, &format!("secrets: {{{}}}", wanted.join(", ")));
        }
    }

    fn shell(&mut self, job: &JobPlan) {
        if !job.shell.is_empty() {
            let words: Vec<String> = job.shell.iter().map(|word| quote(word)).collect();
            self.line(6, &format!("shell: [{}]", words.join(", ")));
        }
    }

    fn retry(&mut self, job: &JobPlan) {
        let Some(retry) = &job.retry else { return };
        let on: Vec<&str> = retry.on.iter().map(|on| on.as_str()).collect();
        self.line(6, &format!("retry: {{max: {}, on: [{}]}}", retry.max, on.join(", ")));
    }

    fn when(&mut self, depth: usize, when: Option<&When>) {
        if let Some(when) = when {
            self.line(depth, &format!("when: {}", quote(&when.text)));
        }
    }

    fn inputs(&mut self, job: &JobPlan) {
        if !job.inputs.is_empty() || !job.auto_inputs.is_empty() {
            self.line(6, "inputs:");
        }
        for Input { from, to, optional } in &job.inputs {
            let optional = if *optional { ", optional: true" } else { "" };
            let (from, to) = (quote(&from.to_string()), scalar(&to.join(".")));
            self.line(7, &format!("- {{from: {from}, to: {to}{optional}}}"));
        }
        if !job.auto_inputs.is_empty() {
            self.line(7, "- auto");
        }
    }

    fn kubectl(&mut self, kubectl: &Kubectl) {
        self.line(6, "type: kubectl");
        self.line(6, &format!("kubectl: {}", scalar(&kubectl.manifest.to_string())));
        self.line(6, &format!("namespace: {}", scalar(&kubectl.namespace)));
        if let Some(wait) = kubectl.wait {
            self.line(6, &format!("wait: {}", duration(wait)));
        }
        self.line(6, &format!("roll-back: {}", kubectl.roll_back));
    }

    fn trigger(&mut self, trigger: &Trigger) {
        self.line(6, "type: trigger");
        self.line(6, "trigger:");
        self.line(7, &format!("flow: {}", quote(&trigger.to_string())));
        if let Some(branch) = &trigger.branch {
            self.line(7, &format!("branch: {}", quote(branch)));
        }
        if !trigger.inputs.is_empty() {
            let inputs = trigger.inputs.iter().map(|(name, value)| format!("{name}: {}", quote(value)));
            self.line(7, &format!("inputs: {{{}}}", inputs.collect::<Vec<_>>().join(", ")));
        }
        match trigger.wait {
            Wait::Yes => self.line(7, "wait: true"),
            Wait::No => self.line(7, "wait: false"),
            Wait::Within(span) => self.line(7, &format!("wait: {}", duration(span))),
        }
    }

    fn artifacts(&mut self, job: &JobPlan) {
        if !job.artifacts.is_empty() || !job.downloads.is_empty() {
            self.line(6, "artifacts:");
        }
        for Artifact { name, paths, on, keep } in &job.artifacts {
            let paths: Vec<String> = paths.iter().map(|path| quote(path)).collect();
            let keep = keep.map_or_else(String::new, |keep| format!(", keep: {}", duration(keep)));
            let (name, paths, on) = (scalar(name), paths.join(", "), on.as_str());
            self.line(7, &format!("- {{name: {name}, paths: [{paths}], on: {on}{keep}}}"));
        }
        for Download { from, name, to, optional } in &job.downloads {
            let to = if to.is_empty() { String::new() } else { format!(", to: {}", quote(to)) };
            let optional = if *optional { ", optional: true" } else { "" };
            self.line(7, &format!("- {{from: {}, name: {}{to}{optional}}}", quote(&from.to_string()), scalar(name)));
        }
    }

    fn reports(&mut self, job: &JobPlan) {
        if !job.reports.is_empty() {
            let paths: Vec<String> = job.reports.junit.iter().map(|path| quote(path)).collect();
            self.line(6, &format!("reports: {{junit: [{}]}}", paths.join(", ")));
        }
    }

    fn program(&mut self, program: &Program) {
        match program {
            Program::Entrypoint => {}
            Program::Command(arguments) => {
                let arguments: Vec<String> = arguments.iter().map(|argument| quote(argument)).collect();
                self.line(6, &format!("command: [{}]", arguments.join(", ")));
            }
            Program::Script(script) if fits_block(script) => {
                self.line(6, if script.ends_with('\n') { "run: |" } else { "run: |-" });
                for line in script.lines() {
                    self.line(if line.is_empty() { 0 } else { 7 }, line);
                }
            }
            Program::Script(script) => self.line(6, &format!("run: {}", quote(script))),
        }
    }

    fn environments(&mut self, job: &JobPlan) {
        if !job.environments.is_empty() {
            self.line(6, "environments:");
        }
        for (name, value) in &job.environments {
            self.line(7, &format!("{}: {}", scalar(name), scalar(value)));
        }
    }

    fn resources(&mut self, job: &JobPlan) {
        let pair =
            |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name}: {}", scalar(value)));
        let resources = &job.resources;
        let limits: Vec<String> = [pair("cpu", &resources.cpu_limit), pair("memory", &resources.memory_limit)]
            .into_iter()
            .flatten()
            .collect();
        let limits = (!limits.is_empty()).then(|| format!("limits: {{{}}}", limits.join(", ")));
        let all: Vec<String> =
            [pair("cpu", &resources.cpu), pair("memory", &resources.memory), limits].into_iter().flatten().collect();
        if !all.is_empty() {
            self.line(6, &format!("resources: {{{}}}", all.join(", ")));
        }
    }

    fn timeout(&mut self, depth: usize, timeout: Option<Duration>) {
        if let Some(timeout) = timeout {
            self.line(depth, &format!("timeout: {}", duration(timeout)));
        }
    }

    fn text(&mut self, depth: usize, key: &str, text: &str) {
        if !text.is_empty() {
            self.line(depth, &format!("{key}: {}", scalar(text)));
        }
    }

    fn line(&mut self, depth: usize, text: &str) {
        self.text.push_str(&"  ".repeat(depth));
        self.text.push_str(text);
        self.text.push('\n');
    }
}

/// Whether only a file of the original's shape may set its variables.
fn is_of_the_original(job: &JobPlan) -> bool {
    let names = job.environments.keys().chain(job.subscriptions.iter().map(|link| &link.variable));
    names.into_iter().any(|name| name.starts_with("CO_") && name != "CO_DATA")
}

fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86400, "d"), (3600, "h"), (60, "m")];
    let found = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    let (unit, name) = found.unwrap_or((1, "s"));
    format!("{}{name}", seconds / unit)
}

/// A text without quotes where nobody could take it for anything else.
fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | ':' | '@');
    let is_word = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(is_plain)
        && !text.ends_with(':');
    let is_null = text.eq_ignore_ascii_case("null");
    if is_word && !is_null { text.to_owned() } else { quote(text) }
}

/// In double quotes, with an escape for whatever YAML does not take as it is or nobody would see.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_shown(c) => quoted.push(c),
            c => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a block keeps a text as it is: what it cannot show, or would trim, needs quotes.
fn fits_block(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\n' | '\t') || is_shown(c))
        && text.starts_with(|c: char| !c.is_whitespace())
        && !text.ends_with("\n\n")
        && text.lines().all(|line| line.is_empty() || !line.trim().is_empty())
}

fn is_shown(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200b}'..='\u{206f}' | '\u{feff}' | '\u{fffe}'..='\u{ffff}')
}
