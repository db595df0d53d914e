//! Deliveries as GitLab sends them: the fixtures' shapes, with the model's names and commits in them.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use containerops::model::{Sha, Time};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use sha2::Sha256;

use super::ModelGitlab;
use crate::harness::github::{Delivery, git_http::PREFIX};

/// What the model's webhooks send in clear.
pub(crate) const TOKEN_SECRET: &str = "it-is-a-secret-to-everybody";
/// What they are signed with, if they are.
pub(crate) const SIGNING_TOKEN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// The fixture `fixtures/webhooks/gitlab/<name>.json`.
pub(crate) fn fixture(name: &str) -> Value {
    let path = format!("{}/fixtures/webhooks/gitlab/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(&path).expect(&path)).expect(&path)
}

/// The signing token's bytes.
pub(super) fn key() -> Vec<u8> {
    BASE64_STANDARD.decode(SIGNING_TOKEN.strip_prefix("whsec_").expect("a token")).expect("base64")
}

/// A delivery of any body with the token in clear.
pub(crate) fn with_token(event: &str, id: &str, body: Vec<u8>) -> Delivery {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("user-agent", "GitLab/18.5.0"),
        ("x-gitlab-event", event),
        ("x-gitlab-instance", "https://gitlab.example.com"),
        ("x-gitlab-webhook-uuid", "13792a34-cac6-4fda-95a8-c58e00a3954e"),
        ("x-gitlab-event-uuid", "8f4ad0a0-1d6d-4b9f-9a4a-8d6d1e6b2f10"),
        ("idempotency-key", id),
        ("x-gitlab-token", TOKEN_SECRET),
    ] {
        headers.insert(name, HeaderValue::from_str(value).expect("a header"));
    }
    Delivery { headers, body }
}

/// The same with a signature of this time.
pub(crate) fn signed(event: &str, id: &str, at: Time, body: Vec<u8>) -> Delivery {
    let mut delivery = with_token(event, id, body);
    let seconds = (at.as_millis() / 1000).to_string();
    let mac = Hmac::<Sha256>::new_from_slice(&key()).expect("a key");
    let mac = mac.chain_update(format!("{id}.{seconds}.")).chain_update(&delivery.body);
    let signature = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    for (name, value) in [("webhook-id", id), ("webhook-timestamp", &seconds), ("webhook-signature", &signature)] {
        delivery.headers.insert(name, HeaderValue::from_str(value).expect("a header"));
    }
    delivery.headers.remove("x-gitlab-token");
    delivery
}

impl ModelGitlab {
    /// A delivery of this body, with an id of its own.
    pub(crate) fn delivery(&self, event: &str, body: &Value) -> Delivery {
        let id = format!("f5e5f430-f57b-4e6e-9fac-{:012x}", self.state().next_id());
        with_token(event, &id, serde_json::to_vec(body).expect("JSON"))
    }

    /// The delivery that follows on a push of this branch, as it is now.
    pub(crate) fn push(&self, project: &str, branch: &str) -> Delivery {
        let mut body = fixture("push");
        let (before, after) = {
            let state = self.state();
            (state.projects[project].before(branch), state.projects[project].tip(branch))
        };
        body["ref"] = json!(format!("refs/heads/{branch}"));
        self.moves(&mut body, project, &before, &after);
        self.delivery("Push Hook", &body)
    }

    /// The delivery that follows on a tag of a branch's newest commit.
    pub(crate) fn tag(&self, project: &str, branch: &str, tag: &str) -> Delivery {
        let mut body = fixture("tag_push");
        let commit = self.make_tag(project, branch, tag);
        let none = "0".repeat(40).parse().expect("a sha");
        body["ref"] = json!(format!("refs/tags/{tag}"));
        self.moves(&mut body, project, &none, &commit);
        self.delivery("Tag Push Hook", &body)
    }

    fn moves(&self, body: &mut Value, project: &str, before: &Sha, after: &Sha) {
        body["before"] = json!(before);
        body["after"] = json!(after);
        body["checkout_sha"] = json!(after);
        body["commits"] = json!([{"id": after, "message": "Change 1 files"}]);
        body["project"] = self.described(project);
    }

    /// The delivery about this merge request: `open`, `update`, … An update is of new code.
    pub(crate) fn merge_request(&self, project: &str, iid: u64, action: &str) -> Delivery {
        let mut body = fixture("merge_request_open");
        let (request, head, before) = {
            let state = self.state();
            let requests = &state.projects[project].requests;
            let request = requests.iter().find(|request| request.iid == iid).expect("a merge request").clone();
            let source = &state.projects[&request.source];
            let (head, before) = (source.tip(&request.branch), source.before(&request.branch));
            (request, head, before)
        };
        let (source, target) = (self.described(&request.source), self.described(project));
        if request.source != project {
            body["user"] = json!({"id": 13, "name": "Mallory", "username": "mallory"});
            body["object_attributes"]["author_id"] = json!(13);
        }
        let about = &mut body["object_attributes"];
        about["iid"] = json!(iid);
        about["action"] = json!(action);
        about["oldrev"] = if action == "update" { json!(before) } else { Value::Null };
        about["source_branch"] = json!(request.branch);
        about["target_branch"] = json!(request.target);
        about["source_project_id"] = source["id"].clone();
        about["target_project_id"] = target["id"].clone();
        about["last_commit"] = json!({"id": head, "message": "Change 1 files"});
        (about["source"], about["target"]) = (source, target.clone());
        body["project"] = target;
        self.delivery("Merge Request Hook", &body)
    }

    /// The delivery about someone's note below a merge request.
    pub(crate) fn note(&self, project: &str, iid: u64, login: &str, text: &str) -> Delivery {
        let mut body = fixture("note_merge_request");
        body["merge_request"]["iid"] = json!(iid);
        self.noted(body, project, login, text)
    }

    /// The delivery about someone's note beside a line of a merge request.
    pub(crate) fn note_on_line(&self, project: &str, iid: u64, login: &str, text: &str) -> Delivery {
        let mut body = fixture("note_diff");
        body["merge_request"]["iid"] = json!(iid);
        self.noted(body, project, login, text)
    }

    /// The delivery about someone's note below a commit.
    pub(crate) fn note_on_commit(&self, project: &str, sha: &Sha, login: &str, text: &str) -> Delivery {
        let mut body = fixture("note_commit");
        body["commit"]["id"] = json!(sha);
        self.noted(body, project, login, text)
    }

    fn noted(&self, mut body: Value, project: &str, login: &str, text: &str) -> Delivery {
        body["object_attributes"]["note"] = json!(text);
        body["user"]["username"] = json!(login);
        body["project"] = self.described(project);
        self.delivery("Note Hook", &body)
    }

    fn described(&self, project: &str) -> Value {
        let mut described = fixture("push")["project"].take();
        described["id"] = json!(self.state().projects[project].id);
        described["path_with_namespace"] = json!(project);
        described["git_http_url"] = json!(format!("{}{PREFIX}/{project}.git", self.url()));
        described["web_url"] = json!(format!("{}/{project}", self.url()));
        described
    }
}
