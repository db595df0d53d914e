//! Deliveries as Gitea and Forgejo send them: the fixtures' shapes, with the model's names and commits in them.

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, header::HeaderName};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{ModelGitea, WEBHOOK_SECRET};
use crate::harness::github::Delivery;

/// The fixture `fixtures/webhooks/gitea/<name>.json`.
pub(crate) fn fixture(name: &str) -> Value {
    let path = format!("{}/fixtures/webhooks/gitea/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(&path).expect(&path)).expect(&path)
}

/// A delivery of any body, signed by every name that Gitea has for that; Forgejo has one more.
pub(crate) fn signed(forgejo: bool, event: &str, delivery: &str, body: Vec<u8>) -> Delivery {
    let mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).expect("a key").chain_update(&body);
    let signature = hex::encode(mac.finalize().into_bytes());
    let mut headers = HeaderMap::new();
    let mut set = |name: String, value: &str| {
        headers.insert(HeaderName::try_from(name).expect("a name"), HeaderValue::from_str(value).expect("a header"));
    };
    set("content-type".to_owned(), "application/json");
    for family in ["forgejo", "gitea", "gogs"].into_iter().filter(|family| forgejo || *family != "forgejo") {
        set(format!("x-{family}-delivery"), delivery);
        set(format!("x-{family}-event"), event);
        set(format!("x-{family}-event-type"), event);
        set(format!("x-{family}-signature"), &signature);
    }
    set("x-hub-signature-256".to_owned(), &format!("sha256={signature}"));
    set("x-github-delivery".to_owned(), delivery);
    set("x-github-event".to_owned(), event);
    Delivery { headers, body }
}

impl ModelGitea {
    fn signed(&self, event: &str, body: &Value) -> Delivery {
        let (id, forgejo) = {
            let mut state = self.state();
            (format!("f6266f16-1bf3-46a5-9ea4-{:012x}", state.next_id()), state.quirks.forgejo)
        };
        signed(forgejo, event, &id, serde_json::to_vec(body).expect("JSON"))
    }

    /// The delivery that follows on a push of this branch, as it is now.
    pub(crate) fn push(&self, repository: &str, branch: &str) -> Delivery {
        let mut body = fixture("push");
        let (before, after, message) = {
            let state = self.state();
            let here = &state.repositories[repository];
            let tip = here.tip(branch);
            (here.before(branch), tip.clone(), state.message(repository, &tip))
        };
        body["ref"] = json!(format!("refs/heads/{branch}"));
        body["before"] = json!(before);
        body["after"] = json!(after);
        body["head_commit"]["id"] = json!(after);
        body["head_commit"]["message"] = json!(message);
        self.place(&mut body, repository);
        self.signed("push", &body)
    }

    /// The two deliveries that follow on an annotated tag for a branch's newest commit.
    pub(crate) fn tag(&self, repository: &str, branch: &str, tag: &str) -> [Delivery; 2] {
        let object = self.make_tag(repository, branch, tag);
        let commit = self.state().repositories[repository].tip(branch);
        let (mut push, mut create) = (fixture("push_tag"), fixture("create_tag"));
        push["ref"] = json!(format!("refs/tags/{tag}"));
        push["after"] = json!(object);
        push["head_commit"]["id"] = json!(commit);
        create["ref"] = json!(tag);
        create["sha"] = json!(object);
        self.place(&mut push, repository);
        self.place(&mut create, repository);
        [self.signed("push", &push), self.signed("create", &create)]
    }

    /// The delivery about this pull request: `opened`, `synchronized`, …
    pub(crate) fn pull_request(&self, repository: &str, number: u64, action: &str) -> Delivery {
        let mut body = fixture("pull_request_opened");
        {
            let state = self.state();
            let here = &state.repositories[repository];
            let pull = here.pulls.iter().find(|pull| pull.number == number).expect("an open pull request");
            let told = state.pull(repository, pull);
            for (key, value) in told.as_object().expect("an object") {
                body["pull_request"][key] = value.clone();
            }
            // whoever has a fork pushes to it
            body["sender"]["login"] = told["user"]["login"].clone();
        }
        body["action"] = json!(action);
        body["number"] = json!(number);
        self.place(&mut body, repository);
        self.signed("pull_request", &body)
    }

    /// The delivery about someone's comment below a pull request.
    pub(crate) fn comment(&self, repository: &str, number: u64, login: &str, text: &str) -> Delivery {
        let mut body = fixture("issue_comment_created");
        body["issue"]["number"] = json!(number);
        body["comment"]["body"] = json!(text);
        body["comment"]["user"]["login"] = json!(login);
        self.place(&mut body, repository);
        self.signed("issue_comment", &body)
    }

    /// The delivery about someone's review of a pull request.
    pub(crate) fn review(&self, repository: &str, number: u64, login: &str, text: &str) -> Delivery {
        let mut body = fixture("pull_request_comment_reviewed");
        body["pull_request"]["number"] = json!(number);
        body["review"]["content"] = json!(text);
        body["sender"]["login"] = json!(login);
        self.place(&mut body, repository);
        self.signed("pull_request_comment", &body)
    }

    fn place(&self, body: &mut Value, repository: &str) {
        let (id, now) = {
            let state = self.state();
            (state.repositories[repository].id, state.now())
        };
        let described = &mut body["repository"];
        described["id"] = json!(id);
        described["name"] = json!(repository.rsplit('/').next());
        described["full_name"] = json!(repository);
        described["updated_at"] = json!(now);
        described["clone_url"] = json!(format!("{}/{repository}.git", self.url()));
    }
}
