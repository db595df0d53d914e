//! A restore drill: a backup while a run is under way, another machine that has nothing, and the run goes on there.

use std::{
    path::Path,
    process::{Command, Output},
};

use containerops::store::{Store, TABLES};
use reqwest::StatusCode;

use crate::harness::{app::Tester, database::Database};

const FLOW: &str = "stages:
  - {name: build, image: i:1, run: make, artifacts: [{name: bin, paths: [out/**]}]}
  - {name: test, image: i:1, run: make test, artifacts: {from: build, to: got}}
";
const LOG: &str = "/github/acme/widget/runs/1/build/build/build/log.txt";

/// `containerops` on a server's data, as its operator calls it.
fn containerops((data, database): (&Path, &str), words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_containerops"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CONTAINEROPS_") {
            command.env_remove(name);
        }
    }
    command.env("CONTAINEROPS_DATA", data).env("CONTAINEROPS_DATABASE_URL", database);
    command.args(words).current_dir(data).output().expect("it starts")
}

fn out(done: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(done.status.code(), Some(0), "{}{}", text(&done.stdout), text(&done.stderr));
    text(&done.stdout)
}

fn err(done: &Output) -> String {
    assert_eq!(done.status.code(), Some(1));
    String::from_utf8_lossy(&done.stderr).into_owned()
}

fn digest(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("digest ")).expect("a digest")
}

/// Empties a PostgreSQL's database.
const EMPTY: &str = "DO $$ DECLARE t text; BEGIN SET LOCAL session_replication_role = replica; \
     FOR t IN SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_sqlx_migrations' \
     LOOP EXECUTE 'DELETE FROM ' || t; END LOOP; END $$";

impl Tester {
    async fn loses_everything(&self) {
        if self.database().is_shared() {
            self.database().forsaken().await;
            self.database().sql(EMPTY).await;
        }
        for name in ["containerops.db", "containerops.db-wal", "containerops.db-shm", "blobs", "mirrors"] {
            let at = self.data().join(name);
            let _ = std::fs::remove_file(&at).or_else(|_| std::fs::remove_dir_all(&at));
        }
    }
}

#[tokio::test]
async fn a_run_that_is_under_way_goes_on_after_a_restore_elsewhere() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    let build = t.claims("build").await.says("built\n").await;
    build.leaves("bin", "out/tool", "0123456789").await.exits(0).await;
    let test = t.claims("test").await.says("half of ").await;

    let (backup, elsewhere) = (t.data().join("backup"), tempfile::tempdir().expect("a folder"));
    let (path, file) = (backup.display().to_string(), format!("sqlite:{}", elsewhere.path().join("db").display()));
    let (here, there) = ((t.data(), t.database().url.as_str()), (elsewhere.path(), file.as_str()));
    let made = out(&containerops(here, &["backup", &path]));
    assert!(err(&containerops(here, &["backup", &path])).contains("is not empty"));
    let checked = out(&containerops(there, &["restore", &path, "--check"]));
    assert_eq!(digest(&checked), digest(&made));
    assert!(!elsewhere.path().join("db").exists(), "a check changes nothing");
    assert!(err(&containerops(here, &["restore", &path])).contains("has something in it already"));

    // from whichever database it was into a file, and equal
    std::fs::copy(t.data().join("secret-key"), elsewhere.path().join("secret-key")).expect("the key goes another way");
    let restored = out(&containerops(there, &["restore", &path]));
    assert_eq!(digest(&restored), digest(&made));
    let again = elsewhere.path().join("again").display().to_string();
    let copied = out(&containerops(there, &["backup", &again]));
    assert_eq!(digest(&copied), digest(&made), "rows and blobs are equal");

    // the first server loses all it has but its key, and gets it back from there
    t.loses_everything().await;
    let back = out(&containerops(here, &["restore", &again]));
    assert_eq!(digest(&back), digest(&made));
    t.restart().await;
    test.says("a line\n").await.exits(0).await;
    let log = t.http.get(format!("{}{LOG}", t.url())).send().await.expect("an answer");
    assert_eq!((log.status(), log.text().await.expect("text")), (StatusCode::OK, "built\n".to_owned()));
    let sha = t.newest_run().await.sha;
    assert!(t.checks(&sha).contains("success containerops/ci/push"), "{}", t.checks(&sha));
}

#[tokio::test]
async fn every_table_is_in_a_backup_after_those_that_it_names() {
    let data = tempfile::tempdir().expect("a folder");
    let database = Database::of(data.path()).await;
    let store = Store::open(&database.url).await.expect("a database");
    let mut tx = store.read().await.expect("it is there");
    let mut known: Vec<&str> = TABLES.iter().map(|(table, _)| *table).collect();
    for table in tx.tables().await.expect("tables") {
        assert!(known.contains(&table.as_str()), "{table} is in no backup: add it to TABLES");
        for other in tx.named_by(&table).await.expect("keys") {
            let at = |name: &str| known.iter().position(|known| *known == name).expect("a table");
            assert!(at(&other) <= at(&table), "{table} names rows of {other}");
        }
    }
    known.sort_unstable();
    assert_eq!(known.len(), tx.tables().await.expect("tables").len());
}

#[tokio::test]
async fn a_backup_that_is_damaged_or_unfinished_is_refused_before_anything_changes() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.push("main", FLOW).await;
    let path = t.data().join("backup");
    let text = path.display().to_string();
    out(&containerops((t.data(), &t.database().url), &["backup", &text]));
    let elsewhere = tempfile::tempdir().expect("a folder");
    let file = format!("sqlite:{}", elsewhere.path().join("db").display());
    let refused = || err(&containerops((elsewhere.path(), &file), &["restore", &text]));

    let table = path.join("tables/runs.jsonl.zst");
    let good = std::fs::read(&table).expect("there");
    std::fs::write(&table, zstd::bulk::compress(b"{}\n", 1).expect("packed")).expect("written");
    assert!(refused().contains("table runs of the backup is damaged"));
    std::fs::write(&table, &good[..good.len() / 2]).expect("written");
    assert!(refused().contains("damaged"));
    std::fs::write(&table, good).expect("written");
    let list = path.join("backup.json");
    let manifest = std::fs::read_to_string(&list).expect("there");
    std::fs::write(&list, manifest.replace("\"schema\": ", "\"schema\": 9")).expect("written");
    assert!(refused().contains("of a newer release"));
    std::fs::remove_file(&list).expect("there");
    assert!(refused().contains("never finished"));
    assert!(!elsewhere.path().join("db").exists());
}
