//! Webhooks as <https://www.standardwebhooks.com> has them: a name, a time and a signature over both and the body. What
//! a flow file names is asked only where everybody could ask, unless the operator says otherwise.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{RequestBuilder, StatusCode, redirect::Policy};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;
use url::Url;

use super::{LIMIT, Settings, Trouble, name_of, seconds};
use crate::{
    client::LateClient,
    model::Time,
    reach::{self, is_listed, refusal},
    store::NoticeRow,
};

/// Posts notices.
#[derive(Clone)]
pub(super) struct Webhooks {
    public: Arc<LateClient>,
    /// For what the operator has listed.
    listed: Arc<LateClient>,
    keys: Arc<[SecretSlice<u8>]>,
    prefixes: Arc<[String]>,
}

impl Webhooks {
    pub(super) fn new(settings: Settings) -> Self {
        let agent = concat!("containerops/", env!("CARGO_PKG_VERSION"));
        // a redirect could lead inside, and nobody who means to be told needs one
        let builder =
            move || reqwest::Client::builder().user_agent(agent).timeout(LIMIT).no_proxy().redirect(Policy::none());
        Self {
            public: Arc::new(LateClient::new(move || reach::public_only(builder()))),
            listed: Arc::new(LateClient::new(builder)),
            keys: settings.signing_keys.into(),
            prefixes: settings.private_urls.into(),
        }
    }

    pub(super) async fn send(&self, notice: &NoticeRow, now: Time) -> Result<(), Trouble> {
        let url = Url::parse(&notice.address).map_err(|error| Trouble::Never(error.to_string()))?;
        let request = match is_listed(&url, &self.prefixes) {
            true => self.listed.get(),
            false => match refusal(&url) {
                Some(why) => return Err(Trouble::Never(why.to_owned())),
                None => self.public.get(),
            },
        };
        let request = request.map_err(|error| unsent(&error))?.post(url);
        // nothing of the answer's body is read
        let answer = self.signed(request, notice, now).send().await.map_err(|error| unsent(&error))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::GONE => Err(Trouble::Never("it answered 410 Gone".to_owned())),
            status if status.is_redirection() => {
                Err(Trouble::Never(format!("it answered {status}, and redirects are not followed")))
            }
            status => Err(Trouble::Later(format!("it answered {status}"))),
        }
    }

    fn signed(&self, request: RequestBuilder, notice: &NoticeRow, now: Time) -> RequestBuilder {
        let (name, time) = (name_of(notice), seconds(now));
        let of_key = |key: &SecretSlice<u8>| signature(key.expose_secret(), &name, time, &notice.body);
        let signatures: Vec<String> = self.keys.iter().map(of_key).collect();
        let request = request.header("content-type", "application/json");
        let request = request.header("webhook-id", &name).header("webhook-timestamp", time);
        let request = match signatures.is_empty() {
            true => request,
            false => request.header("webhook-signature", signatures.join(" ")),
        };
        request.body(notice.body.clone())
    }
}

/// `v1,…`: HMAC-SHA256 over name, time and body, in base64.
pub fn signature(key: &[u8], name: &str, time: i64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("HMAC takes keys of any length") };
    mac.update(format!("{name}.{time}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

fn unsent(error: &reqwest::Error) -> Trouble {
    let why = reach::cause(error);
    if why == reach::PRIVATE { Trouble::Never(why) } else { Trouble::Later(why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_standards() {
        // the example of the standard's own libraries
        let key = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
