//! How often a page asks the database: however many jobs a run has, no more often.

use reqwest::StatusCode;

use super::run::{ended, flow};
use crate::harness::{database::Database, service::Service};
use containerops::model::Verdict;

/// What a request for a run that is not there asks, and every page of a run first.
const FINDS: &str = "repository_id = $1 AND number = $2";
const NOWHERE: &str = "/github/acme/widget/runs/999999";

/// How many statements the service needs for a path; what its loops ask meanwhile is counted, too.
async fn asked(service: &mut Service, path: &str) -> usize {
    service.status(NOWHERE).await;
    assert_eq!(service.status(path).await, StatusCode::OK, "{path}");
    service.status(NOWHERE).await;
    let finds = if path.starts_with("/api") { 2 } else { 3 };
    let (mut found, mut statements) = (0, 0);
    while found < finds {
        let line = service.logs().await;
        found += usize::from(line.contains(FINDS));
        statements += usize::from(line.contains("sqlx::query"));
    }
    statements
}

#[tokio::test]
async fn a_run_of_many_jobs_asks_the_database_no_more_often_than_a_run_of_few() {
    let success = |_: usize| Verdict::Success { warning: None };
    let mut all = Vec::new();
    for of in [flow(1, 2), flow(10, 30)] {
        let t = ended(&of, success).await;
        let run = t.newest_run().await.id;
        // what loops would still do to it is done
        t.damage("DELETE FROM reports").await;
        t.damage(r#"UPDATE attempts SET phase = 'removed', state = '{"state":"removed"}'"#).await;
        let data = tempfile::tempdir().expect("a folder");
        for file in std::fs::read_dir(t.data()).expect("a folder").filter_map(Result::ok) {
            if file.path().is_file() {
                std::fs::copy(file.path(), data.path().join(file.file_name())).expect("a copy");
            }
        }
        t.read_writes();
        // in nobody's hands until the next one has it
        let database = Database::of(t.data()).await;
        drop(t);
        let mut log =
            vec![("RUST_LOG", "info,sqlx::query=debug".to_owned()), ("CONTAINEROPS_ACCESS", "open".to_owned())];
        if database.is_shared() {
            log.push(("CONTAINEROPS_DATABASE_URL", database.url.clone()));
        }
        let mut service = Service::start_with(data.path(), &log).await;
        let mut counts = Vec::new();
        let page = "/github/acme/widget/runs/1";
        for path in
            [page.to_owned(), format!("{page}?view=table"), format!("{page}/timeline"), format!("/api/v1/runs/{run}")]
        {
            // what loops ask meanwhile differs: the least is nearest to the page's own
            let mut least = usize::MAX;
            for _ in 0..3 {
                least = least.min(asked(&mut service, &path).await);
            }
            counts.push((least, path));
        }
        all.push(counts);
    }
    for ((few, path), (many, _)) in all[0].iter().zip(&all[1]) {
        assert!(*many <= few + 20, "{path}: {few} statements of two jobs, {many} of three hundred");
        assert!(*many <= 100, "{path}: {many} statements");
    }
}
