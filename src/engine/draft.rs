//! What an event makes of a commit's flow files. Pure: same files, event and circumstances, same runs.

use crate::{
    executor::{Executor, Unable},
    flow::{self, Circumstances, Decision, Given},
    forge::FlowFile,
    model::{Admission, Conclusion, Diagnostic, Event, EventKind, FlowFrom, Plan, RunState, Severity, Wants},
};

/// More names of flows than this help nobody who has mistaken one.
const MOST_NAMES: usize = 100;

/// What an event makes of a commit's flow files: at least one run.
pub(super) struct Drafts {
    pub(super) runs: Vec<Drafted>,
    /// The files that do not know this kind of event, and why.
    pub(super) unasked: Vec<Unasked>,
}

/// A run to be made of one flow file.
pub(super) struct Drafted {
    pub(super) path: String,
    pub(super) flow: String,
    pub(super) plan: Option<Plan>,
    /// The secrets that its jobs ask for.
    pub(super) wants: Wants,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) state: RunState,
    pub(super) reason: String,
    /// If the code is untrusted.
    pub(super) vet: Option<Box<Vet>>,
}

/// What a run of untrusted code is made of, and whether it waits.
pub(super) struct Vet {
    pub(super) admission: Admission,
    /// Whose flow file it is.
    pub(super) flow: FlowFrom,
    /// That file's digest.
    pub(super) digest: String,
    /// The flow file of the base branch, and that of the pull request, to be shown.
    pub(super) base: Option<String>,
    pub(super) head: Option<String>,
}

/// A flow file that does not know an event's kind.
#[derive(Debug, Clone)]
pub struct Unasked {
    /// The file's path.
    pub path: String,
    /// What its `on` does not name.
    pub reason: String,
}

/// Runs, or why there are none.
pub(super) enum Draft {
    Runs(Drafts),
    Nothing(String),
}

pub(super) fn draft_all(
    files: Vec<FlowFile>,
    event: &Event,
    circumstances: &Circumstances,
    given: &Given,
    executor: &dyn Executor,
) -> Draft {
    let mut runs: Vec<Drafted> = Vec::new();
    let mut unasked = Vec::new();
    for file in files {
        match draft_one(&file, event, circumstances, given, executor) {
            Ok(draft) => runs.push(unique(draft, &runs)),
            Err(reason) => unasked.push(Unasked { path: file.path, reason }),
        }
    }
    if runs.is_empty() {
        let reasons: Vec<String> = unasked.iter().map(|file| format!("{}: {}", file.path, file.reason)).collect();
        return Draft::Nothing(reasons.join("; "));
    }
    Draft::Runs(Drafts { runs, unasked })
}

/// The file of the flow with this name, or why there is none.
pub(super) fn of_this_name(files: Vec<FlowFile>, event: &Event, flow: &str) -> Result<Vec<FlowFile>, String> {
    let name = |file: &FlowFile| match flow::read(&file.path, &event.repository.name, &file.content) {
        Ok(flow) => flow.name().to_owned(),
        Err(_) => flow::name_of(&file.path),
    };
    let named: Vec<(String, FlowFile)> = files.into_iter().map(|file| (name(&file), file)).collect();
    let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).take(MOST_NAMES).collect();
    if !names.contains(&flow) {
        let known =
            if names.is_empty() { "there is none".to_owned() } else { format!("there are {}", names.join(", ")) };
        return Err(format!("commit {} has no flow {flow}: {known}", event.sha.short()));
    }
    Ok(named.into_iter().filter(|(name, _)| name == flow).map(|(_, file)| file).collect())
}

/// A start makes runs only of what can run: what is wrong with a file was told when it was pushed.
pub(super) fn draft_started(
    files: Vec<FlowFile>,
    event: &Event,
    circumstances: &Circumstances,
    executor: &dyn Executor,
) -> Drafts {
    let (mut runs, mut unasked): (Vec<Drafted>, _) = (Vec::new(), Vec::new());
    for file in files {
        match draft_one(&file, event, circumstances, &Given::default(), executor) {
            Ok(draft) if draft.plan.is_none() => unasked.push(Unasked { path: file.path, reason: draft.reason }),
            Ok(draft) => runs.push(unique(draft, &runs)),
            Err(reason) => unasked.push(Unasked { path: file.path, reason }),
        }
    }
    Drafts { runs, unasked }
}

/// Err: the file does not know this kind of event, so there is nothing to show anywhere.
pub(super) fn draft_one(
    file: &FlowFile,
    event: &Event,
    circumstances: &Circumstances,
    given: &Given,
    executor: &dyn Executor,
) -> Result<Drafted, String> {
    let mut flow = match flow::read_given(&file.path, &event.repository.name, &file.content, given) {
        Ok(flow) => flow,
        Err(diagnostics) => return Ok(broken(file, diagnostics, circumstances)),
    };
    if let EventKind::Manual { inputs, .. } = &event.kind
        && !inputs.is_empty()
        && flow.refuses(inputs).is_none()
    {
        let given = Given { inputs: inputs.clone(), ..given.clone() };
        let read = flow::read_given(&file.path, &event.repository.name, &file.content, &given);
        flow = read.map_err(|wrong| {
            let first = wrong.first().map_or_else(String::new, |first| format!(": {}", first.message));
            format!("with these inputs the file is wrong{first}")
        })?;
    }
    let draft = |plan, state, reason| Drafted {
        path: file.path.clone(),
        flow: flow.name().to_owned(),
        plan,
        wants: flow.wants().clone(),
        diagnostics: flow.warnings().iter().cloned().chain(flow.note(event, circumstances)).collect(),
        state,
        reason,
        vet: None,
    };
    match flow.plan_in(event, circumstances) {
        Decision::Run(plan) => match unable(executor, &plan, event) {
            unable if unable.is_empty() => Ok(draft(Some(apart(plan, event)), RunState::Queued, String::new())),
            unable => Ok(refused(draft(None, RunState::Ended(Conclusion::Failure), String::new()), executor, &unable)),
        },
        Decision::Broken(diagnostic) => {
            let mut diagnostics = flow.warnings().to_vec();
            diagnostics.push(diagnostic);
            Ok(broken(file, diagnostics, circumstances))
        }
        Decision::LeftOut { reason } => Ok(draft(None, RunState::Ended(Conclusion::Skipped), reason)),
        Decision::Unasked { reason } => Err(reason),
    }
}

/// What an executor cannot do, with this plan or with such code.
fn unable(executor: &dyn Executor, plan: &Plan, event: &Event) -> Vec<Unable> {
    let mut all = executor.unable(plan);
    if event.trusted().is_none() {
        all.extend(executor.unable_to_isolate());
    }
    all
}

/// No flow file that comes with untrusted code has its runs stand in the way of others, or end them: a group of its
/// making is one of its own.
fn apart(mut plan: Plan, event: &Event) -> Plan {
    if let (None, Some(concurrency)) = (event.trusted(), &mut plan.concurrency) {
        concurrency.group = flow::shortened(&format!("untrusted {}: {}", event.line(), concurrency.group));
    }
    plan
}

fn broken(file: &FlowFile, diagnostics: Vec<Diagnostic>, circumstances: &Circumstances) -> Drafted {
    let errors = diagnostics.iter().filter(|diagnostic| super::tell::is_error(diagnostic)).count();
    Drafted {
        path: file.path.clone(),
        flow: flow::name_of(&file.path),
        plan: None,
        wants: Wants::default(),
        diagnostics,
        state: RunState::Ended(if circumstances.skip.is_some() { Conclusion::Skipped } else { Conclusion::Failure }),
        reason: match &circumstances.skip {
            Some(reason) => reason.clone(),
            None => format!("the flow file has {errors} error{}", if errors == 1 { "" } else { "s" }),
        },
        vet: None,
    }
}

/// A run that this server's executor cannot do ends before it begins.
fn refused(draft: Drafted, executor: &dyn Executor, unable: &[Unable]) -> Drafted {
    let diagnostic = |unable: &Unable| Diagnostic {
        severity: Severity::Error,
        message: unable.message.clone(),
        line: 1,
        column: 1,
        length: 0,
        source: String::new(),
        hint: Some(unable.hint.to_owned()),
    };
    let more = match unable.len() {
        0 | 1 => String::new(),
        all => format!(" (and {} more)", all - 1),
    };
    let first = unable.first().map_or("", |unable| &unable.message);
    Drafted {
        diagnostics: unable.iter().map(diagnostic).chain(draft.diagnostics).collect(),
        reason: format!("the {} executor cannot do this: {first}{more}", executor.kind().as_str()),
        ..draft
    }
}

/// Two files of one commit may not speak under one name: the later one is broken by that.
fn unique(draft: Drafted, earlier: &[Drafted]) -> Drafted {
    let Some(other) = earlier.iter().find(|other| other.flow == draft.flow) else { return draft };
    let message = format!("the flow's name `{}` is taken by {}", draft.flow, other.path);
    let name = draft.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".yml");
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        message: message.clone(),
        line: 1,
        column: 1,
        length: 0,
        source: String::new(),
        hint: Some("give each flow file a `uri` of its own, or none".to_owned()),
    };
    Drafted {
        flow: format!("{}-{name}", draft.flow),
        plan: None,
        wants: Wants::default(),
        diagnostics: vec![diagnostic],
        state: RunState::Ended(Conclusion::Failure),
        reason: message,
        path: draft.path,
        vet: None,
    }
}
