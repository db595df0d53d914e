//! A project's webhook: seen, registered, and set right.
//!
//! GitLab tells neither the secret nor the signing token. A hook that it has switched off is switched on only by a test
//! delivery, which would start a run, so another takes its place.

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use gitlab::api::{
    common::NameOrId,
    endpoint_prelude::{BodyError, Cow, Endpoint, FormParams, Method},
    projects::hooks::{DeleteHook, Hooks},
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;

use super::{Gitlab, api::refused};
use crate::{
    forge::{ForgeError, Hook, HookKeeper, hook::is_same_url},
    model::{HookFault, RepositoryName},
};

/// So many of a project are looked at.
const MOST: usize = 300;

#[derive(Deserialize)]
struct Seen {
    id: u64,
    url: String,
    #[serde(default)]
    push_events: bool,
    #[serde(default)]
    tag_push_events: bool,
    #[serde(default)]
    merge_requests_events: bool,
    #[serde(default)]
    note_events: bool,
    push_events_branch_filter: Option<String>,
    /// `executable`, `temporarily_disabled` or `disabled`.
    alert_status: Option<String>,
    /// Instances that cannot sign do not say.
    signing_token_present: Option<bool>,
}

/// A hook with all that it needs: the crate's own has no signing token.
struct Wanted<'a> {
    gitlab: &'a Gitlab,
    project: NameOrId<'a>,
    url: &'a str,
    /// The one that is set; `None`: a new one.
    id: Option<u64>,
}

impl Endpoint for Wanted<'_> {
    fn method(&self) -> Method {
        if self.id.is_some() { Method::PUT } else { Method::POST }
    }

    fn endpoint(&self) -> Cow<'static, str> {
        let id = self.id.map_or_else(String::new, |id| format!("/{id}"));
        format!("projects/{}/hooks{id}", self.project).into()
    }

    fn body(&self) -> Result<Option<(&'static str, Vec<u8>)>, BodyError> {
        let mut form = FormParams::default();
        form.push("url", self.url).push("push_events_branch_filter", "").push("enable_ssl_verification", true);
        for event in ["push_events", "tag_push_events", "merge_requests_events", "note_events"] {
            form.push(event, true);
        }
        if let Some(token) = self.gitlab.proofs.tokens.first() {
            form.push("token", token.expose_secret().to_owned());
        }
        if let Some(key) = self.gitlab.proofs.keys.first() {
            form.push("signing_token", format!("whsec_{}", BASE64_STANDARD.encode(key.expose_secret())));
        }
        form.into_body()
    }
}

#[async_trait]
impl HookKeeper for Gitlab {
    async fn hooks_at(&self, of: &RepositoryName, url: &str) -> Result<Vec<Hook>, ForgeError> {
        let call = Hooks::builder().project(of.as_str()).build();
        let (seen, _): (Vec<Seen>, _) = self.api.list(call, MOST).await?;
        let signs = !self.proofs.keys.is_empty() && self.proofs.tokens.is_empty();
        let ours = seen.into_iter().filter(|seen| is_same_url(&seen.url, url));
        let mut hooks: Vec<Hook> = ours.map(|seen| seen.hook(signs)).collect();
        hooks.sort_by_key(|hook| hook.faults.len());
        Ok(hooks)
    }

    async fn add_hook(&self, of: &RepositoryName, url: &str) -> Result<(), ForgeError> {
        self.put(of, url, None).await
    }

    async fn set_hook(&self, of: &RepositoryName, url: &str, hook: &Hook) -> Result<(), ForgeError> {
        if hook.told["disabled"] == json!(true) {
            self.put(of, url, None).await?;
            return self.remove_hook(of, hook).await;
        }
        self.put(of, url, Some(number(hook)?)).await
    }

    async fn remove_hook(&self, of: &RepositoryName, hook: &Hook) -> Result<(), ForgeError> {
        match self.api.send(DeleteHook::builder().project(of.as_str()).hook_id(number(hook)?).build()).await {
            Err(ForgeError::Refused { status: 404, .. }) => Ok(()),
            removed => removed,
        }
    }
}

impl Gitlab {
    async fn put(&self, of: &RepositoryName, url: &str, id: Option<u64>) -> Result<(), ForgeError> {
        if self.proofs.tokens.is_empty() && self.proofs.keys.is_empty() {
            let setting = "CONTAINEROPS_GITLAB_WEBHOOK_SECRET or _SIGNING_TOKEN must be set: it is what the hook gets";
            return Err(refused(0, setting.to_owned()));
        }
        let wanted = Wanted { gitlab: self, project: of.as_str().into(), url, id };
        self.api.send(Ok::<_, String>(wanted)).await
    }
}

impl Seen {
    fn hook(self, signs: bool) -> Hook {
        let disabled = self.alert_status.as_deref().filter(|status| *status != "executable");
        let events = [
            ("push", self.push_events),
            ("tag push", self.tag_push_events),
            ("merge request", self.merge_requests_events),
            ("comment", self.note_events),
        ];
        let missing: Vec<&str> = events.into_iter().filter(|(_, told)| !told).map(|(event, _)| event).collect();
        let mut faults = Vec::new();
        if let Some(status) = disabled {
            faults.push(HookFault::disabled(format!("GitLab has switched it off ({})", status.replace('_', " "))));
        }
        if !missing.is_empty() {
            faults.push(HookFault::wrong(format!("it does not tell of these events: {}", missing.join(", "))));
        }
        if self.push_events_branch_filter.is_some_and(|filter| !filter.is_empty()) {
            faults.push(HookFault::wrong("it tells of some branches alone"));
        }
        if signs && self.signing_token_present == Some(false) {
            faults.push(HookFault::wrong("it has no signing token, and we have no secret token"));
        }
        Hook { id: self.id.to_string(), faults, told: json!({ "disabled": disabled.is_some() }) }
    }
}

fn number(hook: &Hook) -> Result<u64, ForgeError> {
    hook.id.parse().map_err(|_| refused(0, format!("`{}` is no hook of GitLab's", hook.id)))
}
