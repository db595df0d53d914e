//! The registry's HTTP, with a bound on every body. It is here because `oci-client` reads manifests and tokens
//! whole, however large a hostile registry makes them.

use oci_client::{
    Reference,
    manifest::{
        IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    },
};
use reqwest::{
    RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, WWW_AUTHENTICATE},
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::{Reach, RegistryKey, may_be_asked};
use sha2::{Digest as _, Sha256};

/// The most bytes of a manifest, of a configuration and of a token: the registries' own limit for manifests.
const BODY_MAX: usize = 4 << 20;
/// How much of a registry's own words is kept, in characters.
const WORDS_MAX: usize = 500;

/// What went wrong, by whose mistake.
#[derive(Debug)]
pub(super) enum Fault {
    /// The name, or what it names.
    Invalid(String),
    /// The registry has no such thing.
    NotFound(String),
    /// The registry has it for those whom it knows, or not at all.
    Denied(String),
    /// The registry itself.
    Away(String),
}

/// A body that is what its digest says.
pub(super) struct Body {
    /// `sha256:…`
    pub(super) digest: String,
    pub(super) bytes: Vec<u8>,
}

/// Questions about one repository, with the token that they share.
pub(super) struct Session<'a> {
    http: &'a reqwest::Client,
    base: String,
    registry: &'a str,
    /// By what we are known, if we are.
    key: Option<&'a RegistryKey>,
    pass: Option<Pass>,
    /// Registries that may be asked without TLS, and in our own network.
    listed: &'a [String],
    /// What others may be.
    reach: Reach,
}

/// What lets us in.
enum Pass {
    /// A token.
    Token(String),
    /// The key itself.
    Key,
}

/// What a registry wants.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    /// A token, from there.
    Token(Url),
    /// User and password.
    Key,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<RegistrysError>,
}

#[derive(Deserialize)]
struct RegistrysError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        http: &'a reqwest::Client,
        scheme: &str,
        name: &'a Reference,
        key: Option<&'a RegistryKey>,
    ) -> Self {
        let registry = name.resolve_registry();
        let base = format!("{scheme}://{registry}/v2/{}", name.repository());
        Self { http, base, registry, key, pass: None, listed: &[], reach: Reach::Public }
    }

    /// Where it may be led.
    pub(super) fn within(self, listed: &'a [String], reach: Reach) -> Self {
        Self { listed, reach, ..self }
    }

    /// The manifest of this tag or digest.
    pub(super) async fn manifest(&mut self, name: &Reference) -> Result<Body, Fault> {
        match name.digest() {
            Some(digest) => self.manifest_of(digest).await,
            None => self.fetch("manifests", name.tag().unwrap_or("latest")).await,
        }
    }

    /// The manifest with this digest.
    pub(super) async fn manifest_of(&mut self, digest: &str) -> Result<Body, Fault> {
        self.fetch_exactly("manifests", digest).await
    }

    /// The small blob with this digest.
    pub(super) async fn blob(&mut self, digest: &str) -> Result<Body, Fault> {
        self.fetch_exactly("blobs", digest).await
    }

    async fn fetch_exactly(&mut self, what: &str, digest: &str) -> Result<Body, Fault> {
        let is_sha256 = |hex: &str| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digest.strip_prefix("sha256:").is_some_and(is_sha256) {
            return Err(Fault::Invalid("its digest is no SHA-256".to_owned()));
        }
        let body = self.fetch(what, digest).await?;
        match body.digest == digest {
            true => Ok(body),
            false => Err(Fault::Away(format!("asked for {digest}, it answered with {}", body.digest))),
        }
    }

    async fn fetch(&mut self, what: &str, wanted: &str) -> Result<Body, Fault> {
        let url = format!("{}/{what}/{wanted}", self.base);
        let mut response = self.get(&url).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.pass.is_none() {
            self.pass = Some(self.pass(&response).await?);
            response = self.get(&url).await?;
        }
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let bytes = bounded(response).await?;
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        Ok(Body { digest, bytes })
    }

    async fn get(&self, url: &str) -> Result<Response, Fault> {
        let accepted = [
            OCI_IMAGE_INDEX_MEDIA_TYPE,
            IMAGE_MANIFEST_LIST_MEDIA_TYPE,
            OCI_IMAGE_MEDIA_TYPE,
            IMAGE_MANIFEST_MEDIA_TYPE,
        ];
        let request = self.http.get(url).header(ACCEPT, accepted.join(", "));
        let request = match (&self.pass, self.key) {
            (Some(Pass::Token(token)), _) => request.bearer_auth(token),
            (Some(Pass::Key), Some(key)) => with(request, key),
            (Some(Pass::Key) | None, _) => request,
        };
        request.send().await.map_err(unreachable)
    }

    /// Does what the registry wants before it lets us in.
    async fn pass(&self, response: &Response) -> Result<Pass, Fault> {
        let wanted = response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        match wanted.and_then(challenge) {
            Some(Challenge::Token(url)) => self.ask_for_token(url).await.map(Pass::Token),
            Some(Challenge::Key) if self.key.is_some() => Ok(Pass::Key),
            Some(Challenge::Key) | None => Err(self.private("it wants a password")),
        }
    }

    /// Goes where the registry sends us for a token: one that is good for everybody, or for whom we are.
    async fn ask_for_token(&self, url: Url) -> Result<String, Fault> {
        if !may_be_asked(&url, self.listed, self.reach) {
            return Err(Fault::Away("it sends us for a token where we do not go".to_owned()));
        }
        let request = self.http.get(url);
        let request = match self.key {
            Some(key) => with(request, key),
            None => request,
        };
        let answer = request.send().await.map_err(unreachable)?;
        if !answer.status().is_success() {
            return Err(self.refusal(answer).await);
        }
        let token: Option<Token> = serde_json::from_slice(&bounded(answer).await?).ok();
        token.and_then(|one| one.token.or(one.access_token)).ok_or_else(|| Fault::Away("it gave no token".to_owned()))
    }

    async fn refusal(&self, response: Response) -> Fault {
        let status = response.status();
        let said = bounded(response).await.map(|body| words(&body)).unwrap_or_default();
        match status {
            StatusCode::NOT_FOUND => Fault::NotFound(format!("{} says {}", self.registry, or_status(said, status))),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.private(&or_status(said, status)),
            _ => Fault::Away(format!("{} says {}", self.registry, or_status(said, status))),
        }
    }

    /// Registries hide whether a private image exists.
    fn private(&self, said: &str) -> Fault {
        Fault::Denied(format!("it does not exist on {}, or it is private ({said})", self.registry))
    }
}

async fn bounded(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if bytes.len() + chunk.len() > BODY_MAX {
            return Err(Fault::Away(format!("it answered with more than {} MiB", BODY_MAX >> 20)));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn with(request: RequestBuilder, key: &RegistryKey) -> RequestBuilder {
    request.basic_auth(&key.user, Some(key.password.expose_secret()))
}

fn challenge(text: &str) -> Option<Challenge> {
    let is_basic = text.split(' ').next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"));
    if is_basic { Some(Challenge::Key) } else { token_url(text).map(Challenge::Token) }
}

/// `Bearer realm="https://…",service="…",scope="…"` → where to ask for a token.
fn token_url(challenge: &str) -> Option<Url> {
    let (scheme, parameters) = challenge.split_once(' ')?;
    let value = |name: &str| {
        let (_, after) = parameters.split_once(&format!("{name}=\""))?;
        after.split_once('"').map(|(value, _)| value)
    };
    let mut url: Url = scheme.eq_ignore_ascii_case("bearer").then(|| value("realm"))??.parse().ok()?;
    for name in ["service", "scope"] {
        if let Some(value) = value(name) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    Some(url)
}

/// The registry's own errors, if it speaks as registries do.
fn words(body: &[u8]) -> String {
    let errors = serde_json::from_slice::<Errors>(body).map(|errors| errors.errors).unwrap_or_default();
    let words: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.code, error.message)).collect();
    words.join("; ").chars().take(WORDS_MAX).collect()
}

fn or_status(said: String, status: StatusCode) -> String {
    if said.is_empty() { status.to_string() } else { said }
}

fn unreachable(error: reqwest::Error) -> Fault {
    let error = error.without_url();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    Fault::Away(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::token_url;

    #[test]
    fn a_challenge_says_where_to_ask() {
        let url =
            token_url(r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull""#);
        let expected = "https://auth.example/token?service=r.example&scope=repository%3Aa%2Fb%3Apull";
        assert_eq!(url.map(String::from).as_deref(), Some(expected));
        for none in ["Basic realm=\"x\"", "Bearer", "Bearer realm=\"", "Bearer realm=\"nowhere\""] {
            assert_eq!(token_url(none), None, "{none}");
        }
    }
}
