//! One run: its head, what is wrong with its file, and its stages. Its rows are read by as many statements as a run of
//! one job needs; all views are made of them without another.

mod diagnostic;
mod gathered;
mod head;
mod job;
mod picture;
mod stages;
mod table;
mod values;

use askama::Template;
use axum::{http::Uri, response::Response};
use serde::Deserialize;

use super::{
    Chrome, Failure, JobPlace, Place, Route, find_run, query, render,
    timeline::{Extent, TimelineView},
};
use crate::{
    model::{JobPath, Time},
    store::RunRow,
    web::{Web, access::Granted, links},
};

pub(super) use diagnostic::DiagnosticView;
use gathered::Gathered;
use head::Head;
pub(super) use picture::alone as picture;
use stages::{Part, StageView};
use table::RowView;
use values::{ImagesView, ValuesView};

/// The picture of more stages is a page of its own: this one would grow with each of them.
const DRAWN: usize = 60;

#[derive(Template)]
#[template(path = "run.html", whitespace = "minimize")]
struct RunPage {
    chrome: Chrome,
    head: Head,
    diagnostics: Vec<DiagnosticView>,
    as_table: bool,
    /// As SVG; empty in a table, and of very many stages.
    picture: String,
    stages: Vec<StageView>,
    timeline: TimelineView,
    /// Empty but in a table.
    rows: Vec<RowView>,
    values: ValuesView,
    images: Option<ImagesView>,
}

/// How the run is shown: `?view=table`.
#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    view: View,
}

#[derive(Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum View {
    #[default]
    Picture,
    Table,
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
pub(super) async fn page(web: &Web, of: &Granted, route: &Route, number: u64, uri: &Uri) -> Result<Response, Failure> {
    let as_table = query::<Asked>(uri)?.view == View::Table;
    let mut tx = web.engine.store.read().await?;
    let (repository, run) = find_run(&mut tx, route, number).await?;
    let now = web.engine.clock.now();
    let head = Head::read(web, of, route, &mut tx, (&repository, &run), now).await?;
    let rows = Gathered::read(web, of, &mut tx, &run).await?;
    let timeline = TimelineView::read(&mut tx, route, &run, now, Extent::Some).await?;
    drop(tx);
    let making = Making { of, route, run: &run, rows, now };
    let title = format!("{}: {} #{} of {}", head.mark.word, run.flow, run.number, repository.name);
    let mut stages: Vec<_> = run.plan.iter().flat_map(|plan| making.stages(plan)).collect();
    if stages.len() > DRAWN {
        // where there is but one action, it can be run again itself
        stages.iter_mut().for_each(|stage| stage.again &= !stage.is_one());
    }
    let links = run.plan.as_ref().map(|plan| links::all(plan, &making.rows.written)).unwrap_or_default();
    render(&RunPage {
        picture: match &run.plan.0 {
            Some(plan) if !as_table && plan.stages.len() <= DRAWN => picture::in_page(&making, plan, &stages)?,
            Some(_) | None => String::new(),
        },
        rows: if as_table { table::rows(&stages, &run.pins) } else { Vec::new() },
        values: ValuesView::new(&links, as_table),
        images: run.plan.as_ref().and_then(|plan| ImagesView::new(plan, &run.pins)),
        as_table,
        chrome: Chrome::new(web, title, &head.mark).live(head.ended),
        head,
        diagnostics: run.diagnostics.iter().map(DiagnosticView::from).collect(),
        stages,
        timeline,
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
