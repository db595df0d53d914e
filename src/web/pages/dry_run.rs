//! What a delivery would do now, and whether that is what it did.

use askama::Template;
use axum::{extract::State, response::Response};

use super::{Chrome, Failure, Mark, Place, Route, RunPlace, render, run::DiagnosticView};
use crate::{
    engine::dry_run::{DryRun, FlowDraft, Would},
    flow,
    store::RunDigest,
    web::{
        Web,
        access::{Maintain, OfDelivery},
        delivery,
        log::ansi,
    },
};

#[derive(Template)]
#[template(path = "dry_run.html")]
struct DryRunPage {
    chrome: Chrome,
    id: String,
    title: String,
    /// Why nothing would run.
    reason: String,
    flows: Vec<FlowView>,
    /// Path and reason.
    unasked: Vec<(String, String)>,
    repeated: Vec<RunView>,
    no_longer: Vec<RunView>,
}

struct FlowView {
    path: String,
    flow: String,
    would: String,
    digest: String,
    /// How the digest is to that of the run that was started, and which run that is.
    then: Option<(&'static str, RunView)>,
    diagnostics: Vec<DiagnosticView>,
    /// As HTML.
    full_form: String,
}

struct RunView {
    name: String,
    url: String,
}

/// `POST /deliveries/{id}/dry-run`.
pub(super) async fn page(
    OfDelivery { id, .. }: OfDelivery<Maintain>,
    State(web): State<Web>,
) -> Result<Response, Failure> {
    let dry_run = delivery::dry_run(&web, id).await?;
    let title = words(&dry_run.would).to_owned();
    let chrome = Chrome::new(&web, format!("Dry run: {title}"), &Mark::none());
    render(&DryRunPage::new(chrome, id.to_string(), title, dry_run))
}

const fn words(would: &Would) -> &'static str {
    match would {
        Would::Run { .. } => "it would start runs",
        Would::Rerun { .. } => "it would repeat runs",
        Would::Nothing { .. } => "it would start nothing",
        Would::Unreadable { .. } => "it cannot be read",
        Would::Wait { .. } => "it would wait and be tried again",
    }
}

impl DryRunPage {
    fn new(chrome: Chrome, id: String, title: String, dry_run: DryRun) -> Self {
        let no_longer = dry_run.no_longer.iter().map(RunView::from).collect();
        let (reason, flows, unasked) = (String::new(), Vec::new(), Vec::new());
        let page = Self { chrome, id, title, reason, flows, unasked, repeated: Vec::new(), no_longer };
        match dry_run.would {
            Would::Run { flows, unasked, .. } => Self {
                flows: flows.iter().map(FlowView::from).collect(),
                unasked: unasked.into_iter().map(|file| (file.path, file.reason)).collect(),
                ..page
            },
            Would::Rerun { runs } => Self { repeated: runs.iter().map(RunView::from).collect(), ..page },
            Would::Nothing { reason } | Would::Unreadable { reason } | Would::Wait { trouble: reason } => {
                Self { reason, ..page }
            }
        }
    }
}

impl From<&FlowDraft> for FlowView {
    fn from(draft: &FlowDraft) -> Self {
        let would = match draft.state.conclusion() {
            None => "would run".to_owned(),
            Some(conclusion) => format!("would end at once as {conclusion}: {}", draft.reason),
        };
        let then = draft.started.as_ref().zip(draft.is_as_started());
        let compared = |same| if same { "the same as that of" } else { "another than that of" };
        Self {
            path: draft.path.clone(),
            flow: draft.flow.clone(),
            would,
            digest: draft.digest.to_string(),
            then: then.map(|(run, same)| (compared(same), RunView::from(run))),
            diagnostics: draft.diagnostics.iter().map(DiagnosticView::from).collect(),
            full_form: draft
                .plan
                .as_ref()
                .map(|plan| ansi::block(&flow::full_form_with(plan, &draft.wants)))
                .unwrap_or_default(),
        }
    }
}

impl From<&RunDigest> for RunView {
    fn from(run: &RunDigest) -> Self {
        let place = Place::Run(run.number.cast_unsigned(), RunPlace::Page);
        let route = Route { forge: run.forge, repository: run.name.clone(), place };
        Self { name: format!("{} {} #{}", run.name, run.flow, run.number), url: route.to_string() }
    }
}
