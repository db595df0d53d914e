//! Secrets: set on the server, named in a flow file, in one job's environment, and nowhere else.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use containerops::{
    engine::{Vault, add_key, whole::Whole},
    executor::ExecutorKind,
    model::{ForgeKind, Grants, SecretLevel, SecretLimits, SecretName, SecretScope},
    settings::Settings,
    store::{AuditFilter, Store},
};
use insta::assert_snapshot;
use secrecy::SecretString;

use crate::harness::app::{Identity, Tester, WIDGET};

const FLOW: &str = r#"
on: {push: , tag: }
environments: {TOKEN: of the flow, MODE: fast}
stages:
  - name: ship
    image: "acme/deployer:3"
    run: ./ship
    outputs: [URL]
    secrets: {TOKEN: DEPLOY_TOKEN}
"#;
const CANARY: &str = "canary-7f3Xq/+9&\"end";

/// Sets a secret, as the command does.
pub(crate) async fn set(t: &Tester, (level, of): (SecretLevel, &str), name: &str, value: &str, limits: SecretLimits) {
    let scope = SecretScope { forge: ForgeKind::Github, level, name: of.parse().expect("a name") };
    let vault = Vault::open(&t.data().join("secret-key")).expect("the server's key");
    let (name, value) = (name.parse::<SecretName>().expect("a name"), SecretString::from(value));
    let row = vault.seal((&scope, &name), limits, &value, (t.clock.now(), "ada")).expect("it is sealed");
    let mut tx = t.app().engine.store.write().await.expect("the database");
    tx.put_secret(&row).await.expect("it is kept");
    tx.commit().await.expect("it is kept");
}

const OWN: (SecretLevel, &str) = (SecretLevel::Repository, WIDGET);
const OWNERS: (SecretLevel, &str) = (SecretLevel::Owner, "acme");

fn any() -> SecretLimits {
    SecretLimits::default()
}

/// What the job has in `TOKEN` after a push to this branch, or why it does not start.
async fn token(t: &Tester, branch: &str) -> String {
    t.push(branch, FLOW).await;
    let claimed = t.tries_to_claim("ship").await;
    let told = match claimed {
        Ok(agent) => {
            let token = agent.work.environments.get("TOKEN").cloned().unwrap_or_default();
            agent.exits(0).await;
            token
        }
        Err(why) => why,
    };
    t.settle().await;
    t.read_writes();
    told
}

#[tokio::test]
async fn the_nearest_secret_counts_and_is_read_anew_at_each_run() {
    let t = Tester::start().await;
    assert_snapshot!(token(&t, "main").await, @"there is no secret DEPLOY_TOKEN for acme/widget: `containerops secret set DEPLOY_TOKEN --forge github --repo acme/widget` sets it on the server");
    set(&t, OWNERS, "DEPLOY_TOKEN", "the owner's", any()).await;
    assert_eq!(token(&t, "main").await, "the owner's");
    set(&t, OWN, "DEPLOY_TOKEN", "the repository's", any()).await;
    assert_eq!(token(&t, "main").await, "the repository's");
    set(&t, OWN, "DEPLOY_TOKEN", "another one", any()).await;
    let run = t.newest_run().await.id;
    t.runs_again(run).await;
    t.settle().await;
    let agent = t.claims("ship").await;
    assert_eq!(agent.work.environments["TOKEN"], "another one");
    assert_eq!(agent.work.environments["MODE"], "fast");
    agent.claims_again().await;
    agent.exits(0).await;
    t.read_writes();
}

#[tokio::test]
async fn a_secret_that_is_for_others_is_refused_in_words() {
    let t = Tester::start().await;
    let only = |events: &[&str], branches: &[&str], images: &[&str]| {
        let all = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        SecretLimits { events: all(events), branches: all(branches), images: all(images) }
    };
    set(&t, OWNERS, "DEPLOY_TOKEN", "the owner's", any()).await;
    set(&t, OWN, "DEPLOY_TOKEN", "good", only(&["tag"], &[], &[])).await;
    assert_snapshot!(token(&t, "main").await, @"secret DEPLOY_TOKEN of acme/widget on github is only for events tag, and this is push: a `when` keeps the job from other events");
    set(&t, OWN, "DEPLOY_TOKEN", "good", only(&["push"], &["main", "release/*"], &[])).await;
    assert_eq!(token(&t, "release/1").await, "good");
    assert_snapshot!(token(&t, "fix").await, @"secret DEPLOY_TOKEN of acme/widget on github is only for branches main, release/*, and this is on fix: a `when` keeps the job from other branches");
    set(&t, OWN, "DEPLOY_TOKEN", "good", only(&[], &[], &["acme/publisher"])).await;
    assert_snapshot!(token(&t, "main").await, @"secret DEPLOY_TOKEN of acme/widget on github is only for images acme/publisher, and the job's is acme/deployer:3");
    for good in ["acme/deployer", "acme/deployer:3", "acme/*"] {
        set(&t, OWN, "DEPLOY_TOKEN", "good", only(&[], &[], &[good])).await;
        assert_eq!(token(&t, "main").await, "good");
    }
}

#[tokio::test]
async fn what_was_not_granted_is_named_in_the_log_and_its_variable_not_set() {
    let t = Tester::start().await;
    set(&t, OWN, "DEPLOY_TOKEN", "the repository's", any()).await;
    t.push("main", FLOW).await;
    let run = t.newest_run().await.id;
    let mut tx = t.app().engine.store.write().await.expect("the database");
    tx.grant_secrets(run, &Grants::none()).await.expect("a run");
    tx.commit().await.expect("the database");
    let agent = t.claims("ship").await;
    assert_eq!(agent.work.environments["TOKEN"], "of the flow");
    assert!(agent.work.secrets.is_empty());
    assert_snapshot!(agent.work.notes.join("\n"), @"secret DEPLOY_TOKEN is not given, so TOKEN is not set: this run was not granted it");
    agent.exits(0).await;
    t.read_writes();
}

async fn page(t: &Tester, path: &str) -> String {
    let answer = t.http.get(format!("{}{path}", t.url())).send().await.expect("an answer");
    answer.text().await.expect("a text")
}

/// Every byte below a folder.
fn bytes_below(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(bytes_below(&path));
        } else {
            all.extend(fs::read(&path).unwrap_or_default());
        }
    }
    all
}

/// What it looks like in base64 behind a byte, in JSON and in a URL.
fn forms() -> Vec<String> {
    let json = serde_json::to_string(CANARY).expect("JSON");
    let url: String = url::form_urlencoded::byte_serialize(CANARY.as_bytes()).collect();
    vec![CANARY.to_owned(), STANDARD.encode(CANARY), STANDARD.encode(format!("x{CANARY}")), json, url]
}

/// Enough of each form to know it by.
fn is_in(bytes: &[u8]) -> bool {
    let marks = ["canary", "Y2FuYXJ5", "NhbmFyeS", "jYW5hcnkt"];
    marks.iter().any(|mark| bytes.windows(mark.len()).any(|window| window == mark.as_bytes()))
}

#[tokio::test]
async fn a_secret_is_nowhere_but_in_its_jobs_environment_though_its_agent_lets_it_pass() {
    let t = Tester::start().await;
    set(&t, OWN, "DEPLOY_TOKEN", CANARY, any()).await;
    t.push("main", FLOW).await;
    let mut agent = t.claims("ship").await;
    assert_eq!(agent.work.environments["TOKEN"], CANARY);
    assert_eq!(agent.work.secrets, [CANARY]);
    assert!(!is_in(format!("{:?}", agent.work).as_bytes()), "it cannot be printed");
    for form in forms() {
        agent = agent.says(&format!("it is {form}, really\n")).await;
    }
    // over the borders of three chunks
    for part in ["cut: cana", "ry-7f", "3Xq/+9&\"end and on\n"] {
        agent = agent.says(part).await;
    }
    let agent = agent.writes(&[("URL", &format!("https://x/{CANARY}"))]).await.results_in(&format!("no: {CANARY}"));
    let job = agent.work.job;
    agent.exits(3).await;

    let pages =
        [page(&t, "/").await, page(&t, "/github/acme/widget").await, page(&t, "/github/acme/widget/runs/1").await];
    let log = page(&t, "/github/acme/widget/runs/1/ship/ship/ship/log.txt").await;
    assert_snapshot!(log, @r#"
    it is ********************, really
    it is ***************************=, really
    it is e***************************, really
    it is "*********************", really
    it is ****************************, really
    cut: ******************** and on
    "#);
    let shown: String = t.github.writes().iter().map(|write| format!("{write:?}")).collect();
    assert!(shown.contains("ship"), "it is told");
    for text in pages.iter().chain([&log, &shown]) {
        assert!(!is_in(text.as_bytes()), "{text}");
    }
    let mut tx = t.app().engine.store.read().await.expect("the database");
    let row = tx.job(job).await.expect("the database").expect("a job");
    assert_snapshot!(Whole::of(&row), @"complete, 6 lines, 235 bytes; 143 bytes of secrets that the agent had let pass are stars, so that its digest cannot be compared: sha256 a1886fced9fca37a76faf446b9a1ba39e26522487beeb2655c8b2d53eedf4226 is that of what is kept");
    assert_snapshot!(tx.outputs(job).await.expect("outputs")[0].value, @"https://x/***");
    drop(tx);
    let mut below = bytes_below(t.data());
    below.extend(t.database().bytes().await);
    assert!(below.windows(12).any(|window| window == b"DEPLOY_TOKEN"), "the database is among it");
    assert!(!is_in(&below));
}

#[tokio::test]
async fn what_a_job_was_given_stays_hidden_when_it_is_replaced_and_the_server_starts_again() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    set(&t, OWN, "DEPLOY_TOKEN", "the-first-value", any()).await;
    t.push("main", FLOW).await;
    let agent = t.claims("ship").await.says("1 the-first-value\n").await;
    set(&t, OWN, "DEPLOY_TOKEN", "the-second-value", any()).await;
    t.restart().await;
    let agent = agent.says("2 the-first-value\n3 the-second-value\n").await;
    let scope =
        SecretScope { forge: ForgeKind::Github, level: SecretLevel::Repository, name: WIDGET.parse().expect("a name") };
    let name = "DEPLOY_TOKEN".parse().expect("a name");
    t.app().engine.remove_secret(&scope, &name).await.expect("it is removed");
    t.restart().await;
    let agent = agent.says("4 the-first-value\n").await.results_in("the-first-value");
    let run = t.newest_run().await.id;
    agent.exits(1).await;
    t.settle().await;
    let log = page(&t, "/github/acme/widget/runs/1/ship/ship/ship/log.txt").await;
    assert_snapshot!(log, @r"
    1 ***************
    2 ***************
    3 ****************
    4 ***************
    ");
    let page = page(&t, "/github/acme/widget/runs/1").await;
    assert!(!page.contains("the-first-value"), "{page}");

    // it is encrypted meanwhile, and forgotten when nobody speaks of the run any more
    assert!(!bytes_below(t.data()).windows(15).any(|window| window == b"the-first-value"));
    let given =
        async || t.app().engine.store.read().await.expect("the database").given_secrets(run).await.expect("rows").len();
    assert_eq!(given().await, 1);
    t.app().engine.tidy().await.expect("it is tidy");
    assert_eq!(given().await, 1);
    t.clock.advance(std::time::Duration::from_secs(25 * 3600));
    t.app().engine.tidy().await.expect("it is tidy");
    assert_eq!(given().await, 0);
}

/// `containerops secret rotate` beside a server that runs: its exit code, and what it says.
fn rotate(t: &Tester, option: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_containerops"));
    command.args(["secret", "rotate", option]).current_dir(t.data()).env("CONTAINEROPS_DATA", t.data());
    command.env("CONTAINEROPS_DATABASE_URL", &t.database().url);
    let done = command.output().expect("it starts");
    (done.status.code(), String::from_utf8([done.stdout, done.stderr].concat()).expect("text"))
}

#[tokio::test]
async fn keys_change_while_a_run_has_a_secret_and_the_old_one_goes_when_nothing_needs_it() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    set(&t, OWN, "DEPLOY_TOKEN", "the-first-value", any()).await;
    t.push("main", FLOW).await;
    let agent = t.claims("ship").await.says("1 the-first-value\n").await;
    let run = t.newest_run().await.id;
    let (code, said) = rotate(&t, "--new-key");
    assert_eq!((code, said.as_str()), (Some(0), "1 of 1 secrets are encrypted anew by the first of 2 keys\n"));
    let (code, said) = rotate(&t, "--forget-old");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 runs are open"), "{said}");

    let vault = Vault::open(&t.data().join("secret-key")).expect("keys");
    let given = t.app().engine.store.read().await.expect("there").given_secrets(run).await.expect("rows");
    let [given] = &given[..] else { panic!("{given:?}") };
    assert!(vault.seal_again(&given.secret).expect("it opens").is_none(), "what it was given is by the new key");
    t.restart().await;
    agent.says("2 the-first-value\n").await.exits(0).await;
    t.settle().await;
    let log = page(&t, "/github/acme/widget/runs/1/ship/ship/ship/log.txt").await;
    assert_eq!(log, "1 ***************\n2 ***************\n");

    let (code, said) = rotate(&t, "--forget-old");
    assert_eq!((code, said.as_str()), (Some(0), "0 of 1 secrets are encrypted anew by the first of 1 keys\n"));
    t.restart().await;
    assert_eq!(token(&t, "main").await, "the-first-value");
}

#[tokio::test]
async fn a_service_has_its_secrets_as_a_job_has() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    set(&t, OWN, "DB_PASSWORD", CANARY, any()).await;
    let flow = "{stages: [{name: test, services: [{name: db, image: 'postgres:18', secrets: {POSTGRES_PASSWORD: DB_PASSWORD}}], \
                jobs: [{name: try, image: alpine, run: ./try}]}]}";
    t.push("main", flow).await;
    let db = t.claims("test.test.db").await;
    assert_eq!(db.work.environments["POSTGRES_PASSWORD"], CANARY);
    let db = db.says(&format!("password: {CANARY}\n")).await.gets_ready().await;
    let job = t.claims("test.test.try").await;
    assert!(!job.work.environments.values().any(|value| value == CANARY), "it has not asked");
    job.exits(0).await;
    db.stops().await;
    t.settle().await;
    assert!(!is_in(&bytes_below(t.data())));
    let log = page(&t, "/github/acme/widget/runs/1/test/test/db/log.txt").await;
    assert!(log.starts_with("password: ****") && !is_in(log.as_bytes()), "{log}");
}

#[tokio::test]
async fn untrusted_code_gets_what_its_approval_grants_and_nothing_else() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    set(&t, OWN, "DEPLOY_TOKEN", CANARY, any()).await;
    t.commit("main", FLOW.replace("on: {push: , tag: }", "on: pull_request").as_str());
    for (granted, token) in [(Vec::new(), None), (vec!["DEPLOY_TOKEN"], Some(CANARY)), (vec!["OTHER"], None)] {
        let branch = format!("fix-{}", granted.concat());
        let sha = t.github.commit("mallory/widget", &branch, &[(".containerops.yml", b"run: steal"), ("a", b"a")]);
        let number = t.github.open_pull_request(WIDGET, "main", "mallory/widget", &branch);
        t.deliver(t.github.pull_request(WIDGET, number, "opened")).await;
        t.settle().await;
        let run = t.newest_run().await;
        let mut fields = vec![("sha", sha.as_str())];
        fields.extend(granted.iter().map(|name| ("secret", *name)));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let approve = t.http.post(format!("{}/github/{WIDGET}/runs/{}/approve", t.url(), run.number));
        let approve = approve.header("content-type", "application/x-www-form-urlencoded").body(body);
        assert!(approve.send().await.expect("an answer").status().is_success(), "{granted:?}");
        t.settle().await;
        let agent = t.claims("ship").await;
        let seen = agent.work.environments.get("TOKEN").cloned();
        assert_eq!(seen.as_deref().filter(|seen| *seen != "of the flow"), token, "{granted:?}");
        if token.is_some() {
            let agent = agent.says(&format!("::error file=a,line=1::it is {CANARY}\n{CANARY}\n")).await;
            agent.writes(&[("URL", CANARY)]).await.results_in(CANARY).exits(3).await;
        } else {
            agent.exits(0).await;
        }
        t.settle().await;
    }
    nothing_is_kept_or_told(&t, 2).await;
}

/// Neither rows nor files nor anything that was said to the forge has it, though this run's job has said it everywhere.
async fn nothing_is_kept_or_told(t: &Tester, number: i64) {
    let told: String = t.github.writes().iter().map(|write| format!("{write:?}")).collect();
    let repository = t.newest_run().await.repository_id;
    let mut tx = t.app().engine.store.read().await.expect("the database");
    let run = tx.run_numbered(repository, number).await.expect("the database").expect("a run");
    let audit = tx.audit(&AuditFilter { limit: 100, ..AuditFilter::default() }).await.expect("rows");
    let mut kept = format!("{audit:?}");
    assert!(kept.contains("approve"), "{kept}");
    for row in tx.reports(run.repository_id, &run.sha).await.expect("rows") {
        kept += &format!("{row:?}");
    }
    drop(tx);
    let log = page(t, &format!("/github/acme/widget/runs/{number}/ship/ship/ship/log.txt")).await;
    assert!(log.contains("::error file=a,line=1::it is ****"), "{log}");
    for text in [&told, &kept, &log] {
        assert!(!is_in(text.as_bytes()), "{text}");
    }
    assert!(!is_in(&bytes_below(t.data())));
}

#[tokio::test]
async fn an_agent_of_an_older_release_gets_no_secret() {
    let t = Tester::start().await;
    set(&t, OWN, "DEPLOY_TOKEN", CANARY, any()).await;
    t.push("main", FLOW).await;
    let agent = t.claims("ship").await;
    assert_eq!(agent.work.needs(), 3);
    agent.exits(0).await;
    t.read_writes();
}

#[tokio::test]
async fn commands_set_list_rotate_and_remove() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [("CONTAINEROPS_DATA".to_owned(), folder.path().display().to_string())];
    let settings = Settings::read(settings, None).expect("good settings");
    Store::open(&settings.database_url).await.expect("a database").close().await;
    add_key(&settings.secret_key_file).expect("a key");
    let run = |words: &[&str], input: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_containerops"));
        command.arg("secret").args(words).current_dir(folder.path()).env("CONTAINEROPS_DATA", folder.path());
        command
            .env("USER", "ada")
            .env_remove("SUDO_USER")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).ok();
        let done = child.wait_with_output().expect("it ends");
        let code = done.status.code().unwrap_or(-1);
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8(said).expect("text");
        assert!(!said.contains("hunter"), "{said}");
        // times are the machine's
        let plain: Vec<&str> = said.split_whitespace().filter(|word| !word.starts_with("20")).collect();
        format!("{code}: {}\n", plain.join(" "))
    };
    let mut said = String::new();
    said += &run(&["set", "TOKEN", "--repo", "acme/shop"], "hunter22\n");
    said += &run(&["set", "TOKEN", "--repo", "github/acme/shop"], "hunter22\n");
    said += &run(
        &["set", "TOKEN", "--owner", "acme", "--forge", "github", "--event", "push", "--branch", "main"],
        "hunter33",
    );
    said += &run(&["set", "TOKEN", "--repo", "acme/shop", "--forge", "github", "--image", "a/b@sha256:77"], "hunter22");
    said += &run(&["set", "TOKEN", "--repo", "acme/shop", "--forge", "github"], "abc\n");
    said += &run(&["set", "TOKEN", "hunter22", "--repo", "acme/shop"], "");
    said += &run(&["list", "--repo", "acme/shop", "--forge", "github"], "");
    said += &run(&["rotate", "--new-key"], "");
    said += &run(&["rotate"], "");
    said += &run(&["rm", "TOKEN", "--repo", "github/acme/shop"], "");
    said += &run(&["rm", "TOKEN", "--repo", "github/acme/shop"], "");
    said += &run(&["list"], "");
    assert_snapshot!(said, @r"
    1: containerops: no event of acme/shop has come yet, so name its forge: --forge github, gitlab, gitea or git
    0: secret TOKEN of acme/shop on github is set note: no event of acme/shop on github has come yet; is the name spelt as the forge spells it?
    0: secret TOKEN of all repositories of acme on github is set, only for events push; branches main note: no event of all repositories of acme on github has come yet; is the name spelt as the forge spells it?
    2: error: invalid value 'a/b@sha256:77' for '--image <PATTERN>': after `@` a digest is expected: sha256 and 64 hexadecimal digits For more information, try '--help'.
    1: containerops: a secret has at least 4 characters, in a line of its own: a shorter one could not be hidden in logs
    1: containerops: a value is no argument, which others could see: give it on standard input, or by --from-file
    0: TOKEN acme/shop on github; set by ada on the server TOKEN all repositories of acme on github; only for events push; branches main; set by ada on the server
    0: 2 of 2 secrets are encrypted anew by the first of 2 keys
    0: 0 of 2 secrets are encrypted anew by the first of 2 keys
    0: secret TOKEN of acme/shop on github is removed
    1: there is no secret TOKEN of acme/shop on github
    0: TOKEN all repositories of acme on github; only for events push; branches main; set by ada on the server
    ");
    let below = bytes_below(folder.path());
    assert!(!below.windows(6).any(|window| window == b"hunter"));
}

#[tokio::test]
async fn keys_of_a_registry_that_are_none_end_what_is_in_need_of_them_and_are_named_but_not_shown() {
    let t = Tester::start_as(Identity::App, ExecutorKind::Docker).await;
    // as one that was set before anybody looked what it is
    set(&t, OWNERS, "DOCKER_AUTH_CONFIG", "no configuration of any kind", any()).await;
    let sha = t.push("main", FLOW).await;
    t.settle().await;
    assert!(t.pods.placed().is_empty());
    let told = t.checks(&sha);
    let why =
        "denied: secret DOCKER_AUTH_CONFIG of all repositories of acme on github: it is no Docker configuration with";
    assert!(told.contains(why) && !told.contains("of any kind"), "{told}");
}
