//! Deliveries as GitHub sends them: the fixtures' shapes, with the model's names and commits in them.

use containerops::model::Sha;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{INSTALLATION, ModelGithub, WEBHOOK_SECRET, repository::Pull};

/// A webhook on its way to us.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// The fixture `fixtures/webhooks/github/<name>.json`.
pub(crate) fn fixture(name: &str) -> Value {
    let path = format!("{}/fixtures/webhooks/github/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(&path).expect(&path)).expect(&path)
}

/// A signed delivery of any body.
pub(crate) fn signed(event: &str, delivery: &str, body: Vec<u8>) -> Delivery {
    signed_with(WEBHOOK_SECRET, event, delivery, body)
}

/// The same with another secret.
pub(crate) fn signed_with(secret: &str, event: &str, delivery: &str, body: Vec<u8>) -> Delivery {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key").chain_update(&body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("user-agent", "GitHub-Hookshot/044aadd"),
        ("x-github-delivery", delivery),
        ("x-github-event", event),
        ("x-github-hook-id", "109948940"),
        ("x-hub-signature-256", &signature),
    ] {
        headers.insert(name, HeaderValue::from_str(value).expect("a header"));
    }
    Delivery { headers, body }
}

impl ModelGithub {
    /// A signed delivery of this body, with an id of its own.
    pub(crate) fn signed(&self, event: &str, body: &Value) -> Delivery {
        let id = format!("72d3162e-cc78-11e3-81ab-{:012x}", self.state().next_id());
        signed(event, &id, serde_json::to_vec(body).expect("JSON"))
    }

    /// The delivery that follows on a push of this branch, as it is now.
    pub(crate) fn push(&self, repository: &str, branch: &str) -> Delivery {
        let mut body = fixture("push");
        let (before, after, message) = {
            let state = self.state();
            let repository = &state.repositories[repository];
            let tip = repository.tip(branch);
            (repository.before(branch), tip.clone(), repository.messages.get(&tip).cloned())
        };
        body["ref"] = json!(format!("refs/heads/{branch}"));
        body["before"] = json!(before);
        body["after"] = json!(after);
        body["head_commit"]["id"] = json!(after);
        if let Some(message) = message {
            body["head_commit"]["message"] = json!(message);
        }
        self.place(&mut body, repository);
        self.signed("push", &body)
    }

    /// The delivery that follows on a tag for a branch's newest commit.
    pub(crate) fn tag(&self, repository: &str, branch: &str, tag: &str) -> Delivery {
        let mut body = fixture("push_tag");
        let commit = self.state().repositories[repository].tip(branch);
        body["ref"] = json!(format!("refs/tags/{tag}"));
        body["head_commit"]["id"] = json!(commit);
        self.place(&mut body, repository);
        self.signed("push", &body)
    }

    /// The delivery with which a merge queue asks about a branch of its own, to be merged into `base`.
    pub(crate) fn merge_group(&self, repository: &str, branch: &str, base: &str) -> Delivery {
        let mut body = fixture("merge_group_checks_requested");
        let (head, before) = {
            let state = self.state();
            (state.repositories[repository].tip(branch), state.repositories[repository].tip(base))
        };
        let group = &mut body["merge_group"];
        group["head_sha"] = json!(head);
        group["head_ref"] = json!(format!("refs/heads/{branch}"));
        group["base_sha"] = json!(before);
        group["base_ref"] = json!(format!("refs/heads/{base}"));
        self.place(&mut body, repository);
        self.signed("merge_group", &body)
    }

    /// The delivery with which a merge queue says that it wants no more of a branch of its own.
    pub(crate) fn merge_group_destroyed(&self, repository: &str, branch: &str, reason: &str) -> Delivery {
        let mut body = fixture("merge_group_destroyed");
        let head = self.state().repositories[repository].tip(branch);
        body["merge_group"]["head_sha"] = json!(head);
        body["merge_group"]["head_ref"] = json!(format!("refs/heads/{branch}"));
        body["reason"] = json!(reason);
        self.place(&mut body, repository);
        self.signed("merge_group", &body)
    }

    /// The delivery about this pull request: `opened`, `synchronize`, … `merged` is GitHub's `closed` of a merged one.
    pub(crate) fn pull_request(&self, repository: &str, number: u64, action: &str) -> Delivery {
        let mut body = fixture("pull_request_opened");
        let (pull, head, base) = self.pull(repository, number);
        body["action"] = json!(if action == "merged" { "closed" } else { action });
        body["pull_request"]["merged"] = json!(action == "merged");
        if action == "synchronize" {
            body["before"] = json!(self.state().repositories[&pull.head_repository].before(&pull.branch));
            body["after"] = json!(head);
        }
        let request = &mut body["pull_request"];
        request["number"] = json!(number);
        request["updated_at"] = json!(self.state().memory.now());
        request["head"]["ref"] = json!(pull.branch);
        request["head"]["sha"] = json!(head);
        request["head"]["repo"] = self.described(&pull.head_repository);
        request["base"]["ref"] = json!(pull.base);
        request["base"]["sha"] = json!(base);
        request["base"]["repo"] = self.described(repository);
        // whoever has a fork pushes to it
        let owner = pull.head_repository.split('/').next().filter(|_| pull.head_repository != repository);
        if let Some(login) = pull.author.as_deref().or(owner) {
            body["pull_request"]["user"]["login"] = json!(login);
        }
        if let Some(login) = owner.or(pull.author.as_deref()) {
            body["sender"]["login"] = json!(login);
        }
        self.place(&mut body, repository);
        self.signed("pull_request", &body)
    }

    /// The delivery that follows when someone presses "Re-run" at this check.
    pub(crate) fn rerequested(&self, repository: &str, context: &str) -> Delivery {
        let mut body = fixture("check_run_rerequested");
        let check = self.check(context);
        body["check_run"]["head_sha"] = json!(check.sha);
        body["check_run"]["external_id"] = json!(check.external_id);
        body["check_run"]["name"] = json!(context);
        self.place(&mut body, repository);
        self.signed("check_run", &body)
    }

    /// The delivery that follows when someone presses one of our own buttons, which this check must have.
    pub(crate) fn pressed(&self, repository: &str, context: &str, button: &str) -> Delivery {
        let mut body = fixture("check_run_requested_action");
        let check = self.check(context);
        assert!(check.buttons.iter().any(|known| known == button), "{context} has {:?}", check.buttons);
        body["requested_action"]["identifier"] = json!(button);
        body["check_run"]["head_sha"] = json!(check.sha);
        body["check_run"]["external_id"] = json!(check.external_id);
        body["check_run"]["name"] = json!(context);
        self.place(&mut body, repository);
        self.signed("check_run", &body)
    }

    /// The delivery that follows when someone presses "Re-run all checks" at this commit.
    pub(crate) fn suite_rerequested(&self, repository: &str, sha: &Sha) -> Delivery {
        let mut body = fixture("check_suite_rerequested");
        body["check_suite"]["head_sha"] = json!(sha);
        self.place(&mut body, repository);
        self.signed("check_suite", &body)
    }

    /// The delivery that tells of who may see a repository: `privatized`, `publicized`.
    pub(crate) fn repository_was(&self, repository: &str, action: &str) -> Delivery {
        let mut body = fixture("repository_privatized");
        body["action"] = json!(action);
        self.place(&mut body, repository);
        self.signed("repository", &body)
    }

    fn pull(&self, repository: &str, number: u64) -> (Pull, Sha, Sha) {
        let state = self.state();
        let here = &state.repositories[repository];
        let pull = here.pulls.iter().find(|pull| pull.number == number).expect("an open pull request").clone();
        let head = state.repositories[&pull.head_repository].tip(&pull.branch);
        let base = here.tip(&pull.base);
        (pull, head, base)
    }

    pub(super) fn place(&self, body: &mut Value, repository: &str) {
        body["repository"] = self.described(repository);
        body["installation"]["id"] = json!(INSTALLATION);
    }

    fn described(&self, repository: &str) -> Value {
        let mut described = fixture("push")["repository"].take();
        described["id"] = json!(self.state().repositories[repository].id);
        let private = self.state().repositories[repository].private;
        described["private"] = json!(private);
        described["visibility"] = json!(if private { "private" } else { "public" });
        described["name"] = json!(repository.rsplit('/').next());
        described["full_name"] = json!(repository);
        described["pushed_at"] = json!(self.state().memory.now().as_second());
        described["clone_url"] = json!(format!("{}/{repository}.git", self.url()));
        described
    }
}
