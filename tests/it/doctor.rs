//! The doctor: silent on a healthy set-up but for good news, and for each thing that is broken a line that says so.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, path::Path};

use containerops::{
    command::doctor::{clock, examine, line},
    model::{Finding, Health},
    settings::Settings,
};
use serde_json::json;

use crate::harness::{
    app::{Tester, WIDGET},
    bucket::Bucket,
    cluster::Cluster,
    gitea::{self, ModelGitea},
    github::{ModelGithub, private_pem},
};

/// A service that runs, and the settings that it was started with.
struct Patient {
    t: Tester,
    settings: Vec<(String, String)>,
}

impl Patient {
    async fn new() -> Self {
        let t = Tester::start().await;
        let key = t.data().join("app.pem");
        std::fs::write(&key, private_pem()).expect("a file");
        std::fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("a mode");
        let settings = [
            ("LISTEN", t.url().trim_start_matches("http://").to_owned()),
            ("PUBLIC_URL", "https://ci.example.com".to_owned()),
            ("DATA", t.data().display().to_string()),
            ("EXECUTOR", "process".to_owned()),
            ("GITHUB_APP_ID", "29310".to_owned()),
            ("GITHUB_PRIVATE_KEY_FILE", key.display().to_string()),
            ("GITHUB_API_URL", t.github.api_url().to_owned()),
            ("GITHUB_WEBHOOK_SECRET", "marker-of-a-secret".to_owned()),
        ];
        let settings = settings.map(|(name, value)| (format!("CONTAINEROPS_{name}"), value)).to_vec();
        Self { t, settings }
    }

    /// With another value of a setting.
    fn with(mut self, name: &str, value: &str) -> Self {
        let name = format!("CONTAINEROPS_{name}");
        self.settings.retain(|(other, _)| *other != name);
        self.settings.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.settings.retain(|(other, _)| *other != format!("CONTAINEROPS_{name}"));
        self
    }

    async fn examined(&self) -> Vec<Finding> {
        let settings = Settings::read(self.settings.clone(), None).expect("good settings");
        let findings = examine(&settings).await;
        let all: String = findings.iter().map(|finding| line(finding, false)).collect();
        assert!(!all.contains("marker-of-a-secret") && !all.contains("PRIVATE KEY"), "{all}");
        findings
    }

    fn github(&self) -> &ModelGithub {
        &self.t.github
    }

    /// What is wrong with it, which must be this.
    async fn has(&self, health: Health, words: &str) {
        let findings = self.examined().await;
        let found = findings.iter().find(|finding| finding.message.contains(words));
        let found = found.unwrap_or_else(|| panic!("nobody says {words:?}: {findings:#?}"));
        assert_eq!(found.health, health, "{found:?}");
        assert_eq!(found.advice.is_empty(), health == Health::Ok, "{found:?}");
    }
}

fn errors(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.health == Health::Error).collect()
}

#[tokio::test]
async fn a_healthy_service_has_no_errors_and_every_part_is_looked_at() {
    let patient = Patient::new().await;
    let findings = patient.examined().await;
    assert_eq!(errors(&findings), Vec::<&Finding>::new());
    for about in ["database", "disk", "GitHub", "addresses", "clock", "executor"] {
        assert!(findings.iter().any(|finding| finding.about == about), "{about}: {findings:#?}");
    }
    patient.has(Health::Ok, "it takes us for the App `containerops`").await;
    patient.has(Health::Ok, "the service runs at").await;
    patient.has(Health::Ok, "its pages are whole").await;
    patient.has(Health::Warning, "the service runs, but does not answer at https://ci.example.com").await;
}

#[tokio::test]
async fn what_github_would_refuse_is_said_before_it_does() {
    let patient = Patient::new().await;
    patient.github().app_is(json!({
        "slug": "containerops", "installations_count": 0, "events": ["push"],
        "permissions": {"checks": "read", "contents": "read", "metadata": "read"},
    }));
    patient.has(Health::Error, "the App may not: checks: write, pull_requests: read").await;
    patient.has(Health::Error, "does not hear of: pull_request, check_run, check_suite, merge_group").await;
    let welcome =
        "the App may not: merge_queues: read (GitHub tells of no merge queue), issues: read (GitHub tells of no";
    patient.has(Health::Warning, welcome).await;
    let comments = "issue_comment, pull_request_review, pull_request_review_comment; commands there are not obeyed";
    patient.has(Health::Warning, comments).await;
    patient.has(Health::Warning, "the App is installed nowhere").await;
    patient.t.commit("main", "stages: []");
    patient.github().drops(patient.github().push(WIDGET, "main"));
    patient.has(Health::Warning, "1 of its last 1 deliveries have failed, the newest of them with 502").await;
    patient.github().hook_goes_to("https://elsewhere.example/hooks/github");
    patient.has(Health::Error, "goes to https://elsewhere.example/hooks/github, and we are at https://ci").await;
    let patient = patient.with("GITHUB_APP_ID", "1");
    patient.has(Health::Error, "it does not take us for the App").await;
    let patient = patient.with("GITHUB_PRIVATE_KEY_FILE", "/nowhere.pem");
    patient.has(Health::Error, "reading the GitHub App's key /nowhere.pem").await;
    let patient = patient.with("GITHUB_API_URL", "http://127.0.0.1:9");
    let patient = patient.without("GITHUB_APP_ID").without("GITHUB_PRIVATE_KEY_FILE");
    patient.has(Health::Error, "github is away").await;
}

#[tokio::test]
async fn a_token_says_what_it_may_not_do() {
    let patient = Patient::new().await.without("GITHUB_APP_ID").without("GITHUB_PRIVATE_KEY_FILE");
    patient.has(Health::Warning, "we have no credentials").await;
    let patient = patient.with("GITHUB_TOKEN", crate::harness::github::TOKEN);
    patient.has(Health::Ok, "it takes our token for ada").await;
    patient.github().token_has("gist, read:org");
    patient.has(Health::Error, "(gist, read:org) do not let it write commit statuses").await;
    let patient = patient.with("GITHUB_TOKEN", "of-yesterday");
    patient.has(Health::Error, "it does not take our token").await;
}

#[tokio::test]
async fn a_bucket_that_will_not_have_us_or_is_away_is_said() {
    let Some(bucket) = Bucket::start().await else { return };
    let patient = Patient::new().await.with("BLOB_URL", "s3://co-blobs/logs");
    let patient = patient.with("S3_ENDPOINT", &format!("http://{}", bucket.address()));
    let patient = patient.with("S3_ACCESS_KEY_ID", "id").with("S3_SECRET_ACCESS_KEY", "marker-of-a-secret");
    patient.has(Health::Ok, "s3://co-blobs/logs lets us look into it").await;
    let patient = patient.with("BLOB_URL", "s3://co-nothing");
    patient.has(Health::Error, "there is no such bucket: make it, or correct CONTAINEROPS_BLOB_URL").await;
    let patient = patient.with("BLOB_URL", "s3://co-blobs");
    bucket.refuse();
    patient.has(Health::Error, "it needs ListBucket, GetObject, PutObject and DeleteObject").await;
}

#[tokio::test]
async fn what_gitea_would_refuse_is_said_before_it_does() {
    let gitea = ModelGitea::start().await;
    let patient =
        Patient::new().await.with("GITEA_URL", &gitea.url()).with("GITEA_WEBHOOK_SECRET", "marker-of-a-secret");
    patient.has(Health::Warning, "we have no token: nothing is reported there").await;
    let patient = patient.with("GITEA_TOKEN", gitea::TOKEN);
    patient.has(Health::Ok, "it answers, and is release 1.24.6").await;
    patient.has(Health::Ok, "it takes our token for containerops").await;
    assert_eq!(errors(&patient.examined().await), Vec::<&Finding>::new());
    gitea.is(|quirks| quirks.lacks = Some("write:issue"));
    patient.has(Health::Error, "the token lacks the scope `write:issue`: we cannot answer comments").await;
    gitea.is(|quirks| quirks.lacks = Some("write:repository"));
    patient.has(Health::Error, "the token lacks the scope `write:repository`: we cannot read flow files").await;
    let patient = patient.with("GITEA_TOKEN", "of-yesterday");
    patient.has(Health::Error, "it does not take our token").await;
    let patient = patient.with("GITEA_URL", "http://127.0.0.1:9");
    patient.has(Health::Error, "gitea is away").await;
    let patient = patient.with("GITEA_URL", "https://gitea.example.com").with("PUBLIC_URL", "http://localhost:8080");
    patient.has(Health::Error, "Gitea is told that we are at http://localhost:8080").await;
}

#[tokio::test]
async fn a_database_of_a_newer_release_and_a_damaged_one_are_named() {
    let patient = Patient::new().await;
    let nowhere = patient.t.data().join("nowhere.db");
    let patient = patient.with("DATABASE_URL", &format!("sqlite:{}", nowhere.display()));
    patient.has(Health::Warning, "is not there yet").await;
    let damaged = patient.t.data().join("damaged.db");
    std::fs::write(&damaged, vec![7; 4096]).expect("a file");
    let patient = patient.with("DATABASE_URL", &format!("sqlite:{}", damaged.display()));
    patient.has(Health::Error, "cannot be read").await;
    let patient = patient.with("DATABASE_URL", "mysql://user:marker-of-a-secret@db/x");
    patient.has(Health::Error, "names no database that this version knows").await;
    let patient = patient.with("DATABASE_URL", "postgres://user:marker-of-a-secret@127.0.0.1:1/x");
    patient.has(Health::Error, "the database: ").await;
}

#[tokio::test]
async fn a_key_that_others_may_read_is_an_error() {
    let patient = Patient::new().await;
    let key = patient.t.data().join("app.pem");
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("a mode");
    patient.has(Health::Error, "(mode 644)").await;
    let patient = patient.with("DATA", Path::new("/proc/nowhere").to_str().expect("text"));
    patient.has(Health::Warning, "/proc/nowhere is not there yet").await;
}

#[tokio::test]
async fn addresses_that_nobody_else_reaches_are_errors() {
    let patient = Patient::new().await.with("PUBLIC_URL", "http://localhost:8080");
    patient.has(Health::Error, "GitHub is told that we are at http://localhost:8080").await;
    let patient = patient.with("EXECUTOR", "kubernetes").with("KUBERNETES_KUBECONFIG", "/nowhere");
    patient.has(Health::Error, "pods are told to reach us at http://localhost:8080").await;
    patient.has(Health::Error, "/nowhere: ").await;
    let patient = patient.with("LISTEN", "127.0.0.1:9");
    patient.has(Health::Warning, "the service does not run at http://127.0.0.1:9").await;
}

#[tokio::test]
async fn where_untrusted_code_reaches_what_people_do_it_is_said() {
    let patient = Patient::new().await.with("EXECUTOR", "kubernetes").with("KUBERNETES_KUBECONFIG", "/nowhere");
    let patient = patient.with("AGENT_URL", "http://192.0.2.1:1").with("ACCESS", "forge");
    patient.has(Health::Warning, "pods of untrusted code reach what people and forges do").await;
    let patient = patient.with("ACCESS", "open");
    patient.has(Health::Warning, "untrusted code does not run: whoever reaches this server may do everything").await;
    let silent = async |patient: &Patient| {
        let findings = patient.examined().await;
        assert!(!findings.iter().any(|finding| finding.message.contains("untrusted code")), "{findings:#?}");
    };
    let patient = patient.with("AGENT_LISTEN", "127.0.0.1:9");
    silent(&patient).await;
    // agents that are sent to where people are answered
    let url = patient.t.url();
    let patient = patient.with("AGENT_URL", &url);
    patient.has(Health::Error, "where people are answered, and not they").await;
    silent(&patient.without("AGENT_LISTEN").with("UNTRUSTED", "never")).await;
}

#[test]
fn a_clock_may_be_half_a_minute_wrong() {
    assert_eq!(clock(1000, [1030, 990].into_iter()).health, Health::Ok);
    assert_eq!(clock(1000, [].into_iter()).health, Health::Ok);
    let behind = clock(1000, [1001, 1031].into_iter());
    assert_eq!((behind.health, behind.message.as_str()), (Health::Error, "this machine's clock is 31 s behind"));
}

#[test]
fn colours_are_for_terminals_and_nothing_from_outside_moves_the_cursor() {
    let finding = Finding::error("cluster", "\u{1b}[2Jno", "do this");
    assert_eq!(line(&finding, false), "error   cluster: [2Jno\n        → do this\n");
    assert!(line(&finding, true).starts_with("\u{1b}[31merror  \u{1b}[0m"));
}

#[tokio::test]
async fn a_real_cluster_is_looked_at_as_whoever_we_are() {
    let Some(cluster) = Cluster::get("doctor").await else { return };
    let kubeconfig = cluster.kubeconfig.display().to_string();
    let patient = Patient::new().await.with("EXECUTOR", "kubernetes").with("KUBERNETES_KUBECONFIG", &kubeconfig);
    let patient = patient.with("KUBERNETES_NAMESPACE", &cluster.namespace).with("AGENT_URL", "http://192.0.2.1:1");
    let findings = patient.examined().await;
    assert_eq!(errors(&findings), Vec::<&Finding>::new());
    patient.has(Health::Ok, "it answers, and is Kubernetes v").await;
    patient.has(Health::Ok, &format!("we may do all that we do in {}", cluster.namespace)).await;
    patient.has(Health::Warning, "has no registry: every node must have it").await;
    let patient = patient.with("KUBERNETES_NAMESPACE", "co-test-nowhere");
    patient.has(Health::Error, "there is no namespace co-test-nowhere").await;
}
