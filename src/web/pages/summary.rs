//! How a repository does, in a line above its runs; and its badge, to be copied.

use super::{Failure, Place, Route, spark::Spark};
use crate::{
    store::{RepositoryRow, Tx},
    web::statistics::{Ends, Spread, rate, span},
};

/// So many of the newest runs are looked at.
const RUNS: i64 = 100;

pub(super) struct SummaryView {
    pub(super) spark: Spark,
    /// Each a name and a value.
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) statistics_url: String,
    pub(super) badge_path: String,
    /// The ways to write the badge: name and text.
    pub(super) snippets: [(&'static str, String); 3],
}

impl SummaryView {
    pub(super) async fn new(
        tx: &mut Tx,
        row: &RepositoryRow,
        route: &Route,
        public_url: &str,
    ) -> Result<Self, Failure> {
        let runs = tx.newest_figures(row.id, RUNS).await?;
        let mut ends = Ends::default();
        for run in &runs {
            ends.add(&run.label);
        }
        let took = Spread::of(runs.iter().filter(|run| Ends::counts(&run.label)).filter_map(|run| run.took).collect());
        let waited = Spread::of(runs.iter().filter_map(|run| run.waited).collect());
        let mut facts = Vec::new();
        if let Some(words) = ends.rate().map(rate) {
            facts.push(("Success rate", format!("{words} of the last {}", ends.succeeded + ends.failed)));
        }
        facts.extend(took.map(|took| ("Usually takes", span(took.p50))));
        facts.extend(waited.map(|waited| ("Usually waits", span(waited.p50))));
        let at = |place| Route { place, ..route.clone() }.to_string();
        let (page, badge) = (format!("{public_url}{}", at(Place::Runs)), at(Place::Badge));
        let picture = format!("{public_url}{badge}");
        Ok(Self {
            spark: Spark::of(&runs),
            facts,
            statistics_url: at(Place::Statistics),
            snippets: [
                ("Markdown", format!("[![build]({picture})]({page})")),
                ("HTML", format!("<a href=\"{page}\"><img src=\"{picture}\" alt=\"build\"></a>")),
                ("AsciiDoc", format!("image:{picture}[build,link={page}]")),
            ],
            badge_path: badge,
        })
    }
}
