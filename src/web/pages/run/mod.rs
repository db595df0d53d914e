//! One run: its head, what is wrong with its file, and its stages. Its rows are read by as many statements as a run of
//! one job needs; all views are made of them without another.

mod diagnostic;
mod gathered;
mod head;
mod job;
mod stages;

use askama::Template;
use axum::response::Response;

use super::{Chrome, Failure, JobPlace, Place, Route, find_run, render};
use crate::{
    model::{JobPath, Time},
    store::RunRow,
    web::{Web, access::Granted},
};

pub(super) use diagnostic::DiagnosticView;
use gathered::Gathered;
use head::Head;
use stages::{Part, StageView};

#[derive(Template)]
#[template(path = "run.html", whitespace = "minimize")]
struct RunPage {
    chrome: Chrome,
    head: Head,
    diagnostics: Vec<DiagnosticView>,
    stages: Vec<StageView>,
}

/// Where the views are made: the run's rows, its route, and the present.
struct Making<'a> {
    of: &'a Granted,
    route: &'a Route,
    run: &'a RunRow,
    rows: Gathered,
    now: Time,
}

/// `GET …/runs/{n}`.
pub(super) async fn page(web: &Web, of: &Granted, route: &Route, number: u64) -> Result<Response, Failure> {
    let mut tx = web.engine.store.read().await?;
    let (repository, run) = find_run(&mut tx, route, number).await?;
    let now = web.engine.clock.now();
    let head = Head::read(web, of, route, &mut tx, (&repository, &run), now).await?;
    let rows = Gathered::read(web, of, &mut tx, run.id).await?;
    drop(tx);
    let making = Making { of, route, run: &run, rows, now };
    let title = format!("{}: {} #{} of {}", head.mark.word, run.flow, run.number, repository.name);
    render(&RunPage {
        chrome: Chrome::new(web, title, &head.mark).live(head.ended),
        head,
        diagnostics: run.diagnostics.iter().map(DiagnosticView::from).collect(),
        stages: run.plan.iter().flat_map(|plan| making.stages(plan)).collect(),
    })
}

impl Making<'_> {
    fn artifact_url(&self, path: JobPath, name: &str) -> String {
        let place = Place::Artifact(self.run.number.cast_unsigned(), path, name.to_owned());
        Route { place, ..self.route.clone() }.to_string()
    }

    /// From the run's page on: there are many of them.
    fn job_url(&self, path: &JobPath) -> String {
        let place = Place::Job(self.run.number.cast_unsigned(), path.clone(), JobPlace::Page);
        let url = Route { place, ..self.route.clone() }.to_string();
        let runs = format!("{}/runs/", Route { place: Place::Runs, ..self.route.clone() });
        url.strip_prefix(&runs).map_or(url.clone(), str::to_owned)
    }
}
